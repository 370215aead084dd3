//! ObjectTypeService.

use super::{convert, once, type_id};
use crate::app::object_types::ObjectTypes;
use tenantry_api::business::{
    CreateObjectTypeRequest, CreateObjectTypeResponse, DeleteObjectTypeRequest, DeleteObjectTypeResponse,
    GetObjectTypeRequest, GetObjectTypeResponse, ListObjectTypesRequest, ListObjectTypesResponse,
    UpdateObjectTypeRequest, UpdateObjectTypeResponse, object_type_service_server::ObjectTypeService,
};
use tenantry_server::unary;
use tonic::{Request, Response, Status, async_trait};

/// See the proto.
#[derive(Debug)]
pub struct ObjectTypeRpc {
    types: ObjectTypes,
}

impl ObjectTypeRpc {
    /// Over the app.
    #[must_use]
    pub fn new(types: ObjectTypes) -> Self {
        Self { types }
    }
}

#[async_trait]
impl ObjectTypeService for ObjectTypeRpc {
    async fn create_object_type(
        &self,
        request: Request<CreateObjectTypeRequest>,
    ) -> Result<Response<CreateObjectTypeResponse>, Status> {
        unary(request, async |ctx, mut message: CreateObjectTypeRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(
                "tenantry.business.v1.ObjectTypeService/CreateObjectType",
                &key,
                &message,
            )?;
            let given = message.object_type.unwrap_or_default();
            // Wrong ids are named by the definition's own check, with everything else that is wrong.
            let id = given.name.strip_prefix("objectTypes/").unwrap_or_default().to_owned();
            let made = self
                .types
                .create(&ctx, &id, &convert::definition(given)?, once.as_ref())
                .await?;
            Ok(CreateObjectTypeResponse {
                object_type: Some(convert::object_type(made)),
            })
        })
        .await
    }

    async fn get_object_type(
        &self,
        request: Request<GetObjectTypeRequest>,
    ) -> Result<Response<GetObjectTypeResponse>, Status> {
        unary(request, async |ctx, message: GetObjectTypeRequest| {
            let found = self.types.get(&ctx, &type_id("name", &message.name)?).await?;
            Ok(GetObjectTypeResponse {
                object_type: Some(convert::object_type(found)),
            })
        })
        .await
    }

    async fn list_object_types(
        &self,
        request: Request<ListObjectTypesRequest>,
    ) -> Result<Response<ListObjectTypesResponse>, Status> {
        unary(request, async |ctx, message: ListObjectTypesRequest| {
            let (page, next_page_token) = self.types.list(&ctx, message.page_size, &message.page_token).await?;
            Ok(ListObjectTypesResponse {
                object_types: page.into_iter().map(convert::object_type).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn update_object_type(
        &self,
        request: Request<UpdateObjectTypeRequest>,
    ) -> Result<Response<UpdateObjectTypeResponse>, Status> {
        unary(request, async |ctx, mut message: UpdateObjectTypeRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(
                "tenantry.business.v1.ObjectTypeService/UpdateObjectType",
                &key,
                &message,
            )?;
            let given = message.object_type.unwrap_or_default();
            let (id, etag) = (type_id("object_type.name", &given.name)?, given.etag.clone());
            let mask = message.update_mask.unwrap_or_default().paths;
            let changed = self
                .types
                .update(&ctx, &id, &convert::definition(given)?, &mask, &etag, once.as_ref())
                .await?;
            Ok(UpdateObjectTypeResponse {
                object_type: Some(convert::object_type(changed)),
            })
        })
        .await
    }

    async fn delete_object_type(
        &self,
        request: Request<DeleteObjectTypeRequest>,
    ) -> Result<Response<DeleteObjectTypeResponse>, Status> {
        unary(request, async |ctx, mut message: DeleteObjectTypeRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once(
                "tenantry.business.v1.ObjectTypeService/DeleteObjectType",
                &key,
                &message,
            )?;
            self.types
                .delete(
                    &ctx,
                    &type_id("name", &message.name)?,
                    &message.etag,
                    message.force,
                    once.as_ref(),
                )
                .await?;
            Ok(DeleteObjectTypeResponse {})
        })
        .await
    }
}

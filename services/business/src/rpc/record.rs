//! RecordService.

use super::{convert, json, once, record_name, type_id, watch};
use crate::app::{
    records::{Page, Records, Update},
    watch::Watch,
};
use std::sync::Arc;
use tenantry_api::business::{
    BatchCreateRecordsRequest, BatchCreateRecordsResponse, BatchDeleteRecordsRequest, BatchDeleteRecordsResponse,
    BatchUpdateRecordsRequest, BatchUpdateRecordsResponse, CreateRecordRequest, CreateRecordResponse,
    DeleteRecordRequest, DeleteRecordResponse, GetRecordRequest, GetRecordResponse, ListRecordsRequest,
    ListRecordsResponse, UpdateRecordRequest, UpdateRecordResponse, WatchRecordsRequest, WatchRecordsResponse,
    record_service_server::RecordService,
};
use tenantry_kernel::{Error, Result};
use tenantry_server::{Revocations, unary};
use tonic::{Request, Response, Status, async_trait, codegen::BoxStream};
use uuid::Uuid;

/// See the proto.
pub struct RecordRpc {
    records: Records,
    watch: Watch,
    revocations: Arc<Revocations>,
}

impl RecordRpc {
    /// Over the app.
    #[must_use]
    pub fn new(records: Records, watch: Watch, revocations: Arc<Revocations>) -> Self {
        Self {
            records,
            watch,
            revocations,
        }
    }
}

impl std::fmt::Debug for RecordRpc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordRpc(..)")
    }
}

#[async_trait]
impl RecordService for RecordRpc {
    async fn create_record(
        &self,
        request: Request<CreateRecordRequest>,
    ) -> Result<Response<CreateRecordResponse>, Status> {
        unary(request, async |ctx, mut message: CreateRecordRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.RecordService/CreateRecord", &key, &message)?;
            let fields = json::map(message.record.unwrap_or_default().fields, "record.fields")?;
            let record = self
                .records
                .create(&ctx, &type_id("parent", &message.parent)?, &fields, once.as_ref())
                .await?;
            Ok(CreateRecordResponse {
                record: Some(convert::record(record)),
            })
        })
        .await
    }

    async fn get_record(&self, request: Request<GetRecordRequest>) -> Result<Response<GetRecordResponse>, Status> {
        unary(request, async |ctx, message: GetRecordRequest| {
            let (type_id, id) = record_name("name", &message.name)?;
            let record = self.records.get(&ctx, &type_id, id).await?;
            Ok(GetRecordResponse {
                record: Some(convert::record(record)),
            })
        })
        .await
    }

    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        unary(request, async |ctx, message: ListRecordsRequest| {
            let page = Page {
                size: message.page_size,
                token: message.page_token,
                filter: message.filter,
                order_by: message.order_by,
            };
            let (records, next_page_token) = self
                .records
                .list(&ctx, &type_id("parent", &message.parent)?, &page)
                .await?;
            Ok(ListRecordsResponse {
                records: records.into_iter().map(convert::record).collect(),
                next_page_token,
            })
        })
        .await
    }

    async fn update_record(
        &self,
        request: Request<UpdateRecordRequest>,
    ) -> Result<Response<UpdateRecordResponse>, Status> {
        unary(request, async |ctx, mut message: UpdateRecordRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.RecordService/UpdateRecord", &key, &message)?;
            let (type_id, update) = update_of(message, "")?;
            let record = self.records.update(&ctx, &type_id, &update, once.as_ref()).await?;
            Ok(UpdateRecordResponse {
                record: Some(convert::record(record)),
            })
        })
        .await
    }

    async fn delete_record(
        &self,
        request: Request<DeleteRecordRequest>,
    ) -> Result<Response<DeleteRecordResponse>, Status> {
        unary(request, async |ctx, mut message: DeleteRecordRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.RecordService/DeleteRecord", &key, &message)?;
            let (type_id, id) = record_name("name", &message.name)?;
            self.records
                .delete(&ctx, &type_id, id, &message.etag, once.as_ref())
                .await?;
            Ok(DeleteRecordResponse {})
        })
        .await
    }

    async fn batch_create_records(
        &self,
        request: Request<BatchCreateRecordsRequest>,
    ) -> Result<Response<BatchCreateRecordsResponse>, Status> {
        unary(request, async |ctx, mut message: BatchCreateRecordsRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.RecordService/BatchCreateRecords", &key, &message)?;
            let type_id = type_id("parent", &message.parent)?;
            let mut requests = Vec::with_capacity(message.requests.len());
            for (i, request) in message.requests.into_iter().enumerate() {
                if !request.parent.is_empty() && request.parent != message.parent {
                    return Err(Error::invalid_field(
                        format!("requests[{i}].parent"),
                        "must be empty or the same as parent",
                    ));
                }
                requests.push(json::map(
                    request.record.unwrap_or_default().fields,
                    &format!("requests[{i}].record.fields"),
                )?);
            }
            let records = self
                .records
                .batch_create(&ctx, &type_id, &requests, once.as_ref())
                .await?;
            Ok(BatchCreateRecordsResponse {
                records: records.into_iter().map(convert::record).collect(),
            })
        })
        .await
    }

    async fn batch_update_records(
        &self,
        request: Request<BatchUpdateRecordsRequest>,
    ) -> Result<Response<BatchUpdateRecordsResponse>, Status> {
        unary(request, async |ctx, mut message: BatchUpdateRecordsRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.RecordService/BatchUpdateRecords", &key, &message)?;
            let parent = type_id("parent", &message.parent)?;
            let mut updates = Vec::with_capacity(message.requests.len());
            for (i, request) in message.requests.into_iter().enumerate() {
                let (type_id, update) = update_of(request, &format!("requests[{i}]."))?;
                same_parent(&parent, &type_id, &format!("requests[{i}].record.name"))?;
                updates.push(update);
            }
            let records = self
                .records
                .batch_update(&ctx, &parent, &updates, once.as_ref())
                .await?;
            Ok(BatchUpdateRecordsResponse {
                records: records.into_iter().map(convert::record).collect(),
            })
        })
        .await
    }

    async fn batch_delete_records(
        &self,
        request: Request<BatchDeleteRecordsRequest>,
    ) -> Result<Response<BatchDeleteRecordsResponse>, Status> {
        unary(request, async |ctx, mut message: BatchDeleteRecordsRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.RecordService/BatchDeleteRecords", &key, &message)?;
            let parent = type_id("parent", &message.parent)?;
            let mut ids: Vec<Uuid> = Vec::with_capacity(message.names.len());
            for (i, name) in message.names.iter().enumerate() {
                let (type_id, id) = record_name(&format!("names[{i}]"), name)?;
                same_parent(&parent, &type_id, &format!("names[{i}]"))?;
                ids.push(id);
            }
            self.records.batch_delete(&ctx, &parent, &ids, once.as_ref()).await?;
            Ok(BatchDeleteRecordsResponse {})
        })
        .await
    }

    async fn watch_records(
        &self,
        request: Request<WatchRecordsRequest>,
    ) -> Result<Response<BoxStream<WatchRecordsResponse>>, Status> {
        watch::open(&self.watch, &self.revocations, request).await
    }
}

fn update_of(message: UpdateRecordRequest, path: &str) -> Result<(String, Update)> {
    let record = message.record.unwrap_or_default();
    let (type_id, id) = record_name(&format!("{path}record.name"), &record.name)?;
    let fields = json::map(record.fields, &format!("{path}record.fields"))?;
    // JSON clients may write paths relative to the record or to the request.
    let mask = message.update_mask.unwrap_or_default().paths;
    let mask = mask
        .into_iter()
        .map(|entry| entry.strip_prefix("record.").map_or(entry.clone(), ToOwned::to_owned))
        .collect();
    Ok((
        type_id,
        Update {
            id,
            fields,
            mask,
            etag: record.etag,
        },
    ))
}

fn same_parent(parent: &str, type_id: &str, field: &str) -> Result<()> {
    if parent == type_id {
        Ok(())
    } else {
        Err(Error::invalid_field(
            field,
            format!("must be a record of objectTypes/{parent}"),
        ))
    }
}

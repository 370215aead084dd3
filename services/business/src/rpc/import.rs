//! ImportService.

use super::{convert, import_name, once, operation, type_id};
use crate::{
    app::imports::{Imports, Start},
    domain::{cell::Dialect, import::Import},
};
use tenantry_api::business::{
    GetImportRequest, GetImportResponse, StartImportRequest, StartImportResponse, UploadImportRequest,
    UploadImportResponse, import_service_server::ImportService,
};
use tenantry_kernel::{Ctx, Error, Reason, Result};
use tenantry_server::unary;
use tonic::{Request, Response, Status, Streaming, async_trait};

/// See the proto.
#[derive(Debug)]
pub struct ImportRpc {
    imports: Imports,
}

impl ImportRpc {
    /// Over the app.
    #[must_use]
    pub fn new(imports: Imports) -> Self {
        Self { imports }
    }

    async fn receive(&self, ctx: &Ctx, mut stream: Streaming<UploadImportRequest>) -> Result<Import> {
        let first = stream
            .message()
            .await
            .map_err(broken)?
            .ok_or_else(|| Error::new(Reason::ImportInvalid, "No file was sent."))?;
        let mut upload = self.imports.upload(ctx, &first.filename).await?;
        let mut chunk = Some(first.chunk);
        let fed = loop {
            let Some(bytes) = chunk.take() else { break Ok(()) };
            if !bytes.is_empty()
                && let Err(error) = upload.chunk(bytes).await
            {
                break Err(error);
            }
            match stream.message().await {
                Ok(message) => chunk = message.map(|message| message.chunk),
                Err(status) => break Err(broken(status)),
            }
        };
        if let Err(error) = fed {
            upload.discard().await;
            return Err(error);
        }
        upload.finish().await
    }
}

/// The client went away, or its frames cannot be read.
fn broken(status: Status) -> Error {
    Error::new(Reason::MalformedRequest, "The upload broke off. Send the file again.").because(status)
}

#[async_trait]
impl ImportService for ImportRpc {
    async fn upload_import(
        &self,
        request: Request<Streaming<UploadImportRequest>>,
    ) -> Result<Response<UploadImportResponse>, Status> {
        unary(request, async |ctx, stream: Streaming<UploadImportRequest>| {
            let import = self.receive(&ctx, stream).await?;
            Ok(UploadImportResponse {
                import: Some(convert::import(import)),
            })
        })
        .await
    }

    async fn get_import(&self, request: Request<GetImportRequest>) -> Result<Response<GetImportResponse>, Status> {
        unary(request, async |ctx, message: GetImportRequest| {
            let import = self.imports.get(&ctx, import_name(&message.name)?).await?;
            Ok(GetImportResponse {
                import: Some(convert::import(import)),
            })
        })
        .await
    }

    async fn start_import(
        &self,
        request: Request<StartImportRequest>,
    ) -> Result<Response<StartImportResponse>, Status> {
        unary(request, async |ctx, mut message: StartImportRequest| {
            let key = std::mem::take(&mut message.request_id);
            let once = once("tenantry.business.v1.ImportService/StartImport", &key, &message)?;
            let start = Start {
                import: import_name(&message.name)?,
                object_type: type_id("object_type", &message.object_type)?,
                create_type: message.create_type,
                columns: convert::columns(message.columns)?,
                dialect: Dialect {
                    null_values: message.null_values,
                    date_formats: message.date_formats,
                    timezone_offset: message.timezone_offset,
                },
            };
            let started = self.imports.start(&ctx, &start, once.as_ref()).await?;
            Ok(StartImportResponse {
                operation: Some(operation::operation(&ctx, started)?),
            })
        })
        .await
    }
}

//! DataService: a tenant's data for the backup service.

use super::convert;
use crate::{
    app::{exports::Exports, restores::Restores},
    domain::{ObjectType, data::Part},
};
use chrono::{DateTime, Utc};
use futures::StreamExt;
use tenantry_api::business::{
    DataFooter, DataHeader, DataPart, DataRows, DataType, ExportDataRequest, ExportDataResponse, RestoreDataRequest,
    RestoreDataResponse, RestoreTarget, data_part, data_service_server::DataService, restore_data_request,
};
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantId};
use tenantry_server::unary;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait, codegen::BoxStream};
use uuid::Uuid;

/// One row may be this large; more parts are not read ahead than are being written.
pub const MAX_MESSAGE: usize = 64 * 1024 * 1024;
const BUFFER: usize = 2;

/// See the proto.
#[derive(Debug)]
pub struct DataRpc {
    exports: Exports,
    restores: Restores,
}

impl DataRpc {
    /// Over the app.
    #[must_use]
    pub fn new(exports: Exports, restores: Restores) -> Self {
        Self { exports, restores }
    }

    async fn receive(&self, ctx: &Ctx, mut stream: Streaming<RestoreDataRequest>) -> Result<RestoreDataResponse> {
        let first = stream.message().await.map_err(broken)?.and_then(|first| first.message);
        let Some(restore_data_request::Message::Target(target)) = first else {
            return Err(Error::invalid_field("target", "must be in the first message"));
        };
        let (tenant, restore_id) = read_target(&target)?;
        ctx.require_named(tenant)?;
        let (out, parts) = mpsc::channel(BUFFER);
        let feed = async move {
            loop {
                let part = match stream.message().await {
                    Ok(None) => return,
                    Ok(Some(message)) => read_part(message),
                    Err(status) => Err(broken(status)),
                };
                let failed = part.is_err();
                // Nobody takes it where the restore has failed.
                if out.send(part).await.is_err() || failed {
                    return;
                }
            }
        };
        let restore = self.restores.run(tenant, restore_id, parts);
        tokio::pin!(restore);
        // A restore that fails does not wait for the rest of the stream.
        let counts = tokio::select! {
            counts = &mut restore => counts?,
            () = feed => restore.await?,
        };
        Ok(RestoreDataResponse {
            object_types: counts.object_types,
            rows: counts.records,
        })
    }
}

#[async_trait]
impl DataService for DataRpc {
    async fn export_data(
        &self,
        request: Request<ExportDataRequest>,
    ) -> Result<Response<BoxStream<ExportDataResponse>>, Status> {
        let ctx = tenantry_server::context(&request)?;
        let opened = async {
            let message = request.get_ref();
            let tenant = tenant_id("tenant_id", &message.tenant_id)?;
            ctx.require_named(tenant)?;
            let restore = match message.restore_id.as_str() {
                "" => None,
                id => Some(restore_id("restore_id", id)?),
            };
            self.exports.open(tenant, restore).await
        };
        let parts = opened.await.map_err(|error| tenantry_server::status(&ctx, error))?;
        let stream = ReceiverStream::new(parts).map(move |part| {
            let part = part.and_then(write_part);
            part.map(|part| ExportDataResponse { part: Some(part) })
                .map_err(|error| tenantry_server::status(&ctx, error))
        });
        Ok(Response::new(stream.boxed()))
    }

    async fn restore_data(
        &self,
        request: Request<Streaming<RestoreDataRequest>>,
    ) -> Result<Response<RestoreDataResponse>, Status> {
        unary(request, async |ctx, stream: Streaming<RestoreDataRequest>| {
            self.receive(&ctx, stream).await
        })
        .await
    }
}

fn tenant_id(field: &str, text: &str) -> Result<TenantId> {
    text.parse()
        .map_err(|_| Error::invalid_field(field, "must be the id of a tenant"))
}

fn read_target(target: &RestoreTarget) -> Result<(TenantId, Uuid)> {
    let tenant = tenant_id("target.tenant_id", &target.tenant_id)?;
    Ok((tenant, restore_id("target.restore_id", &target.restore_id)?))
}

fn restore_id(field: &str, text: &str) -> Result<Uuid> {
    text.parse().map_err(|_| Error::invalid_field(field, "must be a UUID"))
}

fn write_part(part: Part) -> Result<DataPart> {
    let part = match part {
        Part::Header { format, snapshot_time } => data_part::Part::Header(DataHeader {
            format,
            snapshot_time: Some(convert::timestamp(snapshot_time)),
        }),
        Part::Type { object_type, columns } => data_part::Part::DataType(DataType {
            object_type: object_type.id.clone(),
            definition: serde_json::to_vec(&object_type).map_err(Error::internal)?,
            columns,
        }),
        Part::Rows { text, rows } => data_part::Part::DataRows(DataRows { copy_text: text, rows }),
        Part::Footer { object_types, rows } => data_part::Part::Footer(DataFooter { object_types, rows }),
    };
    Ok(DataPart { part: Some(part) })
}

fn read_part(message: RestoreDataRequest) -> Result<Part> {
    let Some(restore_data_request::Message::Part(DataPart { part: Some(part) })) = message.message else {
        return Err(Error::invalid_field("part", "must be in every message but the first"));
    };
    Ok(match part {
        data_part::Part::Header(header) => Part::Header {
            format: header.format,
            snapshot_time: read_time(header.snapshot_time)?,
        },
        data_part::Part::DataType(data) => Part::Type {
            object_type: read_type(&data)?,
            columns: data.columns,
        },
        data_part::Part::DataRows(data) => Part::Rows {
            text: data.copy_text,
            rows: data.rows,
        },
        data_part::Part::Footer(footer) => Part::Footer {
            object_types: footer.object_types,
            rows: footer.rows,
        },
    })
}

fn read_type(data: &DataType) -> Result<ObjectType> {
    let bad = || Error::invalid_field("part.data_type.definition", "must be a definition as it was exported");
    let object_type: ObjectType = serde_json::from_slice(&data.definition).map_err(|error| bad().because(error))?;
    if object_type.id == data.object_type {
        Ok(object_type)
    } else {
        Err(bad())
    }
}

fn read_time(time: Option<prost_types::Timestamp>) -> Result<DateTime<Utc>> {
    let read = time.and_then(|time| DateTime::from_timestamp(time.seconds, u32::try_from(time.nanos).ok()?));
    read.ok_or_else(|| Error::invalid_field("part.header.snapshot_time", "must be set"))
}

/// The sender went away, or its frames cannot be read.
fn broken(status: Status) -> Error {
    Error::new(
        Reason::MalformedRequest,
        "The data broke off before its end; nothing was replaced. Send all of it again.",
    )
    .because(status)
}

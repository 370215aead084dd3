//! WatchRecords: the app's batches as a gRPC stream.

use super::{convert, type_id};
use crate::{
    app::watch::{Batch, Revoked as CheckRevoked, Watch},
    domain::{
        change::{Change, ChangeKind},
        record,
    },
};
use futures::StreamExt;
use std::sync::Arc;
use tenantry_api::business as pb;
use tenantry_kernel::{Ctx, Error, PrincipalKind, Reason, Result, TenantId};
use tenantry_server::{Revocation, Revocations, Revoked};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, codegen::BoxStream};

pub(super) async fn open(
    watch: &Watch,
    revocations: &Arc<Revocations>,
    request: Request<pb::WatchRecordsRequest>,
) -> Result<Response<BoxStream<pb::WatchRecordsResponse>>, Status> {
    let ctx = tenantry_server::context(&request)?;
    let message = request.into_inner();
    let opened = async {
        let type_id = if message.parent.is_empty() {
            None
        } else {
            Some(type_id("parent", &message.parent)?)
        };
        let feed = Feed {
            tenant: ctx.tenant()?,
            kind: ctx.principal().kind.clone(),
            news: revocations.subscribe(),
        };
        watch.open(&ctx, type_id, &message.resume_token, feed).await
    };
    let batches = opened.await.map_err(|error| tenantry_server::status(&ctx, error))?;
    let stream = ReceiverStream::new(batches).map(move |batch| response(&ctx, batch));
    Ok(Response::new(stream.boxed()))
}

fn response(ctx: &Ctx, batch: Result<Batch>) -> Result<pb::WatchRecordsResponse, Status> {
    let batch = batch.map_err(|error| tenantry_server::status(ctx, error))?;
    Ok(pb::WatchRecordsResponse {
        changes: batch.changes.into_iter().map(change).collect(),
        resume_token: batch.resume_token,
    })
}

fn change(change: Change) -> pb::RecordChange {
    let kind = match change.kind {
        ChangeKind::Created => pb::ChangeKind::Created,
        ChangeKind::Updated => pb::ChangeKind::Updated,
        ChangeKind::Deleted => pb::ChangeKind::Deleted,
    };
    let record = match change.record {
        Some(record) => convert::record(record),
        None => pb::Record {
            name: record::name(&change.object_type, change.id),
            ..pb::Record::default()
        },
    };
    pb::RecordChange {
        kind: kind.into(),
        record: Some(record),
        change_time: Some(convert::timestamp(change.time)),
    }
}

/// What was revoked since the stream began.
struct Feed {
    tenant: TenantId,
    kind: PrincipalKind,
    news: Receiver<Revocation>,
}

impl Feed {
    fn concerns(&self, revocation: &Revocation) -> bool {
        revocation.tenant == self.tenant
            && match (&self.kind, revocation.what) {
                (_, Revoked::Tenant) => true,
                (PrincipalKind::User { user, .. }, Revoked::User(id)) => user.uuid() == id,
                (PrincipalKind::User { session, .. }, Revoked::Session(id)) => session.uuid() == id,
                (PrincipalKind::ApiKey { creator, .. }, Revoked::User(id)) => creator.uuid() == id,
                (PrincipalKind::ApiKey { key, .. }, Revoked::ApiKey(id)) => key.uuid() == id,
                _ => false,
            }
    }
}

impl CheckRevoked for Feed {
    fn check(&mut self) -> Result<()> {
        loop {
            match self.news.try_recv() {
                Ok(revocation) if self.concerns(&revocation) => {
                    return Err(Error::new(
                        Reason::CredentialsInvalid,
                        "The session or key was ended. Sign in again.",
                    ));
                }
                Ok(_) => {}
                Err(TryRecvError::Empty) => return Ok(()),
                // Whatever was missed might concern this stream: the client proves itself again by reconnecting.
                Err(TryRecvError::Lagged(_) | TryRecvError::Closed) => {
                    return Err(Error::unavailable("revocations were missed"));
                }
            }
        }
    }
}

//! Follows auth's revocation stream and reconnects for ever; each connection begins with a snapshot of the last five
//! minutes, so nothing is missed while it was away.

use crate::{Latch, Revocation, Revocations, Revoked};
use chrono::DateTime;
use std::{sync::Arc, time::Duration};
use tenantry_api::auth::{
    self, RevocationKind, WatchRevocationsRequest, WatchRevocationsResponse, token_service_client::TokenServiceClient,
};
use tenantry_kernel::Clock;
use tokio_util::sync::CancellationToken;
use tonic::{Streaming, body::Body, codegen::StdError};

/// Auth sends a heartbeat every second; silence for this long means a dead connection.
const SILENCE: Duration = Duration::from_secs(5);
const BACKOFF: Duration = Duration::from_millis(300);

pub(crate) async fn run<T>(
    client: TokenServiceClient<T>,
    revocations: Arc<Revocations>,
    clock: Arc<dyn Clock>,
    latch: Latch,
    stop: CancellationToken,
) where
    T: tonic::client::GrpcService<Body> + Clone + Send + 'static,
    T::ResponseBody: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    <T::ResponseBody as http_body::Body>::Error: Into<StdError> + Send,
    T::Future: Send,
{
    let mut latch = Some(latch);
    while !stop.is_cancelled() {
        let opened = client.clone().watch_revocations(WatchRevocationsRequest {}).await;
        if let Ok(stream) = opened {
            tokio::select! {
                () = follow(stream.into_inner(), &revocations, clock.as_ref(), &mut latch) => {}
                () = stop.cancelled() => return,
            }
        }
        tokio::select! {
            () = tokio::time::sleep(BACKOFF) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn follow(
    mut stream: Streaming<WatchRevocationsResponse>,
    revocations: &Revocations,
    clock: &dyn Clock,
    latch: &mut Option<Latch>,
) {
    while let Ok(Ok(Some(message))) = tokio::time::timeout(SILENCE, stream.message()).await {
        let list: Vec<Revocation> = message.revocations.iter().filter_map(decode).collect();
        revocations.apply(&list, clock.now());
        if message.snapshot_complete
            && let Some(latch) = latch.take()
        {
            latch.release();
        }
    }
}

fn decode(revocation: &auth::Revocation) -> Option<Revocation> {
    let id = || revocation.id.parse().ok();
    let what = match revocation.kind() {
        RevocationKind::Tenant => Revoked::Tenant,
        RevocationKind::User => Revoked::User(id()?),
        RevocationKind::Session => Revoked::Session(id()?),
        RevocationKind::ApiKey => Revoked::ApiKey(id()?),
        RevocationKind::Unspecified => return None,
    };
    let at = revocation.not_before?;
    Some(Revocation {
        tenant: revocation.tenant_id.parse().ok()?,
        what,
        not_before: DateTime::from_timestamp(at.seconds, u32::try_from(at.nanos).ok()?)?,
    })
}

//! Follows monitoring's quotas: a snapshot, then changes, then heartbeats. While monitoring is away, what was known last
//! stays in force.

use crate::app::quotas::Quotas;
use std::{collections::HashSet, sync::Arc, time::Duration};
use tenantry_api::monitoring::{WatchQuotasRequest, WatchQuotasResponse, quota_service_client::QuotaServiceClient};
use tenantry_kernel::{Error, Result};
use tenantry_server::Peers;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Streaming, metadata::MetadataValue, transport::Channel};

/// Monitoring sends a heartbeat every five seconds.
const SILENCE: Duration = Duration::from_secs(12);
const FIRST_BACKOFF: Duration = Duration::from_millis(300);
const LAST_BACKOFF: Duration = Duration::from_secs(10);

/// Runs until `stop`.
pub async fn follow(quotas: Arc<Quotas>, monitoring: Channel, peers: Peers, stop: CancellationToken) {
    let mut backoff = FIRST_BACKOFF;
    while !stop.is_cancelled() {
        let round = async {
            match open(&monitoring, &peers).await {
                Ok(stream) => apply_all(&quotas, stream).await,
                Err(error) => {
                    tracing::debug!(%error, "quotas cannot be watched yet");
                    false
                }
            }
        };
        let lived = tokio::select! {
            lived = round => lived,
            () = stop.cancelled() => return,
        };
        backoff = if lived {
            FIRST_BACKOFF
        } else {
            (backoff * 2).min(LAST_BACKOFF)
        };
        tokio::select! {
            () = tokio::time::sleep(backoff) => {}
            () = stop.cancelled() => return,
        }
    }
}

async fn open(monitoring: &Channel, peers: &Peers) -> Result<Streaming<WatchQuotasResponse>> {
    let token = peers.service_token("monitoring", None).await?;
    let mut request = Request::new(WatchQuotasRequest {});
    let mut value: MetadataValue<_> = format!("Bearer {token}").parse().map_err(Error::internal)?;
    value.set_sensitive(true);
    request.metadata_mut().insert("authorization", value);
    let answer = QuotaServiceClient::new(monitoring.clone()).watch_quotas(request).await;
    Ok(answer.map_err(Error::unavailable)?.into_inner())
}

/// Whether a whole snapshot came.
async fn apply_all(quotas: &Quotas, mut stream: Streaming<WatchQuotasResponse>) -> bool {
    let mut snapshot = Some(HashSet::new());
    while let Ok(Ok(Some(message))) = tokio::time::timeout(SILENCE, stream.message()).await {
        quotas.apply(message.states, snapshot.as_mut());
        if message.snapshot_complete
            && let Some(seen) = snapshot.take()
        {
            quotas.keep_only(&seen);
        }
    }
    snapshot.is_none()
}

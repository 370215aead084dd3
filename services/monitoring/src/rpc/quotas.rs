//! QuotaService: for the gateway only.

use super::convert::stamp;
use crate::{
    app::quotas::{Over, Quotas},
    domain::quota::{Exceeded, LIMIT},
};
use std::{sync::Arc, time::Duration};
use tenantry_api::monitoring::{
    QuotaState, WatchQuotasRequest, WatchQuotasResponse, quota_service_server::QuotaService,
};
use tenantry_kernel::TenantId;
use tenantry_server::{context, status};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, codegen::BoxStream};

const HEARTBEAT: Duration = Duration::from_secs(5);
/// States in one message.
const PAGE: usize = 1_000;
/// Messages a watcher may leave unread before we wait for it.
const BUFFER: usize = 16;

/// See the module.
pub struct QuotaRpc {
    quotas: Arc<Quotas>,
    stop: CancellationToken,
}

impl QuotaRpc {
    /// Streams end when `stop` is cancelled, so that a draining process waits for nobody.
    #[must_use]
    pub fn new(quotas: Arc<Quotas>, stop: CancellationToken) -> Self {
        Self { quotas, stop }
    }
}

#[tonic::async_trait]
impl QuotaService for QuotaRpc {
    async fn watch_quotas(
        &self,
        request: Request<WatchQuotasRequest>,
    ) -> Result<Response<BoxStream<WatchQuotasResponse>>, Status> {
        let ctx = context(&request)?;
        let changes = self.quotas.watch().map_err(|error| status(&ctx, error))?;
        let (sender, receiver) = mpsc::channel(BUFFER);
        let (quotas, stop) = (Arc::clone(&self.quotas), self.stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                // A watcher that has gone away ends it.
                _gone = push(changes, &quotas, &sender) => {}
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }
}

type Message = Result<WatchQuotasResponse, Status>;

/// Snapshot, then changes, then heartbeats while nothing changes.
async fn push(
    mut changes: watch::Receiver<Option<Over>>,
    quotas: &Quotas,
    sender: &mpsc::Sender<Message>,
) -> Result<(), mpsc::error::SendError<Message>> {
    let mut told = changes.borrow_and_update().clone().unwrap_or_default();
    let states: Vec<_> = told.iter().map(|(tenant, exceeded)| over(*tenant, exceeded)).collect();
    tell(sender, states).await?;
    sender
        .send(Ok(WatchQuotasResponse {
            states: Vec::new(),
            snapshot_complete: true,
        }))
        .await?;
    let mut beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
    loop {
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return Ok(());
                }
                let now = changes.borrow_and_update().clone().unwrap_or_default();
                tell(sender, difference(&told, &now)).await?;
                told = now;
            }
            // A heartbeat says "you know everything"; while months cannot be read nobody can say that.
            _ = beat.tick() => if quotas.is_fresh() {
                sender.send(Ok(WatchQuotasResponse::default())).await?;
            },
            () = sender.closed() => return Ok(()),
        }
    }
}

async fn tell(sender: &mpsc::Sender<Message>, states: Vec<QuotaState>) -> Result<(), mpsc::error::SendError<Message>> {
    for page in states.chunks(PAGE) {
        sender
            .send(Ok(WatchQuotasResponse {
                states: page.to_vec(),
                snapshot_complete: false,
            }))
            .await?;
    }
    Ok(())
}

fn difference(old: &Over, new: &Over) -> Vec<QuotaState> {
    let changed = new
        .iter()
        .filter(|(tenant, exceeded)| old.get(tenant) != Some(exceeded))
        .map(|(tenant, exceeded)| over(*tenant, exceeded));
    let ended = old.keys().filter(|tenant| !new.contains_key(tenant)).map(within);
    changed.chain(ended).collect()
}

fn over(tenant: TenantId, exceeded: &Exceeded) -> QuotaState {
    QuotaState {
        tenant_id: tenant.to_string(),
        within: false,
        limit: LIMIT.to_owned(),
        plan: exceeded.plan.clone(),
        allowed: i64::try_from(exceeded.allowed).unwrap_or(i64::MAX),
        reset_time: Some(stamp(exceeded.reset)),
    }
}

fn within(tenant: &TenantId) -> QuotaState {
    QuotaState {
        tenant_id: tenant.to_string(),
        within: true,
        limit: LIMIT.to_owned(),
        ..QuotaState::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use uuid::Uuid;

    #[test]
    fn only_what_changed_is_told() {
        let tenant = |n: u128| TenantId::from_uuid(Uuid::from_u128(n));
        let exceeded = |allowed| Exceeded {
            plan: "p".into(),
            allowed,
            reset: DateTime::UNIX_EPOCH,
        };
        let of = |pairs: &[(u128, u64)]| -> Over {
            Arc::new(
                pairs
                    .iter()
                    .map(|(n, allowed)| (tenant(*n), exceeded(*allowed)))
                    .collect(),
            )
        };
        let (old, new) = (of(&[(1, 1), (2, 1), (3, 1)]), of(&[(1, 1), (2, 9), (4, 1)]));
        let told: Vec<_> = difference(&old, &new)
            .into_iter()
            .map(|state| (state.tenant_id, state.within, state.allowed))
            .collect();
        assert_eq!(
            told,
            [
                (tenant(2).to_string(), false, 9),
                (tenant(4).to_string(), false, 1),
                (tenant(3).to_string(), true, 0)
            ]
        );
    }
}

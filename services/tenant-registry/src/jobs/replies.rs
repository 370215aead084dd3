//! Takes the replies of business and auth from the broker.

use crate::app::{Reply, ReplyOutcome, Sagas};
use prost::Message;
use std::{sync::Arc, time::Duration};
use tenantry_api::events::{SagaReply, saga_reply::Outcome as Wire};
use tenantry_kernel::{Kind, Reason};
use tenantry_messaging::{Bus, Delivery, Outcome};
use tokio_util::sync::CancellationToken;

const TYPE: &str = "tenantry.saga.reply.v1";
const PREFETCH: u16 = 16;
const AGAIN: Duration = Duration::from_secs(1);

/// Runs until `stop`. A reply that cannot be stored now is tried again; if it is lost all the same, the timer of the
/// saga sends the command again and the answer comes back.
pub async fn run(bus: Bus, sagas: Arc<Sagas>, stop: CancellationToken) {
    let queue = bus.topology().replies_queue();
    let consumer = bus.consumer(queue, PREFETCH).allow(&["auth", "business"]).attempts(20);
    consumer
        .run(stop, move |delivery| {
            let sagas = Arc::clone(&sagas);
            async move { handle(&sagas, delivery).await }
        })
        .await;
}

async fn handle(sagas: &Sagas, delivery: Delivery) -> Outcome {
    let reply = match read(delivery) {
        Ok(reply) => reply,
        Err(reason) => {
            return Outcome::Dead {
                reason: reason.to_owned(),
            };
        }
    };
    match sagas.take_reply(&reply).await {
        Ok(()) => Outcome::Ack,
        Err(error) if error.kind() == Kind::InvalidArgument => Outcome::Dead {
            reason: error.to_string(),
        },
        Err(error) => {
            if error.reason() == Reason::Internal {
                tracing::error!(operation = %reply.operation, cause = ?std::error::Error::source(&error), "a saga reply cannot be taken");
            }
            Outcome::Retry {
                delay: AGAIN,
                reason: error.to_string(),
            }
        }
    }
}

fn read(delivery: Delivery) -> Result<Reply, &'static str> {
    if delivery.kind != TYPE {
        return Err("not a saga reply");
    }
    let wire = SagaReply::decode(delivery.payload.as_slice()).map_err(|_| "the body is no SagaReply")?;
    let outcome = match wire.outcome.ok_or("the reply has no outcome")? {
        Wire::Done(done) => ReplyOutcome::Done {
            invite: done.invite_token,
        },
        Wire::Failed(failed) => ReplyOutcome::Failed {
            permanent: failed.permanent,
            reason: bounded(&failed.reason, 80),
            message: bounded(&failed.message, 500),
        },
    };
    Ok(Reply {
        message: delivery.id,
        from: delivery.publisher,
        command: wire.command_id.parse().map_err(|_| "command_id is no id")?,
        operation: wire.operation_id.parse().map_err(|_| "operation_id is no id")?,
        tenant: wire.tenant_id.parse().map_err(|_| "tenant_id is no id")?,
        outcome,
    })
}

/// Texts of others go into rows and responses: not without bounds.
fn bounded(text: &str, max: usize) -> String {
    text.chars()
        .take(max)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

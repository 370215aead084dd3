//! Commands of the tenant sagas, from RabbitMQ.

use crate::app::provisioning::{Command, Provisioning, is_permanent};
use prost::Message as _;
use std::time::Duration;
use tenantry_api::events::{SagaCommand, SagaReply, StepDone, StepFailed, saga_command::Action, saga_reply};
use tenantry_kernel::{Error, Result};
use tenantry_messaging::{Delivery, Outcome};
use tenantry_server::Faults;
use tokio::sync::Notify;

/// CloudEvents type of the commands.
pub const COMMAND: &str = "tenantry.saga.command.v1";
/// CloudEvents type of the replies.
pub const REPLY: &str = "tenantry.saga.reply.v1";
const AGAIN: Duration = Duration::from_secs(1);

/// Handles commands.
#[derive(Debug)]
pub struct Saga {
    provisioning: Provisioning,
    faults: Faults,
    relay: std::sync::Arc<Notify>,
}

impl Saga {
    /// `relay` is notified when a reply waits in the outbox.
    #[must_use]
    pub fn new(provisioning: Provisioning, faults: Faults, relay: std::sync::Arc<Notify>) -> Self {
        Self {
            provisioning,
            faults,
            relay,
        }
    }

    /// Handles one message.
    pub async fn handle(&self, delivery: Delivery) -> Outcome {
        let (command, action) = match read(&delivery) {
            Ok(read) => read,
            Err(reason) => return Outcome::Dead { reason },
        };
        match self.run(&command, &action).await {
            Ok(()) => {
                self.relay.notify_one();
                Outcome::Ack
            }
            Err(error) => {
                tracing::warn!(tenant.id = %command.meta.tenant, reason = %error.reason(), cause = ?std::error::Error::source(&error), "a saga command waits for its next try");
                Outcome::Retry {
                    delay: AGAIN,
                    reason: error.to_string(),
                }
            }
        }
    }

    async fn run(&self, command: &Incoming, action: &Action) -> Result<()> {
        if self.provisioning.repeat(&command.meta).await? {
            return Ok(());
        }
        let done = command.reply(saga_reply::Outcome::Done(StepDone::default()));
        match action {
            Action::ProvisionData(data) if data.placement == "schema" || data.placement.is_empty() => {
                if let Err(error) = self.faults.hit("business.provision_data.before").await {
                    return self.provisioning.refuse(&command.meta, &command.failed(&error)).await;
                }
                match self.provisioning.provision(&command.meta, &done).await {
                    Err(error) if is_permanent(&error) => {
                        self.provisioning.refuse(&command.meta, &command.failed(&error)).await?;
                    }
                    other => other?,
                }
                // The effect is committed; an armed abort is the only thing that can happen here.
                self.faults.hit("business.provision_data.after_commit").await
            }
            Action::DropData(_) => {
                if let Err(error) = self.faults.hit("business.drop_data.before").await {
                    return self.provisioning.refuse(&command.meta, &command.failed(&error)).await;
                }
                self.provisioning.drop_data(&command.meta, &done).await?;
                self.faults.hit("business.drop_data.after_commit").await
            }
            _ => {
                let error = Error::new(
                    tenantry_kernel::Reason::Unimplemented,
                    "This service does not do this step.",
                );
                self.provisioning.refuse(&command.meta, &command.failed(&error)).await
            }
        }
    }
}

struct Incoming {
    meta: Command,
    command_id: String,
    operation_id: String,
}

impl Incoming {
    fn reply(&self, outcome: saga_reply::Outcome) -> Vec<u8> {
        let reply = SagaReply {
            command_id: self.command_id.clone(),
            operation_id: self.operation_id.clone(),
            tenant_id: self.meta.tenant.to_string(),
            outcome: Some(outcome),
        };
        reply.encode_to_vec()
    }
    fn failed(&self, error: &Error) -> Vec<u8> {
        let failed = StepFailed {
            permanent: true,
            reason: error.reason().as_str().to_owned(),
            message: error.public().to_owned(),
        };
        self.reply(saga_reply::Outcome::Failed(failed))
    }
}

fn read(delivery: &Delivery) -> std::result::Result<(Incoming, Action), String> {
    if delivery.kind != COMMAND {
        return Err(format!("type {} is not {COMMAND}", delivery.kind));
    }
    let command = SagaCommand::decode(delivery.payload.as_slice())
        .map_err(|error| format!("the command does not decode: {error}"))?;
    let id = command.command_id.parse().map_err(|_| "command_id is not a UUID")?;
    let tenant = command.tenant_id.parse().map_err(|_| "tenant_id is not a UUID")?;
    if delivery.tenant.is_some_and(|claimed| claimed != tenant) {
        return Err("the envelope names another tenant than the command".to_owned());
    }
    let action = command.action.ok_or("the command has no action this version knows")?;
    let meta = Command {
        id,
        tenant,
        traceparent: delivery.traceparent.clone(),
    };
    Ok((
        Incoming {
            meta,
            command_id: command.command_id,
            operation_id: command.operation_id,
        },
        action,
    ))
}

//! Saga commands on their way out: one outbox row a command, whose message id is the command's id.

use super::{SCHEMA, placement_text};
use crate::domain::{Operation, Step};
use prost::Message;
use tenantry_api::events::{
    CreateRealm, DropData, DropRealm, ProvisionData, RevokeTenant, SagaCommand, saga_command::Action,
};
use tenantry_db::{SystemTx, outbox, query};
use tenantry_kernel::{Error, Placement, Result};

const TYPE: &str = "tenantry.saga.command.v1";

/// Puts the command of the operation's current step into the outbox. A resend while the first copy still waits for the
/// broker changes nothing.
///
/// # Errors
/// As every statement; `INTERNAL` for a step that is not a command.
pub async fn command_send(tx: &mut SystemTx, exchange: &str, service: &str, operation: &Operation) -> Result<()> {
    let action = action(operation)?;
    if command_waits(tx, operation).await? {
        return Ok(());
    }
    let command = SagaCommand {
        command_id: operation.command.to_string(),
        operation_id: operation.id.to_string(),
        tenant_id: operation.tenant.to_string(),
        action: Some(action),
    };
    let mut message = outbox::OutboxMessage::new(
        operation.command,
        operation.update_time,
        Some(operation.tenant),
        exchange,
        service,
        TYPE,
        command.encode_to_vec(),
    );
    message.subject = format!("operations/registry-{}", operation.id);
    message.traceparent.clone_from(&operation.traceparent);
    outbox::insert(tx, SCHEMA, &message).await
}

/// Whether the current command still waits for the broker. Its row is only removed after the broker has confirmed it,
/// and only the holder of the operation's lock adds it.
///
/// # Errors
/// As every statement.
pub async fn command_waits(tx: &mut SystemTx, operation: &Operation) -> Result<bool> {
    let sql = "SELECT 1 FROM registry.outbox WHERE id = $1";
    Ok(tx.fetch_optional(query(sql).bind(operation.command)).await?.is_some())
}

fn action(operation: &Operation) -> Result<Action> {
    Ok(match operation.saga.pending() {
        Some(Step::ProvisionData) => Action::ProvisionData(ProvisionData {
            placement: placement_text(Placement::Schema).to_owned(),
        }),
        Some(Step::CreateRealm) => Action::CreateRealm(CreateRealm {
            slug: operation.slug.clone(),
            admin_email: operation.input.admin_email.clone(),
            admin_display_name: operation.input.admin_display_name.clone(),
        }),
        Some(Step::RevokeTenant) => Action::RevokeTenant(RevokeTenant {}),
        Some(Step::DropRealm) => Action::DropRealm(DropRealm {}),
        Some(Step::DropData) => Action::DropData(DropData {}),
        Some(Step::Activate | Step::RemoveTenant) | None => return Err(Error::internal("this step is no command")),
    })
}

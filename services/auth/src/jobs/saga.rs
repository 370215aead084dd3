//! Commands of the tenant sagas. Effect, inbox entry and reply are one transaction: a command that comes again is
//! answered from the inbox. The stored reply of `create_realm` holds the owner's one-time token, so it is sealed.

use crate::{
    app::{
        Core,
        realms::{NewRealm, Realms},
    },
    store::SCHEMA,
};
use prost::Message as _;
use std::{sync::Arc, time::Duration};
use tenantry_api::events::{
    SagaCommand, SagaReply, StepDone, StepFailed, saga_command::Action, saga_reply::Outcome as Reply,
};
use tenantry_db::{
    Tx, inbox,
    outbox::{self, OutboxMessage},
};
use tenantry_kernel::{Ctx, Error, Kind, Result, TenantId};
use tenantry_messaging::{Delivery, Outcome, Topology};
use tenantry_server::Faults;
use tokio::sync::Notify;
use uuid::Uuid;

/// `type` of commands.
pub const COMMAND: &str = "tenantry.saga.command.v1";
/// `type` of replies.
pub const REPLY: &str = "tenantry.saga.reply.v1";
const CONSUMER: &str = "saga";
const AGAIN: Duration = Duration::from_secs(1);
/// First byte of a stored reply.
const PLAIN: u8 = 0;
const SEALED: u8 = 1;

/// See the module.
pub struct Saga {
    core: Arc<Core>,
    realms: Realms,
    faults: Faults,
    replies: String,
    nudge: Arc<Notify>,
}

/// A command that was understood.
struct Command {
    id: Uuid,
    operation: String,
    tenant: TenantId,
    action: Action,
}

impl Saga {
    /// `nudge` wakes the relay.
    #[must_use]
    pub fn new(core: Arc<Core>, faults: Faults, topology: &Topology, nudge: Arc<Notify>) -> Self {
        let realms = Realms::new(Arc::clone(&core));
        Self {
            core,
            realms,
            faults,
            replies: topology.replies_exchange(),
            nudge,
        }
    }

    /// Handles one message.
    pub async fn handle(&self, delivery: Delivery) -> Outcome {
        let command = match read(&delivery) {
            Ok(command) => command,
            Err(reason) => {
                return Outcome::Dead {
                    reason: reason.to_owned(),
                };
            }
        };
        let done = self.run(&command, delivery.traceparent.as_deref()).await;
        self.nudge.notify_one();
        match done {
            Ok(()) => Outcome::Ack,
            Err(error) => {
                tracing::warn!(tenant = %command.tenant, operation = command.operation, reason = %error.reason(), cause = ?std::error::Error::source(&error), "saga step failed; trying again");
                Outcome::Retry {
                    delay: AGAIN,
                    reason: error.to_string(),
                }
            }
        }
    }

    async fn run(&self, command: &Command, traceparent: Option<&str>) -> Result<()> {
        let ctx = self
            .core
            .minter
            .own(command.tenant)?
            .with_traceparent(traceparent.map(Into::into));
        if self.replay(&ctx, command).await? {
            return Ok(());
        }
        let name = name_of(&command.action);
        let done = match self.faults.hit(before(name)).await {
            Ok(()) => self.effect(&ctx, command).await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => self.faults.hit(after(name)).await,
            Err(error) if is_permanent(&error) => self.refuse(&ctx, command, &error).await,
            Err(error) => Err(error),
        }
    }

    /// Sends the stored reply again, if there is one.
    async fn replay(&self, ctx: &Ctx, command: &Command) -> Result<bool> {
        let mut tx = self.core.store.begin(ctx).await?;
        let Some(stored) = inbox::seen(&mut tx, SCHEMA, CONSUMER, command.id).await? else {
            tx.commit().await?;
            return Ok(false);
        };
        tx.commit().await?;
        let reply = match stored.split_first() {
            Some((&SEALED, sealed)) => match self.core.keyring.response_sealer(command.tenant).await {
                Ok(sealer) => sealer.open(&aad(command), sealed).map_err(Error::internal)?,
                // The realm is gone since, and with it the key: the saga has moved on and needs no token.
                Err(error) if error.kind() == Kind::NotFound => {
                    reply(command, Reply::Done(StepDone::default())).encode_to_vec()
                }
                Err(error) => return Err(error),
            },
            Some((&PLAIN, plain)) => plain.to_vec(),
            _ => return Err(Error::internal("a stored reply has no form")),
        };
        let mut tx = self.core.store.begin(ctx).await?;
        self.send(&mut tx, ctx, command, reply).await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn effect(&self, ctx: &Ctx, command: &Command) -> Result<()> {
        match &command.action {
            Action::CreateRealm(create) => {
                let new = NewRealm {
                    slug: create.slug.clone(),
                    admin_email: create.admin_email.clone(),
                    admin_display_name: create.admin_display_name.clone(),
                };
                self.create(ctx, command, new).await
            }
            Action::DropRealm(_) => {
                // Keys first, and for good: from here on nothing of the tenant can be read, whatever happens next.
                self.realms.shred(ctx).await?;
                let mut tx = self.core.store.begin(ctx).await?;
                self.realms.delete(&mut tx).await?;
                self.finish(tx, ctx, command).await
            }
            Action::RevokeTenant(_) => {
                let mut tx = self.core.store.begin(ctx).await?;
                self.realms.revoke(ctx, &mut tx).await?;
                self.finish(tx, ctx, command).await
            }
            Action::ProvisionData(_) | Action::DropData(_) => Err(Error::invalid_field("action", "is not auth's")),
        }
    }

    /// Two transactions: the sealer of the reply needs the realm's committed key. A crash in between leaves a realm and
    /// no inbox entry; the command comes again, finds the realm and makes a new link.
    async fn create(&self, ctx: &Ctx, command: &Command, new: NewRealm) -> Result<()> {
        let mut tx = self.core.store.begin(ctx).await?;
        let owner = self.realms.create(ctx, &mut tx, new).await?;
        tx.commit().await?;
        let sealer = self.core.keyring.response_sealer(command.tenant).await?;
        let mut tx = self.core.store.begin(ctx).await?;
        let token = self.realms.invite(&mut tx, owner).await?;
        let bytes = reply(command, Reply::Done(StepDone { invite_token: token })).encode_to_vec();
        let mut stored = vec![SEALED];
        stored.extend(sealer.seal(&aad(command), &bytes));
        self.record(&mut tx, ctx, command, bytes, &stored).await?;
        tx.commit().await
    }

    async fn finish(&self, mut tx: Tx, ctx: &Ctx, command: &Command) -> Result<()> {
        let bytes = reply(command, Reply::Done(StepDone::default())).encode_to_vec();
        let stored = [&[PLAIN], bytes.as_slice()].concat();
        self.record(&mut tx, ctx, command, bytes, &stored).await?;
        tx.commit().await
    }

    async fn refuse(&self, ctx: &Ctx, command: &Command, error: &Error) -> Result<()> {
        let failed = StepFailed {
            permanent: true,
            reason: error.reason().as_str().to_owned(),
            message: error.public().to_owned(),
        };
        let bytes = reply(command, Reply::Failed(failed)).encode_to_vec();
        let stored = [&[PLAIN], bytes.as_slice()].concat();
        let mut tx = self.core.store.begin(ctx).await?;
        self.record(&mut tx, ctx, command, bytes, &stored).await?;
        tx.commit().await
    }

    async fn record(&self, tx: &mut Tx, ctx: &Ctx, command: &Command, bytes: Vec<u8>, stored: &[u8]) -> Result<()> {
        inbox::record(tx, SCHEMA, CONSUMER, command.id, stored).await?;
        self.send(tx, ctx, command, bytes).await
    }

    async fn send(&self, tx: &mut Tx, ctx: &Ctx, command: &Command, payload: Vec<u8>) -> Result<()> {
        let message = OutboxMessage {
            id: self.core.id(),
            tenant: Some(command.tenant),
            exchange: self.replies.clone(),
            routing_key: "registry".to_owned(),
            kind: REPLY.to_owned(),
            subject: command.operation.clone(),
            content_type: "application/protobuf".to_owned(),
            payload,
            headers: serde_json::json!({}),
            time: self.core.now(),
            traceparent: ctx.traceparent().map(str::to_owned),
            attempts: 0,
        };
        outbox::insert(tx, SCHEMA, &message).await
    }
}

fn read(delivery: &Delivery) -> Result<Command, &'static str> {
    if delivery.kind != COMMAND {
        return Err("not a saga command");
    }
    let command = SagaCommand::decode(delivery.payload.as_slice()).map_err(|_| "not a SagaCommand")?;
    let tenant: TenantId = command.tenant_id.parse().map_err(|_| "tenant_id is no UUID")?;
    if delivery.tenant.is_some_and(|named| named != tenant) {
        return Err("envelope and command name different tenants");
    }
    Ok(Command {
        id: command.command_id.parse().map_err(|_| "command_id is no UUID")?,
        operation: command.operation_id,
        tenant,
        action: command.action.ok_or("the command has no action")?,
    })
}

fn reply(command: &Command, outcome: Reply) -> SagaReply {
    SagaReply {
        command_id: command.id.to_string(),
        operation_id: command.operation.clone(),
        tenant_id: command.tenant.to_string(),
        outcome: Some(outcome),
    }
}

fn aad(command: &Command) -> Vec<u8> {
    format!("tenantry/saga_reply/{}/{}", command.tenant, command.id).into_bytes()
}

/// What no repetition helps.
fn is_permanent(error: &Error) -> bool {
    matches!(
        error.kind(),
        Kind::InvalidArgument
            | Kind::FailedPrecondition
            | Kind::AlreadyExists
            | Kind::PermissionDenied
            | Kind::NotFound
            | Kind::Unimplemented
    )
}

fn name_of(action: &Action) -> &'static str {
    match action {
        Action::CreateRealm(_) => "create_realm",
        Action::DropRealm(_) => "drop_realm",
        Action::RevokeTenant(_) => "revoke_tenant",
        Action::ProvisionData(_) | Action::DropData(_) => "unknown",
    }
}

fn before(name: &str) -> &'static str {
    match name {
        "create_realm" => "auth.create_realm.before",
        "drop_realm" => "auth.drop_realm.before",
        "revoke_tenant" => "auth.revoke_tenant.before",
        _ => "auth.unknown.before",
    }
}

fn after(name: &str) -> &'static str {
    match name {
        "create_realm" => "auth.create_realm.after_commit",
        "drop_realm" => "auth.drop_realm.after_commit",
        "revoke_tenant" => "auth.revoke_tenant.after_commit",
        _ => "auth.unknown.after_commit",
    }
}

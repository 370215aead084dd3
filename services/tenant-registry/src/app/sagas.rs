//! The driver of the sagas: performs local steps, sends commands, takes replies, sends again. All state is in tables;
//! whoever holds the lock of an operation's row decides its next move, so any number of replicas may drive.

use crate::{
    app::{
        Routes,
        events::{self, Event},
        operations::carries_invite,
    },
    domain::{Moment, Operation, Place, Step, Tenant, TenantName, TenantState, operation::invite_binding},
    store::{self, SCHEMA, Store},
};
use std::{sync::Arc, time::Duration};
use tenantry_crypto::{Purpose, TenantKeys};
use tenantry_db::{SystemTx, inbox};
use tenantry_kernel::{Clock, Error, Ids, Kind, OperationId, Reason, Result, TenantId};
use tenantry_server::Faults;
use tokio::sync::Notify;
use uuid::Uuid;

/// Name in the inbox.
const CONSUMER: &str = "registry.replies";

/// What a deployment decides.
#[derive(Clone, Debug)]
pub struct SagaSettings {
    /// Exchange of commands.
    pub commands_exchange: String,
}

/// The answer to a command.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Message id.
    pub message: Uuid,
    /// Who answers, as the broker has verified it.
    pub from: String,
    /// The command it answers.
    pub command: Uuid,
    /// The operation.
    pub operation: OperationId,
    /// The tenant.
    pub tenant: TenantId,
    /// How it went.
    pub outcome: ReplyOutcome,
}

/// How a step went.
#[derive(Clone, Debug)]
pub enum ReplyOutcome {
    /// Done; for a realm with the first owner's one-time token.
    Done {
        /// Empty for other steps.
        invite: String,
    },
    /// Not done.
    Failed {
        /// No retry can help.
        permanent: bool,
        /// Stable reason.
        reason: String,
        /// For people.
        message: String,
    },
}

/// See the module.
pub struct Sagas {
    store: Store,
    routes: Arc<Routes>,
    keys: Arc<dyn TenantKeys>,
    faults: Faults,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    settings: SagaSettings,
    due: Notify,
    outbox: Arc<Notify>,
}

impl Sagas {
    /// All parts. `outbox` wakes the relay.
    #[must_use]
    #[expect(
        clippy::too_many_arguments,
        reason = "a composition root calls it once, with one value of each type"
    )]
    pub fn new(
        store: Store,
        routes: Arc<Routes>,
        keys: Arc<dyn TenantKeys>,
        faults: Faults,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        settings: SagaSettings,
        outbox: Arc<Notify>,
    ) -> Self {
        Self {
            store,
            routes,
            keys,
            faults,
            clock,
            ids,
            settings,
            due: Notify::new(),
            outbox,
        }
    }

    /// Something was committed that the driver, the relay or the watchers of routes should see now rather than at
    /// their next look.
    pub fn nudge(&self) {
        self.routes.nudge();
        self.due.notify_one();
    }
    /// Waits for a nudge.
    pub async fn nudged(&self) {
        self.due.notified().await;
    }

    /// Moves the operation that has waited longest; says whether there was one.
    ///
    /// # Errors
    /// As every statement; nothing has moved then.
    pub async fn drive_one(&self) -> Result<bool> {
        let mut tx = self.store.begin_job("saga").await?;
        let Some(mut operation) = store::operation_claim_due(&mut tx).await? else {
            return Ok(false);
        };
        if operation.saga.attempt > 0 {
            self.explain_silence(&mut tx, &mut operation).await?;
        }
        self.perform(&mut tx, &mut operation).await?;
        tx.commit().await?;
        self.published();
        Ok(true)
    }

    /// Takes a reply: remembered, applied and followed by the next command in one transaction.
    ///
    /// # Errors
    /// As every statement; the reply is to be delivered again then. `INVALID_ARGUMENT` for one that makes no sense.
    pub async fn take_reply(&self, reply: &Reply) -> Result<()> {
        let sealed = self.seal_invite(reply).await?;
        let mut tx = self.store.begin_job("saga reply").await?;
        if inbox::seen(&mut tx, SCHEMA, CONSUMER, reply.message).await?.is_some() {
            return Ok(());
        }
        if let Some(mut operation) = store::operation_lock(&mut tx, reply.operation).await? {
            self.apply(&mut tx, &mut operation, reply, sealed).await?;
        }
        inbox::record(&mut tx, SCHEMA, CONSUMER, reply.message, &[]).await?;
        tx.commit().await?;
        self.published();
        Ok(())
    }

    fn published(&self) {
        self.outbox.notify_one();
        self.routes.nudge();
    }

    async fn apply(
        &self,
        tx: &mut SystemTx,
        operation: &mut Operation,
        reply: &Reply,
        sealed: Option<Vec<u8>>,
    ) -> Result<()> {
        // An answer to an earlier step or an earlier try: its effect is known or was undone.
        let Some(step) = operation.saga.pending().filter(|_| operation.command == reply.command) else {
            return Ok(());
        };
        if operation.tenant != reply.tenant || step.place() != Place::Service(known(&reply.from)) {
            return Err(Error::new(
                Reason::InvalidArgument,
                "The reply does not fit the command it names.",
            ));
        }
        if self.fault(operation, Moment::AfterReply).await {
            return self.perform(tx, operation).await;
        }
        match &reply.outcome {
            ReplyOutcome::Done { .. } => {
                if carries_invite(step) {
                    operation.invite = sealed;
                }
                self.enter_next(operation);
                self.perform(tx, operation).await
            }
            ReplyOutcome::Failed {
                permanent: true,
                reason,
                message,
            } if operation.saga.failed(reason, message) => {
                operation.command = self.ids.new_v7();
                self.perform(tx, operation).await
            }
            ReplyOutcome::Failed { reason, message, .. } => {
                operation.saga.stumbled(format!("{reason}: {message}"));
                // The receiver answers the same command with the same reply for ever: the next try is a new one.
                operation.command = self.ids.new_v7();
                self.save(tx, operation, operation.saga.patience()).await
            }
        }
    }

    /// Goes on until the saga is over or waits for somebody else.
    async fn perform(&self, tx: &mut SystemTx, operation: &mut Operation) -> Result<()> {
        while let Some(step) = operation.saga.pending() {
            if self.fault(operation, Moment::BeforeSend).await {
                if operation.saga.attempt == 0 {
                    continue; // it has turned round
                }
                return self.save(tx, operation, operation.saga.patience()).await;
            }
            operation.saga.tried();
            match step.place() {
                Place::Local => {
                    self.perform_local(tx, operation, step).await?;
                    self.enter_next(operation);
                }
                Place::Service(service) => {
                    operation.update_time = super::now(&*self.clock);
                    store::command_send(tx, &self.settings.commands_exchange, service, operation).await?;
                    return self.save(tx, operation, operation.saga.patience()).await;
                }
            }
        }
        if operation.saga.succeeded() && operation.response.is_none() {
            operation.response = Some(store::tenant_fetch(tx, &TenantName::Id(operation.tenant)).await?);
        }
        self.save(tx, operation, Duration::ZERO).await
    }

    async fn perform_local(&self, tx: &mut SystemTx, operation: &mut Operation, step: Step) -> Result<()> {
        let tenant = match store::tenant_lock(tx, &TenantName::Id(operation.tenant)).await {
            // Removed before: the step was done by a run that could not commit the rest.
            Err(error) if error.kind() == Kind::NotFound && step == Step::RemoveTenant => return Ok(()),
            other => other?,
        };
        match step {
            Step::Activate => {
                let active = Tenant {
                    state: TenantState::Active,
                    ..tenant
                };
                let active = store::tenant_update(tx, &active, super::now(&*self.clock)).await?;
                let event = self.event(&active, events::CREATED, operation.traceparent.as_deref());
                event.write(tx).await
            }
            Step::RemoveTenant => {
                store::tenant_remove(tx, tenant.id, &tenant.slug).await?;
                // Else an onboarding was undone: nobody had heard of the tenant.
                if operation.saga.failure.is_none() {
                    let event = self.event(&tenant, events::PURGED, operation.traceparent.as_deref());
                    event.write(tx).await?;
                    operation.response = Some(tenant);
                }
                Ok(())
            }
            _ => Err(Error::internal("this step is not local")),
        }
    }

    fn event<'a>(&self, tenant: &Tenant, kind: &'static str, traceparent: Option<&'a str>) -> Event<'a> {
        Event {
            id: self.ids.new_v7(),
            time: super::now(&*self.clock),
            tenant: tenant.id,
            kind,
            traceparent,
        }
    }

    fn enter_next(&self, operation: &mut Operation) {
        operation.saga.advance();
        operation.command = self.ids.new_v7();
    }

    async fn save(&self, tx: &mut SystemTx, operation: &mut Operation, wait: Duration) -> Result<()> {
        operation.update_time = super::now(&*self.clock);
        store::operation_save(tx, operation, wait).await
    }

    /// Passes the fault point. Where it is armed with `error`, the step fails for good: onboarding turns round,
    /// everything else counts a try and goes on later. Says whether it failed.
    async fn fault(&self, operation: &mut Operation, moment: Moment) -> bool {
        let Some(point) = operation.saga.fault_point(moment) else {
            return false;
        };
        let Err(error) = self.faults.hit(&point).await else {
            return false;
        };
        if !operation.saga.failed(error.reason().as_str(), error.public()) {
            operation.saga.tried();
        }
        operation.command = self.ids.new_v7();
        true
    }

    /// A try has passed without an answer: say what is known about why.
    async fn explain_silence(&self, tx: &mut SystemTx, operation: &mut Operation) -> Result<()> {
        let Some(Place::Service(service)) = operation.saga.pending().map(Step::place) else {
            return Ok(());
        };
        let text = if store::command_waits(tx, operation).await? {
            format!(
                "UNAVAILABLE: the message broker has not taken the command yet: it is away, or {service} has never connected to it"
            )
        } else if operation.saga.last_error.is_empty() {
            format!("UNAVAILABLE: {service} has not answered yet; the command is sent again")
        } else {
            return Ok(());
        };
        operation.saga.stumbled(text);
        Ok(())
    }

    /// Seals the first owner's token before the transaction begins: no network call inside of one.
    async fn seal_invite(&self, reply: &Reply) -> Result<Option<Vec<u8>>> {
        let ReplyOutcome::Done { invite } = &reply.outcome else {
            return Ok(None);
        };
        if invite.is_empty() {
            return Ok(None);
        }
        let sealer = self.keys.sealer(TenantId::PLATFORM, Purpose::Field, None).await?;
        Ok(Some(sealer.seal(&invite_binding(reply.operation), invite)))
    }
}

/// The services that perform steps.
fn known(service: &str) -> &'static str {
    match service {
        "auth" => "auth",
        "business" => "business",
        _ => "",
    }
}

//! Operators manage tenants. Every change of state takes effect for all services at once through the route; the rest
//! is a saga.

use crate::{
    app::{
        Idempotency, Page, Pager, Query, Sagas,
        events::{self, Event},
    },
    domain::{Input, Operation, Saga, Tenant, TenantName, TenantState, Verb, etag, plan, tenant},
    store::{self, ListFilter, SCHEMA, Store},
};
use chrono::Duration;
use std::sync::Arc;
use tenantry_db::{SystemTx, idempotency, inbox};
use tenantry_kernel::{Clock, Ctx, Error, Ids, Kind, OperationId, Placement, Reason, Result, TenantId};

/// No message is redelivered after a week.
const INBOX_SECONDS: u32 = 7 * 24 * 3600;

/// What a deployment decides.
#[derive(Clone, Debug)]
pub struct TenantSettings {
    /// How long a deleted tenant can be brought back.
    pub retention: Duration,
    /// Data database of new tenants.
    pub cell: String,
    /// Plan of tenants that name none.
    pub default_plan: String,
}

/// A tenant to be.
#[derive(Clone, Debug)]
pub struct NewTenant {
    /// Slug.
    pub slug: String,
    /// Name for people; empty means the slug.
    pub display_name: String,
    /// Plan id; empty means the default.
    pub plan: String,
    /// First owner.
    pub owner: Input,
}

/// A change of a tenant; `None` leaves a value.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    /// Name for people.
    pub display_name: Option<String>,
    /// Plan id.
    pub plan: Option<String>,
    /// Etag that was read; empty = not checked.
    pub etag: String,
}

/// Longest text that is looked for, in characters.
const MOST_TEXT: usize = 100;

/// Which tenants a list names.
#[derive(Clone, Debug, Default)]
pub struct TenantFilter {
    /// Also deleted and purging ones.
    pub show_deleted: bool,
    /// Only slugs that begin with this.
    pub slug_prefix: String,
    /// Only where the slug or the display name contains this, in any case.
    pub text: String,
}

/// See the module.
#[derive(Clone)]
pub struct TenantApp {
    store: Store,
    sagas: Arc<Sagas>,
    pager: Pager,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    settings: TenantSettings,
}

impl TenantApp {
    /// All parts.
    #[must_use]
    pub fn new(
        store: Store,
        sagas: Arc<Sagas>,
        pager: Pager,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        settings: TenantSettings,
    ) -> Self {
        Self {
            store,
            sagas,
            pager,
            clock,
            ids,
            settings,
        }
    }

    /// Starts onboarding: the slug is taken now, the route opens when every service has done its part.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `ALREADY_EXISTS`.
    pub async fn create(&self, ctx: &Ctx, new: NewTenant, once: &Idempotency) -> Result<Operation> {
        check_new(&new)?;
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let plan = if new.plan.is_empty() {
            self.settings.default_plan.clone()
        } else {
            new.plan.clone()
        };
        self.plan_exists(&mut tx, &plan).await?;
        let operation = self.onboard(&mut tx, ctx, new, plan).await?;
        self.finish(tx, ctx, once, operation).await
    }

    /// Starts onboarding of a tenant on the plan of `source`, for another service of ours.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `NOT_FOUND` for the source, `FAILED_PRECONDITION` where it is not active, `ALREADY_EXISTS`.
    pub async fn create_like(
        &self,
        ctx: &Ctx,
        source: TenantId,
        new: NewTenant,
        once: &Idempotency,
    ) -> Result<Operation> {
        check_new(&new)?;
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let source = store::tenant_fetch(&mut tx, &TenantName::Id(source)).await?;
        if source.state != TenantState::Active {
            let text = "The tenant to clone is not active. Resume or undelete it first.";
            return Err(Error::new(Reason::FailedPrecondition, text));
        }
        let operation = self.onboard(&mut tx, ctx, new, source.plan).await?;
        self.finish(tx, ctx, once, operation).await
    }

    /// Takes back a tenant that this very service has asked for and nobody has touched since: it is purged. Says whether
    /// nothing is left of it; until then it is asked again.
    ///
    /// # Errors
    /// `NOT_FOUND` for onboardings of others, `FAILED_PRECONDITION` where somebody has changed the tenant since.
    pub async fn discard(&self, ctx: &Ctx, id: OperationId) -> Result<bool> {
        let mut tx = self.store.begin_system(ctx).await?;
        let made = store::operation_fetch(&mut tx, id).await?;
        if !made.is_onboarding_by(&ctx.principal().name()) {
            return Err(Error::not_found());
        }
        if !made.saga.is_done() {
            return Ok(false);
        }
        let tenant = match store::tenant_lock(&mut tx, &TenantName::Id(made.tenant)).await {
            Err(error) if error.kind() == Kind::NotFound => return Ok(true),
            other => other?,
        };
        if tenant.state == TenantState::Purging {
            return Ok(false);
        }
        if made.response.is_none_or(|made| made.version != tenant.version) {
            let text = "The tenant was changed since it was made. Delete it by hand if nobody needs it.";
            return Err(Error::new(Reason::FailedPrecondition, text));
        }
        self.apply(&mut tx, Some(ctx), tenant, Verb::Purge, "").await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(false)
    }

    /// The row of a new tenant and the saga that fills it.
    async fn onboard(&self, tx: &mut SystemTx, ctx: &Ctx, new: NewTenant, plan: String) -> Result<Operation> {
        let now = super::now(&*self.clock);
        let tenant = Tenant {
            id: TenantId::from_uuid(self.ids.new_v7()),
            display_name: if new.display_name.is_empty() {
                new.slug.clone()
            } else {
                new.display_name
            },
            slug: new.slug,
            plan,
            state: TenantState::Creating,
            suspend_reason: String::new(),
            placement: Placement::Schema,
            cell: self.settings.cell.clone(),
            epoch: 0,
            version: 1,
            create_time: now,
            update_time: now,
            delete_time: None,
            purge_time: None,
        };
        store::tenant_insert(tx, &tenant).await?;
        self.start(tx, Some(ctx), &tenant, Verb::Create, new.owner).await
    }

    /// One tenant.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, name: &TenantName) -> Result<Tenant> {
        let mut tx = self.store.begin_system(ctx).await?;
        store::tenant_fetch(&mut tx, name).await
    }

    /// A page of tenants by slug.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`, `INVALID_PAGE_TOKEN`.
    pub async fn list(
        &self,
        ctx: &Ctx,
        method: &'static str,
        query: &Query,
        which: &TenantFilter,
    ) -> Result<Page<Tenant>> {
        let TenantFilter {
            show_deleted,
            slug_prefix: prefix,
            text,
        } = which;
        if prefix.len() > 40
            || !prefix
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(Error::invalid_field(
                "slug_prefix",
                "must be at most 40 characters of a-z, 0-9 and '-'",
            ));
        }
        if text.chars().count() > MOST_TEXT || text.chars().any(char::is_control) {
            return Err(Error::invalid_field(
                "query",
                format!("must be at most {MOST_TEXT} characters without control characters"),
            ));
        }
        let bound: &[&[u8]] = &[&[u8::from(*show_deleted)], prefix.as_bytes(), text.as_bytes()];
        let slice = self.pager.open(ctx, method, bound, query).await?;
        let filter = ListFilter {
            show_deleted: *show_deleted,
            prefix: prefix.clone(),
            text: text.clone(),
            after: slice.after.clone(),
        };
        let mut tx = self.store.begin_system(ctx).await?;
        let rows = store::tenant_list(&mut tx, &filter, slice.limit()).await?;
        drop(tx);
        slice.page(rows, |tenant| tenant.slug.clone()).await
    }

    /// Changes name or plan.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `FAILED_PRECONDITION` for one that is deleted.
    pub async fn update(
        &self,
        ctx: &Ctx,
        name: &TenantName,
        change: TenantChange,
        once: &Idempotency,
    ) -> Result<Tenant> {
        if let Some(display_name) = &change.display_name {
            tenant::check_display_name("tenant.display_name", display_name)?;
        }
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let mut tenant = store::tenant_lock(&mut tx, name).await?;
        etag::check(&change.etag, tenant.version)?;
        if matches!(tenant.state, TenantState::Deleted | TenantState::Purging) {
            return Err(Error::new(
                Reason::FailedPrecondition,
                "The tenant is deleted. Undelete it first.",
            ));
        }
        if let Some(plan) = change.plan {
            self.plan_exists(&mut tx, &plan).await?;
            tenant.plan = plan;
        }
        if let Some(display_name) = change.display_name {
            tenant.display_name = if display_name.is_empty() {
                tenant.slug.clone()
            } else {
                display_name
            };
        }
        let tenant = store::tenant_update(&mut tx, &tenant, super::now(&*self.clock)).await?;
        once.remember(&mut tx, ctx, &tenant).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(tenant)
    }

    /// Locks a tenant now and ends its sessions.
    ///
    /// # Errors
    /// `NOT_FOUND`, `FAILED_PRECONDITION`.
    pub async fn suspend(&self, ctx: &Ctx, name: &TenantName, reason: &str, once: &Idempotency) -> Result<Operation> {
        if reason.chars().count() > 500 || reason.chars().any(char::is_control) {
            return Err(Error::invalid_field(
                "reason",
                "must be at most 500 characters without control characters",
            ));
        }
        self.change(ctx, name, Verb::Suspend, "", reason, once).await
    }

    /// Unlocks a tenant.
    ///
    /// # Errors
    /// As [`TenantApp::suspend`].
    pub async fn resume(&self, ctx: &Ctx, name: &TenantName, once: &Idempotency) -> Result<Operation> {
        self.change(ctx, name, Verb::Resume, "", "", once).await
    }

    /// Soft-deletes a tenant, or with `purge` destroys it now.
    ///
    /// # Errors
    /// As [`TenantApp::suspend`]; `ETAG_MISMATCH`.
    pub async fn delete(
        &self,
        ctx: &Ctx,
        name: &TenantName,
        etag: &str,
        purge: bool,
        once: &Idempotency,
    ) -> Result<Operation> {
        let verb = if purge { Verb::Purge } else { Verb::Delete };
        self.change(ctx, name, verb, etag, "", once).await
    }

    /// Brings a soft-deleted tenant back.
    ///
    /// # Errors
    /// As [`TenantApp::suspend`].
    pub async fn undelete(&self, ctx: &Ctx, name: &TenantName, once: &Idempotency) -> Result<Operation> {
        self.change(ctx, name, Verb::Undelete, "", "", once).await
    }

    /// Starts the purge of one tenant whose time has come; says whether there was one.
    ///
    /// # Errors
    /// As every statement.
    pub async fn purge_due(&self) -> Result<bool> {
        let mut tx = self.store.begin_job("purge").await?;
        let Some(tenant) = store::tenant_due_purge(&mut tx, super::now(&*self.clock)).await? else {
            return Ok(false);
        };
        self.apply(&mut tx, None, tenant, Verb::Purge, "").await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(true)
    }

    /// Forgets answers, messages and removals that nobody can ask for any more.
    ///
    /// # Errors
    /// As every statement.
    pub async fn forget_old(&self) -> Result<()> {
        let mut tx = self.store.begin_job("janitor").await?;
        idempotency::purge(&mut tx, SCHEMA).await?;
        inbox::purge(&mut tx, SCHEMA, INBOX_SECONDS).await?;
        store::route_tombstone_purge(&mut tx).await?;
        tx.commit().await
    }

    async fn change(
        &self,
        ctx: &Ctx,
        name: &TenantName,
        verb: Verb,
        etag: &str,
        reason: &str,
        once: &Idempotency,
    ) -> Result<Operation> {
        let mut tx = self.store.begin_system(ctx).await?;
        if let Some(done) = once.replay(&mut tx, ctx).await? {
            return Ok(done);
        }
        let tenant = store::tenant_lock(&mut tx, name).await?;
        etag::check(etag, tenant.version)?;
        let operation = self.apply(&mut tx, Some(ctx), tenant, verb, reason).await?;
        self.finish(tx, ctx, once, operation).await
    }

    /// The part of a change that takes effect at once, and the saga that follows.
    async fn apply(
        &self,
        tx: &mut SystemTx,
        ctx: Option<&Ctx>,
        mut tenant: Tenant,
        verb: Verb,
        reason: &str,
    ) -> Result<Operation> {
        tenant.state = tenant.state.begin(verb)?;
        if let Some(running) = store::operation_running(tx, tenant.id).await? {
            let text = format!(
                "The operation operations/registry-{running} on this tenant is still running. Wait until it is done."
            );
            return Err(Error::new(Reason::FailedPrecondition, text)
                .meta("operation", format!("operations/registry-{running}")));
        }
        let now = super::now(&*self.clock);
        match verb {
            Verb::Suspend => reason.clone_into(&mut tenant.suspend_reason),
            Verb::Delete => (tenant.delete_time, tenant.purge_time) = (Some(now), Some(now + self.settings.retention)),
            Verb::Purge => (tenant.delete_time, tenant.purge_time) = (tenant.delete_time.or(Some(now)), Some(now)),
            Verb::Resume | Verb::Undelete => {
                tenant.suspend_reason.clear();
                (tenant.delete_time, tenant.purge_time) = (None, None);
            }
            Verb::Create => {}
        }
        let tenant = store::tenant_update(tx, &tenant, now).await?;
        if let Some(kind) = events::of(verb) {
            let event = Event {
                id: self.ids.new_v7(),
                time: now,
                tenant: tenant.id,
                kind,
                traceparent: ctx.and_then(Ctx::traceparent),
            };
            event.write(tx).await?;
        }
        self.start(tx, ctx, &tenant, verb, Input::default()).await
    }

    async fn start(
        &self,
        tx: &mut SystemTx,
        ctx: Option<&Ctx>,
        tenant: &Tenant,
        verb: Verb,
        input: Input,
    ) -> Result<Operation> {
        let now = super::now(&*self.clock);
        let saga = Saga::start(verb);
        let operation = Operation {
            id: OperationId::from_uuid(self.ids.new_v7()),
            tenant: tenant.id,
            slug: tenant.slug.clone(),
            // A verb without steps is over with the transaction that starts it.
            response: saga.is_done().then(|| tenant.clone()),
            saga,
            command: self.ids.new_v7(),
            input,
            invite: None,
            created_by: ctx.map_or_else(|| "service:registry".to_owned(), |ctx| ctx.principal().name()),
            traceparent: ctx.and_then(Ctx::traceparent).map(str::to_owned),
            create_time: now,
            update_time: now,
        };
        store::operation_insert(tx, &operation).await?;
        Ok(operation)
    }

    async fn finish(&self, mut tx: SystemTx, ctx: &Ctx, once: &Idempotency, operation: Operation) -> Result<Operation> {
        once.remember(&mut tx, ctx, &operation).await?;
        tx.commit().await?;
        self.sagas.nudge();
        Ok(operation)
    }

    async fn plan_exists(&self, tx: &mut SystemTx, id: &str) -> Result<()> {
        let missing = || Error::invalid_field("tenant.plan", "names no plan; list the plans to see which there are");
        if id == plan::PLATFORM {
            return Err(missing());
        }
        store::plan_fetch(tx, id).await.map(|_| ()).map_err(|error| {
            if error.kind() == Kind::NotFound {
                missing()
            } else {
                error
            }
        })
    }
}

fn check_new(new: &NewTenant) -> Result<()> {
    tenant::check_slug(&new.slug)?;
    tenant::check_display_name("tenant.display_name", &new.display_name)?;
    tenant::check_email("admin_email", &new.owner.admin_email)?;
    tenant::check_display_name("admin_display_name", &new.owner.admin_display_name)
}

//! Snapshots of the caller's tenant: asked for, shown, removed; what takes time becomes an operation.

use super::{
    Parts, creator,
    once::{self, Once},
};
use crate::{
    domain::{
        Operation, Policy, Snapshot,
        operation::{Target, Verb},
        snapshot::{Kind, State, not_ready},
    },
    store,
};
use tenantry_kernel::{Ctx, Error, Reason, Result, fits_plan};
use uuid::Uuid;

const LIST: &str = "tenantry.backup.v1.SnapshotService/ListSnapshots";
const MOST_DESCRIPTION: usize = 200;
/// Operations of one tenant take turns: more than these would only wait, and hold a place in every claim.
const MOST_RUNNING: i64 = 10;

/// Where a restore is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The caller's tenant.
    InPlace,
    /// A tenant that is made for it.
    NewTenant {
        /// First label of its host.
        slug: String,
        /// Name for people; may be empty.
        display_name: String,
    },
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Snapshots {
    parts: Parts,
}

impl Snapshots {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }
    /// One snapshot.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: Uuid) -> Result<Snapshot> {
        let mut tx = self.parts.store.begin(ctx).await?;
        let found = store::snapshot::fetch(&mut tx, id).await?;
        tx.commit().await?;
        found.ok_or_else(Error::not_found)
    }
    /// Snapshots, newest first.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, page_size: i32, page_token: &str) -> Result<(Vec<Snapshot>, String)> {
        let limit = tenantry_kernel::page::size(page_size)?;
        let before = self.parts.open_page(ctx, LIST, page_token).await?;
        let before = before
            .map(|bytes| Uuid::from_slice(&bytes))
            .transpose()
            .map_err(Error::internal)?;
        let mut tx = self.parts.store.begin(ctx).await?;
        let mut page = store::snapshot::list(&mut tx, before, limit + 1).await?;
        tx.commit().await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        if page.len() <= size {
            return Ok((page, String::new()));
        }
        page.truncate(size);
        let last = page.last().map(|snapshot| snapshot.id).unwrap_or_default();
        Ok((page, self.parts.seal_page(ctx, LIST, last.as_bytes()).await?))
    }
    /// Starts a snapshot of now.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a description that is too long or has control characters, `QUOTA_EXCEEDED` for too many
    /// operations at once.
    pub async fn create(&self, ctx: &Ctx, description: &str, once: Option<&Once>) -> Result<Operation> {
        if description.chars().count() > MOST_DESCRIPTION || description.chars().any(char::is_control) {
            return Err(Error::invalid_field(
                "snapshot.description",
                "must be at most 200 characters without control characters",
            ));
        }
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(id) = once::replay::<Uuid>(once, &mut tx, ctx).await? {
            return existing(&mut tx, id).await;
        }
        self.admit(&mut tx, ctx).await?;
        let (now, ids) = (self.parts.clock.now(), &self.parts.ids);
        let (id, operation) = (ids.new_v7(), ids.new_v7());
        let snapshot = Snapshot::new(id, Kind::OnDemand, description.to_owned(), operation, now);
        let operation = Operation::new(operation, Verb::CreateSnapshot, id, creator(ctx), now);
        store::snapshot::insert(&mut tx, ctx.tenant()?, &snapshot).await?;
        self.start(tx, ctx, operation, once).await
    }
    /// Starts reading a snapshot back.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SNAPSHOT_NOT_READY`, `QUOTA_EXCEEDED` for too many operations at once.
    pub async fn verify(&self, ctx: &Ctx, id: Uuid, once: Option<&Once>) -> Result<Operation> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(id) = once::replay::<Uuid>(once, &mut tx, ctx).await? {
            return existing(&mut tx, id).await;
        }
        self.admit(&mut tx, ctx).await?;
        store::snapshot::lock(&mut tx, id).await?.verifiable()?;
        let operation = self.parts.ids.new_v7();
        let operation = Operation::new(
            operation,
            Verb::VerifySnapshot,
            id,
            creator(ctx),
            self.parts.clock.now(),
        );
        self.start(tx, ctx, operation, once).await
    }
    /// Starts bringing a snapshot back.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SNAPSHOT_NOT_READY`, `SNAPSHOT_CORRUPT`, `QUOTA_EXCEEDED` for more than the plan allows or too many
    /// operations at once, `INVALID_ARGUMENT` for a slug that cannot be.
    pub async fn restore(&self, ctx: &Ctx, id: Uuid, to: Destination, once: Option<&Once>) -> Result<Operation> {
        let input = match to {
            Destination::InPlace => Target::InPlace,
            Destination::NewTenant { slug, display_name } => {
                tenantry_kernel::slug::check(&slug).map_err(|error| {
                    let text = error.fields().first().map(|field| field.description.clone());
                    Error::invalid_field("new_tenant.slug", text.unwrap_or_default())
                })?;
                if display_name.chars().count() > 100 {
                    return Err(Error::invalid_field(
                        "new_tenant.display_name",
                        "must be at most 100 characters",
                    ));
                }
                let user = ctx.principal().user().ok_or_else(Error::not_found)?;
                Target::NewTenant {
                    slug,
                    display_name,
                    user: user.uuid(),
                }
            }
        };
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(id) = once::replay::<Uuid>(once, &mut tx, ctx).await? {
            return existing(&mut tx, id).await;
        }
        self.admit(&mut tx, ctx).await?;
        let snapshot = store::snapshot::lock(&mut tx, id).await?;
        snapshot.restorable()?;
        let records = u64::try_from(snapshot.records).unwrap_or(0);
        fits_plan(ctx.route()?, snapshot.types.len() as u64, records)?;
        let operation = self.parts.ids.new_v7();
        let mut operation = Operation::new(
            operation,
            Verb::RestoreSnapshot,
            id,
            creator(ctx),
            self.parts.clock.now(),
        );
        operation.input = input;
        self.start(tx, ctx, operation, once).await
    }
    /// Marks a snapshot for removal: its objects go within a minute.
    ///
    /// # Errors
    /// `NOT_FOUND`, `SNAPSHOT_NOT_READY` while an operation works on it.
    pub async fn delete(&self, ctx: &Ctx, id: Uuid, once: Option<&Once>) -> Result<()> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if once::replay::<()>(once, &mut tx, ctx).await?.is_some() {
            return Ok(());
        }
        let snapshot = store::snapshot::lock(&mut tx, id).await?;
        if snapshot.state == State::Running || store::operation::works_on(&mut tx, &snapshot).await? {
            return Err(not_ready(snapshot.state));
        }
        store::snapshot::deleting(&mut tx, id).await?;
        once::finish(once, &mut tx, ctx, &()).await?;
        tx.commit().await?;
        self.parts.sweep.notify_one();
        Ok(())
    }

    /// Another operation may wait. Calls of one tenant come one after another here, so that the bound holds.
    async fn admit(&self, tx: &mut tenantry_db::Tx, ctx: &Ctx) -> Result<()> {
        let tenant = ctx.tenant()?;
        let standard = Policy::standard(tenant, self.parts.clock.now())?;
        store::policy::ensure(tx, tenant, &standard).await?;
        store::policy::lock(tx).await?;
        if store::operation::running(tx).await? < MOST_RUNNING {
            return Ok(());
        }
        let text = format!(
            "At most {MOST_RUNNING} backup operations of a tenant can wait and run at once. Wait for some of them, or cancel some."
        );
        Err(Error::new(Reason::QuotaExceeded, text)
            .meta("limit", "running_operations")
            .meta("limit_value", MOST_RUNNING.to_string()))
    }

    async fn start(
        &self,
        mut tx: tenantry_db::Tx,
        ctx: &Ctx,
        operation: Operation,
        once: Option<&Once>,
    ) -> Result<Operation> {
        store::operation::insert(&mut tx, ctx.tenant()?, &operation).await?;
        once::finish(once, &mut tx, ctx, &operation.id).await?;
        tx.commit().await?;
        self.parts.work.notify_one();
        Ok(operation)
    }
}

async fn existing(tx: &mut tenantry_db::Tx, id: Uuid) -> Result<Operation> {
    store::operation::fetch(tx, id).await?.ok_or_else(Error::not_found)
}

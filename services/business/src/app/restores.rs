//! Restoring a tenant: a detached schema is filled, indexed and checked in small transactions out of sight, then takes
//! the place of the live one in a single short transaction. Whatever fails before that leaves the live data as it is.
//!
//! No transaction spans the stream: one that has written and stays open would hold back every tenant's change stream.

use super::{Parts, exports::bound, holds};
use crate::{
    domain::{
        ObjectType,
        data::{self, CHUNK, FORMAT, Part, bad_data},
        object_type::check_new,
    },
    store::{
        self, Store, change, hold, object_type, operation,
        restore::{self, Attempt, Counts},
        usage,
    },
};
use std::{sync::Arc, time::Duration};
use tenantry_db::{RetryPolicy, SystemTx, retry};
use tenantry_kernel::{Ctx, Error, Reason, Resolve, Result, TenantId, fits_plan};
use tenantry_server::Faults;
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

/// A lock is waited for at most two seconds at a time.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 8,
    base: Duration::from_millis(50),
    max: Duration::from_millis(500),
};
/// The swap waits for whoever reads or writes just now, and for exports; each wait is short, so that requests behind it
/// are not held up.
const SWAP_RETRY: RetryPolicy = RetryPolicy {
    attempts: 20,
    base: Duration::from_millis(100),
    max: Duration::from_secs(2),
};
/// A sender that is silent this long has gone.
const SILENCE: Duration = Duration::from_secs(120);
/// A slow sender's rows are written after this long, however few they are: it shows that somebody is at work.
const LINGER: Duration = Duration::from_secs(60);
/// An attempt that nobody has worked on for this long is over.
const STALE: Duration = Duration::from_secs(600);
/// More than any plan allows.
const ALL: i64 = 100_000;

/// Makes restores.
#[derive(Clone)]
pub struct Restores {
    parts: Parts,
    routes: Arc<dyn Resolve>,
    faults: Faults,
}

enum Begun {
    Done(Counts),
    Attempt(Attempt),
}

impl Restores {
    /// Over shared parts; `routes` knows the plan of the tenant.
    #[must_use]
    pub fn new(parts: Parts, routes: Arc<dyn Resolve>, faults: Faults) -> Self {
        Self { parts, routes, faults }
    }

    /// Puts the data of the stream in the place of the tenant's. A restore that is done is not done again. It goes on
    /// when the caller stops waiting, and fails when the stream ends before its footer.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for data that cannot be restored, `QUOTA_EXCEEDED` for more than the tenant's plan allows,
    /// `TENANT_NOT_ACTIVE`, `CONFLICT` where the tenant's tables are never free, `DEADLINE_EXCEEDED` where the tenant is not
    /// held for this restore; then nothing has changed.
    pub async fn run(&self, tenant: TenantId, id: Uuid, parts: mpsc::Receiver<Result<Part>>) -> Result<Counts> {
        let this = self.clone();
        let work = tokio::spawn(async move { this.restore(tenant, id, parts).await });
        work.await.map_err(Error::internal)?
    }

    async fn restore(&self, tenant: TenantId, id: Uuid, mut parts: mpsc::Receiver<Result<Part>>) -> Result<Counts> {
        let begun = match self.begin(tenant, id).await {
            Ok(begun) => begun,
            Err(error) => {
                holds::release(&self.parts.store, tenant, id).await;
                return Err(error);
            }
        };
        let attempt = match begun {
            Begun::Attempt(attempt) => attempt,
            Begun::Done(counts) => {
                // The sender is heard out: an answer that overtakes its stream can be lost.
                while let Some(Ok(_)) = parts.recv().await {}
                self.tidy(tenant).await;
                return Ok(counts);
            }
        };
        let outcome = tokio::select! {
            outcome = self.attempt(&attempt, parts) => outcome,
            never = holds::keep(&self.parts.store, tenant, id) => match never {},
        };
        if outcome.is_err() {
            if let Err(error) = self.forget(&attempt).await {
                tracing::warn!(tenant.id = %tenant, reason = %error.reason(), "a failed restore is forgotten later");
            }
            holds::release(&self.parts.store, tenant, id).await;
        }
        self.tidy(tenant).await;
        outcome
    }

    async fn begin(&self, tenant: TenantId, id: Uuid) -> Result<Begun> {
        retry("begin_restore", RETRY, || async {
            let mut tx = self.parts.store.begin_restore("begin_restore").await?;
            object_type::lock_tenant(&mut tx, tenant).await?;
            if let Some(counts) = restore::done(&mut tx, tenant, id).await? {
                return Ok(Begun::Done(counts));
            }
            let schema = restore::detached(tenant, self.parts.ids.new_v7());
            let attempt = restore::begin(&mut tx, tenant, id, schema).await?;
            tx.commit().await?;
            Ok(Begun::Attempt(attempt))
        })
        .await
    }

    async fn attempt(&self, attempt: &Attempt, mut parts: mpsc::Receiver<Result<Part>>) -> Result<Counts> {
        let mut intake = Intake::new(self, attempt);
        loop {
            match tokio::time::timeout(SILENCE, parts.recv()).await {
                Ok(Some(part)) => intake.take(part?).await?,
                Ok(None) => break,
                Err(_) => return Err(cut_off()),
            }
        }
        let (types, counts) = intake.finish()?;
        for (object_type, _) in &types {
            let mut tx = self.step(attempt).await?;
            let indexed = restore::index(&mut tx, attempt, object_type).await;
            indexed.map_err(|error| refused(error, object_type))?;
            tx.commit().await?;
        }
        for (object_type, _) in &types {
            let mut tx = self.step(attempt).await?;
            let checked = restore::refer(&mut tx, attempt, object_type).await;
            checked.map_err(|error| refused(error, object_type))?;
            tx.commit().await?;
        }
        for (object_type, _) in &types {
            retry("protect_restored_type", RETRY, || async {
                let mut tx = self.step(attempt).await?;
                restore::protect(&mut tx, attempt, object_type).await?;
                tx.commit().await
            })
            .await?;
        }
        self.swap(attempt, types, counts).await?;
        Ok(counts)
    }

    /// The plan as it is now: it may have changed since the restore began.
    async fn within_plan(&self, tenant: TenantId, counts: Counts) -> Result<()> {
        let route = self.routes.by_id(tenant).await?;
        fits_plan(&route, counts.object_types, counts.records)
    }

    /// A transaction of the attempt, if it is still the tenant's.
    async fn step(&self, attempt: &Attempt) -> Result<SystemTx> {
        let mut tx = self.parts.store.begin_restore("restore").await?;
        restore::touch(&mut tx, attempt).await?;
        Ok(tx)
    }

    /// The one moment in which everything changes.
    async fn swap(&self, attempt: &Attempt, types: Vec<(ObjectType, i64)>, counts: Counts) -> Result<()> {
        self.within_plan(attempt.tenant, counts).await?;
        let ctx = bound(&self.parts, attempt.tenant, None);
        let (fences, horizon) = retry("swap_restored_schema", SWAP_RETRY, || {
            self.exchange(&ctx, attempt, &types, counts)
        })
        .await?;
        self.faults.hit("business.restore.after_swap").await?;
        for (type_id, version) in &fences {
            self.parts.cached.forget_object_type(&ctx, type_id, *version).await;
        }
        self.parts.nudges.nudge(attempt.tenant);
        if let Err(error) = self.forget_changes(attempt.tenant, horizon).await {
            tracing::warn!(tenant.id = %attempt.tenant, reason = %error.reason(), "old changes stay until they expire");
        }
        Ok(())
    }

    async fn exchange(
        &self,
        ctx: &Ctx,
        attempt: &Attempt,
        types: &[(ObjectType, i64)],
        counts: Counts,
    ) -> Result<(Vec<(String, i64)>, i64)> {
        let tenant = attempt.tenant;
        let mut tx = self.parts.store.begin_restore("swap_restored_schema").await?;
        object_type::lock_tenant(&mut tx, tenant).await?;
        restore::touch(&mut tx, attempt).await?;
        let live = object_type::list(&mut tx, tenant, "", ALL).await?;
        // What was acknowledged since the copy that the caller has would be lost.
        if !hold::forget(&mut tx, tenant, attempt.id, false).await? && !live.is_empty() {
            return Err(not_held());
        }
        restore::lock_live(&mut tx, tenant, &live).await?;
        let aside = restore::detached(tenant, self.parts.ids.new_v7());
        restore::exchange(&mut tx, attempt, &aside).await?;
        let next = newer_than(&live, types);
        object_type::replace(&mut tx, tenant, &next).await?;
        let records: Vec<_> = types.iter().map(|(found, rows)| (found.id.clone(), *rows)).collect();
        usage::replace(&mut tx, tenant, &records).await?;
        change::forget_recent(&mut tx, tenant).await?;
        operation::release(&mut tx, tenant).await?;
        let horizon = restore::finish(&mut tx, attempt, counts).await?;
        let fences = fences(&live, &next);
        // A cached record counts only beside the very version of its type, and every type gets a larger one.
        for (type_id, version) in &fences {
            self.parts.cached.fence_object_type(ctx, type_id, *version).await;
        }
        self.faults.hit("business.restore.before_swap").await?;
        tx.commit().await?;
        Ok((fences, horizon))
    }

    async fn forget_changes(&self, tenant: TenantId, horizon: i64) -> Result<()> {
        loop {
            let mut tx = self.parts.store.begin_restore("forget_changes").await?;
            let deleted = change::forget_below(&mut tx, tenant, horizon).await?;
            tx.commit().await?;
            if deleted == 0 {
                return Ok(());
            }
        }
    }

    async fn forget(&self, attempt: &Attempt) -> Result<()> {
        let mut tx = self.parts.store.begin_restore("forget_restore").await?;
        restore::forget(&mut tx, attempt).await?;
        tx.commit().await
    }

    /// What cannot be dropped now is dropped by the janitor.
    async fn tidy(&self, tenant: TenantId) {
        if let Err(error) = sweep(&self.parts.store, Some(tenant)).await {
            tracing::warn!(tenant.id = %tenant, reason = %error.reason(), "a detached schema is dropped later");
        }
    }
}

impl std::fmt::Debug for Restores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Restores(..)")
    }
}

/// Drops detached schemas, of one tenant or of all, that no restore fills any more.
///
/// # Errors
/// As every statement.
pub async fn sweep(store: &Store, tenant: Option<TenantId>) -> Result<()> {
    let mut tx = store.begin_ddl("sweep_restores").await?;
    let left_over = restore::left_over(&mut tx, tenant).await?;
    tx.commit().await?;
    for schema in left_over {
        let piece = || async {
            let mut tx = store.begin_ddl("sweep_restores").await?;
            let left = store::provision::drop_tables(&mut tx, &schema).await?;
            if left == 0 {
                store::provision::drop_schema(&mut tx, &schema).await?;
            }
            tx.commit().await.map(|()| left)
        };
        while retry("sweep_restores", RETRY, piece).await? > 0 {}
    }
    Ok(())
}

/// Forgets attempts whose process was killed, then drops what they left. For the janitor.
///
/// # Errors
/// As every statement.
pub async fn sweep_stale(store: &Store) -> Result<()> {
    let mut tx = store.begin_ddl("sweep_restores").await?;
    restore::forget_stale(&mut tx, STALE).await?;
    tx.commit().await?;
    sweep(store, None).await
}

/// Types with versions above those of the live ones.
fn newer_than(live: &[ObjectType], types: &[(ObjectType, i64)]) -> Vec<ObjectType> {
    let newer = |(object_type, _): &(ObjectType, i64)| {
        let known = live.iter().find(|known| known.id == object_type.id);
        let least = known.map_or(0, |known| known.version + 1);
        ObjectType {
            version: object_type.version.max(least),
            ..object_type.clone()
        }
    };
    types.iter().map(newer).collect()
}

/// The version every type has from now on, also those that are gone.
fn fences(live: &[ObjectType], next: &[ObjectType]) -> Vec<(String, i64)> {
    let gone = live
        .iter()
        .filter(|known| !next.iter().any(|object_type| object_type.id == known.id))
        .map(|known| (known.id.clone(), known.version + 1));
    let there = next
        .iter()
        .map(|object_type| (object_type.id.clone(), object_type.version));
    gone.chain(there).collect()
}

/// Takes the parts of a stream in their order and fills the detached schema.
struct Intake<'r> {
    restores: &'r Restores,
    attempt: &'r Attempt,
    has_header: bool,
    types: Vec<(ObjectType, i64)>,
    text: Vec<u8>,
    rows: u64,
    flushed: Instant,
    footer: Option<Counts>,
}

impl<'r> Intake<'r> {
    fn new(restores: &'r Restores, attempt: &'r Attempt) -> Self {
        Self {
            restores,
            attempt,
            has_header: false,
            types: Vec::new(),
            text: Vec::new(),
            rows: 0,
            flushed: Instant::now(),
            footer: None,
        }
    }

    async fn take(&mut self, part: Part) -> Result<()> {
        if self.footer.is_some() {
            return Err(bad_data("something follows its footer"));
        }
        if matches!(part, Part::Header { .. }) == self.has_header {
            return Err(bad_data("it must have one header, first"));
        }
        match part {
            Part::Header { format: FORMAT, .. } => self.has_header = true,
            Part::Header { format, .. } => return Err(bad_data(format_args!("its format is {format}, not {FORMAT}"))),
            Part::Type { object_type, columns } => self.add_type(object_type, &columns).await?,
            Part::Rows { text, rows } => self.add_rows(&text, rows).await?,
            Part::Footer { object_types, rows } => {
                self.flush().await?;
                self.footer = Some(Counts {
                    object_types,
                    records: rows,
                });
            }
        }
        Ok(())
    }

    async fn add_type(&mut self, mut object_type: ObjectType, columns: &[String]) -> Result<()> {
        self.flush().await?;
        // From here on its names are safe in SQL text.
        check_new(&object_type.id, &object_type.definition, "object_type")?;
        data::check_columns(&object_type.id, columns, &store::export::columns(&object_type))?;
        if self.types.iter().any(|(known, _)| known.id == object_type.id) {
            return Err(bad_data(format_args!("objectTypes/{} is there twice", object_type.id)));
        }
        self.within_plan(1, 0).await?;
        let parts = &self.restores.parts;
        // Another incarnation: an import that was started before the restore must not go on in it.
        object_type.key = parts.ids.new_v7();
        object_type.version = parts.clock.now().timestamp_micros();
        let mut tx = self.restores.step(self.attempt).await?;
        restore::create_table(&mut tx, self.attempt, &object_type).await?;
        tx.commit().await?;
        self.types.push((object_type, 0));
        Ok(())
    }

    async fn add_rows(&mut self, text: &[u8], rows: u64) -> Result<()> {
        if self.types.is_empty() {
            return Err(bad_data("rows come before the first type"));
        }
        let lines = data::restamp(text, self.attempt.generation, &mut self.text)?;
        if lines != rows {
            return Err(bad_data(format_args!("a part says {rows} rows and has {lines}")));
        }
        self.rows += rows;
        if self.text.len() >= CHUNK || self.flushed.elapsed() >= LINGER {
            self.flush().await?;
        }
        Ok(())
    }

    /// What is there and these fit the plan: too much is refused as soon as it is known, not when all of it is loaded.
    async fn within_plan(&self, types: u64, rows: u64) -> Result<()> {
        let records: i64 = self.types.iter().map(|(_, rows)| rows).sum();
        let counts = Counts {
            object_types: self.types.len() as u64 + types,
            records: u64::try_from(records).unwrap_or(0) + rows,
        };
        self.restores.within_plan(self.attempt.tenant, counts).await
    }

    /// Writes what is waiting, in a transaction of its own.
    async fn flush(&mut self) -> Result<()> {
        if self.rows > 0 {
            self.within_plan(0, self.rows).await?;
        }
        let Some((object_type, total)) = self.types.last_mut().filter(|_| self.rows > 0) else {
            return Ok(());
        };
        let mut tx = self.restores.step(self.attempt).await?;
        let filled = restore::fill(&mut tx, self.attempt, object_type, &self.text).await;
        let written = filled.map_err(|error| refused(error, object_type))?;
        if written != self.rows {
            return Err(bad_data(format_args!(
                "of {} rows of objectTypes/{} PostgreSQL read {written}",
                self.rows, object_type.id
            )));
        }
        tx.commit().await?;
        *total += i64::try_from(written).unwrap_or(i64::MAX);
        self.text.clear();
        (self.rows, self.flushed) = (0, Instant::now());
        Ok(())
    }

    /// The types with how many rows each has, if everything that was announced has come.
    fn finish(self) -> Result<(Vec<(ObjectType, i64)>, Counts)> {
        let announced = self.footer.ok_or_else(cut_off)?;
        let records: i64 = self.types.iter().map(|(_, rows)| rows).sum();
        let counts = Counts {
            object_types: self.types.len() as u64,
            records: u64::try_from(records).unwrap_or(0),
        };
        if counts != announced {
            return Err(bad_data(format_args!(
                "its footer says {} types and {} rows, but {} and {} came",
                announced.object_types, announced.records, counts.object_types, counts.records
            )));
        }
        let types: Vec<_> = self.types.iter().map(|(object_type, _)| object_type.clone()).collect();
        data::check_references(&types)?;
        Ok((self.types, counts))
    }
}

/// Not `CONFLICT`: doing the same again does not help, the caller must begin with a new copy.
fn not_held() -> Error {
    Error::new(
        Reason::DeadlineExceeded,
        "The tenant's data could be changed since it was exported, so nothing was replaced. Export it for this restore, then restore again.",
    )
}

fn cut_off() -> Error {
    Error::new(
        Reason::MalformedRequest,
        "The data broke off before its end; nothing was replaced. Send all of it again.",
    )
}

/// Rows that PostgreSQL refuses are the sender's fault, whatever constraint it was.
fn refused(error: Error, object_type: &ObjectType) -> Error {
    if store::is_bad_data(&error) {
        bad_data(format_args!("rows of objectTypes/{} do not fit it", object_type.id)).because(error)
    } else {
        error
    }
}

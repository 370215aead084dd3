//! Batches of records: all or none, at most a hundred, violations with the index of the request.

use super::{
    once::{self, Once},
    records::{Path, Records, Update, with_type},
};
use crate::{
    domain::{ObjectType, Record, Violations, change::ChangeKind, value::micros},
    store::{self, change, usage},
};
use serde_json::{Map, Value as Json};
use std::collections::HashSet;
use tenantry_kernel::{Ctx, Error, Result};
use uuid::Uuid;

/// Requests of one batch.
pub const MAX: usize = 100;
/// Cache commands on their way at once.
const AT_ONCE: usize = 16;

impl Records {
    /// Adds records.
    ///
    /// # Errors
    /// As [`Records::create`], naming `requests[i]`.
    pub async fn batch_create(
        &self,
        ctx: &Ctx,
        type_id: &str,
        requests: &[Map<String, Json>],
        once: Option<&Once>,
    ) -> Result<Vec<Record>> {
        check_size("requests", requests.len())?;
        with_type!(self, ctx, type_id, |object_type| self.batch_create_of(
            ctx,
            &object_type,
            requests,
            once
        ))
    }

    async fn batch_create_of(
        &self,
        ctx: &Ctx,
        object_type: &ObjectType,
        requests: &[Map<String, Json>],
        once: Option<&Once>,
    ) -> Result<Vec<Record>> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(done) = once::replay(once, &mut tx, ctx).await? {
            return Ok(done);
        }
        let mut bad = Violations::default();
        let new: Vec<_> = requests
            .iter()
            .enumerate()
            .map(|(i, fields)| self.new_record(object_type, fields, Path::Batch(i), &mut bad))
            .collect();
        bad.finish()?;
        let mut records = Vec::with_capacity(new.len());
        // One by one, so that a violation can name its request.
        for (i, new) in new.iter().enumerate() {
            records.push(self.insert(&mut tx, ctx, object_type, new, Path::Batch(i)).await?);
        }
        self.log(&mut tx, object_type, ChangeKind::Created, &records).await?;
        once::finish(once, &mut tx, ctx, &records).await?;
        let slot = records.first().map_or(0, |record| usage::slot(record.id));
        self.count(
            &mut tx,
            ctx,
            &object_type.id,
            slot,
            i64::try_from(records.len()).unwrap_or(i64::MAX),
        )
        .await?;
        tx.commit().await?;
        // Nobody has read them before, so the cache holds nothing that could be old.
        self.parts.nudges.nudge(ctx.tenant()?);
        Ok(records)
    }

    /// Changes records.
    ///
    /// # Errors
    /// As [`Records::update`], naming `requests[i]`.
    pub async fn batch_update(
        &self,
        ctx: &Ctx,
        type_id: &str,
        updates: &[Update],
        once: Option<&Once>,
    ) -> Result<Vec<Record>> {
        check_size("requests", updates.len())?;
        check_distinct("requests", updates.iter().map(|update| update.id))?;
        with_type!(self, ctx, type_id, |object_type| self.batch_update_of(
            ctx,
            &object_type,
            updates,
            once
        ))
    }

    async fn batch_update_of(
        &self,
        ctx: &Ctx,
        object_type: &ObjectType,
        updates: &[Update],
        once: Option<&Once>,
    ) -> Result<Vec<Record>> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(done) = once::replay(once, &mut tx, ctx).await? {
            return Ok(done);
        }
        let ids: Vec<Uuid> = updates.iter().map(|update| update.id).collect();
        store::record::lock(&mut tx, object_type, &ids).await?;
        let mut records = Vec::with_capacity(updates.len());
        for (i, update) in updates.iter().enumerate() {
            let changed = self.change(&mut tx, object_type, update, Path::Batch(i)).await;
            records.push(changed.map_err(|error| indexed(error, "requests", i))?);
        }
        self.log(&mut tx, object_type, ChangeKind::Updated, &records).await?;
        once::finish(once, &mut tx, ctx, &records).await?;
        let changed = records
            .iter()
            .map(|record| (record.id, record.version))
            .collect::<Vec<_>>();
        self.fence_all(ctx, &changed).await;
        tx.commit().await?;
        self.forget_all(ctx, &changed).await;
        self.parts.nudges.nudge(ctx.tenant()?);
        Ok(records)
    }

    /// Removes records.
    ///
    /// # Errors
    /// As [`Records::delete`], naming `names[i]`.
    pub async fn batch_delete(&self, ctx: &Ctx, type_id: &str, ids: &[Uuid], once: Option<&Once>) -> Result<()> {
        check_size("names", ids.len())?;
        check_distinct("names", ids.iter().copied())?;
        with_type!(self, ctx, type_id, |object_type| self.batch_delete_of(
            ctx,
            &object_type,
            ids,
            once
        ))
    }

    async fn batch_delete_of(
        &self,
        ctx: &Ctx,
        object_type: &ObjectType,
        ids: &[Uuid],
        once: Option<&Once>,
    ) -> Result<()> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if once::replay::<()>(once, &mut tx, ctx).await?.is_some() {
            return Ok(());
        }
        store::record::lock(&mut tx, object_type, ids).await?;
        let mut gone = Vec::with_capacity(ids.len());
        for (i, id) in ids.iter().enumerate() {
            let version = self
                .remove(&mut tx, object_type, *id, None)
                .await
                .map_err(|error| indexed(error, "names", i))?;
            gone.push((*id, version + 1));
        }
        let lines: Vec<_> = ids.iter().map(|id| (*id, None)).collect();
        change::log(
            &mut tx,
            &object_type.id,
            ChangeKind::Deleted,
            &lines,
            micros(self.parts.clock.now()),
        )
        .await?;
        once::finish(once, &mut tx, ctx, &()).await?;
        let slot = ids.first().map_or(0, |id| usage::slot(*id));
        self.count(
            &mut tx,
            ctx,
            &object_type.id,
            slot,
            -i64::try_from(ids.len()).unwrap_or(0),
        )
        .await?;
        self.fence_all(ctx, &gone).await;
        tx.commit().await?;
        self.forget_all(ctx, &gone).await;
        self.parts.nudges.nudge(ctx.tenant()?);
        Ok(())
    }

    async fn log(
        &self,
        tx: &mut tenantry_db::Tx,
        object_type: &ObjectType,
        kind: ChangeKind,
        records: &[Record],
    ) -> Result<()> {
        let lines: Vec<_> = records.iter().map(|record| (record.id, Some(record))).collect();
        change::log(tx, &object_type.id, kind, &lines, micros(self.parts.clock.now())).await
    }

    async fn fence_all(&self, ctx: &Ctx, versions: &[(Uuid, i64)]) {
        for few in versions.chunks(AT_ONCE) {
            futures::future::join_all(
                few.iter()
                    .map(|(id, version)| self.parts.cached.fence_record(ctx, *id, *version)),
            )
            .await;
        }
    }

    /// The next reader fills the cache; storing a hundred values here would only delay the answer.
    async fn forget_all(&self, ctx: &Ctx, versions: &[(Uuid, i64)]) {
        for few in versions.chunks(AT_ONCE) {
            futures::future::join_all(
                few.iter()
                    .map(|(id, version)| self.parts.cached.forget_record(ctx, *id, *version)),
            )
            .await;
        }
    }
}

fn check_size(field: &str, count: usize) -> Result<()> {
    if (1..=MAX).contains(&count) {
        Ok(())
    } else {
        Err(Error::invalid_field(
            field,
            format!("must be 1 to {MAX}; {count} were sent"),
        ))
    }
}

fn check_distinct(field: &str, ids: impl Iterator<Item = Uuid>) -> Result<()> {
    let mut seen = HashSet::new();
    for (i, id) in ids.enumerate() {
        if !seen.insert(id) {
            return Err(Error::invalid_field(
                format!("{field}[{i}]"),
                "names a record for the second time; name each once",
            ));
        }
    }
    Ok(())
}

/// Says which request of a batch it was, where the error does not say so itself.
fn indexed(error: Error, field: &str, index: usize) -> Error {
    if error.fields().is_empty() {
        error.field(
            format!("{field}[{index}]"),
            "this one was refused; nothing of the batch was done",
        )
    } else {
        error
    }
}

//! The second half of an import: rows are written, with their lines in the change log, in one transaction or in
//! batches whose checkpoint is part of the batch.

use super::{
    import_read,
    import_validate::Mapping,
    import_worker::{LEASE, Run},
};
use crate::{
    app::{events, records::made},
    domain::{
        ObjectType, Value,
        change::ChangeKind,
        import::{BATCH, ImportState, ONE_TRANSACTION, Outcome},
        value::micros,
    },
    store::{
        self, SCHEMA, change, operation,
        record::{NewRecord, Stamp},
        usage,
    },
};
use tenantry_db::Tx;
use tenantry_kernel::{Error, Reason, Result, within_limit};
use tenantry_operations::{State, lease};

/// How applying ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Applied {
    /// Everything is written and the operation is finished.
    Done,
    /// Somebody asked to stop.
    Cancelled,
}

impl Run {
    /// Writes every row behind the checkpoint.
    ///
    /// # Errors
    /// Nothing of the current transaction stays.
    pub(super) async fn apply(&self, object_type: &ObjectType, done: i64) -> Result<Applied> {
        if self.plan.rows <= ONE_TRANSACTION {
            self.apply_at_once(object_type).await
        } else {
            self.apply_in_batches(object_type, done).await
        }
    }

    async fn apply_at_once(&self, object_type: &ObjectType) -> Result<Applied> {
        let ctx = self.ctx().await?;
        let mut tx = self.parts.store.begin(&ctx).await?;
        let mut batches = import_read::stream(self);
        let mapping = Mapping::new(&self.plan, object_type);
        let mut written = 0;
        while let Some(batch) = batches.recv().await {
            let rows = values(&mapping, batch?)?;
            self.write(&mut tx, object_type, &rows).await?;
            written += rows.len() as i64;
            // Shown to whoever waits, in a transaction of its own; a crash starts from the first row again.
            if self.report("apply", written).await? {
                return Ok(Applied::Cancelled);
            }
        }
        self.complete(written)?;
        if written > 0 {
            self.count(&mut tx, object_type, written).await?;
        }
        self.finish(&mut tx, written, true).await?;
        self.faults.hit("business.import.before_commit").await?;
        tx.commit().await?;
        self.parts.nudges.nudge(self.claim.tenant);
        Ok(Applied::Done)
    }

    async fn apply_in_batches(&self, object_type: &ObjectType, checkpoint: i64) -> Result<Applied> {
        let mut batches = import_read::stream(self);
        let mapping = Mapping::new(&self.plan, object_type);
        let (mut skip, mut done) = (usize::try_from(checkpoint).unwrap_or(0), checkpoint);
        let mut waiting: Vec<Vec<Value>> = Vec::with_capacity(BATCH);
        loop {
            let batch = batches.recv().await.transpose()?;
            let ended = batch.is_none();
            let mut rows = batch.unwrap_or_default();
            let skipped = skip.min(rows.len());
            skip -= skipped;
            waiting.extend(values(&mapping, rows.split_off(skipped))?);
            while waiting.len() >= BATCH || (ended && !waiting.is_empty()) {
                let rest = waiting.split_off(BATCH.min(waiting.len()));
                let full = std::mem::replace(&mut waiting, rest);
                done += full.len() as i64;
                if self.write_batch(object_type, &full, done).await? {
                    return Ok(Applied::Cancelled);
                }
            }
            if ended {
                break;
            }
        }
        self.complete(done)?;
        let mut tx = self.parts.store.begin(&self.ctx().await?).await?;
        self.finish(&mut tx, done, false).await?;
        tx.commit().await?;
        Ok(Applied::Done)
    }

    /// One batch and its checkpoint; whether somebody asked to stop.
    async fn write_batch(&self, object_type: &ObjectType, rows: &[Vec<Value>], done: i64) -> Result<bool> {
        let mut tx = self.parts.store.begin(&self.ctx().await?).await?;
        for part in rows.chunks(import_read::ROWS) {
            self.write(&mut tx, object_type, part).await?;
        }
        self.count(&mut tx, object_type, rows.len() as i64).await?;
        let cancel = operation::advance(&mut tx, &self.claim, "apply", done, self.plan.rows, LEASE).await?;
        self.faults.hit("business.import.before_commit").await?;
        tx.commit().await?;
        self.faults.hit("business.import.after_batch").await?;
        self.parts.nudges.nudge(self.claim.tenant);
        Ok(cancel)
    }

    async fn write(&self, tx: &mut Tx, object_type: &ObjectType, rows: &[Vec<Value>]) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let stamp = Stamp {
            time: micros(self.parts.clock.now()),
            creator: self.creator.clone(),
        };
        let new: Vec<_> = rows
            .iter()
            .map(|values| NewRecord {
                id: self.parts.ids.new_v7(),
                values: values.clone(),
            })
            .collect();
        let inserted = store::record::insert_many(tx, object_type, &new, &stamp).await;
        inserted.map_err(|error| {
            if store::is_denied(&error) {
                return store::hold::held().because(error);
            }
            crate::app::violation::named(error, "fields")
        })?;
        let records: Vec<_> = new.iter().map(|new| made(object_type, new, &stamp)).collect();
        let lines: Vec<_> = records.iter().map(|record| (record.id, Some(record))).collect();
        change::log(tx, &object_type.id, ChangeKind::Created, &lines, stamp.time).await
    }

    async fn count(&self, tx: &mut Tx, object_type: &ObjectType, more: i64) -> Result<()> {
        let before = usage::add(tx, &object_type.id, usage::IMPORT_SLOT, more).await?;
        within_limit(
            "records",
            self.route.limits.records,
            &self.route.plan,
            before,
            u64::try_from(more).unwrap_or(0),
        )
    }

    async fn finish(&self, tx: &mut Tx, written: i64, one_transaction: bool) -> Result<()> {
        store::import::delete_chunks(tx, self.plan.import).await?;
        store::import::set_state(tx, self.plan.import, ImportState::Succeeded).await?;
        let outcome = serde_json::to_value(Outcome {
            imported: written,
            one_transaction,
        })
        .map_err(Error::internal)?;
        lease::finish(tx, SCHEMA, &self.claim, (State::Succeeded, Some(written)), &outcome, "").await?;
        let (kind, subject) = (events::IMPORT_FINISHED, format!("imports/{}", self.plan.import));
        events::emit_for(&self.parts, tx, self.claim.tenant, None, kind, subject).await
    }

    /// The file is as long as it was when it was uploaded.
    fn complete(&self, written: i64) -> Result<()> {
        if written == self.plan.rows {
            return Ok(());
        }
        let text = format!(
            "The stored file has {written} rows instead of {}. Upload it again.",
            self.plan.rows
        );
        Err(Error::new(Reason::FailedPrecondition, text))
    }
}

fn values(mapping: &Mapping<'_>, batch: import_read::Batch) -> Result<Vec<Vec<Value>>> {
    let read = |row: std::result::Result<_, _>| row.and_then(|row| mapping.values(&row));
    batch
        .into_iter()
        .map(read)
        .collect::<std::result::Result<_, _>>()
        .map_err(|error| {
            // The rows were checked; a type that changed since could still refuse one.
            Error::new(
                Reason::ImportInvalid,
                format!("Line {}, column {}: {}", error.line, error.column, error.message),
            )
        })
}

//! Records: every change writes the record, its line in the change log and the idempotency key in one transaction.

use super::{
    Parts,
    object_types::ObjectTypes,
    once::{self, Once},
    violation,
};
use crate::{
    domain::{
        ObjectType, Record, Violations,
        change::ChangeKind,
        filter,
        object_type::version_of_etag,
        order::{self, Cursor},
        record,
        value::micros,
    },
    store::{
        self, change,
        record::{NewRecord, Stamp},
        usage,
    },
};
use serde_json::{Map, Value as Json};
use tenantry_crypto::PageTokens;
use tenantry_db::Tx;
use tenantry_kernel::{Ctx, Error, Reason, Result, within_limit};
use uuid::Uuid;

const LIST: &str = "tenantry.business.v1.RecordService/ListRecords";

/// The tenant's records.
#[derive(Clone, Debug)]
pub struct Records {
    pub(super) parts: Parts,
    pub(super) types: ObjectTypes,
}

/// One change of a record.
#[derive(Clone, Debug)]
pub struct Update {
    /// Which.
    pub id: Uuid,
    /// New values.
    pub fields: Map<String, Json>,
    /// `fields.x`, `fields`, `*`; empty means what is given.
    pub mask: Vec<String>,
    /// Checked if set.
    pub etag: String,
}

/// Where values stand in the request, for messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Path {
    Single,
    Batch(usize),
}

impl Path {
    pub(super) fn at(self, rest: &str) -> String {
        match self {
            Self::Single => rest.to_owned(),
            Self::Batch(index) => format!("requests[{index}].{rest}"),
        }
    }
}

/// Runs with the cached definition; where a table or column turns out to be gone, once more with the current one. Says so
/// where the tenant is held.
macro_rules! with_type {
    ($self:ident, $ctx:ident, $type_id:expr, |$object_type:ident| $work:expr) => {{
        let $object_type = $self.types.get($ctx, $type_id).await?;
        let done = match $work.await {
            Err(error) if store::is_outdated(&error) => {
                let $object_type = $self.types.read($ctx, $type_id).await?;
                $work.await
            }
            done => done,
        };
        match done {
            Err(error) if store::is_denied(&error) => {
                if $crate::app::holds::explains(&$self.parts, $ctx).await {
                    Err(store::hold::held().because(error))
                } else {
                    // The hold has just ended; any other missing right is still missing.
                    let $object_type = $self.types.read($ctx, $type_id).await?;
                    $work.await
                }
            }
            done => done,
        }
    }};
}
pub(super) use with_type;

impl Records {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts, types: ObjectTypes) -> Self {
        Self { parts, types }
    }

    /// Adds a record.
    ///
    /// # Errors
    /// Wrong values, `UNIQUE_VIOLATION`, `REFERENCE_NOT_FOUND`, `QUOTA_EXCEEDED`.
    pub async fn create(
        &self,
        ctx: &Ctx,
        type_id: &str,
        fields: &Map<String, Json>,
        once: Option<&Once>,
    ) -> Result<Record> {
        with_type!(self, ctx, type_id, |object_type| self.create_of(
            ctx,
            &object_type,
            fields,
            once
        ))
    }

    async fn create_of(
        &self,
        ctx: &Ctx,
        object_type: &ObjectType,
        fields: &Map<String, Json>,
        once: Option<&Once>,
    ) -> Result<Record> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(done) = once::replay(once, &mut tx, ctx).await? {
            return Ok(done);
        }
        let mut bad = Violations::default();
        let new = self.new_record(object_type, fields, Path::Single, &mut bad);
        bad.finish()?;
        let record = self.insert(&mut tx, ctx, object_type, &new, Path::Single).await?;
        once::finish(once, &mut tx, ctx, &record).await?;
        let before = change::log_and_count(
            &mut tx,
            &object_type.id,
            ChangeKind::Created,
            record.id,
            Some(&record),
            record.update_time,
        )
        .await?;
        within_plan(ctx, before, 1)?;
        tx.commit().await?;
        self.parts.cached.put_record(ctx, object_type, &record).await;
        self.parts.nudges.nudge(ctx.tenant()?);
        Ok(record)
    }

    pub(super) fn new_record(
        &self,
        object_type: &ObjectType,
        fields: &Map<String, Json>,
        path: Path,
        bad: &mut Violations,
    ) -> NewRecord {
        let values = record::values_for_create(object_type, fields, &path.at("record.fields"), bad);
        NewRecord {
            id: self.parts.ids.new_v7(),
            values,
        }
    }

    pub(super) fn stamp(&self, ctx: &Ctx) -> Stamp {
        Stamp {
            time: micros(self.parts.clock.now()),
            creator: Parts::creator(ctx),
        }
    }

    pub(super) async fn insert(
        &self,
        tx: &mut Tx,
        ctx: &Ctx,
        object_type: &ObjectType,
        new: &NewRecord,
        path: Path,
    ) -> Result<Record> {
        let stamp = self.stamp(ctx);
        store::record::insert(tx, object_type, new, &stamp)
            .await
            .map_err(|error| violation::named(error, &path.at("record.fields")))?;
        Ok(made(object_type, new, &stamp))
    }

    /// Counts new or removed records; the last statement before a commit, because the counter stays locked until then.
    pub(super) async fn count(&self, tx: &mut Tx, ctx: &Ctx, type_id: &str, slot: i16, delta: i64) -> Result<()> {
        let before = usage::add(tx, type_id, slot, delta).await?;
        match u64::try_from(delta) {
            Ok(more) => within_plan(ctx, before, more),
            Err(_) => Ok(()),
        }
    }

    /// One record, from the cache if it is there.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, type_id: &str, id: Uuid) -> Result<Record> {
        let (object_type, cached) = futures::join!(self.types.get(ctx, type_id), self.parts.cached.record(ctx, id));
        let object_type = object_type?;
        if let Some((key, version, record)) = cached
            && (key, version) == (object_type.key, object_type.version)
        {
            return Ok(record);
        }
        match self.read(ctx, &object_type, id).await {
            Err(error) if store::is_outdated(&error) => {
                let object_type = self.types.read(ctx, type_id).await?;
                self.read(ctx, &object_type, id).await
            }
            done => done,
        }
    }

    async fn read(&self, ctx: &Ctx, object_type: &ObjectType, id: Uuid) -> Result<Record> {
        let mut tx = self.parts.store.begin(ctx).await?;
        let found = store::record::fetch(&mut tx, object_type, id).await?;
        tx.commit().await?;
        let record = found.ok_or_else(Error::not_found)?;
        self.parts.cached.fill_record(ctx, object_type, &record).await;
        Ok(record)
    }

    /// One page of a list, and the token of the next.
    ///
    /// # Errors
    /// `INVALID_FILTER`, `INVALID_PAGE_TOKEN`, wrong order or size.
    pub async fn list(&self, ctx: &Ctx, type_id: &str, page: &Page) -> Result<(Vec<Record>, String)> {
        with_type!(self, ctx, type_id, |object_type| self.list_of(ctx, &object_type, page))
    }

    async fn list_of(&self, ctx: &Ctx, object_type: &ObjectType, page: &Page) -> Result<(Vec<Record>, String)> {
        let limit = tenantry_kernel::page::size(page.size)?;
        let comparisons = filter::parse(&page.filter, object_type)?;
        let order = order::parse(&page.order_by, object_type)?;
        let query = PageTokens::query_hash(&[
            object_type.id.as_bytes(),
            page.filter.as_bytes(),
            page.order_by.as_bytes(),
        ]);
        let cursor: Option<Cursor> = match self.parts.open_page(ctx, LIST, query, &page.token).await? {
            None => None,
            Some(bytes) => Some(
                serde_json::from_slice(&bytes)
                    .ok()
                    .filter(|cursor: &Cursor| cursor.fits(&order))
                    .ok_or_else(stale_token)?,
            ),
        };
        let mut tx = self.parts.store.begin(ctx).await?;
        let mut rows =
            store::record::list(&mut tx, object_type, &comparisons, &order, cursor.as_ref(), limit + 1).await?;
        tx.commit().await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if rows.len() > size {
            rows.truncate(size);
            let cursor = rows.last().map(|(_, cursor)| cursor.clone());
            let bytes = serde_json::to_vec(&cursor).map_err(Error::internal)?;
            self.parts.seal_page(ctx, LIST, query, &bytes).await?
        } else {
            String::new()
        };
        Ok((rows.into_iter().map(|(record, _)| record).collect(), next))
    }

    /// Changes a record.
    ///
    /// # Errors
    /// Wrong values, `NOT_FOUND`, `ETAG_MISMATCH`, `UNIQUE_VIOLATION`, `REFERENCE_NOT_FOUND`.
    pub async fn update(&self, ctx: &Ctx, type_id: &str, update: &Update, once: Option<&Once>) -> Result<Record> {
        with_type!(self, ctx, type_id, |object_type| self.update_of(
            ctx,
            &object_type,
            update,
            once
        ))
    }

    async fn update_of(
        &self,
        ctx: &Ctx,
        object_type: &ObjectType,
        update: &Update,
        once: Option<&Once>,
    ) -> Result<Record> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if let Some(done) = once::replay(once, &mut tx, ctx).await? {
            return Ok(done);
        }
        let record = self.change(&mut tx, object_type, update, Path::Single).await?;
        change::log_one(
            &mut tx,
            &object_type.id,
            ChangeKind::Updated,
            record.id,
            Some(&record),
            record.update_time,
        )
        .await?;
        once::finish(once, &mut tx, ctx, &record).await?;
        self.parts.cached.fence_record(ctx, record.id, record.version).await;
        tx.commit().await?;
        self.parts.cached.put_record(ctx, object_type, &record).await;
        self.parts.nudges.nudge(ctx.tenant()?);
        Ok(record)
    }

    pub(super) async fn change(
        &self,
        tx: &mut Tx,
        object_type: &ObjectType,
        update: &Update,
        path: Path,
    ) -> Result<Record> {
        let mut bad = Violations::default();
        let changes = record::values_for_update(
            object_type,
            &update.fields,
            &update.mask,
            &path.at("record.fields"),
            &path.at("update_mask"),
            &mut bad,
        );
        bad.finish()?;
        let expected = version_of_etag(&update.etag)?;
        let now = micros(self.parts.clock.now());
        let changed = store::record::update(tx, object_type, update.id, &changes, expected, now).await;
        match changed.map_err(|error| violation::named(error, &path.at("record.fields")))? {
            Some(record) => Ok(record),
            None => Err(missing(tx, object_type, update.id).await?),
        }
    }

    /// Removes a record.
    ///
    /// # Errors
    /// `NOT_FOUND`, `ETAG_MISMATCH`, `STILL_REFERENCED`.
    pub async fn delete(&self, ctx: &Ctx, type_id: &str, id: Uuid, etag: &str, once: Option<&Once>) -> Result<()> {
        with_type!(self, ctx, type_id, |object_type| self.delete_of(
            ctx,
            &object_type,
            id,
            etag,
            once
        ))
    }

    async fn delete_of(
        &self,
        ctx: &Ctx,
        object_type: &ObjectType,
        id: Uuid,
        etag: &str,
        once: Option<&Once>,
    ) -> Result<()> {
        let mut tx = self.parts.store.begin(ctx).await?;
        if once::replay::<()>(once, &mut tx, ctx).await?.is_some() {
            return Ok(());
        }
        let version = self.remove(&mut tx, object_type, id, version_of_etag(etag)?).await?;
        once::finish(once, &mut tx, ctx, &()).await?;
        change::log_and_count(
            &mut tx,
            &object_type.id,
            ChangeKind::Deleted,
            id,
            None,
            micros(self.parts.clock.now()),
        )
        .await?;
        self.parts.cached.fence_record(ctx, id, version + 1).await;
        tx.commit().await?;
        self.parts.cached.forget_record(ctx, id, version + 1).await;
        self.parts.nudges.nudge(ctx.tenant()?);
        Ok(())
    }

    pub(super) async fn remove(
        &self,
        tx: &mut Tx,
        object_type: &ObjectType,
        id: Uuid,
        expected: Option<i64>,
    ) -> Result<i64> {
        let removed = store::record::delete(tx, object_type, id, expected).await;
        match removed.map_err(|error| violation::still_referenced(error, &record::name(&object_type.id, id)))? {
            Some(version) => Ok(version),
            None => Err(missing(tx, object_type, id).await?),
        }
    }
}

fn within_plan(ctx: &Ctx, before: u64, more: u64) -> Result<()> {
    let route = ctx.route()?;
    within_limit("records", route.limits.records, &route.plan, before, more)
}

/// What a list asks for.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// 0 = default.
    pub size: i32,
    /// From the last page.
    pub token: String,
    /// AIP-160.
    pub filter: String,
    /// Fields.
    pub order_by: String,
}

/// The record an insert made.
pub(crate) fn made(object_type: &ObjectType, new: &NewRecord, stamp: &Stamp) -> Record {
    Record {
        object_type: object_type.id.clone(),
        id: new.id,
        fields: record::render(object_type, &new.values),
        version: 1,
        create_time: stamp.time,
        update_time: stamp.time,
        creator: stamp.creator.clone(),
    }
}

/// Why a change met no row: another version, or none.
async fn missing(tx: &mut Tx, object_type: &ObjectType, id: Uuid) -> Result<Error> {
    let there = store::record::fetch(tx, object_type, id).await?;
    Ok(if there.is_some() {
        Error::etag_mismatch()
    } else {
        Error::not_found()
    })
}

fn stale_token() -> Error {
    Error::new(
        Reason::InvalidPageToken,
        "The page token is not valid for this request. Start again without a page token.",
    )
}

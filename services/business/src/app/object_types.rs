//! Object types: definition and table change together, in one transaction of the owner.

use super::{
    Parts, events,
    once::{self, Once},
};
use crate::{
    domain::{
        FieldType, ObjectType,
        object_type::{self, Definition, version_of_etag},
    },
    store,
};
use std::time::Duration;
use tenantry_db::{RetryPolicy, SystemTx, retry};
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantId, within_limit};
use uuid::Uuid;

const LIST: &str = "tenantry.business.v1.ObjectTypeService/ListObjectTypes";
/// A lock is waited for two seconds; the whole request has ten.
const DDL_RETRY: RetryPolicy = RetryPolicy {
    attempts: 4,
    base: Duration::from_millis(50),
    max: Duration::from_millis(500),
};

/// The tenant's object types.
#[derive(Clone, Debug)]
pub struct ObjectTypes {
    parts: Parts,
}

impl ObjectTypes {
    /// Over shared parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Adds a type and its table.
    ///
    /// # Errors
    /// Wrong definition, `ALREADY_EXISTS`, `QUOTA_EXCEEDED`.
    pub async fn create(
        &self,
        ctx: &Ctx,
        id: &str,
        definition: &Definition,
        once: Option<&Once>,
    ) -> Result<ObjectType> {
        super::feature::require(ctx, super::feature::CUSTOM_TYPES)?;
        object_type::check_new(id, definition, "object_type")?;
        let (object_type, replayed) = retry("create_object_type", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("create_object_type").await?;
            if let Some(done) = once::replay::<ObjectType>(once, &mut tx, ctx).await? {
                return Ok((done, true));
            }
            let object_type = self.create_in(&mut tx, ctx, id, definition).await?;
            once::finish(once, &mut tx, ctx, &object_type).await?;
            self.parts.cached.fence_object_type(ctx, id, object_type.version).await;
            tx.commit().await?;
            Ok((object_type, false))
        })
        .await?;
        if !replayed {
            self.parts.cached.put_object_type(ctx, &object_type).await;
        }
        Ok(object_type)
    }

    /// The steps of [`ObjectTypes::create`] inside a transaction that does more (an import that makes its type).
    pub(super) async fn create_in(
        &self,
        tx: &mut SystemTx,
        ctx: &Ctx,
        id: &str,
        definition: &Definition,
    ) -> Result<ObjectType> {
        super::feature::require(ctx, super::feature::CUSTOM_TYPES)?;
        let (tenant, route) = (ctx.tenant()?, ctx.route()?);
        store::object_type::lock_for_change(tx, tenant).await?;
        if store::object_type::fetch(tx, tenant, id).await?.is_some() {
            return Err(exists(id));
        }
        let count = store::object_type::count(tx, tenant).await?;
        within_limit(
            "object_types",
            u64::from(route.limits.object_types),
            &route.plan,
            count,
            1,
        )?;
        check_targets(tx, tenant, id, definition).await?;
        let now = crate::domain::value::micros(self.parts.clock.now());
        let object_type = ObjectType {
            id: id.to_owned(),
            key: self.parts.ids.new_v7(),
            // Larger than any version an earlier type of this name had: a cached one must lose.
            version: now.timestamp_micros(),
            definition: definition.clone(),
            create_time: now,
            update_time: now,
        };
        store::object_type::insert(tx, tenant, &object_type).await?;
        events::emit(&self.parts, tx, ctx, events::TYPE_CREATED, object_type.name()).await?;
        Ok(object_type)
    }

    /// One type.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, ctx: &Ctx, id: &str) -> Result<ObjectType> {
        match self.parts.cached.object_type(ctx, id).await {
            Some(object_type) => Ok(object_type),
            None => self.read(ctx, id).await,
        }
    }

    /// One type from the database, whatever the cache says.
    pub(super) async fn read(&self, ctx: &Ctx, id: &str) -> Result<ObjectType> {
        let mut tx = self.parts.store.begin(ctx).await?;
        let found = store::object_type::fetch(&mut tx, ctx.tenant()?, id).await?;
        tx.commit().await?;
        let object_type = found.ok_or_else(Error::not_found)?;
        self.parts.cached.fill_object_type(ctx, &object_type).await;
        Ok(object_type)
    }

    /// Types by id.
    ///
    /// # Errors
    /// `INVALID_PAGE_TOKEN`.
    pub async fn list(&self, ctx: &Ctx, page_size: i32, page_token: &str) -> Result<(Vec<ObjectType>, String)> {
        let limit = tenantry_kernel::page::size(page_size)?;
        let after = self
            .parts
            .open_page(ctx, LIST, [0; 32], page_token)
            .await?
            .unwrap_or_default();
        let after = String::from_utf8(after).map_err(Error::internal)?;
        let mut tx = self.parts.store.begin(ctx).await?;
        let mut page = store::object_type::list(&mut tx, ctx.tenant()?, &after, limit + 1).await?;
        tx.commit().await?;
        let size = usize::try_from(limit).unwrap_or(usize::MAX);
        if page.len() <= size {
            return Ok((page, String::new()));
        }
        page.truncate(size);
        let last = page
            .last()
            .map(|object_type| object_type.id.clone())
            .unwrap_or_default();
        Ok((page, self.parts.seal_page(ctx, LIST, [0; 32], last.as_bytes()).await?))
    }

    /// Changes texts and adds fields. An empty mask means what is set.
    ///
    /// # Errors
    /// Wrong definition, `ETAG_MISMATCH`, `NOT_FOUND`, `FEATURE_NOT_IN_PLAN` for new fields.
    pub async fn update(
        &self,
        ctx: &Ctx,
        id: &str,
        new: &Definition,
        mask: &[String],
        etag: &str,
        once: Option<&Once>,
    ) -> Result<ObjectType> {
        let (expected, mask) = (version_of_etag(etag)?, mask_of(new, mask));
        let tenant = ctx.tenant()?;
        let (object_type, replayed) = retry("update_object_type", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("update_object_type").await?;
            if let Some(done) = once::replay::<ObjectType>(once, &mut tx, ctx).await? {
                return Ok((done, true));
            }
            store::object_type::lock_for_change(&mut tx, tenant).await?;
            let mut object_type = fetch_at(&mut tx, tenant, id, expected).await?;
            let evolution = object_type::evolve(&object_type.definition, new, &mask, "object_type")?;
            if !evolution.added.is_empty() {
                super::feature::require(ctx, super::feature::CUSTOM_TYPES)?;
            }
            let added = Definition {
                fields: evolution.added,
                ..Definition::default()
            };
            check_targets(&mut tx, tenant, id, &added).await?;
            object_type.definition = evolution.definition;
            object_type.version += 1;
            object_type.update_time = crate::domain::value::micros(self.parts.clock.now());
            store::object_type::update(&mut tx, tenant, &object_type, &added.fields).await?;
            events::emit(&self.parts, &mut tx, ctx, events::TYPE_UPDATED, object_type.name()).await?;
            once::finish(once, &mut tx, ctx, &object_type).await?;
            self.parts.cached.fence_object_type(ctx, id, object_type.version).await;
            tx.commit().await?;
            Ok((object_type, false))
        })
        .await?;
        if !replayed {
            self.parts.cached.put_object_type(ctx, &object_type).await;
        }
        Ok(object_type)
    }

    /// Drops a type that was made for an import which came to nothing, unless somebody has used or changed it since: the
    /// same import, corrected, would find its name taken.
    ///
    /// # Errors
    /// As every statement.
    pub async fn take_back(&self, ctx: &Ctx, id: &str, key: Uuid) -> Result<()> {
        let tenant = ctx.tenant()?;
        retry("take_back_object_type", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("take_back_object_type").await?;
            store::object_type::lock_for_change(&mut tx, tenant).await?;
            let found = store::object_type::fetch(&mut tx, tenant, id).await?;
            let Some(found) = found.filter(|found| found.key == key && found.create_time == found.update_time) else {
                return Ok(());
            };
            if refuse_if_referenced(&mut tx, tenant, id).await.is_err() {
                return Ok(());
            }
            store::object_type::lock_table(&mut tx, tenant, id).await?;
            if store::usage::total(&mut tx, tenant, Some(id)).await? > 0 {
                return Ok(());
            }
            store::object_type::delete(&mut tx, tenant, id).await?;
            events::emit(&self.parts, &mut tx, ctx, events::TYPE_DELETED, found.name()).await?;
            self.parts.cached.fence_object_type(ctx, id, found.version + 1).await;
            tx.commit().await?;
            self.parts.cached.forget_object_type(ctx, id, found.version + 1).await;
            Ok(())
        })
        .await
    }

    /// Drops a type with its records.
    ///
    /// # Errors
    /// `STILL_REFERENCED` by other types, `FAILED_PRECONDITION` where it has records and not `force`.
    pub async fn delete(&self, ctx: &Ctx, id: &str, etag: &str, force: bool, once: Option<&Once>) -> Result<()> {
        let expected = version_of_etag(etag)?;
        let tenant = ctx.tenant()?;
        let gone = retry("delete_object_type", DDL_RETRY, || async {
            let mut tx = self.parts.store.begin_ddl("delete_object_type").await?;
            if once::replay::<()>(once, &mut tx, ctx).await?.is_some() {
                return Ok(None);
            }
            store::object_type::lock_for_change(&mut tx, tenant).await?;
            let object_type = fetch_at(&mut tx, tenant, id, expected).await?;
            refuse_if_referenced(&mut tx, tenant, id).await?;
            store::object_type::lock_table(&mut tx, tenant, id).await?;
            let records = store::usage::total(&mut tx, tenant, Some(id)).await?;
            if records > 0 && !force {
                let text = format!("objectTypes/{id} has {records} records. Delete them first, or set force to drop them with the type.");
                return Err(Error::new(Reason::FailedPrecondition, text).meta("records", records.to_string()));
            }
            store::object_type::delete(&mut tx, tenant, id).await?;
            events::emit(&self.parts, &mut tx, ctx, events::TYPE_DELETED, object_type.name()).await?;
            once::finish(once, &mut tx, ctx, &()).await?;
            self.parts.cached.fence_object_type(ctx, id, object_type.version + 1).await;
            tx.commit().await?;
            Ok(Some(object_type.version + 1))
        })
        .await?;
        if let Some(version) = gone {
            self.parts.cached.forget_object_type(ctx, id, version).await;
        }
        Ok(())
    }
}

async fn fetch_at(tx: &mut SystemTx, tenant: TenantId, id: &str, expected: Option<i64>) -> Result<ObjectType> {
    let object_type = store::object_type::fetch(tx, tenant, id)
        .await?
        .ok_or_else(Error::not_found)?;
    match expected {
        Some(version) if version != object_type.version => Err(Error::etag_mismatch()),
        _ => Ok(object_type),
    }
}

/// A reference points to a type that is there, or to the type itself.
async fn check_targets(tx: &mut SystemTx, tenant: TenantId, own: &str, definition: &Definition) -> Result<()> {
    for field in definition
        .fields
        .iter()
        .filter(|field| field.kind == FieldType::Reference && field.reference_type != own)
    {
        if store::object_type::fetch(tx, tenant, &field.reference_type)
            .await?
            .is_none()
        {
            let at = format!("object_type.fields.{}.reference_type", field.id);
            let text = format!("objectTypes/{} does not exist; create it first", field.reference_type);
            return Err(Error::new(Reason::ReferenceNotFound, format!("{at}: {text}")).field(at, text));
        }
    }
    Ok(())
}

async fn refuse_if_referenced(tx: &mut SystemTx, tenant: TenantId, id: &str) -> Result<()> {
    let all = store::object_type::list(tx, tenant, "", 100_000).await?;
    let by: Vec<_> = all
        .iter()
        .filter(|other| other.id != id && other.fields().iter().any(|field| field.reference_type == id))
        .map(ObjectType::name)
        .collect();
    if by.is_empty() {
        return Ok(());
    }
    let by = by.join(", ");
    Err(Error::new(
        Reason::StillReferenced,
        format!("{by} still refer to objectTypes/{id}. Delete them first."),
    )
    .meta("referenced_by", by))
}

fn mask_of<'a>(new: &Definition, mask: &'a [String]) -> Vec<&'a str> {
    if mask.iter().any(|entry| entry == "*") {
        return vec!["display_name", "description", "fields"];
    }
    if !mask.is_empty() {
        return mask.iter().map(String::as_str).collect();
    }
    let set = [
        ("display_name", !new.display_name.is_empty()),
        ("description", !new.description.is_empty()),
        ("fields", !new.fields.is_empty()),
    ];
    set.into_iter()
        .filter(|(_, is_set)| *is_set)
        .map(|(name, _)| name)
        .collect()
}

fn exists(id: &str) -> Error {
    Error::new(
        Reason::AlreadyExists,
        format!("objectTypes/{id} exists already. Choose another name or update it."),
    )
    .field("object_type.name", "is taken")
}

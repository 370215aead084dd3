//! The only place that builds cache keys: definitions of types and records, read through. A record's entry also holds
//! the version of the type it was rendered with; under another definition it counts as a miss.

use crate::domain::{ObjectType, Record};
use serde::{Deserialize, Serialize};
use tenantry_cache::{Cache, Key};
use tenantry_kernel::Ctx;
use uuid::Uuid;

fn type_key(type_id: &str) -> Key {
    Key::new("type", 1, type_id)
}

fn record_key(id: Uuid) -> Key {
    Key::new("record", 1, id.simple().to_string())
}

#[derive(Serialize, Deserialize)]
struct Entry {
    type_key: Uuid,
    type_version: i64,
    record: Record,
}

/// Typed access to this service's cache.
#[derive(Clone)]
pub struct Cached(Cache);

impl Cached {
    /// Over the connection of this process.
    #[must_use]
    pub fn new(cache: Cache) -> Self {
        Self(cache)
    }
    /// A definition.
    pub async fn object_type(&self, ctx: &Ctx, type_id: &str) -> Option<ObjectType> {
        let (_, bytes) = self.0.get(ctx, &type_key(type_id)).await?;
        serde_json::from_slice(&bytes).ok()
    }
    /// Stores a definition that was read.
    pub async fn fill_object_type(&self, ctx: &Ctx, object_type: &ObjectType) {
        if let Ok(bytes) = serde_json::to_vec(object_type) {
            self.0
                .fill(ctx, &type_key(&object_type.id), object_type.version, &bytes)
                .await;
        }
    }
    /// Before the commit of a type change.
    pub async fn fence_object_type(&self, ctx: &Ctx, type_id: &str, next_version: i64) {
        self.0.fence(ctx, &type_key(type_id), next_version).await;
    }
    /// After the commit of a type change.
    pub async fn put_object_type(&self, ctx: &Ctx, object_type: &ObjectType) {
        if let Ok(bytes) = serde_json::to_vec(object_type) {
            self.0
                .put(ctx, &type_key(&object_type.id), object_type.version, &bytes)
                .await;
        }
    }
    /// After the commit of a type's deletion.
    pub async fn forget_object_type(&self, ctx: &Ctx, type_id: &str, version: i64) {
        self.0.forget(ctx, &type_key(type_id), version).await;
    }
    /// A record, with the definition it was rendered with: `(type key, type version, record)`.
    pub async fn record(&self, ctx: &Ctx, id: Uuid) -> Option<(Uuid, i64, Record)> {
        let (_, bytes) = self.0.get(ctx, &record_key(id)).await?;
        let entry: Entry = serde_json::from_slice(&bytes).ok()?;
        Some((entry.type_key, entry.type_version, entry.record))
    }
    /// Stores a record that was read.
    pub async fn fill_record(&self, ctx: &Ctx, object_type: &ObjectType, record: &Record) {
        if let Some(bytes) = entry(object_type, record) {
            self.0.fill(ctx, &record_key(record.id), record.version, &bytes).await;
        }
    }
    /// Before the commit of a record's change.
    pub async fn fence_record(&self, ctx: &Ctx, id: Uuid, next_version: i64) {
        self.0.fence(ctx, &record_key(id), next_version).await;
    }
    /// After the commit of a record's change.
    pub async fn put_record(&self, ctx: &Ctx, object_type: &ObjectType, record: &Record) {
        if let Some(bytes) = entry(object_type, record) {
            self.0.put(ctx, &record_key(record.id), record.version, &bytes).await;
        }
    }
    /// After the commit of a record's deletion.
    pub async fn forget_record(&self, ctx: &Ctx, id: Uuid, version: i64) {
        self.0.forget(ctx, &record_key(id), version).await;
    }
}

impl std::fmt::Debug for Cached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cached(..)")
    }
}

fn entry(object_type: &ObjectType, record: &Record) -> Option<Vec<u8>> {
    serde_json::to_vec(&Entry {
        type_key: object_type.key,
        type_version: object_type.version,
        record: record.clone(),
    })
    .ok()
}

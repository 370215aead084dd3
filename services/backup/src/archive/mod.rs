//! Objects: a directory or an S3 bucket, written once and never changed. What is in them is in `writer` and `reader`.
//!
//! It must never overwrite an object, and never hold a whole snapshot in memory.

pub mod reader;
pub mod verify;
pub mod writer;

use crate::domain::segment;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Error as StoreError, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
    aws::{AmazonS3Builder, AmazonS3ConfigKey},
    local::LocalFileSystem,
    path::Path,
    prefix::PrefixStore,
};
use std::{collections::HashMap, io, path::PathBuf, sync::Arc};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use uuid::Uuid;

/// Largest manifest that is read: some 100,000 segments.
const MOST_MANIFEST: u64 = 64 * 1024 * 1024;

/// How an S3 store is reached.
#[derive(Clone, Debug, Default)]
pub struct S3 {
    /// `http(s)://host:port`; empty = the provider's own of the region.
    pub endpoint: String,
    /// Region.
    pub region: String,
    /// Key id; empty = from the machine's role.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
}

/// Where objects are.
#[derive(Clone)]
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    /// Where the objects are files: a put that was cut off leaves one there that is no object.
    directory: Option<PathBuf>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Archive({})", self.store)
    }
}

impl Archive {
    /// Opens `file:///directory` (made if it is missing) or `s3://bucket/prefix`.
    ///
    /// # Errors
    /// Where the URL or a setting cannot be used. The bucket is not asked yet.
    pub fn open(url: &str, s3: &S3) -> anyhow::Result<Self> {
        if let Some(directory) = url.strip_prefix("file://") {
            anyhow::ensure!(
                directory.starts_with('/'),
                "store.url: file:// needs an absolute directory"
            );
            std::fs::create_dir_all(directory)?;
            // A snapshot is ready only when a loss of power cannot take it back.
            let store = LocalFileSystem::new_with_prefix(directory)?
                .with_fsync(true)
                // The folder of a snapshot goes with its last object.
                .with_automatic_cleanup(true);
            return Ok(Self {
                store: Arc::new(store),
                directory: Some(PathBuf::from(directory)),
            });
        }
        let rest = url
            .strip_prefix("s3://")
            .ok_or_else(|| anyhow::anyhow!("store.url must be file:///directory or s3://bucket/prefix"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        // What the provider put into the environment (AWS_*: a web identity, a container's role) comes first.
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
        if !s3.region.is_empty() || builder.get_config_value(&AmazonS3ConfigKey::Region).is_none() {
            builder = builder.with_region(if s3.region.is_empty() { "us-east-1" } else { &s3.region });
        }
        if !s3.endpoint.is_empty() {
            builder = builder
                .with_endpoint(&s3.endpoint)
                .with_allow_http(s3.endpoint.starts_with("http://"));
        }
        if !s3.access_key_id.is_empty() {
            builder = builder
                .with_access_key_id(&s3.access_key_id)
                .with_secret_access_key(&s3.secret_access_key);
        }
        let store = PrefixStore::new(builder.build()?, prefix);
        Ok(Self {
            store: Arc::new(store),
            directory: None,
        })
    }
    /// Writes an object that must not exist yet.
    ///
    /// # Errors
    /// `CONFLICT` where it exists, `UNAVAILABLE` while the store is away.
    pub async fn create(&self, key: &str, payload: PutPayload) -> Result<()> {
        let options = PutOptions::from(PutMode::Create);
        match self.store.put_opts(&Path::from(key), payload, options).await {
            Ok(_) => Ok(()),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => Err(Error::new(
                Reason::Conflict,
                "An object of the snapshot exists already. The step starts again.",
            )
            .because(format!("{key} exists"))),
            Err(other) => Err(Error::unavailable(other)),
        }
    }
    /// A whole small object; `None` where there is none.
    ///
    /// # Errors
    /// `UNAVAILABLE`; `SNAPSHOT_CORRUPT` for one that is too large to be a manifest.
    pub async fn read(&self, key: &str) -> Result<Option<Bytes>> {
        let found = match self.store.get(&Path::from(key)).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(other) => return Err(Error::unavailable(other)),
        };
        if found.meta.size > MOST_MANIFEST {
            return Err(corrupt(key, "is too large to be a manifest"));
        }
        found.bytes().await.map(Some).map_err(Error::unavailable)
    }
    /// An object piece by piece; `None` where there is none.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn stream(&self, key: &str) -> Result<Option<BoxStream<'static, Result<Bytes>>>> {
        match self.store.get(&Path::from(key)).await {
            Ok(found) => Ok(Some(found.into_stream().map_err(Error::unavailable).boxed())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(other) => Err(Error::unavailable(other)),
        }
    }
    /// Objects below a folder with their lengths.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn list(&self, folder: &str) -> Result<HashMap<String, u64>> {
        let listed = self.store.list(Some(&Path::from(folder)));
        let entry = |meta: object_store::ObjectMeta| (meta.location.to_string(), meta.size);
        listed.map_ok(entry).try_collect().await.map_err(Error::unavailable)
    }
    /// Removes a snapshot: its manifest first, so that what is left can never be taken for a snapshot.
    ///
    /// # Errors
    /// `UNAVAILABLE`; repeat it then.
    pub async fn remove(&self, tenant: TenantId, snapshot: Uuid) -> Result<()> {
        self.delete(&segment::manifest_key(tenant, snapshot)).await?;
        self.remove_folder(&segment::folder(tenant, snapshot)).await
    }
    /// Removes segments that tries before `by` have left of a snapshot that never came to be. Those of later tries stay: it
    /// may be us who were taken for dead.
    ///
    /// # Errors
    /// As [`Archive::remove`].
    pub async fn remove_earlier(&self, tenant: TenantId, snapshot: Uuid, by: Uuid) -> Result<()> {
        let manifest = segment::manifest_key(tenant, snapshot);
        let listed = self.list(&segment::folder(tenant, snapshot)).await?;
        for key in listed.into_keys().filter(|key| *key != manifest) {
            if segment::try_of(&key).is_none_or(|earlier| earlier < by) {
                self.delete(&key).await?;
            }
        }
        Ok(())
    }
    /// Removes everything of a tenant.
    ///
    /// # Errors
    /// As [`Archive::remove`].
    pub async fn remove_tenant(&self, tenant: TenantId) -> Result<()> {
        self.remove_folder(&segment::tenant_folder(tenant)).await
    }

    async fn remove_folder(&self, folder: &str) -> Result<()> {
        for key in self.list(folder).await?.into_keys() {
            self.delete(&key).await?;
        }
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        match tokio::fs::remove_dir_all(directory.join(folder)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::unavailable(error)),
            _ => Ok(()),
        }
    }

    /// Removes one object, if it is there.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn delete(&self, key: &str) -> Result<()> {
        match self.store.delete(&Path::from(key)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(other) => Err(Error::unavailable(other)),
        }
    }
}

/// The failure that names an object.
#[must_use]
pub fn corrupt(key: &str, what: &str) -> Error {
    Error::new(
        Reason::SnapshotCorrupt,
        format!("The object {key} {what}. The snapshot cannot be restored."),
    )
    .meta("object", key)
}

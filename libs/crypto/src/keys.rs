//! Tenant keys as services use them: ask for a [`Sealer`] by tenant and purpose, unwrapped keys are cached briefly.

use crate::{DataKey, Sealer};
use moka::future::Cache;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tenantry_kernel::{BoxFuture, Error, Result, TenantId};

/// What a tenant key is for. Each purpose has keys and versions of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Archives.
    Backup,
    /// Values in Redis.
    Cache,
    /// Page tokens.
    PageToken,
    /// Encrypted fields of records.
    Field,
    /// Stored files.
    File,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: [Self; 5] = [Self::Backup, Self::Cache, Self::PageToken, Self::Field, Self::File];
    /// The wire and column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Cache => "cache",
            Self::PageToken => "page_token",
            Self::Field => "field",
            Self::File => "file",
        }
    }
    /// Parses the wire text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text)
    }
}

/// Gives sealers. What services hold as `Arc<dyn TenantKeys>`.
pub trait TenantKeys: Send + Sync + 'static {
    /// The sealer of a key version; `None` is the current version, for sealing.
    ///
    /// # Errors
    /// `NOT_FOUND` where there is no such key (also after a tenant's keys were destroyed), `UNAVAILABLE` while auth is away.
    fn sealer(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>>;
}

/// Where unwrapped keys come from: auth's KeyService, or auth's own table inside auth.
pub trait KeySource: Send + Sync + 'static {
    /// The key and its version; `None` asks for the current version.
    ///
    /// # Errors
    /// As [`TenantKeys::sealer`].
    fn fetch(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<(u32, DataKey)>>;
}

const CAPACITY: u64 = 20_000;
const LIFETIME: Duration = Duration::from_secs(300);

type Id = (TenantId, Purpose, Option<u32>);

/// A bounded cache over a [`KeySource`]: at most 20,000 sealers for at most five minutes, one fetch at a time per key.
/// Dropped sealers zeroize their key. Errors are not cached.
pub struct CachedKeys<S> {
    source: S,
    sealers: Cache<Id, Arc<Sealer>>,
    forgets: AtomicU64,
}

impl<S: KeySource> CachedKeys<S> {
    /// Wraps a source.
    #[must_use]
    pub fn new(source: S) -> Self {
        let sealers = Cache::builder()
            .max_capacity(CAPACITY)
            .time_to_live(LIFETIME)
            .support_invalidation_closures()
            .build();
        Self {
            source,
            sealers,
            forgets: AtomicU64::new(0),
        }
    }
    /// Drops a tenant's keys (rotation, suspension, deletion): the next use fetches again.
    pub fn forget(&self, tenant: TenantId) {
        self.forgets.fetch_add(1, Ordering::SeqCst);
        self.sealers
            .invalidate_entries_if(move |(owner, ..), _| *owner == tenant)
            .expect("invalidation closures are enabled where the cache is built");
    }
    /// Drops one key at its current version, for instance after a rotation of one purpose.
    pub async fn forget_current(&self, tenant: TenantId, purpose: Purpose) {
        self.forgets.fetch_add(1, Ordering::SeqCst);
        self.sealers.invalidate(&(tenant, purpose, None)).await;
    }

    async fn get(&self, id: Id) -> Result<Arc<Sealer>> {
        let before = self.forgets.load(Ordering::SeqCst);
        let (tenant, purpose, version) = id;
        let fetch = async {
            let (actual, key) = self.source.fetch(tenant, purpose, version).await?;
            let sealer = Arc::new(Sealer::new(key, actual));
            if version.is_none() {
                // What is sealed now will be opened by its version.
                self.sealers
                    .insert((tenant, purpose, Some(actual)), sealer.clone())
                    .await;
            }
            Ok::<_, Error>(sealer)
        };
        let sealer = self.sealers.try_get_with(id, fetch).await.map_err(shared)?;
        // A fetch that began before a `forget` may have stored what was to be forgotten: don't keep it.
        if self.forgets.load(Ordering::SeqCst) != before {
            self.sealers.invalidate(&id).await;
            self.sealers
                .invalidate(&(tenant, purpose, Some(sealer.key_version())))
                .await;
        }
        Ok(sealer)
    }
}

impl<S: KeySource> TenantKeys for CachedKeys<S> {
    fn sealer(&self, tenant: TenantId, purpose: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>> {
        Box::pin(self.get((tenant, purpose, version)))
    }
}

/// All waiters of one fetch share its error; each gets one of the same reason.
fn shared(error: Arc<Error>) -> Error {
    let mut copy = Error::new(error.reason(), error.public().to_owned());
    if let Some(delay) = error.retry_delay() {
        copy = copy.retry_after(delay);
    }
    copy.because(error)
}

#[cfg(test)]
#[path = "keys_test.rs"]
mod tests;

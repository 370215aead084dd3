//! The cache: sealed values in Redis, per tenant, with row versions. The only crate that knows Redis.
//!
//! It is never the truth and never an error: Redis away means slower and counted. A value opens only under the key it
//! was stored under, in the tenant it was stored for.
//!
//! # How a writer and readers stay apart
//! A writer calls [`Cache::fence`] inside its transaction before COMMIT, [`Cache::put`] or [`Cache::forget`] after it. A
//! reader calls [`Cache::get`] and after a miss [`Cache::fill`] with the row version it read. Every store is one Lua
//! script that refuses to replace a larger version, so:
//! - *Old fill after new commit.* The reader read version v, the writer committed v+1. The fence or the put left v+1 in
//!   Redis, so the fill of v loses.
//! - *Writer killed between commit and put.* The fence had replaced the old value before the commit. Readers miss, read
//!   v+1 and fill it (equal to the fence: accepted).
//! - *Writer rolled back.* Fills of v lose until the fence expires (10 s): slower, never stale. Because v+1 may then be
//!   used by another writer, `put` must follow only a commit that is known to have happened.
//! - *Redis away while fencing.* The write goes on. This process refuses to read that key or to fill it with an older
//!   version, and repeats the fence every second until it holds or every value stored before has expired. Other
//!   processes that still reach Redis can read the old value until the repeated fence holds, at most 66 s (the longest
//!   life of a value). This is the one window in which a committed change is not yet seen by everybody.
//! - *Markers lost* (Redis restarted or evicted a fence) or *a reader that takes more than 10 s from its read to its
//!   fill* beside a killed writer: an old fill can win, for at most 66 s. A fill after the request's deadline is dropped.
//!
//! Where staleness decides about access, don't cache: ask the revocation state.

mod link;
mod stored;
mod unfenced;

use link::Link;
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use stored::{Header, Tag};
use tenantry_crypto::{Purpose, Sealer, TenantKeys};
use tenantry_kernel::{
    Ctx, TenantId,
    probe::{self, Counter},
};
use unfenced::Unfenced;

/// How long a fence holds: longer than a transaction may take from its fence to its commit.
const FENCE: Duration = Duration::from_secs(10);
/// Larger values are not worth a cache.
const MAX_VALUE: usize = 512 * 1024;
const REPAIR_EVERY: Duration = Duration::from_secs(1);

/// What is cached: one kind of value, in one format version, of the tenant of the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// One value type: `record`, `user`.
    pub kind: &'static str,
    /// Raise it when the bytes of this kind change their meaning.
    pub version: u32,
    /// Which one. Never a credential.
    pub id: String,
}

impl Key {
    /// Names a value.
    pub fn new(kind: &'static str, version: u32, id: impl Into<String>) -> Self {
        Self {
            kind,
            version,
            id: id.into(),
        }
    }
    /// `<svc>:{<tenant>}:<kind>:<version>:<id>`. The braces are literal: one Redis Cluster slot per tenant.
    fn full(&self, service: &str, tenant: TenantId) -> String {
        format!("{service}:{{{tenant}}}:{}:{}:{}", self.kind, self.version, self.id)
    }
}

/// The cache of one service. Cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    service: &'static str,
    keys: Arc<dyn TenantKeys>,
    link: Option<Link>,
    unfenced: Unfenced,
    reads: Reads,
}

/// Reads by outcome, for metrics.
struct Reads {
    hit: Counter,
    miss: Counter,
    error: Counter,
}

impl Reads {
    fn new() -> Self {
        let of = |outcome| {
            let help = "Reads of the cache, by outcome";
            probe::counter("tenantry_cache_reads_total", help, &[("outcome", outcome)])
        };
        Self {
            hit: of("hit"),
            miss: of("miss"),
            error: of("error"),
        }
    }
}

/// What a call needs: the tenant and the full key.
struct Place {
    tenant: TenantId,
    full: String,
}

impl Cache {
    /// Never fails and opens nothing yet. `None`, or a URL that is not one, means: no cache, every `get` is a miss.
    #[must_use]
    pub fn connect(url: Option<&str>, service: &'static str, keys: Arc<dyn TenantKeys>) -> Self {
        Self::connect_within(url, service, keys, link::LIMIT)
    }

    /// [`Cache::connect`] with another time limit for a command than 100 ms (tests on a busy machine).
    #[must_use]
    pub fn connect_within(
        url: Option<&str>,
        service: &'static str,
        keys: Arc<dyn TenantKeys>,
        limit: Duration,
    ) -> Self {
        let link = url.and_then(|url| Link::new(url, limit));
        Self(Arc::new(Inner {
            service,
            keys,
            link,
            unfenced: Unfenced::default(),
            reads: Reads::new(),
        }))
    }

    /// The stored value and its row version. Counts a hit, miss or error in the call's tally.
    pub async fn get(&self, ctx: &Ctx, key: &Key) -> Option<(i64, Vec<u8>)> {
        let (link, place) = self.place(ctx, key)?;
        let found = if self.0.unfenced.blocks_read(&place.full) {
            Err(())
        } else {
            self.read(link, &place).await
        };
        match found {
            Ok(Some(hit)) => {
                ctx.tally().cache_hit();
                self.0.reads.hit.one();
                Some(hit)
            }
            Ok(None) => {
                ctx.tally().cache_miss();
                self.0.reads.miss.one();
                None
            }
            Err(()) => {
                ctx.tally().cache_error();
                self.0.reads.error.one();
                None
            }
        }
    }

    /// Stores what was read from the database, unless something newer is known. A fill that loses is not an error.
    pub async fn fill(&self, ctx: &Ctx, key: &Key, row_version: i64, value: &[u8]) {
        if value.len() > MAX_VALUE || ctx.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            return;
        }
        self.store(ctx, key, Tag::Value, row_version, value).await;
    }

    /// Before COMMIT: removes the old value and blocks fills of versions below `next_version` for 10 s. The write goes on
    /// even where Redis is away; see the crate's documentation for what holds then.
    pub async fn fence(&self, ctx: &Ctx, key: &Key, next_version: i64) {
        let Some((link, place)) = self.place(ctx, key) else {
            return;
        };
        let header = Header {
            tag: Tag::Fence,
            row_version: next_version,
        };
        if stored::store(link, &place.full, header, &[], FENCE).await.is_none() {
            ctx.tally().cache_error();
            if self.0.unfenced.add(place.full, next_version) {
                tokio::spawn(repair(Arc::downgrade(&self.0)));
            }
        }
    }

    /// After a COMMIT that is known to have happened: stores the new value.
    pub async fn put(&self, ctx: &Ctx, key: &Key, row_version: i64, value: &[u8]) {
        if value.len() > MAX_VALUE {
            return self.forget(ctx, key, row_version).await;
        }
        self.store(ctx, key, Tag::Value, row_version, value).await;
    }

    /// After the COMMIT of a deletion (or where the new value is not at hand): leaves only the version, so that an old
    /// fill loses. `row_version` is the version the change made.
    pub async fn forget(&self, ctx: &Ctx, key: &Key, row_version: i64) {
        self.store(ctx, key, Tag::Gone, row_version, &[]).await;
    }

    fn place(&self, ctx: &Ctx, key: &Key) -> Option<(&Link, Place)> {
        let (Some(link), Some(tenant)) = (&self.0.link, ctx.tenant_opt()) else {
            ctx.tally().cache_miss();
            return None;
        };
        Some((
            link,
            Place {
                tenant,
                full: key.full(self.0.service, tenant),
            },
        ))
    }

    async fn read(&self, link: &Link, place: &Place) -> Result<Option<(i64, Vec<u8>)>, ()> {
        let Some(bytes) = stored::read(link, &place.full).await? else {
            return Ok(None);
        };
        let (header, sealed) = Header::split(&bytes).ok_or(())?;
        if header.tag != Tag::Value {
            return Ok(None);
        }
        let version = Sealer::version_of(sealed).map_err(drop)?;
        let sealer = self
            .0
            .keys
            .sealer(place.tenant, Purpose::Cache, Some(version))
            .await
            .map_err(drop)?;
        let value = sealer.open(&aad(place, header), sealed).map_err(|_| {
            tracing::warn!(tenant = %place.tenant, "a cached value did not open; it is ignored");
        })?;
        Ok(Some((header.row_version, value)))
    }

    async fn store(&self, ctx: &Ctx, key: &Key, tag: Tag, row_version: i64, value: &[u8]) {
        let Some((link, place)) = self.place(ctx, key) else {
            return;
        };
        if self.0.unfenced.blocks_store(&place.full, row_version) {
            return;
        }
        let header = Header { tag, row_version };
        match self.seal_and_store(link, &place, header, value).await {
            // Stored, or refused because something newer is there: either way nothing older is left.
            Some(_) => self.0.unfenced.settle(&place.full, row_version),
            None => ctx.tally().cache_error(),
        }
    }

    async fn seal_and_store(&self, link: &Link, place: &Place, header: Header, value: &[u8]) -> Option<bool> {
        let payload = match header.tag {
            Tag::Value => {
                let sealer = self.0.keys.sealer(place.tenant, Purpose::Cache, None).await.ok()?;
                sealer.seal(&aad(place, header), value)
            }
            Tag::Fence | Tag::Gone => Vec::new(),
        };
        stored::store(link, &place.full, header, &payload, stored::lifetime()).await
    }
}

/// The full key and the header: a value moved to another key, or given another version, does not open.
fn aad(place: &Place, header: Header) -> Vec<u8> {
    [header.bytes().as_slice(), place.full.as_bytes()].concat()
}

/// Repeats fences that did not reach Redis. One task a process; it ends when nothing is left or the cache is dropped.
async fn repair(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(REPAIR_EVERY).await;
        let Some(inner) = inner.upgrade() else { return };
        let Some(link) = &inner.link else { return };
        for (full, row_version) in inner.unfenced.open() {
            let header = Header {
                tag: Tag::Fence,
                row_version,
            };
            if stored::store(link, &full, header, &[], FENCE).await.is_none() {
                break;
            }
            inner.unfenced.settle(&full, row_version);
        }
        if inner.unfenced.finish_if_empty() {
            return;
        }
    }
}

//! Tenant-bound access. A backend keeps memory for every table it ever touched, so a tenant always meets the same few
//! backends (data plane, section 3).

use crate::{
    PoolSettings, Tx,
    conn::{Conn, RowMeter},
    context,
    pool::Pool,
    query,
};
use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};
use tenantry_kernel::{Ctx, DbContext, Error, Result, TenantId};

/// Pools without an explicit number of shards.
const DEFAULT_SHARDS: usize = 4;
const LIFETIME: Duration = Duration::from_secs(600);
/// Injected SQL of the tenant before may have left settings, named statements and cursors in this session. Forgetting
/// them rides in the round trip of BEGIN and costs microseconds, unlike DISCARD ALL, which also empties caches. RESET
/// stands first and takes no snapshot, so that the isolation level can still be said; a rollback brings the settings
/// back, and the next BEGIN forgets them again.
const CLEAN_BEGIN: &str =
    "RESET ALL; BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *";
/// As [`CLEAN_BEGIN`] for a snapshot. Everything behind LOCK TABLE freezes the snapshot, so the locks stand first.
const SNAPSHOT_BEGIN: &str = "RESET ALL; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const SNAPSHOT_CLEAN: &str = "DEALLOCATE ALL; CLOSE ALL; UNLISTEN *";
/// No statement of a request runs longer, whatever the deadline says.
const STATEMENT_LIMIT: Duration = Duration::from_secs(30);

/// Access to tenant rows, only by signed context.
#[derive(Clone)]
pub struct TenantDb {
    pools: Arc<[Pool]>,
    meter: Option<RowMeter>,
}

impl TenantDb {
    /// Makes `shards` pools (0 = four) that share `max_connections`. Connects when first used, so that
    /// a service starts while PostgreSQL is down.
    ///
    /// # Errors
    /// Where the URL cannot be parsed.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the caller has no use for a password after this"
    )]
    pub fn connect(settings: PoolSettings, shards: usize) -> Result<Self> {
        let shards = if shards == 0 { DEFAULT_SHARDS } else { shards };
        let shards = shards.min(settings.max_connections.max(1) as usize);
        let width = settings.max_connections.div_ceil(u32::try_from(shards).unwrap_or(1));
        let pools = (0..shards)
            // Not all pools renew their connections in the same minute.
            .map(|shard| LIFETIME.mul_f64(1.0 - 0.4 * shard as f64 / shards as f64))
            .map(|lifetime| Pool::lazy(&settings, width, lifetime, CLEAN_BEGIN, |options| options))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            pools: pools.into(),
            meter: None,
        })
    }

    /// Tells `meter` of every row that statements of tenants return or change: requests, streams and jobs alike.
    #[must_use]
    pub fn metered(mut self, meter: RowMeter) -> Self {
        self.meter = Some(meter);
        self
    }

    /// Opens a transaction bound to the call's tenant.
    ///
    /// # Errors
    /// `UNAVAILABLE`, `OVERLOADED`, `DEADLINE_EXCEEDED`; `INTERNAL` where the call carries no signed context or one
    /// of another tenant.
    pub async fn begin(&self, ctx: &Ctx) -> Result<Tx> {
        let (tenant, token) = bound(ctx)?;
        let pool = self.pool(tenant);
        let conn = pool.begin(ctx.deadline()).await?;
        let mut conn = Conn::new(conn, ctx.deadline(), Arc::clone(ctx.tally()), pool.mark.request(ctx));
        let left = ctx.deadline().map_or(STATEMENT_LIMIT, |at| {
            at.saturating_duration_since(Instant::now()).min(STATEMENT_LIMIT)
        });
        // Bound, never inlined: pg_stat_activity shows another session's statement text to the same login.
        let bind = query("SELECT pg_catalog.set_config('tenancy.ctx', $1, true), pg_catalog.set_config('statement_timeout', $2, true)")
            .bind(token.expose())
            .bind(left.as_millis().max(1).to_string());
        conn.plumbing(bind).await?;
        let conn = conn.metered(tenant, self.meter.clone());
        Ok(Tx { conn, tenant })
    }

    /// Opens a read-only transaction bound to the call's tenant that shows one moment, for everything a tenant has.
    /// `relations` are locked against DDL before that moment, so that no table in it can be dropped or rewritten. Text
    /// forms of values are pinned. No statement in it, and no pause in it, may take longer than `limit`.
    ///
    /// # Errors
    /// As [`TenantDb::begin`].
    pub async fn begin_snapshot(&self, ctx: &Ctx, relations: &[String], limit: Duration) -> Result<Tx> {
        let (tenant, token) = bound(ctx)?;
        let lock = if relations.is_empty() {
            String::new()
        } else {
            format!("LOCK TABLE {} IN ACCESS SHARE MODE; ", relations.join(", "))
        };
        let begin = format!("{SNAPSHOT_BEGIN}; {lock}{SNAPSHOT_CLEAN}");
        let pool = self.pool(tenant);
        let conn = pool.begin_with(ctx.deadline(), &begin).await?;
        let mut conn = Conn::new(conn, ctx.deadline(), Arc::clone(ctx.tally()), pool.mark.request(ctx));
        let bind = query(
            "SELECT pg_catalog.set_config('tenancy.ctx', $1, true), pg_catalog.set_config('statement_timeout', $2, true), \
             pg_catalog.set_config('idle_in_transaction_session_timeout', $2, true), pg_catalog.set_config('DateStyle', 'ISO, YMD', true), \
             pg_catalog.set_config('TimeZone', 'UTC', true), pg_catalog.set_config('extra_float_digits', '3', true), \
             pg_catalog.set_config('bytea_output', 'hex', true)",
        )
        .bind(token.expose())
        .bind(limit.as_millis().to_string());
        conn.plumbing(bind).await?;
        Ok(Tx { conn, tenant })
    }

    /// Open and idle connections over all pools, for metrics.
    #[must_use]
    pub fn usage(&self) -> (u32, usize) {
        self.pools
            .iter()
            .map(Pool::usage)
            .fold((0, 0), |(size, idle), (s, i)| (size + s, idle + i))
    }

    /// Closes the pools; waits for transactions that are still open.
    pub async fn close(&self) {
        for pool in self.pools.iter() {
            pool.close().await;
        }
    }

    fn pool(&self, tenant: TenantId) -> &Pool {
        &self.pools[shard(tenant, self.pools.len())]
    }
}

impl fmt::Debug for TenantDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TenantDb({} pools)", self.pools.len())
    }
}

/// The call's tenant and its signed context, which must agree.
fn bound(ctx: &Ctx) -> Result<(TenantId, &DbContext)> {
    let tenant = ctx.tenant()?;
    let token = ctx
        .db()
        .ok_or_else(|| Error::internal("the call carries no signed database context"))?;
    if context::tenant_of(token) != Some(tenant) {
        return Err(Error::internal(
            "the signed database context names another tenant than the route",
        ));
    }
    Ok((tenant, token))
}

/// Rendezvous hashing: another number of shards moves only the tenants it must.
fn shard(tenant: TenantId, shards: usize) -> usize {
    let (high, low) = tenant.uuid().as_u64_pair();
    (0..shards)
        .max_by_key(|shard| mix(mix(high ^ *shard as u64) ^ low))
        .unwrap_or(0)
}

/// The finalizer of splitmix64: every input bit reaches every output bit.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn tenants_spread_over_the_shards_and_stay_where_they_are() {
        let tenants: Vec<_> = (0..4000_u128)
            .map(|n| TenantId::from_uuid(Uuid::from_u128(n << 64 | n)))
            .collect();
        let mut count = [0_usize; 4];
        for tenant in &tenants {
            count[shard(*tenant, 4)] += 1;
        }
        assert!(count.iter().all(|n| (850..1150).contains(n)), "{count:?}");
        let moved = tenants
            .iter()
            .filter(|tenant| shard(**tenant, 4) != shard(**tenant, 5))
            .count();
        assert!(moved < 1000, "{moved} of 4000 moved");
    }
}

//! Deletes what is long over, in batches. The login's policies show it nothing else of a tenant.

use tenantry_db::{SystemDb, idempotency, inbox, query};
use tenantry_kernel::Result;

const BATCH: i64 = 1_000;
/// Sagas are resent for days at most.
const INBOX_SECONDS: u32 = 40 * 24 * 3600;

/// Tables and the rows to go; policies repeat the rule, so that this SQL cannot delete more than they allow.
const RULES: &[(&str, &str)] = &[
    ("refresh_tokens", "expire_time < pg_catalog.now() - interval '1 day'"),
    ("sessions", "expire_time < pg_catalog.now() - interval '7 days'"),
    ("one_time_links", "expire_time < pg_catalog.now() - interval '1 day'"),
    ("api_keys", "expire_time < pg_catalog.now() - interval '30 days'"),
    ("login_throttle", "window_start < pg_catalog.now() - interval '2 days'"),
    (
        "security_events",
        "create_time < pg_catalog.now() - interval '400 days'",
    ),
    ("revocations", "create_time < pg_catalog.now() - interval '1 hour'"),
];

/// One round: at most one batch per table; how many rows went. More than a batch is left for the next round.
pub async fn sweep(system: &SystemDb) -> Result<u64> {
    let mut gone = 0;
    for (table, rule) in RULES {
        let mut tx = system.begin("janitor").await?;
        let sql = format!(
            "DELETE FROM auth.{table} WHERE ctid IN (SELECT ctid FROM auth.{table} WHERE {rule} LIMIT {BATCH})"
        );
        gone += tx.execute(query(sql)).await?;
        tx.commit().await?;
    }
    let mut tx = system.begin("janitor").await?;
    gone += idempotency::purge(&mut tx, super::SCHEMA).await?;
    gone += inbox::purge(&mut tx, super::SCHEMA, INBOX_SECONDS).await?;
    tx.commit().await?;
    Ok(gone)
}

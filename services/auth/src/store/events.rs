//! Security events: who did what to accounts, for the audit of a tenant.

use chrono::{DateTime, Utc};
use serde_json::Value;
use tenantry_db::{Tx, query};
use tenantry_kernel::{Ctx, Result};
use uuid::Uuid;

/// Adds one, in the transaction of what it tells about. Never a secret in `detail`.
pub async fn event_insert(
    tx: &mut Tx,
    ctx: &Ctx,
    id: Uuid,
    kind: &str,
    subject: &str,
    detail: Value,
    now: DateTime<Utc>,
) -> Result<()> {
    let sql = "INSERT INTO auth.security_events (tenant_id, id, type, actor, subject, detail, request_id, create_time) \
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let insert = query(sql)
        .bind(tx.tenant().uuid())
        .bind(id)
        .bind(kind)
        .bind(ctx.principal().name())
        .bind(subject)
        .bind(detail)
        .bind(ctx.request_id().as_str())
        .bind(now);
    tx.execute(insert).await.map(|_| ())
}

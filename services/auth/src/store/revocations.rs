//! Revocations: written in the transaction of their effect, read by the feed in commit order.

use super::get;
use crate::domain::{Revocation, Subject};
use chrono::{DateTime, Utc};
use tenantry_db::{PgRow, SystemTx, Tx, query};
use tenantry_kernel::{Error, Result, TenantId};

/// Adds several.
pub async fn revocation_insert(tx: &mut Tx, rows: &[(Subject, DateTime<Utc>)]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let (kinds, ids): (Vec<&str>, Vec<Option<uuid::Uuid>>) = rows.iter().map(|(subject, _)| subject.parts()).unzip();
    let times: Vec<DateTime<Utc>> = rows.iter().map(|(_, not_before)| *not_before).collect();
    let sql = "INSERT INTO auth.revocations (tenant_id, kind, subject, not_before) SELECT $1, k, s, n FROM \
               ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::uuid[]), pg_catalog.unnest($4::timestamptz[])) AS t(k, s, n)";
    tx.execute(query(sql).bind(tx.tenant().uuid()).bind(kinds).bind(ids).bind(times))
        .await
        .map(|_| ())
}

/// Where a reader stands: every transaction below this id was over when it last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(String);

/// The revocations of the last five minutes, and where to go on.
pub async fn revocation_snapshot(tx: &mut SystemTx) -> Result<(Vec<Revocation>, Cursor)> {
    let cursor = cursor(tx).await?;
    let sql = "SELECT seq, tenant_id, kind, subject, not_before FROM auth.revocations WHERE create_time > pg_catalog.now() - interval '5 minutes' ORDER BY seq";
    Ok((decode_all(&tx.fetch_all(query(sql)).await?)?, cursor))
}

/// What transactions at or above the cursor wrote, and where to go on. Rows between the two cursors come again.
pub async fn revocation_since(tx: &mut SystemTx, since: &Cursor) -> Result<(Vec<Revocation>, Cursor)> {
    let cursor = cursor(tx).await?;
    let sql = "SELECT seq, tenant_id, kind, subject, not_before FROM auth.revocations WHERE xid >= $1::text::xid8 ORDER BY seq";
    Ok((decode_all(&tx.fetch_all(query(sql).bind(&since.0)).await?)?, cursor))
}

/// Taken before the rows are read: what commits in between is read now and once more next time, never missed.
async fn cursor(tx: &mut SystemTx) -> Result<Cursor> {
    let sql = "SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text AS xmin";
    Ok(Cursor(get(&tx.fetch_one(query(sql)).await?, "xmin")?))
}

fn decode_all(rows: &[PgRow]) -> Result<Vec<Revocation>> {
    let decode = |row: &PgRow| {
        let kind: String = get(row, "kind")?;
        let subject = Subject::parse(&kind, get(row, "subject")?)
            .ok_or_else(|| Error::internal("a revocation has no subject"))?;
        Ok(Revocation {
            seq: get(row, "seq")?,
            tenant: TenantId::from_uuid(get(row, "tenant_id")?),
            subject,
            not_before: get(row, "not_before")?,
        })
    };
    rows.iter().map(decode).collect()
}

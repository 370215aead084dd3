//! Months that changed.

use super::col;
use chrono::{DateTime, NaiveDate, Utc};
use tenantry_db::{SystemTx, query};
use tenantry_kernel::{Result, TenantId};

/// One tenant's month.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// The tenant.
    pub tenant: TenantId,
    /// Requests that count.
    pub admitted: i64,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
}

/// Months that changed at or after `since`.
///
/// # Errors
/// As every statement.
pub async fn changed(tx: &mut SystemTx, month: NaiveDate, since: DateTime<Utc>) -> Result<Vec<Used>> {
    let sql = "SELECT m.tenant_id, m.admitted, m.update_time FROM monitoring.tenant_month m \
                WHERE m.month = $1 AND m.update_time >= $2";
    let rows = tx.fetch_all(query(sql).bind(month).bind(since)).await?;
    let used = rows.iter().map(|row| {
        Ok(Used {
            tenant: TenantId::from_uuid(col(row, "tenant_id")?),
            admitted: col(row, "admitted")?,
            update_time: col(row, "update_time")?,
        })
    });
    used.collect()
}

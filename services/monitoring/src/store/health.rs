//! The last known state of every service.

use super::col;
use crate::domain::health::{Check, Health};
use chrono::{DateTime, Utc};
use tenantry_db::{SystemTx, query};
use tenantry_kernel::Result;

/// Notes what asking gave; forgets services that are not asked any more.
///
/// # Errors
/// As every statement.
pub async fn note(tx: &mut SystemTx, checks: &[Check], now: DateTime<Utc>) -> Result<()> {
    let (names, problems): (Vec<_>, Vec<_>) = checks
        .iter()
        .map(|check| (check.service.clone(), check.problem.clone()))
        .unzip();
    let sql = "INSERT INTO monitoring.service_health AS h (service, ready, problem, check_time, since_time) \
         SELECT c.service, c.problem = '', c.problem, $3, $3 \
           FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS c (service, problem) ORDER BY c.service \
         ON CONFLICT (service) DO UPDATE SET ready = excluded.ready, problem = excluded.problem, check_time = excluded.check_time, \
                since_time = CASE WHEN h.ready = excluded.ready THEN h.since_time ELSE excluded.since_time END";
    tx.execute(query(sql).bind(&names).bind(problems).bind(now)).await?;
    let sql = "DELETE FROM monitoring.service_health h WHERE NOT h.service = ANY($1)";
    tx.execute(query(sql).bind(names)).await.map(|_| ())
}

/// All services by name.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut SystemTx) -> Result<Vec<Health>> {
    let sql = "SELECT h.service, h.ready, h.problem, h.check_time, h.since_time FROM monitoring.service_health h ORDER BY h.service";
    let rows = tx.fetch_all(query(sql)).await?;
    let services = rows.iter().map(|row| {
        Ok(Health {
            service: col(row, "service")?,
            ready: col(row, "ready")?,
            problem: col(row, "problem")?,
            check_time: col(row, "check_time")?,
            since_time: col(row, "since_time")?,
        })
    });
    services.collect()
}

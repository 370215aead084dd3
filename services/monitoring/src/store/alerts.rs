//! Alerts, one row for each time one fired.

use super::col;
use crate::domain::alert::Alert;
use chrono::{DateTime, Utc};
use tenantry_db::{SystemTx, query};
use tenantry_kernel::Result;

/// Rows that are kept.
const MOST: i64 = 10_000;

/// Where a page ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct After {
    /// Whether it still fired.
    pub firing: bool,
    /// Since when.
    pub start: DateTime<Utc>,
    /// Its identity.
    pub fingerprint: String,
}

/// Takes one. What has ended stays ended: calls may arrive in any order.
///
/// # Errors
/// As every statement.
pub async fn upsert(tx: &mut SystemTx, alert: &Alert) -> Result<()> {
    let sql = "INSERT INTO monitoring.alerts AS a (fingerprint, start_time, alert, severity, service, summary, runbook_uri, end_time) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (fingerprint, start_time) DO UPDATE SET summary = excluded.summary, runbook_uri = excluded.runbook_uri, \
                end_time = coalesce(a.end_time, excluded.end_time), receive_time = pg_catalog.now()";
    let insert = query(sql)
        .bind(&alert.fingerprint)
        .bind(alert.start)
        .bind(&alert.name)
        .bind(&alert.severity)
        .bind(&alert.service)
        .bind(&alert.summary)
        .bind(&alert.runbook_uri)
        .bind(alert.end);
    tx.execute(insert).await.map(|_| ())
}

/// Ends what fires and was not told again since `before`: the word of its end was lost with whoever had to say it.
///
/// # Errors
/// As every statement.
pub async fn end_silent(tx: &mut SystemTx, before: DateTime<Utc>) -> Result<u64> {
    let sql = "UPDATE monitoring.alerts a SET end_time = a.receive_time, summary = a.summary || ' (Not reported again: taken for over.)' \
                WHERE a.end_time IS NULL AND a.receive_time < $1";
    tx.execute(query(sql).bind(before)).await
}

/// Forgets what is too much: ended alerts first, then the oldest.
///
/// # Errors
/// As every statement.
pub async fn bound(tx: &mut SystemTx) -> Result<u64> {
    let sql = "DELETE FROM monitoring.alerts a USING (SELECT x.fingerprint, x.start_time FROM monitoring.alerts x \
                ORDER BY (x.end_time IS NULL) DESC, x.start_time DESC, x.fingerprint DESC OFFSET $1) old \
                WHERE a.fingerprint = old.fingerprint AND a.start_time = old.start_time";
    tx.execute(query(sql).bind(MOST)).await
}

/// Firing ones first, then the newest.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut SystemTx, after: Option<&After>, limit: i64) -> Result<Vec<Alert>> {
    let sql = "SELECT a.fingerprint, a.start_time, a.alert, a.severity, a.service, a.summary, a.runbook_uri, a.end_time \
           FROM monitoring.alerts a \
          WHERE $1::bool IS NULL OR ((a.end_time IS NULL), a.start_time, a.fingerprint) < ($1::bool, $2::timestamptz, $3::text) \
          ORDER BY (a.end_time IS NULL) DESC, a.start_time DESC, a.fingerprint DESC LIMIT $4";
    let select = query(sql)
        .bind(after.map(|after| after.firing))
        .bind(after.map(|after| after.start))
        .bind(after.map(|after| after.fingerprint.clone()))
        .bind(limit);
    let rows = tx.fetch_all(select).await?;
    let alerts = rows.iter().map(|row| {
        Ok(Alert {
            fingerprint: col(row, "fingerprint")?,
            name: col(row, "alert")?,
            severity: col(row, "severity")?,
            service: col(row, "service")?,
            summary: col(row, "summary")?,
            runbook_uri: col(row, "runbook_uri")?,
            start: col(row, "start_time")?,
            end: col(row, "end_time")?,
        })
    });
    alerts.collect()
}

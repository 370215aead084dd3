//! Events by their message id: a redelivered one is the same row.

use super::col;
use crate::domain::event::Event;
use chrono::{DateTime, Utc};
use tenantry_db::{SystemTx, query};
use tenantry_kernel::{Result, TenantId};
use uuid::Uuid;

/// Where a page ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    /// When the last event was.
    pub time: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

/// Keeps an event.
///
/// # Errors
/// As every statement.
pub async fn insert(tx: &mut SystemTx, event: &Event) -> Result<()> {
    let sql = "INSERT INTO monitoring.events (event_id, tenant_id, type, source, subject, event_time) \
               VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
    let insert = query(sql)
        .bind(event.id)
        .bind(event.tenant.map(TenantId::uuid))
        .bind(&event.kind)
        .bind(&event.source)
        .bind(&event.subject)
        .bind(event.time);
    tx.execute(insert).await.map(|_| ())
}

/// The newest first, of all tenants or of one.
///
/// # Errors
/// As every statement.
pub async fn list(tx: &mut SystemTx, tenant: Option<TenantId>, after: Option<After>, limit: i64) -> Result<Vec<Event>> {
    let of = if tenant.is_some() {
        "e.tenant_id = $1"
    } else {
        "$1::pg_catalog.uuid IS NULL"
    };
    let sql = format!(
        "SELECT e.event_id, e.tenant_id, e.type, e.source, e.subject, e.event_time FROM monitoring.events e \
          WHERE {of} AND ($2::timestamptz IS NULL OR (e.event_time, e.event_id) < ($2::timestamptz, $3::pg_catalog.uuid)) \
          ORDER BY e.event_time DESC, e.event_id DESC LIMIT $4"
    );
    let select = query(sql)
        .bind(tenant.map(TenantId::uuid))
        .bind(after.map(|after| after.time))
        .bind(after.map(|after| after.id))
        .bind(limit);
    let rows = tx.fetch_all(select).await?;
    let events = rows.iter().map(|row| {
        Ok(Event {
            id: col(row, "event_id")?,
            kind: col(row, "type")?,
            source: col(row, "source")?,
            subject: col(row, "subject")?,
            tenant: col::<Option<Uuid>>(row, "tenant_id")?.map(TenantId::from_uuid),
            time: col(row, "event_time")?,
        })
    });
    events.collect()
}

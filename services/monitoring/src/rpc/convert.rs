//! Domain to proto and back.

use crate::domain::{
    alert::Alert,
    event::Event,
    health::Health,
    usage::{Step, Usage},
};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;
use std::time::SystemTime;
use tenantry_api::monitoring as proto;
use tenantry_kernel::{Error, Result};

/// The wire form of a time.
pub(super) fn stamp(time: DateTime<Utc>) -> Timestamp {
    SystemTime::from(time).into()
}

/// A time of a request.
pub(super) fn time(field: &str, stamp: Option<Timestamp>) -> Result<Option<DateTime<Utc>>> {
    let Some(stamp) = stamp else { return Ok(None) };
    let nanos = u32::try_from(stamp.nanos).ok();
    let time = nanos.and_then(|nanos| DateTime::from_timestamp(stamp.seconds, nanos));
    // What a proto Timestamp may be: years 1 to 9999.
    let fits = |time: &DateTime<Utc>| (-62_135_596_800..253_402_300_800).contains(&time.timestamp());
    time.filter(fits)
        .map(Some)
        .ok_or_else(|| Error::invalid_field(field, "is no time"))
}

/// The step of a request.
pub(super) fn step(step: i32) -> Result<Step> {
    match proto::UsageStep::try_from(step) {
        Ok(proto::UsageStep::Unspecified | proto::UsageStep::Hour) => Ok(Step::Hour),
        Ok(proto::UsageStep::Minute) => Ok(Step::Minute),
        Ok(proto::UsageStep::Day) => Ok(Step::Day),
        Err(_) => Err(Error::invalid_field("step", "is none of the steps")),
    }
}

/// What was used from `start` on.
pub(super) fn point(start: DateTime<Utc>, usage: &Usage) -> proto::UsagePoint {
    proto::UsagePoint {
        start_time: Some(stamp(start)),
        requests: usage.requests,
        errors: usage.errors,
        limited: usage.limited,
        latency_p50_ms: usage.latency_ms(0.50),
        latency_p95_ms: usage.latency_ms(0.95),
        latency_p99_ms: usage.latency_ms(0.99),
        rows: usage.rows,
        request_bytes: usage.request_bytes,
        response_bytes: usage.response_bytes,
    }
}

/// See the proto.
pub(super) fn health(health: Health) -> proto::ServiceHealth {
    proto::ServiceHealth {
        service: health.service,
        ready: health.ready,
        problem: health.problem,
        check_time: Some(stamp(health.check_time)),
        since_time: Some(stamp(health.since_time)),
    }
}

/// See the proto.
pub(super) fn alert(alert: Alert) -> proto::Alert {
    proto::Alert {
        alert: alert.name,
        severity: alert.severity,
        service: alert.service,
        summary: alert.summary,
        runbook_uri: alert.runbook_uri,
        firing: alert.end.is_none(),
        start_time: Some(stamp(alert.start)),
        end_time: alert.end.map(stamp),
    }
}

/// See the proto.
pub(super) fn event(event: Event) -> proto::Event {
    proto::Event {
        event_id: event.id.to_string(),
        r#type: event.kind,
        source: event.source,
        subject: event.subject,
        tenant: event
            .tenant
            .map(|tenant| format!("tenants/{tenant}"))
            .unwrap_or_default(),
        event_time: Some(stamp(event.time)),
    }
}

//! What the organisation used: numbers, a bar chart that is drawn here (attributes only), the same as a table, quotas.

use super::console::{Chrome, Console, Outcome, bytes, machine_time, number, time};
use askama::Template;
use chrono::{DateTime, Datelike, Duration, NaiveDate, Utc};
use prost_types::Timestamp;
use tenantry_api::monitoring::{GetUsageRequest, GetUsageResponse, Quota, UsagePoint, UsageStep};
use tonic::Status;

const METHOD: &str = "/tenantry.monitoring.v1.UsageService/GetUsage";
/// The drawing, in its own units.
const WIDTH: i64 = 720;
const HEIGHT: i64 = 160;

/// A span of time the page offers.
struct Span {
    id: &'static str,
    label: &'static str,
    chosen: bool,
}

struct Bar {
    x: i64,
    y: i64,
    width: i64,
    height: i64,
    title: String,
}

struct Line {
    at: String,
    at_machine: String,
    requests: String,
    errors: String,
    limited: String,
    p50: String,
    p95: String,
    rows: String,
    bytes: String,
}

/// A quota with how full it is.
pub(super) struct Level {
    pub(super) label: String,
    /// `5 of 10`
    pub(super) text: String,
    /// How full; nothing to draw without a limit.
    pub(super) percent: Option<i64>,
    pub(super) resets: String,
    pub(super) exceeded: bool,
}

#[derive(Template)]
#[template(path = "usage.html")]
struct UsagePage {
    chrome: Chrome,
    plan: String,
    spans: Vec<Span>,
    total: Line,
    bars: Vec<Bar>,
    most: String,
    lines: Vec<Line>,
    levels: Vec<Level>,
}

fn timestamp(at: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: at.timestamp(),
        nanos: 0,
    }
}

/// Usage of this calendar month, in days.
pub(super) async fn of_month(console: &Console) -> Result<GetUsageResponse, Status> {
    let now = console.edge.clock.now();
    let start = NaiveDate::from_ymd_opt(now.year(), now.month(), 1)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map_or(now, |at| at.and_utc());
    let question = GetUsageRequest {
        start_time: Some(timestamp(start)),
        end_time: Some(timestamp(now)),
        step: UsageStep::Day.into(),
    };
    console.ask(METHOD, &question).await
}

pub(super) async fn show(console: &Console) -> Outcome {
    let chosen = match console.parameter("span") {
        span @ ("hour" | "month") => span,
        _ => "day",
    };
    let (length, step) = match chosen {
        "hour" => (Duration::hours(1), UsageStep::Minute),
        "month" => (Duration::days(31), UsageStep::Day),
        _ => (Duration::days(1), UsageStep::Hour),
    };
    let now = console.edge.clock.now();
    let question = GetUsageRequest {
        start_time: Some(timestamp(now - length)),
        end_time: Some(timestamp(now)),
        step: step.into(),
    };
    let answer: GetUsageResponse = console.ask(METHOD, &question).await?;
    let most = answer
        .points
        .iter()
        .map(|point| point.requests)
        .max()
        .unwrap_or_default();
    let spans = [("hour", "Last hour"), ("day", "Last day"), ("month", "Last 31 days")];
    console.page(&UsagePage {
        chrome: console.chrome(),
        plan: super::console::id_of(&answer.plan).to_owned(),
        spans: spans
            .map(|(id, label)| Span {
                id,
                label,
                chosen: id == chosen,
            })
            .into(),
        total: line(&answer.total.unwrap_or_default()),
        bars: bars(&answer.points, (now - length).timestamp(), now.timestamp(), step),
        most: number(most),
        lines: answer.points.iter().rev().map(line).collect(),
        levels: answer.quotas.iter().map(level).collect(),
    })
}

pub(super) fn level(quota: &Quota) -> Level {
    Level {
        label: quota.limit.replace('_', " "),
        text: if quota.allowed == 0 {
            format!("{}, no limit", number(quota.used))
        } else {
            format!("{} of {}", number(quota.used), number(quota.allowed))
        },
        percent: (quota.allowed > 0).then(|| (quota.used.saturating_mul(100) / quota.allowed).clamp(0, 100)),
        resets: time(quota.reset_time),
        exceeded: quota.exceeded,
    }
}

fn line(point: &UsagePoint) -> Line {
    Line {
        at: time(point.start_time),
        at_machine: machine_time(point.start_time),
        requests: number(point.requests),
        errors: number(point.errors),
        limited: number(point.limited),
        p50: format!("{:.0} ms", point.latency_p50_ms),
        p95: format!("{:.0} ms", point.latency_p95_ms),
        rows: number(point.rows),
        bytes: bytes(point.request_bytes + point.response_bytes),
    }
}

/// One bar a step, at its place in time; empty steps stay empty.
fn bars(points: &[UsagePoint], start: i64, end: i64, step: UsageStep) -> Vec<Bar> {
    let length = match step {
        UsageStep::Minute => 60,
        UsageStep::Day => 86_400,
        UsageStep::Hour | UsageStep::Unspecified => 3600,
    };
    let first = start - start.rem_euclid(length);
    let steps = ((end - first) / length + 1).max(1);
    let most = points
        .iter()
        .map(|point| point.requests)
        .max()
        .unwrap_or_default()
        .max(1);
    let width = (WIDTH / steps).max(1);
    points
        .iter()
        .map(|point| {
            let at = point.start_time.as_ref().map_or(first, |at| at.seconds);
            let height = i128::from(point.requests) * i128::from(HEIGHT) / i128::from(most);
            let height = i64::try_from(height)
                .unwrap_or(HEIGHT)
                .clamp(i64::from(point.requests > 0), HEIGHT);
            Bar {
                x: ((at - first) / length).clamp(0, steps - 1) * WIDTH / steps,
                y: HEIGHT - height,
                width: (width - 2).max(1),
                height,
                title: format!("{}: {} requests", time(point.start_time), number(point.requests)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_stay_inside_the_drawing() {
        let at = |seconds, requests| UsagePoint {
            start_time: Some(Timestamp { seconds, nanos: 0 }),
            requests,
            ..UsagePoint::default()
        };
        let points = [at(-1, 1), at(3600, 10), at(86_400, i64::MAX), at(i64::MAX / 2, 0)];
        let drawn = bars(&points, 0, 86_400, UsageStep::Hour);
        for bar in &drawn {
            assert!(
                (0..=WIDTH - bar.width).contains(&bar.x) && bar.y >= 0 && bar.y + bar.height == HEIGHT,
                "{} {}",
                bar.x,
                bar.y
            );
        }
        assert_eq!((drawn[2].height, drawn[3].height), (HEIGHT, 0));
        assert!(bars(&[], 0, 0, UsageStep::Day).is_empty());
    }

    #[test]
    fn a_quota_without_a_limit_is_never_full() {
        let quota = |used, allowed| {
            level(&Quota {
                used,
                allowed,
                ..Quota::default()
            })
        };
        assert_eq!(
            (quota(5, 0).percent, quota(5, 10).percent, quota(99, 10).percent),
            (None, Some(50), Some(100))
        );
        assert_eq!(
            (quota(5, 0).text, quota(5, 10).text),
            ("5, no limit".into(), "5 of 10".into())
        );
    }
}

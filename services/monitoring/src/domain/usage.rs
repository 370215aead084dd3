//! Spans of time in steps, and what was used in them.

use chrono::{DateTime, Duration, DurationRound, Utc};
use std::collections::BTreeMap;
use tenantry_kernel::{Error, Result};
use tenantry_metering::{BUCKETS, percentile};

/// Minutes are kept this long; hours for [`KEEP_HOURS`].
pub const KEEP_MINUTES: Duration = Duration::days(2);
/// See [`KEEP_MINUTES`].
pub const KEEP_HOURS: Duration = Duration::days(400);
/// Steps of one answer.
const MOST_STEPS: i64 = 1_500;

/// Length of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// From minute rows.
    Minute,
    /// From hour rows.
    Hour,
    /// From hour rows, in UTC.
    Day,
}

impl Step {
    /// Its length.
    #[must_use]
    pub fn length(self) -> Duration {
        match self {
            Self::Minute => Duration::minutes(1),
            Self::Hour => Duration::hours(1),
            Self::Day => Duration::days(1),
        }
    }
}

/// From `start` up to, not including, `end`; both are borders of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Begin.
    pub start: DateTime<Utc>,
    /// End.
    pub end: DateTime<Utc>,
}

impl Span {
    /// The span of a request: `default` back from the end unless told, widened to whole steps.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for one that is empty, too long, or older than what is kept.
    pub fn of(
        start: Option<DateTime<Utc>>,
        end: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
        default: Duration,
        step: Step,
    ) -> Result<Self> {
        let end = end.unwrap_or(now);
        let start = start.or_else(|| end.checked_sub_signed(default)).unwrap_or(end);
        if start >= end {
            return Err(Error::invalid_field("start_time", "must be before end_time"));
        }
        let oldest = match step {
            Step::Minute => Duration::days(1) + Duration::minutes(5),
            Step::Hour | Step::Day => KEEP_HOURS,
        };
        if now - start > oldest {
            let text = match step {
                Step::Minute => "must be at most a day ago for steps of a minute",
                _ => "must be at most 400 days ago",
            };
            return Err(Error::invalid_field("start_time", text));
        }
        let floor = |time: DateTime<Utc>| time.duration_trunc(step.length()).map_err(|_| out_of_range());
        let (from, to) = (floor(start)?, floor(end)?);
        let to = if to < end { to + step.length() } else { to };
        if (to - from).num_seconds() / step.length().num_seconds() > MOST_STEPS {
            return Err(Error::invalid_field(
                "step",
                "the span has more than 1,500 steps; take longer ones or a shorter span",
            ));
        }
        Ok(Self { start: from, end: to })
    }
}

fn out_of_range() -> Error {
    Error::invalid_field("start_time", "is out of range")
}

/// What was used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Requests answered.
    pub requests: i64,
    /// Server errors.
    pub errors: i64,
    /// Refused for a limit.
    pub limited: i64,
    /// Rows.
    pub rows: i64,
    /// Bytes in.
    pub request_bytes: i64,
    /// Bytes out.
    pub response_bytes: i64,
    /// Requests by latency bucket.
    pub latency: [u64; BUCKETS],
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            requests: 0,
            errors: 0,
            limited: 0,
            rows: 0,
            request_bytes: 0,
            response_bytes: 0,
            latency: [0; BUCKETS],
        }
    }
}

impl Usage {
    /// Adds another.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.limited += other.limited;
        self.rows += other.rows;
        self.request_bytes += other.request_bytes;
        self.response_bytes += other.response_bytes;
        for (sum, count) in self.latency.iter_mut().zip(other.latency) {
            *sum += count;
        }
    }
    /// Milliseconds that this share of the requests did not exceed.
    #[must_use]
    pub fn latency_ms(&self, share: f64) -> f64 {
        percentile(&self.latency, share)
    }
}

/// Rows of any fineness, summed up by step, with their total.
#[must_use]
pub fn in_steps(rows: Vec<(DateTime<Utc>, Usage)>, step: Step) -> (Usage, BTreeMap<DateTime<Utc>, Usage>) {
    let (mut total, mut steps) = (Usage::default(), BTreeMap::<_, Usage>::new());
    for (time, usage) in rows {
        total.add(&usage);
        // Rows are stored at borders of minutes or hours, so truncating cannot fail for them.
        let start = time.duration_trunc(step.length()).unwrap_or(time);
        steps.entry(start).or_default().add(&usage);
    }
    (total, steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn a_span_is_whole_steps() {
        let now = time("2026-03-01T10:20:30Z");
        let of =
            |start: &str, end: &str, step| Span::of(Some(time(start)), Some(time(end)), now, Duration::days(1), step);
        let span = of("2026-03-01T08:10:00Z", "2026-03-01T09:10:00Z", Step::Hour).expect("a span");
        assert_eq!(
            (span.start, span.end),
            (time("2026-03-01T08:00:00Z"), time("2026-03-01T10:00:00Z"))
        );
        let span = of("2026-02-28T23:59:00Z", "2026-03-01T00:00:00Z", Step::Day).expect("a span");
        assert_eq!(
            (span.start, span.end),
            (time("2026-02-28T00:00:00Z"), time("2026-03-01T00:00:00Z"))
        );
        for (start, end, step) in [
            ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00Z", Step::Hour),
            ("2026-03-01T09:00:00Z", "2026-03-01T08:00:00Z", Step::Hour),
            ("2026-02-27T00:00:00Z", "2026-02-27T01:00:00Z", Step::Minute),
            ("2025-12-01T00:00:00Z", "2026-03-01T00:00:00Z", Step::Hour),
            ("1970-01-01T00:00:00Z", "2026-03-01T00:00:00Z", Step::Day),
        ] {
            assert!(of(start, end, step).is_err(), "{start} {end} {step:?}");
        }
        let default = Span::of(None, None, now, Duration::days(1), Step::Minute).expect("a day in minutes");
        assert_eq!((default.end - default.start).num_minutes(), 1_441);
    }

    #[test]
    fn steps_sum_up_to_the_total() {
        let usage = |requests| Usage {
            requests,
            ..Usage::default()
        };
        let rows = vec![
            (time("2026-03-01T08:00:00Z"), usage(1)),
            (time("2026-03-01T09:00:00Z"), usage(2)),
            (time("2026-03-01T09:00:00Z"), usage(3)),
            (time("2026-03-02T00:00:00Z"), usage(4)),
        ];
        let (total, steps) = in_steps(rows, Step::Day);
        let counts: Vec<_> = steps.values().map(|usage| usage.requests).collect();
        assert_eq!((total.requests, counts), (10, vec![6, 4]));
    }
}

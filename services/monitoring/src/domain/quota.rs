//! Quotas over a calendar month in UTC.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, Utc};
use tenantry_kernel::TenantRoute;

/// The only quota so far.
pub const LIMIT: &str = "requests_per_month";

/// The month that `now` is in, by its first day.
#[must_use]
pub fn month(now: DateTime<Utc>) -> NaiveDate {
    let day = now.date_naive();
    day.with_day(1).unwrap_or(day)
}

/// When the month ends.
#[must_use]
pub fn reset(month: NaiveDate) -> DateTime<Utc> {
    let next = month.checked_add_months(Months::new(1)).unwrap_or(month);
    next.and_time(NaiveTime::MIN).and_utc()
}

/// A quota that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// Name of the plan.
    pub plan: String,
    /// What it allows.
    pub allowed: u64,
    /// When it may be used again.
    pub reset: DateTime<Utc>,
}

/// Whether the plan of `route` allows no more after `used`.
#[must_use]
pub fn exceeded(route: &TenantRoute, used: i64, month: NaiveDate) -> Option<Exceeded> {
    let allowed = route.limits.requests_per_month;
    (is_exceeded(allowed, used)).then(|| Exceeded {
        plan: route.plan.clone(),
        allowed,
        reset: reset(month),
    })
}

/// Zero allows everything.
#[must_use]
pub fn is_exceeded(allowed: u64, used: i64) -> bool {
    allowed > 0 && u64::try_from(used).is_ok_and(|used| used >= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_ends_where_the_next_begins() {
        for (now, first, end) in [
            ("2026-01-31T23:59:59Z", "2026-01-01", "2026-02-01T00:00:00Z"),
            ("2026-12-01T00:00:00Z", "2026-12-01", "2027-01-01T00:00:00Z"),
            ("2028-02-29T12:00:00Z", "2028-02-01", "2028-03-01T00:00:00Z"),
        ] {
            let month = month(now.parse().expect("a time"));
            assert_eq!(month.to_string(), first);
            assert_eq!(reset(month), end.parse::<DateTime<Utc>>().expect("a time"));
        }
    }

    #[test]
    fn zero_is_no_limit_and_the_last_allowed_request_is_served() {
        assert!(!is_exceeded(0, i64::MAX) && !is_exceeded(10, 9) && !is_exceeded(10, -1));
        assert!(is_exceeded(10, 10) && is_exceeded(10, 11));
    }
}

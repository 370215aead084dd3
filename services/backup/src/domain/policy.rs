//! When snapshots are taken by themselves and how long they are kept.

use chrono::{DateTime, TimeDelta, Utc};
use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use tenantry_kernel::{Error, Result, TenantId};

/// Every night.
pub const DEFAULT_SCHEDULE: &str = "0 3 * * *";
/// Two weeks.
pub const DEFAULT_KEEP_DAYS: i32 = 14;
/// A week of nights, whatever their age.
pub const DEFAULT_KEEP_LAST: i32 = 7;
/// A failed snapshot is shown this long.
pub const SHOW_FAILED: TimeDelta = TimeDelta::days(7);
/// The widest spread of tenants that have one schedule.
const SPREAD_SECONDS: i64 = 3600;
/// A schedule of minutes has this many starts in the spread.
const MOST_STARTS: usize = 70;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "as in the proto")]
pub struct Policy {
    pub schedule: String,
    pub keep_days: i32,
    pub keep_last: i32,
    pub next_time: Option<DateTime<Utc>>,
    pub version: i64,
}

impl Policy {
    /// What every tenant starts with.
    ///
    /// # Errors
    /// Never: the default parses.
    pub fn standard(tenant: TenantId, now: DateTime<Utc>) -> Result<Self> {
        Ok(Self {
            schedule: DEFAULT_SCHEDULE.to_owned(),
            keep_days: DEFAULT_KEEP_DAYS,
            keep_last: DEFAULT_KEEP_LAST,
            next_time: next(DEFAULT_SCHEDULE, tenant, now)?,
            version: 1,
        })
    }
    /// Version for update.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
    /// The numbers are in their bounds.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`.
    pub fn check(&self) -> Result<()> {
        if !(1..=400).contains(&self.keep_days) {
            return Err(Error::invalid_field("backup_policy.keep_days", "must be 1 to 400"));
        }
        if !(1..=100).contains(&self.keep_last) {
            return Err(Error::invalid_field("backup_policy.keep_last", "must be 1 to 100"));
        }
        Ok(())
    }
    /// When a snapshot of this policy expires.
    #[must_use]
    pub fn expiry(&self, create_time: DateTime<Utc>) -> DateTime<Utc> {
        create_time + TimeDelta::days(i64::from(self.keep_days))
    }
}

/// The first start after `after`; `None` for no schedule, or one that never comes (30 February).
///
/// # Errors
/// `INVALID_ARGUMENT` for a schedule that does not parse.
pub fn next(schedule: &str, tenant: TenantId, after: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    if schedule.is_empty() {
        return Ok(None);
    }
    let cron = parse(schedule)?;
    let mut from = after - TimeDelta::seconds(SPREAD_SECONDS);
    for _ in 0..MOST_STARTS {
        let Ok(start) = cron.find_next_occurrence(&from, false) else {
            return Ok(None);
        };
        let gap = cron
            .find_next_occurrence(&start, false)
            .map_or(SPREAD_SECONDS, |second| (second - start).num_seconds());
        let shifted = start + TimeDelta::seconds(shift(tenant, gap.min(SPREAD_SECONDS)));
        if shifted > after {
            return Ok(Some(shifted));
        }
        from = start;
    }
    Ok(None)
}

fn parse(schedule: &str) -> Result<Cron> {
    let wrong = || {
        Error::invalid_field(
            "backup_policy.schedule",
            "must be five cron fields in UTC, such as \"0 3 * * *\", or empty for never",
        )
    };
    // The library also takes names such as @daily; the field is documented as five fields.
    if schedule.len() > 100 || schedule.split_whitespace().count() != 5 {
        return Err(wrong());
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    parser.parse(schedule).map_err(|error| wrong().because(error))
}

/// A tenant's own second, the same at every start.
fn shift(tenant: TenantId, within: i64) -> i64 {
    let (high, low) = tenant.uuid().as_u64_pair();
    // The low half of a UUIDv7 is random; the product spreads ids that are not.
    let mixed = (high ^ low).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33;
    i64::try_from(mixed).unwrap_or(0) % within.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn tenant(n: u128) -> TenantId {
        TenantId::from_uuid(Uuid::from_u128(
            n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_0C92_11D3_4F77),
        ))
    }
    fn at(text: &str) -> DateTime<Utc> {
        text.parse().expect("a time")
    }

    #[test]
    fn every_tenant_starts_once_a_night_at_its_own_second() {
        let mut starts = std::collections::HashSet::new();
        for n in 1..200 {
            let first = next(DEFAULT_SCHEDULE, tenant(n), at("2026-01-01T12:00:00Z"))
                .expect("parses")
                .expect("comes");
            assert!(
                (at("2026-01-02T03:00:00Z")..at("2026-01-02T04:00:00Z")).contains(&first),
                "{first}"
            );
            let second = next(DEFAULT_SCHEDULE, tenant(n), first)
                .expect("parses")
                .expect("comes");
            assert_eq!(second - first, TimeDelta::days(1));
            // In the hour of the start, but before the tenant's own second: today, not tomorrow.
            let early = at("2026-01-02T03:00:00Z") - TimeDelta::seconds(1);
            assert_eq!(next(DEFAULT_SCHEDULE, tenant(n), early).expect("parses"), Some(first));
            starts.insert(first);
        }
        assert!(starts.len() > 150, "{}", starts.len());
    }

    #[test]
    fn a_schedule_of_minutes_comes_every_minute() {
        let mut now = at("2026-01-01T12:00:00Z");
        for _ in 0..90 {
            let then = next("* * * * *", tenant(5), now).expect("parses").expect("comes");
            assert!(then > now && then - now <= TimeDelta::seconds(60), "{now} {then}");
            now = then;
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_and_what_never_comes_is_never() {
        for bad in [
            "x",
            "* * * *",
            "* * * * * *",
            "61 * * * *",
            "@daily",
            "0 3 * * * 2030",
            "a b c d e",
        ] {
            assert!(next(bad, tenant(1), at("2026-01-01T00:00:00Z")).is_err(), "{bad}");
        }
        assert_eq!(next("", tenant(1), at("2026-01-01T00:00:00Z")).expect("never"), None);
        assert_eq!(
            next("0 3 30 2 *", tenant(1), at("2026-01-01T00:00:00Z")).expect("parses"),
            None
        );
    }
}

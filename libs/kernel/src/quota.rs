//! The limits of a plan, as every service refuses what is above them: one reason, naming limit and plan.

use crate::{Error, Reason, Result, TenantRoute};

/// Refuses `more` where `used + more` is above `limit`.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub fn within_limit(limit_name: &str, limit: u64, plan: &str, used: u64, more: u64) -> Result<()> {
    if used.saturating_add(more) <= limit {
        return Ok(());
    }
    let text = format!(
        "The plan \"{plan}\" allows {limit} {limit_name}; {used} exist and {more} more were asked for. Delete some or change the plan."
    );
    Err(exceeded(limit_name, limit, plan, text))
}

/// Refuses data that comes whole, in the place of what is there, and is larger than the plan of `route` allows.
///
/// # Errors
/// `QUOTA_EXCEEDED`.
pub fn fits_plan(route: &TenantRoute, object_types: u64, records: u64) -> Result<()> {
    let limits = [
        ("object_types", u64::from(route.limits.object_types), object_types),
        ("records", route.limits.records, records),
    ];
    for (limit_name, limit, there) in limits {
        if there > limit {
            let text = format!(
                "The plan \"{}\" allows {limit} {limit_name}; the data to restore has {there}. Nothing was changed. Ask the operator for a larger plan.",
                route.plan
            );
            return Err(exceeded(limit_name, limit, &route.plan, text));
        }
    }
    Ok(())
}

fn exceeded(limit_name: &str, limit: u64, plan: &str, text: String) -> Error {
    Error::new(Reason::QuotaExceeded, text)
        .meta("limit", limit_name)
        .meta("limit_value", limit.to_string())
        .meta("plan", plan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_reached_but_not_passed() {
        assert!(within_limit("records", 3, "free", 2, 1).is_ok());
        let error = within_limit("records", 3, "free", 2, 2).expect_err("one too many");
        assert_eq!(error.reason(), Reason::QuotaExceeded);
        assert!(within_limit("records", u64::MAX - 1, "free", u64::MAX, 1).is_err());
    }
}

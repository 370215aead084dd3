//! Plans: limits and features.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tenantry_kernel::{Error, Limits, Result};

/// Features that exist.
pub const FEATURES: [&str; 4] = ["custom_domain", "custom_types", "import", "watch"];
/// The plan of the platform tenant; no customer has it.
pub const PLATFORM: &str = "platform";
/// Feature that custom domains need.
pub const CUSTOM_DOMAIN: &str = "custom_domain";

/// What a tenant may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Id, shaped like a slug.
    pub id: String,
    /// Name for people.
    pub display_name: String,
    /// Limits.
    pub limits: Limits,
    /// Features.
    pub features: BTreeSet<String>,
    /// Version of the row.
    pub version: i64,
}

/// Checks a plan id: 3 to 40 characters of a-z, 0-9 and '-'.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_id(id: &str) -> Result<()> {
    let shape = (3..=40).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if shape && !id.starts_with('-') && !id.ends_with('-') {
        return Ok(());
    }
    Err(Error::invalid_field(
        "plan.name",
        "must be plans/ and 3 to 40 characters of a-z, 0-9 and '-'",
    ))
}

/// Checks feature names.
///
/// # Errors
/// `INVALID_ARGUMENT` naming the unknown one.
pub fn check_features(features: &BTreeSet<String>) -> Result<()> {
    match features.iter().find(|feature| !FEATURES.contains(&feature.as_str())) {
        None => Ok(()),
        Some(unknown) => {
            let shown: String = unknown.chars().take(40).collect();
            Err(Error::invalid_field(
                "plan.features",
                format!("{shown:?} is unknown; known are {}", FEATURES.join(", ")),
            ))
        }
    }
}

/// Checks limits: a plan without any request a second could never be used.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_limits(limits: &Limits) -> Result<()> {
    if limits.requests_per_second == 0 {
        return Err(Error::invalid_field(
            "plan.limits.requests_per_second",
            "must be at least 1",
        ));
    }
    if limits.requests_per_month > i64::MAX as u64 {
        return Err(Error::invalid_field("plan.limits.requests_per_month", "is too large"));
    }
    if limits.records > i64::MAX as u64 {
        return Err(Error::invalid_field("plan.limits.records", "is too large"));
    }
    Ok(())
}

//! Branding values: typed, so that a page made of them can carry no markup of a tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{Brand, Error, Principal, PrincipalKind, Result};

/// Branding of one tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branding {
    /// The values.
    pub brand: Brand,
    /// Version of the row; 0 while it has none.
    pub version: i64,
}

/// Branding as it was published once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrandingRevision {
    /// The version that this publication had.
    pub revision: i64,
    /// The values.
    pub brand: Brand,
    /// When.
    pub publish_time: DateTime<Utc>,
    /// By whom, as a resource name; empty where it is not known.
    pub publisher: String,
}

/// How many revisions a tenant keeps.
pub const REVISIONS_KEPT: i64 = 200;

/// The resource name of who publishes.
#[must_use]
pub fn publisher(principal: &Principal) -> String {
    match &principal.kind {
        PrincipalKind::User { user, .. } => format!("users/{user}"),
        PrincipalKind::ApiKey { key, .. } => format!("apiKeys/{key}"),
        PrincipalKind::Service { .. } | PrincipalKind::Anonymous => String::new(),
    }
}

/// Normalizes and checks a colour.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn color(text: &str) -> Result<String> {
    let lower = text.to_ascii_lowercase();
    let shape = lower.len() == 7 && lower.starts_with('#') && lower.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
    if shape {
        Ok(lower)
    } else {
        Err(Error::invalid_field("branding.primary_color", "must be #rrggbb"))
    }
}

/// Checks a support link: https, a host, nothing that could end an attribute.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_support_uri(text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let host = text
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .unwrap_or_default();
    let plain = text.len() <= 500
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"\"'<>\\`{}|^".contains(&b));
    let host_ok = !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:".contains(&b));
    if plain && host_ok {
        Ok(())
    } else {
        Err(Error::invalid_field(
            "branding.support_uri",
            "must be an https:// link of at most 500 characters",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_colours_and_https_links_are_branding() {
        assert_eq!(color("#A1b2C3").ok().as_deref(), Some("#a1b2c3"));
        for bad in ["", "red", "#fff", "#12345g", "#1234567", "#12345;"] {
            assert!(color(bad).is_err(), "{bad}");
        }
        for good in ["", "https://help.example.com/x?y=1", "https://localhost:8443"] {
            assert!(check_support_uri(good).is_ok(), "{good}");
        }
        for bad in [
            "http://x.y",
            "javascript:alert(1)",
            "https://",
            "https://a@b.c",
            "https://x.y/\"onclick",
            "https://x.y/<b>",
        ] {
            assert!(check_support_uri(bad).is_err(), "{bad}");
        }
    }
}

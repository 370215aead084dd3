//! Custom domains: DNS names that a tenant claims and an operator verifies.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{Error, Result};

/// How many a tenant may claim: an unverified claim costs nothing, so something must bound them.
pub const MAX_PER_TENANT: i64 = 20;

/// The state of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainState {
    /// Claimed.
    Pending,
    /// Proved.
    Verified,
}

impl DomainState {
    /// Parses the column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pending" => Some(Self::Pending),
            "verified" => Some(Self::Verified),
            _ => None,
        }
    }
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomDomain {
    /// Lower case.
    pub domain: String,
    /// See [`DomainState`].
    pub state: DomainState,
    /// Value of the TXT record.
    pub verification_token: String,
    /// When it was claimed.
    pub create_time: DateTime<Utc>,
}

/// Checks a domain and returns it in lower case. Names under our own base host are not custom.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn normalize(text: &str) -> Result<String> {
    let domain = text.to_ascii_lowercase();
    let label_ok = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let labels: Vec<&str> = domain.split('.').collect();
    let top_ok = labels
        .last()
        .is_some_and(|top| top.starts_with(|c: char| c.is_ascii_lowercase()));
    if domain.len() > 253 || labels.len() < 2 || !top_ok || !labels.iter().all(|label| label_ok(label)) {
        return Err(Error::invalid_field(
            "domain.name",
            "must be domains/ and a DNS name in ASCII such as help.example.com",
        ));
    }
    if domain.ends_with(".localhost") {
        return Err(Error::invalid_field(
            "domain.name",
            "belongs to the platform; choose a domain of your own",
        ));
    }
    Ok(domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_foreign_dns_names_can_be_claimed() {
        assert_eq!(normalize("Help.Example.COM").ok().as_deref(), Some("help.example.com"));
        for bad in [
            "",
            "localhost",
            "acme.localhost",
            "a..b",
            "-a.b",
            "a-.b",
            "1.2.3.4",
            "a b.c",
            "é.com",
            "a.b/",
            "a.b.",
            &"a.".repeat(130),
        ] {
            assert!(normalize(bad).is_err(), "{bad}");
        }
    }
}

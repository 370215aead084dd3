//! What verifiers are told to refuse.

use chrono::{DateTime, Duration, Utc};
use tenantry_kernel::TenantId;
use uuid::Uuid;

/// A revocation refuses tokens issued up to this long after it was written. An exchange that read the old state just
/// before the revocation's commit signs its token a little later: without the margin that token would pass for its
/// whole minute. Tokens from the new state are dated after the margin (`tokens_after`), so they pass at once.
pub const MARGIN: Duration = Duration::seconds(2);
/// A tenant's revocation also covers tokens that are dated just after a member's.
pub const TENANT_MARGIN: Duration = Duration::seconds(3);
/// Sessions and keys that ended never get another token: no need to be exact.
pub const ENDED_MARGIN: Duration = Duration::seconds(10);

/// What is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Everything of the tenant.
    Tenant,
    /// Everything of a member.
    User(Uuid),
    /// One session.
    Session(Uuid),
    /// One API key.
    ApiKey(Uuid),
}

impl Subject {
    /// The column texts.
    #[must_use]
    pub const fn parts(self) -> (&'static str, Option<Uuid>) {
        match self {
            Self::Tenant => ("tenant", None),
            Self::User(id) => ("user", Some(id)),
            Self::Session(id) => ("session", Some(id)),
            Self::ApiKey(id) => ("api_key", Some(id)),
        }
    }
    /// Parses the column texts.
    #[must_use]
    pub fn parse(kind: &str, id: Option<Uuid>) -> Option<Self> {
        match (kind, id) {
            ("tenant", None) => Some(Self::Tenant),
            ("user", Some(id)) => Some(Self::User(id)),
            ("session", Some(id)) => Some(Self::Session(id)),
            ("api_key", Some(id)) => Some(Self::ApiKey(id)),
            _ => None,
        }
    }
}

/// Tokens of the subject issued at or before `not_before` are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Order of arrival.
    pub seq: i64,
    /// The tenant.
    pub tenant: TenantId,
    /// The subject.
    pub subject: Subject,
    /// Up to when.
    pub not_before: DateTime<Utc>,
}

/// The time a token is dated: now, or just after the last revocation that it survived.
#[must_use]
pub fn issue_time(now: DateTime<Utc>, survived: &[Option<DateTime<Utc>>]) -> DateTime<Utc> {
    let after = survived
        .iter()
        .flatten()
        .map(|at| *at + Duration::milliseconds(1))
        .max();
    after.map_or(now, |at| at.max(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_from_the_new_state_is_dated_after_the_revocation() {
        let now = DateTime::from_timestamp_millis(1_000_500).unwrap();
        let not_before = now + MARGIN;
        let issued = issue_time(now, &[None, Some(not_before)]);
        assert!(issued.timestamp_millis() > not_before.timestamp_millis());
        assert!(
            (issued - now).num_seconds() < tenantry_crypto::jwt::LEEWAY_SECONDS,
            "verifiers must accept it at once"
        );
        assert_eq!(issue_time(now, &[Some(now - MARGIN)]), now);
    }
}

//! Keys for programs, and the scopes that narrow them.

use chrono::{DateTime, Duration, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tenantry_kernel::{ApiKeyId, Error, Reason, Result, Role, UserId};

const DEFAULT_LIFETIME: Duration = Duration::days(90);
const MAX_LIFETIME: Duration = Duration::days(366);

/// A key without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// Id.
    pub id: ApiKeyId,
    /// Name for people.
    pub display_name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Who made it.
    pub creator: UserId,
    /// When it stops working.
    pub expire_time: DateTime<Utc>,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub last_used_time: Option<DateTime<Utc>>,
}

/// Every scope there is, with the least role that may use any method of it.
#[derive(Clone, Debug)]
pub struct Scopes(BTreeMap<String, Role>);

impl Scopes {
    /// From (scope, least role) of every method.
    #[must_use]
    pub fn new(methods: impl IntoIterator<Item = (String, Role)>) -> Self {
        let mut scopes: BTreeMap<String, Role> = BTreeMap::new();
        for (scope, role) in methods.into_iter().filter(|(scope, _)| !scope.is_empty()) {
            scopes
                .entry(scope)
                .and_modify(|least| *least = role.min(*least))
                .or_insert(role);
        }
        Self(scopes)
    }
    /// Checks the scopes of a new key of a member with `role`; sorted and without duplicates on return.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for none or unknown ones, `PERMISSION_DENIED` for one that the role has no right to.
    pub fn grant(&self, mut wanted: Vec<String>, role: Role) -> Result<Vec<String>> {
        wanted.sort();
        wanted.dedup();
        if wanted.is_empty() {
            return Err(Error::invalid_field(
                "api_key.scopes",
                format!("must name at least one of {}", self.names()),
            ));
        }
        for scope in &wanted {
            match self.0.get(scope) {
                None => {
                    return Err(Error::invalid_field(
                        "api_key.scopes",
                        format!("must be of {}", self.names()),
                    ));
                }
                Some(least) if *least > role => {
                    let text = format!("A key cannot hold a scope that its creator has no right to: {scope}.");
                    return Err(Error::new(Reason::PermissionDenied, text).meta("scope", scope));
                }
                Some(_) => {}
            }
        }
        Ok(wanted)
    }

    fn names(&self) -> String {
        self.0.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }
}

/// When a new key stops working: as wanted, or after 90 days.
///
/// # Errors
/// `INVALID_ARGUMENT` for the past or more than a year.
pub fn expiry(wanted: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Result<DateTime<Utc>> {
    let at = wanted.unwrap_or(now + DEFAULT_LIFETIME);
    if at > now && at <= now + MAX_LIFETIME {
        return Ok(at);
    }
    Err(Error::invalid_field(
        "api_key.expire_time",
        "must be in the future and at most one year from now",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_never_holds_more_than_its_creator() {
        let rules = [
            ("records.read", Role::Viewer),
            ("records.write", Role::Member),
            ("users.write", Role::Admin),
            ("", Role::Owner),
        ];
        let scopes = Scopes::new(rules.map(|(scope, role)| (scope.to_owned(), role)));
        let grant = |names: &[&str], role| {
            scopes
                .grant(names.iter().map(|s| (*s).to_owned()).collect(), role)
                .map_err(|e| e.reason())
        };
        assert_eq!(
            grant(&["records.write", "records.read", "records.read"], Role::Member).unwrap(),
            ["records.read", "records.write"]
        );
        assert_eq!(grant(&[], Role::Owner), Err(Reason::InvalidArgument));
        assert_eq!(grant(&["records.drop"], Role::Owner), Err(Reason::InvalidArgument));
        assert_eq!(grant(&[""], Role::Owner), Err(Reason::InvalidArgument));
        assert_eq!(grant(&["users.write"], Role::Member), Err(Reason::PermissionDenied));
    }

    #[test]
    fn a_key_ends_within_a_year() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        assert_eq!(expiry(None, now).unwrap(), now + Duration::days(90));
        assert!(expiry(Some(now), now).is_err());
        assert!(expiry(Some(now + Duration::days(367)), now).is_err());
    }
}

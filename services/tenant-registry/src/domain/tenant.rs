//! A tenant and what may be done to it in which state.

use crate::domain::Verb;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{Error, Placement, Reason, Result, TenantId, TenantStatus, slug};
use uuid::Uuid;

/// Longest display name, in characters.
pub const DISPLAY_NAME_MAX: usize = 120;

/// The life of a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantState {
    /// Onboarding runs.
    Creating,
    /// Served.
    Active,
    /// Locked by an operator.
    Suspended,
    /// Soft-deleted.
    Deleted,
    /// Being destroyed; there is no way back.
    Purging,
}

impl TenantState {
    const ALL: [Self; 5] = [
        Self::Creating,
        Self::Active,
        Self::Suspended,
        Self::Deleted,
        Self::Purging,
    ];
    /// The column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Purging => "purging",
        }
    }
    /// Parses the column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
    /// How the rest of the system sees it.
    #[must_use]
    pub const fn status(self) -> TenantStatus {
        match self {
            Self::Creating => TenantStatus::Creating,
            Self::Active => TenantStatus::Active,
            Self::Suspended => TenantStatus::Suspended,
            Self::Deleted | Self::Purging => TenantStatus::Deleted,
        }
    }
    /// The state in which `verb` puts a tenant at once, before any other service has done anything.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` where the state does not allow it.
    pub fn begin(self, verb: Verb) -> Result<Self> {
        match (verb, self) {
            (Verb::Suspend, Self::Active) => Ok(Self::Suspended),
            (Verb::Resume, Self::Suspended) | (Verb::Undelete, Self::Deleted) => Ok(Self::Active),
            (Verb::Delete, Self::Active | Self::Suspended) => Ok(Self::Deleted),
            (Verb::Purge, Self::Active | Self::Suspended | Self::Deleted) => Ok(Self::Purging),
            _ => Err(Error::new(
                Reason::FailedPrecondition,
                format!(
                    "The tenant is {}; that cannot be followed by {}. Get the tenant to see its state.",
                    self.as_str(),
                    verb.as_str()
                ),
            )),
        }
    }
}

/// One tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// First label of its host.
    pub slug: String,
    /// Name for people.
    pub display_name: String,
    /// Plan id.
    pub plan: String,
    /// State.
    pub state: TenantState,
    /// Why it is suspended, for people; empty otherwise.
    #[serde(default)]
    pub suspend_reason: String,
    /// Where the data lives.
    pub placement: Placement,
    /// Which data database.
    pub cell: String,
    /// Epoch of its route.
    pub epoch: i64,
    /// Version of the row.
    pub version: i64,
    /// When it was asked for.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
    /// When it was deleted.
    pub delete_time: Option<DateTime<Utc>>,
    /// When it will be destroyed.
    pub purge_time: Option<DateTime<Utc>>,
}

/// How a request names a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantName {
    /// `tenants/0192...`
    Id(TenantId),
    /// `tenants/acme`
    Slug(String),
}

impl TenantName {
    /// Reads the segment after `tenants/`. A slug is never a UUID, see [`check_slug`].
    #[must_use]
    pub fn of(segment: &str) -> Self {
        Uuid::try_parse(segment).map_or_else(
            |_| Self::Slug(segment.to_owned()),
            |id| Self::Id(TenantId::from_uuid(id)),
        )
    }
}

/// Checks a slug: the kernel's rules, and no text that reads as an id.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_slug(text: &str) -> Result<()> {
    slug::check(text)?;
    match TenantName::of(text) {
        TenantName::Slug(_) => Ok(()),
        TenantName::Id(_) => Err(Error::invalid_field("tenant.slug", "must not look like an id")),
    }
}

/// Checks a name for people.
///
/// # Errors
/// `INVALID_ARGUMENT` naming `field`.
pub fn check_display_name(field: &str, text: &str) -> Result<()> {
    let fits = text.chars().count() <= DISPLAY_NAME_MAX && !text.chars().any(char::is_control) && text.trim() == text;
    if fits {
        return Ok(());
    }
    Err(Error::invalid_field(
        field,
        format!("must be at most {DISPLAY_NAME_MAX} characters without control characters or outer spaces"),
    ))
}

/// A rough check, so that a typing error does not cost an onboarding; only a message proves an address.
///
/// # Errors
/// `INVALID_ARGUMENT` naming `field`.
pub fn check_email(field: &str, text: &str) -> Result<()> {
    let (local, host) = text.rsplit_once('@').unwrap_or_default();
    let plain = text.len() <= 254
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&b));
    let host_ok = host.contains('.') || host == "localhost";
    if plain
        && !local.is_empty()
        && local.len() <= 64
        && !local.contains('@')
        && host_ok
        && !host.starts_with('.')
        && !host.ends_with('.')
    {
        return Ok(());
    }
    Err(Error::invalid_field(
        field,
        "must be an e-mail address such as ada@example.com",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_the_life_of_a_tenant_and_purging_is_final() {
        use TenantState as S;
        let allowed = [
            (S::Active, Verb::Suspend, S::Suspended),
            (S::Suspended, Verb::Resume, S::Active),
            (S::Active, Verb::Delete, S::Deleted),
            (S::Suspended, Verb::Delete, S::Deleted),
            (S::Deleted, Verb::Undelete, S::Active),
            (S::Active, Verb::Purge, S::Purging),
            (S::Suspended, Verb::Purge, S::Purging),
            (S::Deleted, Verb::Purge, S::Purging),
        ];
        for from in S::ALL {
            assert_eq!(S::parse(from.as_str()), Some(from));
            for verb in Verb::ALL.iter().copied() {
                let expected = allowed
                    .iter()
                    .find(|(f, v, _)| (*f, *v) == (from, verb))
                    .map(|(_, _, to)| *to);
                assert_eq!(from.begin(verb).ok(), expected, "{from:?} {verb:?}");
            }
        }
    }

    #[test]
    fn a_slug_never_reads_as_an_id() {
        assert!(check_slug("acme").is_ok());
        for bad in [
            "a0000000-0000-7000-8000-000000000001",
            "a0000000000070008000000000000001",
            "operator",
            "x",
        ] {
            assert!(check_slug(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_two_sides_and_no_tricks() {
        for good in ["ada@example.com", "a.b+c@x.y", "dev@localhost"] {
            assert!(check_email("e", good).is_ok(), "{good}");
        }
        for bad in [
            "", "ada", "@x.y", "a@", "a@b@c.d", "a b@c.d", "a@.x", "a@x.", "a@x.y\n", "<a@x.y>",
        ] {
            assert!(check_email("e", bad).is_err(), "{bad}");
        }
    }
}

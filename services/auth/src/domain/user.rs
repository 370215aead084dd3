//! Members: states, who may change whom, and the last owner.

use super::Email;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use tenantry_kernel::{Error, Reason, Result, Role, UserId};

/// Longest name for people, in characters.
pub const MAX_DISPLAY_NAME: usize = 120;

/// State of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserState {
    /// Has no password yet.
    Invited,
    /// May sign in.
    Active,
    /// Locked.
    Disabled,
}

impl UserState {
    /// The column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }
    /// Parses the column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Invited, Self::Active, Self::Disabled]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A member of one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Id.
    pub id: UserId,
    /// Address; immutable.
    pub email: Email,
    /// Name for people.
    pub display_name: String,
    /// Role.
    pub role: Role,
    /// State.
    pub state: UserState,
    /// Grows at every change.
    pub version: i64,
    /// When added.
    pub create_time: DateTime<Utc>,
    /// When last changed.
    pub update_time: DateTime<Utc>,
}

impl User {
    /// What a client sends back to change exactly what it read.
    #[must_use]
    pub fn etag(&self) -> String {
        format!("\"{}\"", self.version)
    }
    /// Compares with an etag; an empty one is not compared.
    ///
    /// # Errors
    /// `ETAG_MISMATCH`.
    pub fn check_etag(&self, etag: &str) -> Result<()> {
        if etag.is_empty() || etag == self.etag() {
            Ok(())
        } else {
            Err(Error::etag_mismatch())
        }
    }
}

/// Only an owner touches owners: an admin who could reset an owner's password would be one.
///
/// # Errors
/// `PERMISSION_DENIED`.
pub fn may_manage(actor: Role, target: Role) -> Result<()> {
    if actor == Role::Owner || (actor == Role::Admin && target < Role::Owner) {
        return Ok(());
    }
    Err(Error::new(
        Reason::PermissionDenied,
        "Only an owner can make, change or remove an owner. Ask an owner of your organisation.",
    ))
}

/// May the owner in state `leaving` stop being one, if `others` are the states of all other owners? Somebody who can
/// sign in must stay owner; where nobody can yet (everyone is invited), an invitation must stay.
///
/// # Errors
/// `LAST_OWNER`.
pub fn may_leave(leaving: UserState, others: &[UserState]) -> Result<()> {
    let has = |state| others.contains(&state);
    let safe = match leaving {
        UserState::Active => has(UserState::Active),
        UserState::Invited | UserState::Disabled => has(UserState::Active) || has(UserState::Invited),
    };
    if safe {
        return Ok(());
    }
    Err(Error::new(
        Reason::LastOwner,
        "The last owner cannot be demoted, disabled or deleted. Make somebody else owner first.",
    ))
}

/// Checks a name for people.
///
/// # Errors
/// `INVALID_ARGUMENT` naming `field`.
pub fn check_display_name(field: &str, name: &str) -> Result<()> {
    if name.chars().count() <= MAX_DISPLAY_NAME && !name.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid_field(
        field,
        "must have at most 120 characters and no control characters",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_owner_who_can_sign_in_stays() {
        use UserState::{Active, Disabled, Invited};
        assert!(may_leave(Active, &[Active]).is_ok());
        assert!(may_leave(Active, &[]).is_err());
        assert!(
            may_leave(Active, &[Invited, Disabled]).is_err(),
            "nobody could sign in until the invitation is accepted"
        );
        assert!(may_leave(Invited, &[]).is_err());
        assert!(may_leave(Invited, &[Invited]).is_ok());
        assert!(may_leave(Disabled, &[Disabled]).is_err());
        assert!(may_leave(Disabled, &[Active]).is_ok());
    }

    #[test]
    fn only_owners_touch_owners_and_only_admins_touch_members() {
        assert!(may_manage(Role::Owner, Role::Owner).is_ok());
        assert!(may_manage(Role::Admin, Role::Owner).is_err());
        assert!(may_manage(Role::Admin, Role::Admin).is_ok());
        assert!(may_manage(Role::Member, Role::Viewer).is_err());
    }
}

//! Rotation of refresh tokens (auth design, A5): a token works once. Presenting a used one is either a lost response
//! (its successor was never used, and it is seconds ago) or theft.

use chrono::{DateTime, Duration, Utc};

/// How long a lost response may be repaired.
pub const LOST_RESPONSE: Duration = Duration::seconds(30);

/// State of a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefreshState {
    /// May be used.
    Active,
    /// Was used.
    Consumed,
    /// Ended, or replaced after a lost response.
    Revoked,
}

impl RefreshState {
    /// The column text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Consumed => "consumed",
            Self::Revoked => "revoked",
        }
    }
    /// Parses the column text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Consumed, Self::Revoked]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// What to do with a presented token of a live session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// Use it up and issue a successor.
    Rotate,
    /// The response was lost: revoke the unused successor and issue another.
    Reissue,
    /// Too old to be used; nothing is wrong.
    Expired,
    /// Used twice: end the session.
    Kill,
}

/// Decides; `successor` is the state of the token that replaced it.
#[must_use]
pub fn decide(
    state: RefreshState,
    expire: DateTime<Utc>,
    consumed: Option<DateTime<Utc>>,
    successor: Option<RefreshState>,
    now: DateTime<Utc>,
) -> Rotation {
    match state {
        RefreshState::Active if now < expire => Rotation::Rotate,
        RefreshState::Active => Rotation::Expired,
        RefreshState::Consumed => {
            let recent = consumed.is_some_and(|at| now - at <= LOST_RESPONSE);
            if recent && successor == Some(RefreshState::Active) {
                Rotation::Reissue
            } else {
                Rotation::Kill
            }
        }
        RefreshState::Revoked => Rotation::Kill,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RefreshState::{Active, Consumed, Revoked};

    #[test]
    fn a_lost_response_is_repaired_and_everything_else_is_theft() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let later = now + Duration::days(1);
        let ago = |seconds| Some(now - Duration::seconds(seconds));
        assert_eq!(decide(Active, later, None, None, now), Rotation::Rotate);
        assert_eq!(decide(Active, now, None, None, now), Rotation::Expired);
        assert_eq!(decide(Consumed, later, ago(30), Some(Active), now), Rotation::Reissue);
        assert_eq!(decide(Consumed, later, ago(31), Some(Active), now), Rotation::Kill);
        assert_eq!(
            decide(Consumed, later, ago(1), Some(Consumed), now),
            Rotation::Kill,
            "the successor was used"
        );
        assert_eq!(decide(Consumed, later, ago(1), Some(Revoked), now), Rotation::Kill);
        assert_eq!(decide(Consumed, later, ago(1), None, now), Rotation::Kill);
        assert_eq!(
            decide(Revoked, later, None, None, now),
            Rotation::Kill,
            "somebody holds a successor that was replaced"
        );
    }
}

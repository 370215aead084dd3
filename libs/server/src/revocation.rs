//! What was revoked lately. Transaction tokens live 60 s, so five minutes of memory are enough; the watcher keeps it
//! fresh within two seconds, and a service that has not heard from auth for 30 s refuses changes rather than trust old
//! knowledge.

use chrono::{DateTime, Utc};
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};
use tenantry_kernel::{Error, PrincipalKind, Reason, TenantId, TransactionClaims};
use tokio::sync::broadcast;
use uuid::Uuid;

const REMEMBERED_MS: i64 = 5 * 60 * 1000;
const STALE_MS: i64 = 30 * 1000;
const FEED: usize = 1024;

/// What a revocation is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Revoked {
    /// Everything of the tenant.
    Tenant,
    /// Everything of a member, keys included.
    User(Uuid),
    /// One session.
    Session(Uuid),
    /// One API key.
    ApiKey(Uuid),
}

/// Tokens of the subject issued at or before `not_before` are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// The tenant.
    pub tenant: TenantId,
    /// The subject.
    pub what: Revoked,
    /// When.
    pub not_before: DateTime<Utc>,
}

/// The revocations of the last five minutes. Cheap to ask, shared by reference.
pub struct Revocations {
    known: Mutex<HashMap<(TenantId, Revoked), i64>>,
    heard_ms: AtomicI64,
    feed: broadcast::Sender<Revocation>,
}

impl Default for Revocations {
    fn default() -> Self {
        Self {
            known: Mutex::default(),
            heard_ms: AtomicI64::new(0),
            feed: broadcast::channel(FEED).0,
        }
    }
}

impl Revocations {
    /// Adds what auth said at `now` (an empty list is a heartbeat).
    pub fn apply(&self, revocations: &[Revocation], now: DateTime<Utc>) {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            for revocation in revocations {
                let at = known.entry((revocation.tenant, revocation.what)).or_insert(i64::MIN);
                *at = (*at).max(revocation.not_before.timestamp_millis());
            }
            if !revocations.is_empty() {
                known.retain(|_, at| *at > now.timestamp_millis() - REMEMBERED_MS);
            }
        }
        self.heard_ms.fetch_max(now.timestamp_millis(), Ordering::Relaxed);
        for revocation in revocations {
            // Nobody listening is fine.
            drop(self.feed.send(*revocation));
        }
    }
    /// Follows new revocations, to purge caches. A lagging follower must purge everything.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Revocation> {
        self.feed.subscribe()
    }
    /// Whether auth was last heard more than 30 s ago.
    #[must_use]
    pub fn is_stale(&self, now: DateTime<Utc>) -> bool {
        now.timestamp_millis() - self.heard_ms.load(Ordering::Relaxed) > STALE_MS
    }
    /// Refuses a token whose subject was revoked after it was issued.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID`.
    pub fn check(&self, claims: &TransactionClaims, kind: &PrincipalKind) -> Result<(), Error> {
        let Some(tenant) = claims.tid else { return Ok(()) };
        let subjects = match kind {
            PrincipalKind::User { user, session } => [
                Some(Revoked::Tenant),
                Some(Revoked::User(user.uuid())),
                Some(Revoked::Session(session.uuid())),
            ],
            PrincipalKind::ApiKey { key, creator } => [
                Some(Revoked::Tenant),
                Some(Revoked::User(creator.uuid())),
                Some(Revoked::ApiKey(key.uuid())),
            ],
            PrincipalKind::Service { .. } | PrincipalKind::Anonymous => return Ok(()),
        };
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let revoked = subjects
            .into_iter()
            .flatten()
            .any(|what| known.get(&(tenant, what)).is_some_and(|at| claims.iat_ms <= *at));
        if revoked {
            return Err(Error::new(
                Reason::CredentialsInvalid,
                "The session or key was ended. Sign in again.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_kernel::{Role, SessionId, UserId};

    fn claims(iat_ms: i64) -> (TransactionClaims, PrincipalKind) {
        let id = Uuid::from_u128(7);
        let claims = TransactionClaims {
            iss: String::new(),
            aud: String::new(),
            sub: format!("user:{id}"),
            tid: Some(TenantId::from_uuid(id)),
            sid: Some(SessionId::from_uuid(id)),
            act: None,
            role: Some(Role::Owner),
            scopes: vec![],
            dbc: None,
            iat: iat_ms / 1000,
            iat_ms,
            exp: 0,
            jti: String::new(),
        };
        (
            claims,
            PrincipalKind::User {
                user: UserId::from_uuid(id),
                session: SessionId::from_uuid(id),
            },
        )
    }

    #[test]
    fn what_was_issued_before_is_refused_and_what_comes_after_is_not() {
        let revocations = Revocations::default();
        let at = DateTime::from_timestamp_millis(1_000_000).unwrap();
        for what in [
            Revoked::Tenant,
            Revoked::User(Uuid::from_u128(7)),
            Revoked::Session(Uuid::from_u128(7)),
        ] {
            let revocations = Revocations::default();
            revocations.apply(
                &[Revocation {
                    tenant: TenantId::from_uuid(Uuid::from_u128(7)),
                    what,
                    not_before: at,
                }],
                at,
            );
            let (old, kind) = claims(1_000_000);
            assert!(revocations.check(&old, &kind).is_err(), "{what:?}");
            let (new, kind) = claims(1_000_001);
            assert!(revocations.check(&new, &kind).is_ok(), "{what:?}");
        }
        revocations.apply(
            &[Revocation {
                tenant: TenantId::from_uuid(Uuid::from_u128(8)),
                what: Revoked::Tenant,
                not_before: at,
            }],
            at,
        );
        let (other, kind) = claims(1);
        assert!(
            revocations.check(&other, &kind).is_ok(),
            "another tenant's revocation must not matter"
        );
    }

    #[test]
    fn silence_makes_it_stale() {
        let revocations = Revocations::default();
        let now = DateTime::from_timestamp_millis(50_000_000).unwrap();
        assert!(revocations.is_stale(now));
        revocations.apply(&[], now);
        assert!(!revocations.is_stale(now + chrono::Duration::seconds(29)));
        assert!(revocations.is_stale(now + chrono::Duration::seconds(31)));
    }
}

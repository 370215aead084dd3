//! Credentials to transaction tokens, remembered for at most 30 seconds under the hash of the credential. What auth
//! revokes is forgotten at once; the services check revocations again, so that this cache can delay nothing beyond them.

use super::visitor::Credential;
use crate::{
    clients::{Exchanged, Tokens},
    error,
};
use moka::future::Cache;
use std::{sync::Arc, time::Duration};
use tenantry_crypto::{OpaqueToken, Prefix};
use tenantry_kernel::{Clock, Error, Result, TenantId};
use tenantry_server::{Revocation, Revocations, Revoked};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

const TTL: Duration = Duration::from_secs(30);
const MOST: u64 = 100_000;
/// A token must have this much time left when it is sent on.
const MARGIN: i64 = 10;
/// No credential of ours is longer.
const LONGEST: usize = 4096;

type Key = ([u8; 32], &'static str, Option<TenantId>);

/// The cache in front of [`Tokens`].
pub struct Credentials {
    tokens: Arc<dyn Tokens>,
    known: Cache<Key, Exchanged>,
    clock: Arc<dyn Clock>,
}

impl Credentials {
    /// An empty one.
    #[must_use]
    pub fn new(tokens: Arc<dyn Tokens>, clock: Arc<dyn Clock>) -> Self {
        let known = Cache::builder()
            .max_capacity(MOST)
            .time_to_live(TTL)
            .support_invalidation_closures()
            .build();
        Self { tokens, known, clock }
    }

    /// The transaction token of a credential. Requests that come together ask auth once.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID`, `TENANT_MISMATCH`, `UNAVAILABLE`.
    pub async fn exchange(
        &self,
        credential: &Credential,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> Result<Exchanged> {
        let text = credential.expose();
        if text.is_empty() || text.len() > LONGEST {
            return Err(error::credentials_invalid());
        }
        let key = (tenantry_crypto::token::sha256(text.as_bytes()), audience, tenant);
        if let Some(known) = self.known.get(&key).await {
            if known.expires > self.clock.now().timestamp() + MARGIN {
                return Ok(known);
            }
            self.known.invalidate(&key).await;
        }
        let ask = self.tokens.exchange(text, audience, tenant);
        self.known
            .try_get_with(key, ask)
            .await
            .map_err(|shared| error::again(&shared))
    }

    /// A token that names the gateway itself.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn service(&self, audience: &'static str, tenant: TenantId) -> Result<Arc<str>> {
        self.tokens.service(audience, tenant).await
    }

    /// Forgets one credential: its owner signed out here and must see it at once, not when the news comes back.
    pub async fn forget_one(&self, credential: &Credential, tenant: TenantId) {
        let hash = tenantry_crypto::token::sha256(credential.expose().as_bytes());
        for audience in crate::clients::SERVICES {
            self.known.invalidate(&(hash, audience, None)).await;
            self.known.invalidate(&(hash, audience, Some(tenant))).await;
        }
    }

    /// Forgets what a revocation names.
    pub fn forget(&self, revocation: &Revocation) {
        let (tenant, what) = (revocation.tenant, revocation.what);
        let named = move |_: &Key, known: &Exchanged| {
            known.tenant == tenant
                && match what {
                    Revoked::Tenant => true,
                    Revoked::User(id) => known.user == id.to_string() || known.subject == format!("user:{id}"),
                    Revoked::Session(id) => known.session == id.to_string(),
                    Revoked::ApiKey(id) => known.subject == format!("key:{id}"),
                }
        };
        if self.known.invalidate_entries_if(named).is_err() {
            self.known.invalidate_all();
        }
    }

    /// Forgets everything: revocations came faster than they were read.
    pub fn forget_all(&self) {
        self.known.invalidate_all();
    }

    /// Follows revocations until `stop`.
    pub fn follow(self: &Arc<Self>, revocations: &Revocations, stop: CancellationToken) {
        let (cache, mut feed) = (self.clone(), revocations.subscribe());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    next = feed.recv() => match next {
                        Ok(revocation) => cache.forget(&revocation),
                        Err(RecvError::Lagged(_)) => cache.forget_all(),
                        Err(RecvError::Closed) => return,
                    },
                }
            }
        });
    }
}

/// The tenant that an opaque credential or access token claims to be of. A claim only: it says where to look, auth says
/// whether it is true.
///
/// # Errors
/// `CREDENTIALS_INVALID` for what no service of ours can have made.
pub fn claimed_tenant(credential: &Credential) -> Result<Option<TenantId>, Error> {
    let text = credential.expose();
    if let Some(parsed) = OpaqueToken::parse(text) {
        // Refresh tokens and links are no credentials for calls.
        let usable = matches!(parsed.prefix, Prefix::Session | Prefix::ApiKey);
        return if usable {
            Ok(Some(parsed.tenant))
        } else {
            Err(error::credentials_invalid())
        };
    }
    let mut parts = text.split('.');
    let (Some(_), Some(claims), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(error::credentials_invalid());
    };
    Ok(tid(claims))
}

fn tid(claims: &str) -> Option<TenantId> {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&bytes).ok()?;
    claims.get("tid")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tenantry_kernel::{BoxFuture, SystemClock};

    const SESSION: &str = "0192b0a0-0000-7000-8000-0000000000aa";

    struct Counting(AtomicUsize);
    impl Tokens for Counting {
        fn exchange<'a>(
            &'a self,
            credential: &'a str,
            _: &'static str,
            tenant: Option<TenantId>,
        ) -> BoxFuture<'a, Result<Exchanged>> {
            Box::pin(async move {
                self.0.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                if credential == "bad" {
                    return Err(error::credentials_invalid());
                }
                Ok(Exchanged {
                    token: Arc::from(credential),
                    tenant: tenant.unwrap_or(TenantId::PLATFORM),
                    subject: format!("user:{SESSION}"),
                    session: SESSION.to_owned(),
                    user: SESSION.to_owned(),
                    expires: SystemClock.now().timestamp() + if credential == "short" { 5 } else { 60 },
                })
            })
        }
        fn service(&self, _: &'static str, _: TenantId) -> BoxFuture<'_, Result<Arc<str>>> {
            Box::pin(async { Ok(Arc::from("service")) })
        }
    }

    fn cache() -> (Arc<Credentials>, Arc<Counting>) {
        let tokens = Arc::new(Counting(AtomicUsize::new(0)));
        (
            Arc::new(Credentials::new(tokens.clone(), Arc::new(SystemClock))),
            tokens,
        )
    }
    async fn ask(
        cache: &Credentials,
        text: &str,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> Result<Exchanged> {
        cache.exchange(&Credential::new(text), audience, tenant).await
    }

    #[tokio::test]
    async fn one_question_for_many_and_none_shared_between_audiences_or_tenants() {
        let (cache, tokens) = cache();
        let many = (0..50).map(|_| ask(&cache, "a", "auth", None));
        assert!(futures::future::join_all(many).await.iter().all(Result::is_ok));
        assert_eq!(tokens.0.load(Ordering::SeqCst), 1);
        for (n, (audience, tenant)) in [("business", None), ("auth", Some(TenantId::PLATFORM))]
            .into_iter()
            .enumerate()
        {
            ask(&cache, "a", audience, tenant).await.expect("a token");
            assert_eq!(tokens.0.load(Ordering::SeqCst), n + 2);
        }
    }

    #[tokio::test]
    async fn refusals_and_tokens_at_their_end_are_asked_for_again() {
        let (cache, tokens) = cache();
        for text in ["bad", "bad", "short", "short"] {
            drop(ask(&cache, text, "auth", None).await);
        }
        assert_eq!(tokens.0.load(Ordering::SeqCst), 4);
        assert!(ask(&cache, &"x".repeat(LONGEST + 1), "auth", None).await.is_err());
        assert_eq!(
            tokens.0.load(Ordering::SeqCst),
            4,
            "what cannot be ours is not asked for"
        );
    }

    #[tokio::test]
    async fn a_revocation_is_forgotten_at_once() {
        let id = SESSION.parse::<tenantry_kernel::SessionId>().expect("an id").uuid();
        for what in [Revoked::Session(id), Revoked::User(id), Revoked::Tenant] {
            let (cache, tokens) = cache();
            ask(&cache, "a", "auth", None).await.expect("a token");
            cache.forget(&Revocation {
                tenant: TenantId::PLATFORM,
                what,
                not_before: SystemClock.now(),
            });
            ask(&cache, "a", "auth", None).await.expect("a token");
            assert_eq!(tokens.0.load(Ordering::SeqCst), 2, "{what:?}");
        }
    }

    #[test]
    fn a_claim_is_read_but_nothing_else_is_believed() {
        let id = TenantId::PLATFORM;
        let row = SESSION.parse::<tenantry_kernel::SessionId>().expect("an id").uuid();
        let claimed = |text: &str| claimed_tenant(&Credential::new(text));
        let (key, _) = OpaqueToken::generate(Prefix::ApiKey, id, row);
        assert_eq!(claimed(&key).expect("a key"), Some(id));
        let (refresh, _) = OpaqueToken::generate(Prefix::Refresh, id, row);
        assert!(claimed(&refresh).is_err());
        assert!(claimed("nonsense").is_err() && claimed("a.b").is_err() && claimed("a.b.c.d").is_err());
        assert_eq!(claimed("a.b.c").expect("perhaps a token"), None);
    }
}

//! What every command needs, and the effects several of them share: revocations and security events.

use super::{keyring::Keyring, minter::Minter};
use crate::{
    config::Sessions,
    domain::{Subject, revocation},
    store::{Store, events, realms, revocations, users},
};
use chrono::{DateTime, Duration, SubsecRound, Utc};
use serde_json::Value;
use std::sync::Arc;
use tenantry_db::Tx;
use tenantry_kernel::{Clock, Ctx, Ids, Result, TenantId};

/// Addresses as the outside knows them. Made from configuration and the tenant's record, never from request headers.
#[derive(Clone, Debug)]
pub struct Urls {
    base: String,
    audience: String,
}

impl Urls {
    /// From templates with `{slug}` and `{tenant}`. Without an audience it is made from the API host.
    #[must_use]
    pub fn new(base: &str, audience: Option<&str>) -> Self {
        let base = base.trim_end_matches('/').to_owned();
        let audience = audience.map_or_else(
            || format!("{}/t/{{tenant}}", base.replace("{slug}", "api")),
            str::to_owned,
        );
        Self { base, audience }
    }
    /// `iss` of a tenant's access tokens, and where its pages are.
    #[must_use]
    pub fn issuer(&self, slug: &str) -> String {
        self.base.replace("{slug}", slug)
    }
    /// `aud` of a tenant's access tokens: differs per tenant, so that a token of another tenant fails by its form.
    #[must_use]
    pub fn audience(&self, tenant: TenantId) -> String {
        self.audience.replace("{tenant}", &tenant.to_string())
    }
    /// Where a one-time link leads. The token is base62 and underscores: nothing to escape.
    #[must_use]
    pub fn accept(&self, slug: &str, token: &str) -> String {
        format!("{}/accept?token={token}", self.issuer(slug))
    }
}

/// Shared by all commands.
pub struct Core {
    /// Tables.
    pub store: Store,
    /// Transaction tokens and contexts.
    pub minter: Arc<Minter>,
    /// Keys of tenants.
    pub keyring: Keyring,
    /// Public addresses.
    pub urls: Urls,
    /// Lifetimes.
    pub sessions: Sessions,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
}

impl Core {
    /// All parts.
    #[must_use]
    pub fn new(
        store: Store,
        minter: Arc<Minter>,
        keyring: Keyring,
        urls: Urls,
        sessions: Sessions,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        Self {
            store,
            minter,
            keyring,
            urls,
            sessions,
            clock,
            ids,
        }
    }
    /// The time, as exact as the database keeps it: an answer and a later read of it are the same.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(6)
    }
    /// A new id.
    #[must_use]
    pub fn id(&self) -> uuid::Uuid {
        self.ids.new_v7()
    }
    /// How long a session may be idle.
    #[must_use]
    pub fn idle(&self) -> Duration {
        Duration::days(i64::from(self.sessions.idle_days))
    }
    /// Tells every verifier, in the transaction of the effect. What is still allowed after it (a member with another
    /// role) gets tokens that are dated later.
    ///
    /// # Errors
    /// As every statement.
    pub async fn revoke(&self, tx: &mut Tx, subjects: &[Subject]) -> Result<()> {
        let now = self.now();
        let mut rows = Vec::with_capacity(subjects.len());
        for subject in subjects {
            let not_before = match subject {
                Subject::Tenant => realms::realm_tokens_after(tx, now + revocation::TENANT_MARGIN).await?,
                Subject::User(id) => users::user_tokens_after(tx, *id, now + revocation::MARGIN).await?,
                Subject::Session(_) | Subject::ApiKey(_) => now + revocation::ENDED_MARGIN,
            };
            rows.push((*subject, not_before));
        }
        revocations::revocation_insert(tx, &rows).await
    }
    /// Writes a security event in the transaction of what it tells about.
    ///
    /// # Errors
    /// As every statement.
    pub async fn event(&self, tx: &mut Tx, ctx: &Ctx, kind: &str, subject: &str, detail: Value) -> Result<()> {
        events::event_insert(tx, ctx, self.id(), kind, subject, detail, self.now()).await
    }
}

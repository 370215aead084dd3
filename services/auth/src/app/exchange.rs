//! Swaps what a client sent for a transaction token. The hot path: one read of one row, cached by the gateway for at
//! most 30 s.
//!
//! The token is dated when the row is about to be read, or just after a revocation that the row survived (see
//! [`crate::domain::revocation`]): a revocation that commits while we read refuses the token that comes of it.

use super::{Core, access, minter::Grant};
use crate::{
    domain::{UserState, revocation, session},
    store::{
        api_keys::{self, KeyProof},
        sessions::{self, SessionProof},
    },
};
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tenantry_crypto::{OpaqueToken, Parsed, Prefix};
use tenantry_kernel::{ApiKeyId, Ctx, Error, Reason, Result, SessionId, TenantId, UserId};

/// What the gateway gets.
#[derive(Debug)]
pub struct Exchanged {
    /// JWT.
    pub token: String,
    /// Its end.
    pub expire_time: DateTime<Utc>,
    /// The tenant of the credential.
    pub tenant: TenantId,
    /// `user:..` or `key:..`
    pub subject: String,
    /// The session, if any.
    pub session: Option<SessionId>,
    /// The member behind it.
    pub user: UserId,
}

/// See the module.
#[derive(Clone)]
pub struct Exchange {
    core: Arc<Core>,
}

/// The one answer for credentials that are wrong, expired, revoked or invented.
#[must_use]
pub fn invalid() -> Error {
    Error::new(
        Reason::CredentialsInvalid,
        "The credentials are not valid. Sign in again.",
    )
}

impl Exchange {
    /// With its parts.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
    /// Exchanges a session token, an access token or an API key. `expected` is the tenant that host or path name.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID`; `TENANT_MISMATCH` (outside: `NOT_FOUND`) where the credential is another tenant's.
    pub async fn exchange(
        &self,
        ctx: &Ctx,
        credential: &str,
        audience: &'static str,
        expected: Option<TenantId>,
    ) -> Result<Exchanged> {
        match OpaqueToken::parse(credential) {
            Some(parsed) if parsed.prefix == Prefix::Session => {
                same_tenant(ctx, parsed.tenant, expected)?;
                self.session(
                    ctx,
                    audience,
                    parsed.tenant,
                    SessionId::from_uuid(parsed.id),
                    Some(&parsed),
                    None,
                )
                .await
            }
            Some(parsed) if parsed.prefix == Prefix::ApiKey => {
                same_tenant(ctx, parsed.tenant, expected)?;
                self.api_key(ctx, audience, &parsed).await
            }
            // Refresh tokens and links are no credentials for a request.
            Some(_) => Err(invalid()),
            None => self.access_token(ctx, credential, audience, expected).await,
        }
    }

    async fn access_token(
        &self,
        ctx: &Ctx,
        credential: &str,
        audience: &'static str,
        expected: Option<TenantId>,
    ) -> Result<Exchanged> {
        let tenant = access::claimed_tenant(credential).ok_or_else(invalid)?;
        same_tenant(ctx, tenant, expected)?;
        // A tenant that is not there is no other answer than a wrong signature.
        let signer = self.core.keyring.signer(tenant).await.map_err(|error| {
            if error.reason() == Reason::NotFound {
                invalid()
            } else {
                error
            }
        })?;
        let claims = access::verify(&self.core, &signer, tenant, credential)?;
        self.session(ctx, audience, tenant, claims.sid, None, Some(claims.sub))
            .await
    }

    /// `presented`: a session token's hash must fit; else the access token's `subject` must own the session.
    async fn session(
        &self,
        ctx: &Ctx,
        audience: &'static str,
        tenant: TenantId,
        id: SessionId,
        presented: Option<&Parsed>,
        subject: Option<UserId>,
    ) -> Result<Exchanged> {
        let now = self.core.now();
        let own = self.core.minter.own_for(ctx, tenant)?;
        let mut tx = self.core.store.begin(&own).await?;
        let proof = sessions::session_proof(&mut tx, id).await?.ok_or_else(invalid)?;
        self.check_session(&proof, presented, subject, now)?;
        if now >= proof.session.last_used_time + session::LAST_USED_STEP {
            sessions::session_touch(&mut tx, id, now).await?;
        }
        tx.commit().await?;
        let user = proof.session.user;
        let grant = Grant {
            audience,
            subject: format!("user:{user}"),
            tenant: Some(tenant),
            session: Some(id),
            creator: None,
            role: Some(proof.role),
            scopes: Vec::new(),
            issued: revocation::issue_time(now, &proof.tokens_after),
        };
        self.finish(grant, tenant, Some(id), user)
    }

    fn check_session(
        &self,
        proof: &SessionProof,
        presented: Option<&Parsed>,
        subject: Option<UserId>,
        now: DateTime<Utc>,
    ) -> Result<()> {
        let secret = match (presented, &proof.token_hash) {
            (Some(parsed), Some(hash)) => parsed.matches(hash),
            (Some(_), None) => false,
            (None, _) => subject == Some(proof.session.user),
        };
        let live = session::is_live(
            proof.session.expire_time,
            proof.session.last_used_time,
            self.core.idle(),
            now,
        );
        if secret && live && proof.active && proof.user_state == UserState::Active {
            Ok(())
        } else {
            Err(invalid())
        }
    }

    async fn api_key(&self, ctx: &Ctx, audience: &'static str, parsed: &Parsed) -> Result<Exchanged> {
        let now = self.core.now();
        let (tenant, id) = (parsed.tenant, ApiKeyId::from_uuid(parsed.id));
        let own = self.core.minter.own_for(ctx, tenant)?;
        let mut tx = self.core.store.begin(&own).await?;
        let KeyProof {
            key,
            token_hash,
            role,
            user_state,
            tokens_after,
        } = api_keys::api_key_proof(&mut tx, id).await?.ok_or_else(invalid)?;
        // A locked creator suspends their keys; the role is the creator's as it is now.
        if !parsed.matches(&token_hash) || now >= key.expire_time || user_state != UserState::Active {
            return Err(invalid());
        }
        if key
            .last_used_time
            .is_none_or(|used| now >= used + session::LAST_USED_STEP)
        {
            api_keys::api_key_touch(&mut tx, id, now).await?;
        }
        tx.commit().await?;
        let grant = Grant {
            audience,
            subject: format!("key:{id}"),
            tenant: Some(tenant),
            session: None,
            creator: Some(key.creator),
            role: Some(role),
            scopes: key.scopes,
            issued: revocation::issue_time(now, &tokens_after),
        };
        self.finish(grant, tenant, None, key.creator)
    }

    fn finish(&self, grant: Grant, tenant: TenantId, session: Option<SessionId>, user: UserId) -> Result<Exchanged> {
        let subject = grant.subject.clone();
        let (token, expire_time) = self.core.minter.transaction(grant)?;
        Ok(Exchanged {
            token,
            expire_time,
            tenant,
            subject,
            session,
            user,
        })
    }
}

fn same_tenant(ctx: &Ctx, claimed: TenantId, expected: Option<TenantId>) -> Result<()> {
    match expected {
        Some(expected) if expected != claimed => {
            tracing::warn!(reason = %Reason::TenantMismatch, request_id = %ctx.request_id(), credential = %claimed, host = %expected, "credential of another tenant");
            Err(Error::new(Reason::TenantMismatch, "the credential is another tenant's"))
        }
        _ => Ok(()),
    }
}

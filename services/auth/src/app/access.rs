//! Access tokens for clients: RFC 9068 JWTs under the tenant's own key, with issuer and audience of the tenant.

use super::{Core, keyring::TenantSigner};
use crate::domain::User;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tenantry_kernel::{Error, Result, Role, SessionId, TenantId, UserId};

/// Life in seconds.
pub const LIFETIME_SECONDS: i64 = 300;
/// `typ` of the header.
const TYPE: &str = "at+jwt";
/// Tokens of sign-ins at our own pages and API.
const CLIENT: &str = "tenantry";

/// The claims.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AccessClaims {
    /// The tenant's address.
    pub iss: String,
    /// The tenant's API.
    pub aud: String,
    /// The member.
    pub sub: UserId,
    /// The tenant.
    pub tid: TenantId,
    /// The session.
    pub sid: SessionId,
    /// Which client asked.
    pub client_id: String,
    /// For display; rights come from the member's role at the time of use.
    pub roles: Vec<Role>,
    /// One factor.
    pub acr: String,
    /// Which.
    pub amr: Vec<String>,
    /// When the member signed in.
    pub auth_time: i64,
    /// Unique id.
    pub jti: String,
    /// Issued at.
    pub iat: i64,
    /// Not before.
    pub nbf: i64,
    /// End.
    pub exp: i64,
}

/// Signs a token for a session.
///
/// # Errors
/// `INTERNAL`.
pub fn issue(
    core: &Core,
    signer: &TenantSigner,
    tenant: TenantId,
    user: &User,
    session: SessionId,
    signed_in: DateTime<Utc>,
) -> Result<String> {
    let now = core.now().timestamp();
    let claims = AccessClaims {
        iss: core.urls.issuer(&signer.slug),
        aud: core.urls.audience(tenant),
        sub: user.id,
        tid: tenant,
        sid: session,
        client_id: CLIENT.to_owned(),
        roles: vec![user.role],
        acr: "aal1".to_owned(),
        amr: vec!["pwd".to_owned()],
        auth_time: signed_in.timestamp(),
        jti: core.id().simple().to_string(),
        iat: now,
        nbf: now,
        exp: now + LIFETIME_SECONDS,
    };
    signer.sign(TYPE, &claims)
}

/// The tenant a token claims, before anything is verified: it chooses the key set, nothing else.
#[must_use]
pub fn claimed_tenant(token: &str) -> Option<TenantId> {
    #[derive(Deserialize)]
    struct Claim {
        tid: TenantId,
    }
    if token.len() > tenantry_crypto::jwt::MAX_TOKEN {
        return None;
    }
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return None;
    };
    serde_json::from_slice::<Claim>(&B64.decode(payload).ok()?)
        .ok()
        .map(|claim| claim.tid)
}

/// Verifies with the tenant's keys, issuer and audience.
///
/// # Errors
/// `CREDENTIALS_INVALID`.
pub fn verify(core: &Core, signer: &Arc<TenantSigner>, tenant: TenantId, token: &str) -> Result<AccessClaims> {
    let (aud, iss) = (core.urls.audience(tenant), core.urls.issuer(&signer.slug));
    let verified = signer.verify::<AccessClaims>(token, TYPE, &aud, &iss, core.now());
    let claims = verified.map_err(|cause| super::exchange::invalid().because(cause))?;
    if claims.tid == tenant {
        Ok(claims)
    } else {
        Err(super::exchange::invalid().because(Error::internal("tid differs from aud")))
    }
}

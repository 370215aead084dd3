//! Claims of the transaction token: the signed form in which "who calls for which tenant" travels between our
//! services (ES256 JWT, `typ` = `txn+jwt`, at most 60 s). Auth mints it, every service verifies it.

use crate::{ApiKeyId, DbContext, Error, Principal, PrincipalKind, Reason, Role, SessionId, TenantId, UserId};
use serde::{Deserialize, Serialize};

/// `iss` of every transaction token.
pub const ISSUER: &str = "tenantry-auth";
/// `typ` header of every transaction token; no other token of ours has it.
pub const TOKEN_TYPE: &str = "txn+jwt";
/// Longest life of a transaction token in seconds.
pub const MAX_LIFETIME_SECONDS: i64 = 60;

/// The claims, as they are signed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TransactionClaims {
    /// Always [`ISSUER`].
    pub iss: String,
    /// The called service: `auth`, `business`, `registry`.
    pub aud: String,
    /// `user:<id>`, `key:<id>`, `service:<name>`.
    pub sub: String,
    /// The tenant; absent only for a service that acts for the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<TenantId>,
    /// The session, for users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<SessionId>,
    /// The creating member, for API keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub act: Option<UserId>,
    /// The role in the tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Scopes that narrow the role.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Signed database context for the role of `aud`'s service (data plane, section 2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dbc: Option<String>,
    /// Issued at, seconds since the epoch.
    pub iat: i64,
    /// Issued at in milliseconds: a revocation refuses what was issued up to its own millisecond, not its second.
    pub iat_ms: i64,
    /// Expiry, seconds since the epoch.
    pub exp: i64,
    /// Unique id.
    pub jti: String,
}

impl TransactionClaims {
    /// The principal these claims name.
    ///
    /// # Errors
    /// `CREDENTIALS_INVALID` where the claims contradict each other.
    pub fn principal(&self) -> Result<Principal, Error> {
        let bad = || Error::new(Reason::CredentialsInvalid, "The token is not valid. Sign in again.");
        let (kind, id) = self.sub.split_once(':').ok_or_else(bad)?;
        let kind = match (kind, self.tid, self.sid, self.act) {
            ("user", Some(_), Some(session), None) => PrincipalKind::User {
                user: id.parse::<UserId>().map_err(|_| bad())?,
                session,
            },
            ("key", Some(_), None, Some(creator)) => PrincipalKind::ApiKey {
                key: id.parse::<ApiKeyId>().map_err(|_| bad())?,
                creator,
            },
            ("service", ..) => PrincipalKind::Service { name: id.to_owned() },
            _ => return Err(bad()),
        };
        Ok(Principal {
            kind,
            role: self.role,
            scopes: self.scopes.clone(),
        })
    }
    /// The signed database context, if the token carries one.
    #[must_use]
    pub fn db_context(&self) -> Option<DbContext> {
        self.dbc.clone().map(DbContext::new)
    }
}

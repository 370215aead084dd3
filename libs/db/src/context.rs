//! The signed database context: minted by auth only, verified by PostgreSQL in `tenancy.current_tenant()`.
//! `v1.<kid>.<tenant>.<role>.<exp>.<hmac-sha256 in hex over everything before the last dot>`

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::Write;
use tenantry_kernel::{DbContext, TenantId};

/// Longest life of a context, in seconds.
pub const MAX_LIFETIME_SECONDS: i64 = 300;

/// Mints a context for one tenant and one database login (`tenantry_business`). `key` is the HMAC key that was
/// installed in the database under `kid`; only auth has it.
#[must_use]
pub fn mint(key: &[u8], kid: i32, tenant: TenantId, role: &str, exp: DateTime<Utc>) -> DbContext {
    let mut token = format!("v1.{kid}.{tenant}.{role}.{}", exp.timestamp());
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(token.as_bytes());
    token.push('.');
    for byte in mac.finalize().into_bytes() {
        write!(token, "{byte:02x}").expect("writing to a String cannot fail");
    }
    DbContext::new(token)
}

/// The tenant a context claims, unverified: to refuse an obvious mix-up before a connection is used.
#[must_use]
pub fn tenant_of(token: &DbContext) -> Option<TenantId> {
    token.expose().split('.').nth(2)?.parse().ok()
}

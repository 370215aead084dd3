//! What a pool needs to know, without a dependency on the configuration crate.

use crate::error::map_error;
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use std::{fmt, str::FromStr};
use tenantry_kernel::Result;

/// Where and how wide. The URL holds a password: it is never printed.
#[derive(Clone)]
pub struct PoolSettings {
    /// `postgres://role:password@host:port/database`
    pub url: String,
    /// Upper bound of connections.
    pub max_connections: u32,
}

impl PoolSettings {
    /// Both values.
    #[must_use]
    pub fn new(url: impl Into<String>, max_connections: u32) -> Self {
        Self {
            url: url.into(),
            max_connections,
        }
    }
}

impl fmt::Debug for PoolSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolSettings")
            .field("url", &"***")
            .field("max_connections", &self.max_connections)
            .finish()
    }
}

/// Connection options every pool shares: no statement cache (a named statement could be swapped by injected SQL,
/// decision 32), no `extra_float_digits` (a pooler refuses it, decision 13), no statement log (parameters of ours
/// are never logged, and the text says nothing the canonical line does not).
pub(crate) fn options(url: &str) -> Result<PgConnectOptions> {
    let parsed = PgConnectOptions::from_str(url).map_err(map_error)?;
    let name = parsed.get_username().replace('_', "-");
    Ok(parsed
        .statement_cache_capacity(0)
        .extra_float_digits(None)
        .application_name(&name)
        .disable_statement_logging())
}

//! Configuration of every binary: embedded defaults < file < `TENANTRY__SECTION__KEY`, checked before any socket opens.
//!
//! It is the only crate that reads the environment. It must never print a secret: [`Secret`] shows stars, and errors
//! name keys and what they accept, not the values of secret keys.

mod error;
mod layers;
mod secret;
mod sections;

pub use error::{ConfigError, EX_USAGE};
pub use secret::Secret;
pub use sections::{Amqp, Db, Endpoint, GatewayListen, Identity, Listen, LogFormat, Metering, Redis, Telemetry};

use serde::de::DeserializeOwned;
use std::path::Path;

/// Loads a configuration: `defaults` (TOML inside the binary) < `file` < environment. Sections carry
/// `deny_unknown_fields`, so a misspelt key fails instead of being ignored.
///
/// # Errors
/// Names the key, where it came from and what is accepted; see [`ConfigError::exit_code`].
pub fn load<T: DeserializeOwned>(defaults: &'static str, file: Option<&Path>) -> Result<T, ConfigError> {
    layers::load(defaults, file, layers::environment())
}

/// One environment variable outside of the `TENANTRY__` scheme (tests, tools). Empty counts as unset.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
pub fn env_var(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

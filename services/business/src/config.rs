//! Configuration: `defaults.toml` is the reference.

use serde::Deserialize;
use std::path::Path;
use tenantry_config::{Amqp, ConfigError, Db, Endpoint, Identity, Listen, Metering, Redis, Telemetry};

/// Everything business can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Allows what must never run in production.
    #[serde(default)]
    pub dev: bool,
    /// Where it listens.
    pub listen: Listen,
    /// The tenant data database.
    pub data: Db,
    /// The cache.
    pub redis: Redis,
    /// The broker.
    pub amqp: Amqp,
    /// Where auth listens.
    pub auth: Endpoint,
    /// Where the registry listens.
    pub registry: Endpoint,
    /// How it proves itself to auth.
    pub identity: Identity,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// How often usage is reported.
    #[serde(default)]
    pub metering: Metering,
}

impl Config {
    /// Loads and checks it.
    ///
    /// # Errors
    /// Names the key and what is accepted.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let config: Self = tenantry_config::load(include_str!("defaults.toml"), file)?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        self.listen.validate("listen", self.dev)?;
        self.data.validate("data", self.dev)?;
        self.redis.validate("redis", self.dev)?;
        self.amqp.validate("amqp", self.dev)?;
        self.auth.validate("auth", self.dev)?;
        self.registry.validate("registry", self.dev)?;
        self.identity.validate("identity", self.dev)?;
        self.telemetry.validate("telemetry", self.dev)?;
        self.metering.validate("metering")?;
        if self.identity.service != "business" {
            return Err(ConfigError::invalid("identity.service", "must be business"));
        }
        if self.data.ddl_url.is_none() {
            return Err(ConfigError::invalid(
                "data.ddl_url",
                "is needed: schemas of tenants and tables of types are made with it",
            ));
        }
        Ok(())
    }
}

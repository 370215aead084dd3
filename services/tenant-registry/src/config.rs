//! Configuration: `defaults.toml` is the reference.

use serde::Deserialize;
use std::path::Path;
use tenantry_config::{Amqp, ConfigError, Db, Endpoint, Identity, Listen, Redis, Telemetry};

/// Everything the registry can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Allows what must never run in production.
    #[serde(default)]
    pub dev: bool,
    /// Where it listens.
    pub listen: Listen,
    /// The platform database.
    pub db: Db,
    /// The broker.
    pub amqp: Amqp,
    /// Where auth listens.
    pub auth: Endpoint,
    /// How it proves itself to auth.
    pub identity: Identity,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Links for people.
    pub public: Public,
    /// New and deleted tenants.
    pub tenants: Tenants,
    /// Accepted, so that one generator can write the files of all services; not used (decision 21).
    #[serde(default)]
    pub redis: Option<Redis>,
    /// As `redis`: business is reached by messages only.
    #[serde(default)]
    pub business: Option<Endpoint>,
}

/// `[public]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// `https://{slug}.example.com`
    pub base_uri_template: String,
}

/// `[tenants]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenants {
    /// How long a deleted tenant can be undeleted.
    pub retention_days: u16,
    /// Data database of new tenants.
    pub cell: String,
    /// Plan of tenants that name none.
    pub default_plan: String,
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
        self.db.validate("db", self.dev)?;
        self.amqp.validate("amqp", self.dev)?;
        self.auth.validate("auth", self.dev)?;
        self.identity.validate("identity", self.dev)?;
        self.telemetry.validate("telemetry", self.dev)?;
        if self.identity.service != "registry" {
            return Err(ConfigError::invalid("identity.service", "must be registry"));
        }
        let uri = &self.public.base_uri_template;
        if !(uri.starts_with("http://") || uri.starts_with("https://")) || !uri.contains("{slug}") {
            return Err(ConfigError::invalid(
                "public.base_uri_template",
                "must be an http(s) URI that contains {slug}",
            ));
        }
        if self.tenants.cell.is_empty() || self.tenants.default_plan.is_empty() {
            return Err(ConfigError::invalid(
                "tenants.cell, tenants.default_plan",
                "must not be empty",
            ));
        }
        Ok(())
    }
}

//! Configuration: `defaults.toml` is the reference.

use serde::Deserialize;
use std::path::Path;
use tenantry_config::{Amqp, ConfigError, Db, Endpoint, Identity, Listen, Redis, Secret, Telemetry};

/// Everything monitoring can be told.
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
    /// Reserved: nothing is cached here yet.
    #[serde(default)]
    pub redis: Option<Redis>,
    /// The broker.
    pub amqp: Amqp,
    /// Where auth listens.
    pub auth: Endpoint,
    /// Which services are asked for their health.
    #[serde(default)]
    pub health: Health,
    /// Who may report alerts.
    #[serde(default)]
    pub alerts: Alerts,
    /// Where the registry listens.
    pub registry: Endpoint,
    /// How it proves itself to auth.
    pub identity: Identity,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: Telemetry,
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
        self.registry.validate("registry", self.dev)?;
        self.identity.validate("identity", self.dev)?;
        self.telemetry.validate("telemetry", self.dev)?;
        let short = |token: &Secret| token.expose().len() < 16;
        if self.alerts.token.as_ref().is_some_and(short) {
            return Err(ConfigError::invalid("alerts.token", "must have at least 16 characters"));
        }
        let wrong = |url: &&String| !(url.starts_with("http://") && url.parse::<http::Uri>().is_ok());
        if self.health.targets.values().any(|url| wrong(&url)) {
            return Err(ConfigError::invalid(
                "health.targets",
                "must be http:// URLs of admin ports",
            ));
        }
        if self.identity.service != "monitoring" {
            return Err(ConfigError::invalid("identity.service", "must be monitoring"));
        }
        Ok(())
    }
}

/// `[health]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Admin URL by service.
    #[serde(default)]
    pub targets: std::collections::BTreeMap<String, String>,
}

/// `[alerts]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alerts {
    /// What Alertmanager sends as its bearer token to `POST /alerts` on the admin port. Without one, only a development
    /// instance takes alerts.
    #[serde(default)]
    pub token: Option<Secret>,
}

//! Configuration: `defaults.toml` is the reference.

use serde::Deserialize;
use std::path::Path;
use tenantry_config::{Amqp, ConfigError, Db, Endpoint, Identity, Listen, Redis, Secret, Telemetry};

/// Everything backup can be told.
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
    /// Where business listens.
    pub business: Endpoint,
    /// Where objects are kept.
    pub store: StoreSettings,
    /// What signs manifests.
    pub signing: Signing,
    /// How long things are kept.
    #[serde(default)]
    pub retention: Retention,
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
        self.business.validate("business", self.dev)?;
        self.registry.validate("registry", self.dev)?;
        self.identity.validate("identity", self.dev)?;
        self.telemetry.validate("telemetry", self.dev)?;
        self.store.validate(self.dev)?;
        if self.identity.service != "backup" {
            return Err(ConfigError::invalid("identity.service", "must be backup"));
        }
        Ok(())
    }
}

/// `[store]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// `file:///absolute/directory` or `s3://bucket/prefix`.
    pub url: String,
    /// S3 only: `http(s)://host:port`; empty = the provider's own endpoint of the region.
    #[serde(default)]
    pub endpoint: String,
    /// S3 only.
    #[serde(default = "default_region")]
    pub region: String,
    /// S3 only: key id, or `access_key_id_file`; without one the machine's role counts.
    #[serde(default)]
    pub access_key_id: Option<Secret>,
    /// S3 only: its secret, or `secret_access_key_file`.
    #[serde(default)]
    pub secret_access_key: Option<Secret>,
}

impl StoreSettings {
    fn validate(&self, dev: bool) -> Result<(), ConfigError> {
        let file = self
            .url
            .strip_prefix("file://")
            .is_some_and(|path| path.starts_with('/'));
        let bucket = self.url.strip_prefix("s3://").is_some_and(|rest| !rest.is_empty());
        if !file && !bucket {
            return Err(ConfigError::invalid(
                "store.url",
                "must be file:///absolute/directory or s3://bucket/prefix",
            ));
        }
        let plain = self.endpoint.starts_with("http://");
        let local = ["http://127.0.0.1", "http://localhost", "http://[::1]"];
        if plain && !dev && !local.iter().any(|host| self.endpoint.starts_with(host)) {
            return Err(ConfigError::invalid(
                "store.endpoint",
                "would send credentials unencrypted to another machine; use https://, or set dev = true",
            ));
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return Err(ConfigError::invalid(
                "store.access_key_id",
                "and store.secret_access_key must be set together",
            ));
        }
        Ok(())
    }
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

/// `[retention]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// A tenant that the registry does not know any more loses its snapshots after this many seconds.
    pub gone_grace_seconds: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            gone_grace_seconds: 24 * 3600,
        }
    }
}

/// `[signing]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// File with 32 random bytes in base64: the seed of the Ed25519 key that signs manifests.
    pub key_file: std::path::PathBuf,
    /// Public keys (base64) of earlier signing keys whose manifests are still believed.
    #[serde(default)]
    pub trusted: Vec<String>,
}

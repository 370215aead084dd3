//! Settings; `defaults.toml` is the commented reference.

use serde::Deserialize;
use std::{collections::HashMap, num::NonZero, path::PathBuf};
use tenantry_config::{Amqp, ConfigError, Db, Endpoint, Identity, Listen, Redis, Secret, Telemetry};

/// The defaults that `--config` and the environment come over.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Everything tenantry-auth can be told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Insecure settings are allowed.
    pub dev: bool,
    /// Ports.
    pub listen: Listen,
    /// Platform database.
    pub db: Db,
    /// Data database.
    #[serde(default)]
    pub data: Option<Db>,
    /// Unused by auth so far; part of every service's file.
    #[serde(default)]
    pub redis: Option<Redis>,
    /// Broker.
    pub amqp: Amqp,
    /// Registry.
    pub registry: Endpoint,
    /// Unused by auth; part of every service's file.
    #[serde(default)]
    pub business: Option<Endpoint>,
    /// Own name.
    pub identity: Identity,
    /// Logs and spans.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// First operator.
    #[serde(default)]
    pub bootstrap: Bootstrap,
    /// Root key.
    pub keys: Keys,
    /// Secrets of our services.
    pub services: Services,
    /// Addresses as the outside knows them.
    pub public: Public,
    /// Password hashing.
    pub argon2: Argon2,
    /// Lifetimes.
    pub sessions: Sessions,
}

/// `[bootstrap]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bootstrap {
    /// Address of the first operator; none is made without it.
    pub operator_email: Option<String>,
    /// Password of the first operator.
    pub operator_password: Option<Secret>,
}

/// `[keys]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// 32 bytes in base64, mode 0600.
    pub root_key_file: PathBuf,
}

/// `[services]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Services {
    /// Secret by name.
    pub secrets: HashMap<String, Secret>,
}

/// `[public]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    /// With `{slug}`.
    pub base_uri_template: String,
    /// With `{tenant}`; made from the API host if not given.
    #[serde(default)]
    pub audience_template: Option<String>,
}

/// `[argon2]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Argon2 {
    /// KiB of memory per hash.
    #[serde(default)]
    pub memory_kib: Option<u32>,
    /// Passes.
    #[serde(default)]
    pub iterations: Option<u32>,
    /// Lanes.
    pub lanes: u32,
    /// Hashes at once; 0 = processors.
    pub workers: usize,
    /// Places in the queue.
    pub queue: usize,
}

/// `[sessions]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    /// Idle limit.
    pub idle_days: u32,
    /// Limit of browser sessions.
    pub browser_days: u32,
    /// Limit of refresh families.
    pub tokens_days: u32,
}

impl Config {
    /// Defaults < `file` < environment, checked.
    ///
    /// # Errors
    /// Names the key and what is accepted.
    pub fn load(file: Option<&std::path::Path>) -> Result<Self, ConfigError> {
        let config: Self = tenantry_config::load(DEFAULTS, file)?;
        config.validate()?;
        Ok(config)
    }
    /// # Errors
    /// Names the key and what is accepted.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.listen.validate("listen", self.dev)?;
        self.db.validate("db", self.dev)?;
        if let Some(data) = &self.data {
            data.validate("data", self.dev)?;
        }
        self.amqp.validate("amqp", self.dev)?;
        self.registry.validate("registry", self.dev)?;
        self.identity.validate("identity", self.dev)?;
        self.telemetry.validate("telemetry", self.dev)?;
        self.services.validate()?;
        self.public.validate()?;
        self.argon2.validate(self.dev)?;
        self.sessions.validate()
    }
}

impl Services {
    fn validate(&self) -> Result<(), ConfigError> {
        for (name, secret) in &self.secrets {
            // Besides the four of this repository: a service of the installation's own, without a database login.
            let plain = name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            if !(1..=40).contains(&name.len()) || !plain {
                return Err(ConfigError::invalid(
                    "services.secrets",
                    "must have keys of 1 to 40 characters of a-z, 0-9 and '-'",
                ));
            }
            if secret.expose().len() < 32 {
                return Err(ConfigError::invalid(
                    format!("services.secrets.{name}"),
                    "must have at least 32 random characters",
                ));
            }
        }
        Ok(())
    }
}

impl Public {
    fn validate(&self) -> Result<(), ConfigError> {
        let http = |uri: &str| uri.starts_with("http://") || uri.starts_with("https://");
        if !http(&self.base_uri_template) || !self.base_uri_template.contains("{slug}") {
            return Err(ConfigError::invalid(
                "public.base_uri_template",
                "must be an http(s) address that contains {slug}",
            ));
        }
        if self
            .audience_template
            .as_ref()
            .is_some_and(|uri| !http(uri) || !uri.contains("{tenant}"))
        {
            return Err(ConfigError::invalid(
                "public.audience_template",
                "must be an http(s) address that contains {tenant}",
            ));
        }
        Ok(())
    }
}

impl Argon2 {
    /// KiB, passes and lanes.
    #[must_use]
    pub fn cost(&self, dev: bool) -> (u32, u32, u32) {
        let (memory, passes) = if dev { (19_456, 2) } else { (65_536, 3) };
        (
            self.memory_kib.unwrap_or(memory),
            self.iterations.unwrap_or(passes),
            self.lanes,
        )
    }
    /// Hashes at once.
    #[must_use]
    pub fn workers(&self) -> usize {
        if self.workers == 0 {
            std::thread::available_parallelism().map_or(1, NonZero::get)
        } else {
            self.workers
        }
    }
    fn validate(&self, dev: bool) -> Result<(), ConfigError> {
        let (memory, passes, lanes) = self.cost(dev);
        let least = if dev { 1_024 } else { 19_456 };
        if !(least..=1_048_576).contains(&memory) {
            return Err(ConfigError::invalid(
                "argon2.memory_kib",
                format!("must be {least} to 1048576"),
            ));
        }
        if !(1..=20).contains(&passes) || (!dev && passes < 2) {
            return Err(ConfigError::invalid("argon2.iterations", "must be 2 to 20"));
        }
        if !(1..=16).contains(&lanes) {
            return Err(ConfigError::invalid("argon2.lanes", "must be 1 to 16"));
        }
        if !(1..=10_000).contains(&self.queue) || self.workers > 256 {
            return Err(ConfigError::invalid(
                "argon2.queue",
                "must be 1 to 10000, and argon2.workers 0 to 256",
            ));
        }
        Ok(())
    }
}

impl Sessions {
    fn validate(&self) -> Result<(), ConfigError> {
        let days = [
            ("idle_days", self.idle_days),
            ("browser_days", self.browser_days),
            ("tokens_days", self.tokens_days),
        ];
        for (key, value) in days {
            if !(1..=365).contains(&value) {
                return Err(ConfigError::invalid(format!("sessions.{key}"), "must be 1 to 365"));
            }
        }
        Ok(())
    }
}

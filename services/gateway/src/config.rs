//! What the gateway reads from its configuration; `defaults.toml` is the reference.

use crate::{
    app::limits::Settings,
    clients::SERVICES,
    domain::{
        host::{Host, HostRules},
        proxies::Proxies,
    },
};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    num::NonZeroU32,
    path::{Path, PathBuf},
};
use tenantry_config::{Amqp, ConfigError, Endpoint, GatewayListen, Identity, Metering, Redis, Telemetry};

/// The whole configuration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Ports.
    pub listen: GatewayListen,
    /// The auth service.
    pub auth: Endpoint,
    /// The registry.
    pub registry: Endpoint,
    /// The business service.
    pub business: Endpoint,
    /// The backup service.
    pub backup: Endpoint,
    /// The monitoring service.
    pub monitoring: Endpoint,
    /// How the gateway proves itself to auth.
    pub identity: Identity,
    /// Not used yet: counters are this process's own.
    #[serde(default)]
    pub redis: Option<Redis>,
    /// Carries what tenants used to monitoring.
    pub amqp: Amqp,
    /// How often.
    #[serde(default)]
    pub metering: Metering,
    /// Logs and traces.
    #[serde(default)]
    pub telemetry: Telemetry,
    /// Which host is which.
    pub hosts: Hosts,
    /// Bounds.
    pub limits: Bounds,
    /// Services of the installation's own, by name.
    #[serde(default)]
    pub upstreams: BTreeMap<String, Upstream>,
    /// Whose X-Forwarded-For is believed: addresses and CIDR ranges.
    #[serde(default)]
    pub trusted_proxies: Proxies,
    /// Insecure settings are allowed.
    #[serde(default)]
    pub dev: bool,
}

/// `[upstreams.<name>]`: a service that is not one of this repository's. Its name is the second part of its proto
/// package and its audience at auth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where it listens.
    pub endpoint: String,
    /// Accepts `http://` to another machine, as for our own services.
    #[serde(default)]
    pub plaintext: bool,
    /// Its encoded `FileDescriptorSet` with imports: methods, policies, REST bindings.
    pub descriptors: PathBuf,
}

/// `[hosts]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosts {
    /// Tenants live one label below it.
    pub base_domain: String,
    /// Shared API hosts.
    pub api_hosts: Vec<String>,
    /// The operators' host.
    pub operator_host: String,
}

/// `[limits]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Sign-in attempts a minute of one address at one tenant.
    pub sign_in_per_minute: NonZeroU32,
    /// Attempts that may come at once.
    pub sign_in_burst: NonZeroU32,
    /// Requests of one tenant at the same time.
    pub tenant_in_flight: usize,
    /// Requests of all tenants at the same time.
    pub in_flight: usize,
    /// Open connections.
    pub connections: usize,
}

impl Config {
    /// Loads and checks.
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
        self.auth.validate("auth", self.dev)?;
        self.registry.validate("registry", self.dev)?;
        self.business.validate("business", self.dev)?;
        self.backup.validate("backup", self.dev)?;
        self.monitoring.validate("monitoring", self.dev)?;
        self.amqp.validate("amqp", self.dev)?;
        self.metering.validate("metering")?;
        self.identity.validate("identity", self.dev)?;
        self.telemetry.validate("telemetry", self.dev)?;
        for (name, upstream) in &self.upstreams {
            if SERVICES.contains(&name.as_str()) {
                return Err(ConfigError::invalid(
                    format!("upstreams.{name}"),
                    "has a section of its own; choose another name",
                ));
            }
            let endpoint = Endpoint {
                endpoint: upstream.endpoint.clone(),
                plaintext: upstream.plaintext,
            };
            endpoint.validate(&format!("upstreams.{name}"), self.dev)?;
        }
        let canonical = |key: &str, text: &str| match Host::parse(text) {
            Ok(host) if host.name() == text => Ok(()),
            _ => Err(ConfigError::invalid(
                key,
                "must be a host name in lower case without a port",
            )),
        };
        canonical("hosts.base_domain", &self.hosts.base_domain)?;
        canonical("hosts.operator_host", &self.hosts.operator_host)?;
        self.hosts
            .api_hosts
            .iter()
            .try_for_each(|host| canonical("hosts.api_hosts", host))?;
        let bounds = [
            ("in_flight", self.limits.in_flight),
            ("tenant_in_flight", self.limits.tenant_in_flight),
            ("connections", self.limits.connections),
        ];
        match bounds.iter().find(|(_, value)| *value == 0 || *value > 1_000_000) {
            Some((key, _)) => Err(ConfigError::invalid(format!("limits.{key}"), "must be 1 to 1000000")),
            None => Ok(()),
        }
    }

    /// The rules about hosts.
    #[must_use]
    pub fn host_rules(&self) -> HostRules {
        let Hosts {
            base_domain,
            api_hosts,
            operator_host,
        } = self.hosts.clone();
        HostRules {
            base_domain,
            api_hosts,
            operator_host,
        }
    }

    /// The settings of the counters.
    #[must_use]
    pub fn limit_settings(&self) -> Settings {
        let Bounds {
            sign_in_per_minute,
            sign_in_burst,
            tenant_in_flight,
            ..
        } = self.limits;
        Settings {
            sign_in_per_minute,
            sign_in_burst,
            tenant_in_flight,
        }
    }
}

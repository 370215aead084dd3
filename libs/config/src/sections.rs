//! Sections that services share. Each has `validate(section, dev)`: `section` is its name in the file, `dev` is the
//! top-level `dev = true` without which insecure settings are refused.

use crate::{ConfigError, Secret};
use serde::Deserialize;
use std::{net::SocketAddr, time::Duration};

/// `[listen]` of a service behind the gateway.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    /// gRPC (h2c).
    pub grpc: SocketAddr,
    /// /livez /readyz /metrics.
    pub admin: SocketAddr,
    /// Seconds between SIGTERM and the drain in which the process is unready but serves as before, 0 to 5. Where a
    /// balancer stands in front, as long as it takes to notice.
    #[serde(default)]
    pub shutdown_delay_seconds: u32,
}

/// `[listen]` of the gateway.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GatewayListen {
    /// gRPC, gRPC-Web, REST and pages.
    pub public: SocketAddr,
    /// /livez /readyz /metrics.
    pub admin: SocketAddr,
    /// Seconds between SIGTERM and the drain in which the process is unready but serves as before, 0 to 5. Where a
    /// balancer stands in front, as long as it takes to notice.
    #[serde(default)]
    pub shutdown_delay_seconds: u32,
}

/// `[db]` and `[data]`: one PostgreSQL database.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Db {
    /// As the tenant-bound role.
    pub url: Secret,
    /// As the service's own `_sys` role.
    pub system_url: Secret,
    /// As the DDL role; needed by `migrate` and provisioning only.
    #[serde(default)]
    pub ddl_url: Option<Secret>,
    /// Connections in all shards of the tenant pool together.
    #[serde(default = "default_pool_size")]
    pub pool_size: u32,
    /// Parts of the tenant pool; a tenant uses two of them.
    #[serde(default = "default_shards")]
    pub shards: u32,
}

/// `[redis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// `redis://user:password@host:port/0`
    pub url: Secret,
}

/// `[metering]`: how often a service reports what tenants used.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metering {
    /// Seconds between two reports, 1 to 60.
    pub interval_seconds: u64,
}

impl Default for Metering {
    fn default() -> Self {
        Self { interval_seconds: 10 }
    }
}

impl Metering {
    /// Time between two reports.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_secs(self.interval_seconds)
    }
    /// Checks the section.
    ///
    /// # Errors
    /// Names the key and what is accepted.
    pub fn validate(&self, section: &str) -> Result<(), ConfigError> {
        if (1..=60).contains(&self.interval_seconds) {
            return Ok(());
        }
        Err(ConfigError::invalid(
            format!("{section}.interval_seconds"),
            "must be 1 to 60",
        ))
    }
}

/// `[amqp]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amqp {
    /// `amqp://user:password@host:port/vhost`
    pub url: Secret,
}

/// `[auth]`, `[registry]`, `[business]`: where another service listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `http://host:port` or `https://host:port`
    pub endpoint: String,
    /// Accepts `http://` to another machine: the network below encrypts (service mesh, CNI) or is trusted. Services have
    /// no TLS of their own yet, and `dev = true` would also open the fault points.
    #[serde(default)]
    pub plaintext: bool,
}

/// `[identity]`: how this service proves itself to auth.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `gateway`, `registry`, `auth`, `business` or the name of an own service
    pub service: String,
    /// Shared with auth.
    pub secret: Secret,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For collectors.
    Json,
}

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    /// Filter directives: `info`, `info,tenantry_auth=debug`.
    #[serde(default = "default_log")]
    pub log: String,
    /// See [`LogFormat`].
    #[serde(default)]
    pub format: LogFormat,
    /// OTLP over gRPC; absent or empty = spans are not exported.
    #[serde(default)]
    pub otlp_endpoint: Option<String>,
    /// Share of the traces begun here that are recorded, 0 to 1. A caller's decision comes first, so a trace is whole or
    /// not there.
    #[serde(default = "default_sample_ratio")]
    pub sample_ratio: f64,
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            log: default_log(),
            format: LogFormat::Text,
            otlp_endpoint: None,
            sample_ratio: default_sample_ratio(),
        }
    }
}

fn default_pool_size() -> u32 {
    16
}
fn default_shards() -> u32 {
    4
}
/// One trace in ten shows what is slow and costs little.
fn default_sample_ratio() -> f64 {
    0.1
}
fn default_log() -> String {
    "info".to_owned()
}

impl Listen {
    /// # Errors
    /// Where both listeners share one address, or the delay is too long.
    pub fn validate(&self, section: &str, _dev: bool) -> Result<(), ConfigError> {
        differ(section, "grpc", self.grpc, self.admin)?;
        delay(section, self.shutdown_delay_seconds)
    }
    /// See [`Listen::shutdown_delay_seconds`].
    #[must_use]
    pub fn shutdown_delay(&self) -> Duration {
        Duration::from_secs(self.shutdown_delay_seconds.into())
    }
}

impl GatewayListen {
    /// # Errors
    /// Where both listeners share one address, or the delay is too long.
    pub fn validate(&self, section: &str, _dev: bool) -> Result<(), ConfigError> {
        differ(section, "public", self.public, self.admin)?;
        delay(section, self.shutdown_delay_seconds)
    }
    /// See [`GatewayListen::shutdown_delay_seconds`].
    #[must_use]
    pub fn shutdown_delay(&self) -> Duration {
        Duration::from_secs(self.shutdown_delay_seconds.into())
    }
}

impl Db {
    /// # Errors
    /// Wrong scheme, sizes out of range, unencrypted connection to another machine without `dev`.
    pub fn validate(&self, section: &str, dev: bool) -> Result<(), ConfigError> {
        let urls = [
            ("url", Some(&self.url)),
            ("system_url", Some(&self.system_url)),
            ("ddl_url", self.ddl_url.as_ref()),
        ];
        for (key, url) in urls {
            let Some(url) = url else { continue };
            let key = format!("{section}.{key}");
            scheme(&key, url.expose(), &["postgres", "postgresql"])?;
            let encrypted = ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"];
            let secure = encrypted.iter().any(|mode| url.expose().contains(mode));
            insecure(&key, secure, url.expose(), dev, "add ?sslmode=verify-full")?;
        }
        range(&format!("{section}.pool_size"), self.pool_size, 1, 500)?;
        range(&format!("{section}.shards"), self.shards, 1, 64)?;
        if self.shards > self.pool_size {
            return Err(ConfigError::invalid(
                format!("{section}.shards"),
                "must not be more than pool_size",
            ));
        }
        Ok(())
    }
}

impl Redis {
    /// # Errors
    /// Wrong scheme, unencrypted connection to another machine without `dev`.
    pub fn validate(&self, section: &str, dev: bool) -> Result<(), ConfigError> {
        let key = format!("{section}.url");
        scheme(&key, self.url.expose(), &["redis", "rediss"])?;
        insecure(
            &key,
            self.url.expose().starts_with("rediss:"),
            self.url.expose(),
            dev,
            "use rediss://",
        )
    }
}

impl Amqp {
    /// # Errors
    /// Wrong scheme, unencrypted connection to another machine without `dev`.
    pub fn validate(&self, section: &str, dev: bool) -> Result<(), ConfigError> {
        let key = format!("{section}.url");
        scheme(&key, self.url.expose(), &["amqp", "amqps"])?;
        insecure(
            &key,
            self.url.expose().starts_with("amqps:"),
            self.url.expose(),
            dev,
            "use amqps://",
        )
    }
}

impl Endpoint {
    /// # Errors
    /// Wrong scheme, unencrypted connection to another machine without `dev`.
    pub fn validate(&self, section: &str, dev: bool) -> Result<(), ConfigError> {
        endpoint(&format!("{section}.endpoint"), &self.endpoint, dev || self.plaintext)
    }
}

impl Identity {
    /// # Errors
    /// A name that is no service name, a secret that can be guessed.
    pub fn validate(&self, section: &str, _dev: bool) -> Result<(), ConfigError> {
        // Which names there are is auth's to say (`services.secrets`): that is where an own service is added.
        let name = self.service.as_bytes();
        let plain = name
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
        if !(1..=40).contains(&name.len()) || !plain {
            return Err(ConfigError::invalid(
                format!("{section}.service"),
                "must be 1 to 40 characters of a-z, 0-9 and '-'",
            ));
        }
        if self.secret.expose().len() < 32 {
            return Err(ConfigError::invalid(
                format!("{section}.secret"),
                "must have at least 32 random characters",
            ));
        }
        Ok(())
    }
}

impl Telemetry {
    /// # Errors
    /// Wrong scheme, unencrypted export to another machine without `dev`.
    pub fn validate(&self, section: &str, dev: bool) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.sample_ratio) {
            return Err(ConfigError::invalid(
                format!("{section}.sample_ratio"),
                "must be 0.0 to 1.0",
            ));
        }
        match self.otlp_endpoint.as_deref() {
            None | Some("") => Ok(()),
            Some(url) => endpoint(&format!("{section}.otlp_endpoint"), url, dev),
        }
    }
}

fn differ(section: &str, name: &str, one: SocketAddr, admin: SocketAddr) -> Result<(), ConfigError> {
    if one == admin && one.port() != 0 {
        return Err(ConfigError::invalid(
            format!("{section}.admin"),
            format!("must differ from {section}.{name}"),
        ));
    }
    Ok(())
}

fn delay(section: &str, seconds: u32) -> Result<(), ConfigError> {
    range(&format!("{section}.shutdown_delay_seconds"), seconds, 0, 5)
}

fn endpoint(key: &str, url: &str, dev: bool) -> Result<(), ConfigError> {
    scheme(key, url, &["http", "https"])?;
    insecure(key, url.starts_with("https:"), url, dev, "use https://")
}

fn range(key: &str, value: u32, low: u32, high: u32) -> Result<(), ConfigError> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(ConfigError::invalid(key, format!("must be {low} to {high}")))
    }
}

fn scheme(key: &str, url: &str, accepted: &[&str]) -> Result<(), ConfigError> {
    let ok = url
        .split_once("://")
        .is_some_and(|(scheme, rest)| accepted.contains(&scheme) && !rest.is_empty());
    if ok {
        Ok(())
    } else {
        Err(ConfigError::invalid(
            key,
            format!("must be a URL that starts with {}://", accepted.join(":// or ")),
        ))
    }
}

fn insecure(key: &str, secure: bool, url: &str, dev: bool, remedy: &str) -> Result<(), ConfigError> {
    if secure || dev || is_loopback(url) {
        return Ok(());
    }
    Err(ConfigError::invalid(
        key,
        format!("would send data unencrypted to another machine; {remedy}, or set dev = true"),
    ))
}

/// Whether the URL's host is this machine. Passwords may contain '@' only percent-encoded, so the last '@' counts.
fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let name = if host.starts_with('[') {
        host.split(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    name == "localhost" || name == "[::1" || name.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
}

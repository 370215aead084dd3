//! The test instance, as `world.json` describes it.

use serde::Deserialize;
use std::{collections::HashMap, path::PathBuf};

/// Everything a test may need to know about the running instance.
#[derive(Clone, Debug, Deserialize)]
pub struct World {
    /// Name of the instance.
    pub instance: String,
    /// `http://127.0.0.1:<port>`
    pub gateway_url: String,
    /// Ports.
    pub ports: Ports,
    /// Admin URL by service.
    pub admin_urls: HashMap<String, String>,
    /// gRPC URL by service.
    pub grpc_urls: HashMap<String, String>,
    /// Database URLs.
    pub db: Databases,
    /// Redis URLs by user.
    pub redis: HashMap<String, String>,
    /// AMQP URLs by user.
    pub amqp: HashMap<String, String>,
    /// The operator's sign-in.
    pub operator: Operator,
    /// Service identity secrets.
    pub service_secrets: HashMap<String, String>,
    /// Where pid files are.
    pub pid_dir: PathBuf,
    /// Where logs are.
    pub log_dir: PathBuf,
    /// Where the binaries are.
    pub bin_dir: PathBuf,
    /// Starts and stops the servers of the instance.
    pub stack_cmd: Vec<String>,
    /// Root of the checkout.
    pub root: PathBuf,
}

/// Ports of the instance.
#[derive(Clone, Debug, Deserialize)]
pub struct Ports {
    /// Public port.
    pub gateway: u16,
    /// PostgreSQL.
    pub postgres: u16,
    /// Redis.
    pub redis: u16,
    /// RabbitMQ.
    pub amqp: u16,
}

/// Database URLs: by database for the superuser, by role and database for the rest.
#[derive(Clone, Debug, Deserialize)]
pub struct Databases {
    /// By database.
    pub superuser: HashMap<String, String>,
    /// By role, then database.
    pub roles: HashMap<String, HashMap<String, String>>,
}

/// The operator's sign-in.
#[derive(Clone, Debug, Deserialize)]
pub struct Operator {
    /// E-mail.
    pub email: String,
    /// Password.
    pub password: String,
}

impl World {
    /// The instance named by `TENANTRY_WORLD`.
    ///
    /// # Panics
    /// Without one: tests never fall back to something else.
    #[must_use]
    pub fn load() -> Self {
        let path = tenantry_config::env_var("TENANTRY_WORLD").expect(
            "TENANTRY_WORLD is not set: run `make test`, or `make up` and export the path of .run/dev/world.json",
        );
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}; is the instance up?"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
    }
    /// `<slug>.localhost:<port>`
    #[must_use]
    pub fn host(&self, slug: &str) -> String {
        format!("{slug}.localhost:{}", self.ports.gateway)
    }
}

//! The measured instance: what world.json says beyond what tests need.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tenantry_testkit::World;

/// A running instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    /// URLs, credentials, pid files.
    pub(crate) world: World,
    /// `debug` or `release`.
    pub(crate) profile: String,
    /// Where the servers' pid files are.
    pub(crate) state_dir: PathBuf,
}

#[derive(Deserialize)]
struct More {
    profile: String,
    state_dir: PathBuf,
}

impl Instance {
    /// Reads world.json.
    pub(crate) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} is not readable; is the instance up?", path.display()))?;
        let parse = || -> serde_json::Result<(World, More)> {
            Ok((serde_json::from_str(&text)?, serde_json::from_str(&text)?))
        };
        let (world, more) = parse().with_context(|| path.display().to_string())?;
        Ok(Self {
            world,
            profile: more.profile,
            state_dir: more.state_dir,
        })
    }
    /// gRPC address of a service, past the gateway.
    pub(crate) fn grpc(&self, service: &str) -> Result<&str> {
        let url = self.world.grpc_urls.get(service);
        url.map(String::as_str)
            .with_context(|| format!("world.json has no gRPC URL of {service}"))
    }
    /// The URL with which a role reaches a database.
    pub(crate) fn database(&self, role: &str, database: &str) -> Result<&str> {
        let url = self.world.db.roles.get(role).and_then(|urls| urls.get(database));
        url.map(String::as_str)
            .with_context(|| format!("world.json has no URL of {role} for {database}"))
    }
}

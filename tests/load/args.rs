//! The command line.

use clap::{Parser, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;

/// Measures a running instance under an open loop, beside its floor.
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "tenantry-load")]
pub(crate) struct Args {
    /// The instance's world.json.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) world: PathBuf,
    /// Where the numbers go as JSON.
    #[arg(long)]
    #[serde(skip)]
    pub(crate) json: Option<PathBuf>,
    /// How many tenants are created.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) tenants: u32,
    /// Records in each.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) records: u32,
    /// Requests in a second.
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Seconds that count.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) seconds: u32,
    /// Seconds before that, at the same rate.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=3600))]
    pub(crate) warmup: u32,
    /// How requests spread over tenants.
    #[arg(long, value_enum, default_value_t = Distribution::Uniform)]
    pub(crate) distribution: Distribution,
    /// How the gateway is called.
    #[arg(long, value_enum, default_value_t = Protocol::Grpc)]
    pub(crate) protocol: Protocol,
    /// The tenants' plan.
    #[arg(long, default_value = "enterprise")]
    pub(crate) plan: String,
    /// Tenants that are set up at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) setup_concurrency: u32,
    /// HTTP/2 connections to the gateway and to the echo.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub(crate) connections: u32,
    /// Database connections of the floor.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=128))]
    pub(crate) floor_connections: u32,
    /// Records of the tenant that is snapshotted and restored; 0 leaves it out.
    #[arg(long, default_value_t = 200_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub(crate) snapshot_records: u32,
    /// Repeats the same schedule.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// How requests spread over tenants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Distribution {
    /// Every tenant the same.
    Uniform,
    /// The n-th tenant 1/n as often as the first.
    Zipf,
}

/// How the gateway is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// HTTP/2 frames.
    Grpc,
    /// JSON over HTTP.
    Rest,
    /// One after the other.
    Both,
}

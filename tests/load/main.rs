//! `tenantry-load`, what `make bench` runs: many tenants, an open loop of reads, lists and writes through the gateway,
//! and in the same run the floor under it: the same statements with the same signed context straight on PostgreSQL, and
//! a bare gRPC echo. It prints one table, writes the same as JSON and fails if any request failed.
//!
//! Latency is counted from the moment a request was due, not from when it was sent: a slow answer cannot hide the
//! requests that waited behind it.

mod args;
mod echo;
mod engine;
mod floor;
mod gateway;
mod instance;
mod memory;
mod plan;
mod procs;
mod progress;
mod report;
mod setup;
mod snapshots;

use anyhow::{Context, Result, bail};
use args::{Args, Protocol};
use clap::Parser;
use engine::{Engine, Target};
use instance::Instance;
use plan::Plan;
use report::Report;
use setup::LoadTenant;
use std::{io::Write, process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = runtime
        .context("no runtime")
        .and_then(|runtime| runtime.block_on(run(args)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a way to say it, the exit code remains.
            drop(writeln!(std::io::stderr(), "tenantry-load: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<()> {
    // The tests' clients do the same; whoever comes first wins.
    drop(rustls::crypto::ring::default_provider().install_default());
    let instance = Instance::load(&args.world)?;
    let idle = procs::resident(&instance).await?;
    let together = procs::proportional(&instance)?;
    let (onboarding, tenants) = setup::tenants(&instance, &args).await?;
    let tenants: Arc<[LoadTenant]> = tenants.into();
    let plan = Arc::new(Plan::new(&args, &tenants)?);
    let engine = Engine::new(plan);
    let mut phases = Vec::new();
    for name in names(args.protocol) {
        let target = target(name, &instance, &args, &tenants).await.context(name)?;
        phases.push(engine.run(name, target, &instance).await?);
    }
    let snapshots = snapshots::measure(&instance, &args).await.context("snapshots")?;
    let memory = memory::Memory::new(&idle, together, &phases);
    let report = Report::new(&args, &instance, onboarding, phases, snapshots, memory).await?;
    if let Some(path) = &args.json {
        report.write(path)?;
    }
    writeln!(std::io::stdout().lock(), "{report}")?;
    match report.errors() {
        0 => Ok(()),
        errors => bail!("{errors} requests failed or were not sent; the first messages are in the report"),
    }
}

/// What is measured, in order. The floor comes after the gateway: what is warm by then helps the floor.
fn names(protocol: Protocol) -> Vec<&'static str> {
    let gateway: &[_] = match protocol {
        Protocol::Grpc => &[report::GRPC],
        Protocol::Rest => &[report::REST],
        Protocol::Both => &[report::GRPC, report::REST],
    };
    [gateway, &[report::FLOOR, report::ECHO]].concat()
}

/// Made just before its turn: the floor's preparation must not be load beside the gateway.
async fn target(name: &str, instance: &Instance, args: &Args, tenants: &Arc<[LoadTenant]>) -> Result<Arc<dyn Target>> {
    Ok(match name {
        report::GRPC => Arc::new(gateway::Grpc::new(instance, args, tenants)?),
        report::REST => Arc::new(gateway::Rest::new(instance, tenants)?),
        report::FLOOR => Arc::new(floor::Floor::new(instance, args, tenants).await?),
        _ => Arc::new(echo::Echo::start(args).await?),
    })
}

//! The numbers: one table for people, the same as JSON.

use crate::{
    args::Args, engine::Phase, instance::Instance, memory::Memory, plan::Kind, procs::Usage, setup::Onboarding,
    snapshots::Snapshots,
};
use anyhow::{Context, Result};
use comfy_table::{CellAlignment, Table, presets};
use hdrhistogram::Histogram;
use serde::Serialize;
use sqlx::{Connection, PgConnection, Row};
use std::{collections::BTreeMap, fmt, path::Path};

/// Through the gateway.
pub(crate) const GRPC: &str = "gateway gRPC";
/// Through the gateway.
pub(crate) const REST: &str = "gateway REST";
/// The same statements straight on PostgreSQL.
pub(crate) const FLOOR: &str = "PostgreSQL floor";
/// A server that does nothing.
pub(crate) const ECHO: &str = "bare echo";
/// The product's promise for every kind of request through the gateway.
const TARGET_P95_MS: f64 = 200.0;
const MESSAGES: usize = 10;

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    args: Args,
    profile: String,
    cpus: usize,
    onboarding: Onboarding,
    catalog: Catalog,
    phases: Vec<PhaseRow>,
    ratios_to_floor: Vec<Ratio>,
    targets: Vec<Promise>,
    snapshots: Option<Snapshots>,
    memory: Memory,
}

/// One target's run.
#[derive(Debug, Serialize)]
struct PhaseRow {
    target: &'static str,
    requests: u64,
    failed: u64,
    rate_asked: u32,
    rate_achieved: f64,
    /// How late requests left; contained in the latencies.
    send_lag_p99_ms: f64,
    kinds: BTreeMap<Kind, Latency>,
    processes: Vec<Process>,
    errors: BTreeMap<String, u64>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Latency {
    requests: u64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
    max_ms: f64,
}

#[derive(Debug, Serialize)]
struct Process {
    #[serde(flatten)]
    usage: Usage,
    cpu_ms_per_request: f64,
    cpu_percent: f64,
}

#[derive(Debug, Serialize)]
struct Ratio {
    target: &'static str,
    kind: Kind,
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Debug, Serialize)]
struct Promise {
    target: &'static str,
    kind: Kind,
    promise: String,
    measured_ms: f64,
    /// Above 1 is missed.
    ratio: f64,
}

/// What the tenants cost PostgreSQL before any data.
#[derive(Debug, Serialize)]
struct Catalog {
    relations: i64,
    catalog_bytes: i64,
    database_bytes: i64,
}

impl Report {
    /// From what the run left.
    pub(crate) async fn new(
        args: &Args,
        instance: &Instance,
        onboarding: Onboarding,
        phases: Vec<Phase>,
        snapshots: Option<Snapshots>,
        memory: Memory,
    ) -> Result<Self> {
        let rows: Vec<PhaseRow> = phases.iter().map(|phase| PhaseRow::new(args, phase)).collect();
        Ok(Self {
            args: args.clone(),
            profile: instance.profile.clone(),
            cpus: std::thread::available_parallelism().map_or(0, usize::from),
            onboarding,
            snapshots,
            memory,
            catalog: Catalog::read(instance).await?,
            ratios_to_floor: ratios(&rows),
            targets: promises(&rows),
            phases: rows,
        })
    }
    /// As JSON.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(path, text).with_context(|| format!("{} is not writable", path.display()))
    }
    /// Requests that failed, over all targets.
    pub(crate) fn errors(&self) -> u64 {
        self.phases.iter().map(|phase| phase.failed).sum()
    }
}

impl PhaseRow {
    fn new(args: &Args, phase: &Phase) -> Self {
        let requests = phase.requests();
        let seconds = phase.wall.as_secs_f64().max(0.001);
        let process = |usage: &Usage| Process {
            usage: usage.clone(),
            cpu_ms_per_request: 1000.0 * usage.cpu_seconds / (requests.max(1) as f64),
            cpu_percent: 100.0 * usage.cpu_seconds / seconds,
        };
        Self {
            target: phase.name,
            requests,
            failed: phase.failed(),
            rate_asked: args.rate,
            rate_achieved: requests as f64 / seconds,
            send_lag_p99_ms: ms(phase.lag.value_at_quantile(0.99)),
            kinds: phase
                .kinds
                .iter()
                .map(|(kind, times)| (*kind, Latency::of(times)))
                .collect(),
            processes: phase.usage.iter().map(process).collect(),
            errors: phase.errors.clone(),
        }
    }
    fn is_gateway(&self) -> bool {
        [GRPC, REST].contains(&self.target)
    }
}

impl Latency {
    fn of(times: &Histogram<u64>) -> Self {
        Self {
            requests: times.len(),
            p50_ms: ms(times.value_at_quantile(0.50)),
            p95_ms: ms(times.value_at_quantile(0.95)),
            p99_ms: ms(times.value_at_quantile(0.99)),
            max_ms: ms(times.max()),
        }
    }
}

fn ms(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

fn ratios(rows: &[PhaseRow]) -> Vec<Ratio> {
    let Some(floor) = rows.iter().find(|row| row.target == FLOOR) else {
        return Vec::new();
    };
    let ratio = |row: &PhaseRow, kind: Kind| {
        let (above, below) = (row.kinds.get(&kind)?, floor.kinds.get(&kind)?);
        let divide = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
        Some(Ratio {
            target: row.target,
            kind,
            p50: divide(above.p50_ms, below.p50_ms),
            p95: divide(above.p95_ms, below.p95_ms),
            p99: divide(above.p99_ms, below.p99_ms),
        })
    };
    let gateways = rows.iter().filter(|row| row.is_gateway());
    gateways
        .flat_map(|row| Kind::ALL.into_iter().filter_map(move |kind| ratio(row, kind)))
        .collect()
}

fn promises(rows: &[PhaseRow]) -> Vec<Promise> {
    let gateways = rows.iter().filter(|row| row.is_gateway());
    gateways
        .flat_map(|row| {
            row.kinds
                .iter()
                .map(move |(kind, times)| (row.target, *kind, times.p95_ms))
        })
        .map(|(target, kind, measured_ms)| Promise {
            target,
            kind,
            promise: format!("p95 < {TARGET_P95_MS} ms"),
            measured_ms,
            ratio: measured_ms / TARGET_P95_MS,
        })
        .collect()
}

impl Catalog {
    async fn read(instance: &Instance) -> Result<Self> {
        let url = instance.world.db.superuser.get("tenantry_data");
        let mut connection = PgConnection::connect(url.context("world.json has no superuser URL")?).await?;
        let sql = "SELECT pg_catalog.count(*), \
                   pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid)) FILTER (WHERE c.relnamespace = 'pg_catalog'::regnamespace AND c.relkind = 'r')::int8, \
                   pg_catalog.pg_database_size(pg_catalog.current_database()) FROM pg_catalog.pg_class c";
        let row = sqlx::query(sql).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok(Self {
            relations: row.try_get(0)?,
            catalog_bytes: row.try_get(1)?,
            database_bytes: row.try_get(2)?,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let args = &self.args;
        writeln!(
            f,
            "\n{} tenants, {} records each; open loop at {}/s for {} s after {} s of warm-up; {:?} over tenants; {} build, {} CPUs",
            args.tenants,
            args.records,
            args.rate,
            args.seconds,
            args.warmup,
            args.distribution,
            self.profile,
            self.cpus
        )?;
        writeln!(f, "{}\n\n{}", self.latencies(), self.processes())?;
        let onboarding = &self.onboarding;
        writeln!(
            f,
            "\nOnboarding ({} at a time): p50 {:.0} ms, p95 {:.0} ms, max {:.0} ms; {:.1} s for all {} with owner, key and records",
            onboarding.concurrency,
            onboarding.p50_ms,
            onboarding.p95_ms,
            onboarding.max_ms,
            onboarding.wall_seconds,
            onboarding.tenants
        )?;
        writeln!(
            f,
            "Data database: {} relations, catalog {}, in all {}",
            self.catalog.relations,
            mib(self.catalog.catalog_bytes.unsigned_abs()),
            mib(self.catalog.database_bytes.unsigned_abs())
        )?;
        if let Some(snapshots) = &self.snapshots {
            write!(f, "{snapshots}")?;
        }
        write!(f, "{}", self.memory)?;
        for promise in &self.targets {
            let verdict = if promise.ratio < 1.0 { "met" } else { "MISSED" };
            let Promise { target, kind, .. } = promise;
            writeln!(
                f,
                "Target {} ({target} {}): {verdict}, {:.2} of it",
                promise.promise,
                kind.as_str(),
                promise.ratio
            )?;
        }
        self.messages(f)
    }
}

impl Report {
    fn latencies(&self) -> Table {
        let mut table = table(&[
            "",
            "request",
            "n",
            "p50 ms",
            "p95 ms",
            "p99 ms",
            "max ms",
            "p50 / floor",
            "p95 / floor",
            "rate/s",
            "failed",
            "sent late p99 ms",
        ]);
        for row in &self.phases {
            for (n, (kind, times)) in row.kinds.iter().enumerate() {
                let ratio = self
                    .ratios_to_floor
                    .iter()
                    .find(|ratio| (ratio.target, ratio.kind) == (row.target, *kind));
                let times_floor =
                    |pick: fn(&Ratio) -> f64| ratio.map_or_else(String::new, |ratio| format!("{:.2}x", pick(ratio)));
                let once = |text: String| if n == 0 { text } else { String::new() };
                table.add_row([
                    once(row.target.to_owned()),
                    kind.as_str().to_owned(),
                    times.requests.to_string(),
                    format!("{:.2}", times.p50_ms),
                    format!("{:.2}", times.p95_ms),
                    format!("{:.2}", times.p99_ms),
                    format!("{:.2}", times.max_ms),
                    times_floor(|ratio| ratio.p50),
                    times_floor(|ratio| ratio.p95),
                    once(format!("{:.1}", row.rate_achieved)),
                    once(row.failed.to_string()),
                    once(format!("{:.2}", row.send_lag_p99_ms)),
                ]);
            }
        }
        table
    }

    fn processes(&self) -> Table {
        let mut table = table(&["", "process", "CPU ms / request", "CPU %", "RSS", "processes"]);
        for row in &self.phases {
            // Only the measured paths: under an echo the servers do nothing.
            for (n, process) in row.processes.iter().enumerate().filter(|_| row.target != ECHO) {
                table.add_row([
                    if n == 0 { row.target.to_owned() } else { String::new() },
                    process.usage.name.clone(),
                    format!("{:.3}", process.cpu_ms_per_request),
                    format!("{:.1}", process.cpu_percent),
                    mib(process.usage.rss_bytes),
                    process.usage.processes.to_string(),
                ]);
            }
        }
        table
    }

    fn messages(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.phases {
            for (message, count) in row.errors.iter().take(MESSAGES) {
                writeln!(f, "{} failed {count} times: {message}", row.target)?;
            }
        }
        Ok(())
    }
}

/// Markdown, to be copied into docs/performance.md; numbers to the right.
fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

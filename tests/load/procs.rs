//! CPU and memory of the instance's processes, from /proc. A server is all its processes: PostgreSQL's backends are
//! children of one postmaster, and a child that has ended is in its parent's account.

use crate::instance::Instance;
use anyhow::{Context, Result};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tokio::{sync::oneshot, task::JoinHandle};

/// USER_HZ: what /proc counts in, on every architecture we run on.
const TICKS_PER_SECOND: f64 = 100.0;
const EVERY: Duration = Duration::from_secs(1);
/// Ours.
pub(crate) const SERVICES: [&str; 6] = ["gateway", "registry", "auth", "business", "backup", "monitoring"];

/// Resident memory of every server and service now.
pub(crate) async fn resident(instance: &Instance) -> Result<BTreeMap<String, u64>> {
    let trees = Roots::of(instance).read().await?;
    Ok(trees.into_iter().map(|(name, tree)| (name, tree.rss)).collect())
}

/// What our services hold together now: proportional set size (PSS, `smaps_rollup` in proc(5)), which splits a page between the
/// processes that map it, so that the C library counts once and not six times.
pub(crate) fn proportional(instance: &Instance) -> Result<u64> {
    let pss = |name: &str| -> Option<u64> {
        let pid = Source::File(instance.world.pid_dir.join(format!("{name}.pid"))).pid()?;
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    SERVICES
        .iter()
        .map(|name| pss(name).with_context(|| format!("no smaps_rollup of {name}")))
        .sum()
}

/// One server or service while it was measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Usage {
    /// `gateway`, `postgres`, ...
    pub(crate) name: String,
    /// CPU seconds used, children included.
    pub(crate) cpu_seconds: f64,
    /// Largest resident memory seen, shared pages counted once.
    pub(crate) rss_bytes: u64,
    /// How many processes at the end.
    pub(crate) processes: usize,
}

/// Samples once a second until it is told to finish.
pub(crate) struct Sampler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<Vec<Usage>>>,
}

impl Sampler {
    /// CPU counts from `from` on.
    pub(crate) fn start(instance: &Instance, from: Instant) -> Self {
        let roots = Roots::of(instance);
        let (stop, stopped) = oneshot::channel();
        Self {
            stop,
            task: tokio::spawn(sample(roots, from, stopped)),
        }
    }
    /// The numbers up to now.
    pub(crate) async fn finish(self) -> Result<Vec<Usage>> {
        // A task that ended by itself has failed, and says so below.
        let _ended = self.stop.send(());
        self.task.await.context("the sampler ended early")?
    }
}

async fn sample(roots: Roots, from: Instant, mut stopped: oneshot::Receiver<()>) -> Result<Vec<Usage>> {
    tokio::time::sleep_until(from.into()).await;
    let before = roots.read().await?;
    let mut rss: BTreeMap<String, u64> = BTreeMap::new();
    loop {
        let ended = tokio::time::timeout(EVERY, &mut stopped).await.is_ok();
        let now = roots.read().await?;
        for (name, tree) in &now {
            let most = rss.entry(name.clone()).or_default();
            *most = tree.rss.max(*most);
        }
        if ended {
            let usage = now.into_iter().map(|(name, tree)| Usage {
                cpu_seconds: tree.cpu - before.get(&name).map_or(0.0, |tree| tree.cpu),
                rss_bytes: rss.get(&name).copied().unwrap_or_default(),
                processes: tree.processes,
                name,
            });
            return Ok(usage.collect());
        }
    }
}

/// Where the process ids of the trees are written. They are read every time: a service may be restarted.
#[derive(Clone)]
struct Roots(Vec<(String, Source)>);

#[derive(Clone)]
enum Source {
    File(PathBuf),
    Own,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tree {
    cpu: f64,
    rss: u64,
    processes: usize,
}

impl Roots {
    fn of(instance: &Instance) -> Self {
        let service = |name: &str| instance.world.pid_dir.join(format!("{name}.pid"));
        let state = &instance.state_dir;
        let mut roots: Vec<(String, Source)> = SERVICES
            .iter()
            .map(|name| ((*name).to_owned(), Source::File(service(name))))
            .collect();
        for (name, file) in [
            ("postgres", "pg/postmaster.pid"),
            ("redis", "run/redis.pid"),
            ("rabbitmq", "run/rabbitmq.pid"),
        ] {
            roots.push((name.to_owned(), Source::File(state.join(file))));
        }
        roots.push(("load generator".to_owned(), Source::Own));
        Self(roots)
    }

    async fn read(&self) -> Result<BTreeMap<String, Tree>> {
        let roots = self.clone();
        tokio::task::spawn_blocking(move || {
            let all = processes();
            let tree = |source: &Source| Some(tree(&all, source.pid()?));
            roots
                .0
                .iter()
                .filter_map(|(name, source)| Some((name.clone(), tree(source)?)))
                .collect()
        })
        .await
        .context("reading /proc failed")
    }
}

impl Source {
    fn pid(&self) -> Option<u32> {
        match self {
            Self::Own => Some(std::process::id()),
            Self::File(path) => fs::read_to_string(path).ok()?.lines().next()?.trim().parse().ok(),
        }
    }
}

struct Process {
    parent: u32,
    cpu: f64,
    own: u64,
    shared: u64,
}

fn processes() -> BTreeMap<u32, Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // A process that ends while it is read is simply not there.
    pids.filter_map(|pid: u32| Some((pid, Process::read(&PathBuf::from(format!("/proc/{pid}")))?)))
        .collect()
}

impl Process {
    fn read(dir: &Path) -> Option<Self> {
        let stat = fs::read_to_string(dir.join("stat")).ok()?;
        let (parent, cpu) = parse_stat(&stat)?;
        let status = fs::read_to_string(dir.join("status")).ok()?;
        let bytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim_start_matches(':').split_whitespace().next()?.parse().ok()?;
            Some(kib * 1024)
        };
        Some(Self {
            parent,
            cpu,
            own: bytes("RssAnon").unwrap_or_default(),
            shared: bytes("RssFile").unwrap_or_default() + bytes("RssShmem").unwrap_or_default(),
        })
    }
}

/// Parent and CPU seconds (own and of ended children). The name in brackets may contain anything.
fn parse_stat(stat: &str) -> Option<(u32, f64)> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<f64>().ok());
    let ticks: Option<f64> = ticks.sum();
    Some((fields.get(1)?.parse().ok()?, ticks? / TICKS_PER_SECOND))
}

/// The process and all below it. Of pages shared between them (PostgreSQL's buffers) only the largest share counts.
fn tree(all: &BTreeMap<u32, Process>, root: u32) -> Tree {
    let mut sum = Tree::default();
    let (mut left, mut shared) = (vec![root], 0);
    while let Some(pid) = left.pop() {
        let Some(process) = all.get(&pid) else { continue };
        sum.cpu += process.cpu;
        sum.rss += process.own;
        shared = process.shared.max(shared);
        sum.processes += 1;
        left.extend(all.iter().filter(|(_, child)| child.parent == pid).map(|(pid, _)| *pid));
    }
    sum.rss += shared;
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_does_not_confuse() {
        let stat = "42 (a ) b) (c) S 7 42 42 0 -1 4194304 1 2 3 4 150 50 25 25 20 0 1 0 99 1000 10";
        assert_eq!(parse_stat(stat), Some((7, 2.5)));
    }

    #[test]
    fn a_tree_has_its_children_and_counts_shared_pages_once() {
        let process = |parent, own| Process {
            parent,
            cpu: 1.0,
            own,
            shared: 100,
        };
        let all = [
            (1, process(0, 1)),
            (2, process(1, 2)),
            (3, process(2, 4)),
            (4, process(0, 8)),
        ]
        .into();
        let tree = tree(&all, 1);
        assert_eq!((tree.rss, tree.processes), (107, 3));
    }

    #[test]
    fn this_process_can_be_read() {
        assert!(tree(&processes(), std::process::id()).rss > 0);
    }
}

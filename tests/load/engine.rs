//! The open loop: every request starts when it is due, whatever became of the ones before.

use crate::{
    instance::Instance,
    plan::{Job, Kind, Plan},
    procs::{self, Usage},
    progress::Progress,
};
use anyhow::{Context, Result};
use futures::future::BoxFuture;
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(30);
/// More requests under way mean that the target is far behind: the next ones fail here, or memory would run out.
const MOST_IN_FLIGHT: usize = 20_000;
const LEAD_IN: Duration = Duration::from_millis(200);

/// What can be asked. An `Err` is a failed request, and so is an answer that is not the right one.
pub(crate) trait Target: Send + Sync + 'static {
    /// Asks once.
    fn ask(&self, job: Job) -> BoxFuture<'static, Result<()>>;
}

/// What came of one run against one target.
pub(crate) struct Phase {
    /// The target.
    pub(crate) name: &'static str,
    /// Latency in microseconds by kind.
    pub(crate) kinds: BTreeMap<Kind, Histogram<u64>>,
    /// How late requests were sent, in microseconds: the load generator's own fault, contained in the latency.
    pub(crate) lag: Histogram<u64>,
    /// Message and how often.
    pub(crate) errors: BTreeMap<String, u64>,
    /// From the first measured request's due time to the last answer.
    pub(crate) wall: Duration,
    /// Processes while it was measured.
    pub(crate) usage: Vec<Usage>,
}

impl Phase {
    /// Requests that count.
    pub(crate) fn requests(&self) -> u64 {
        self.kinds.values().map(Histogram::len).sum()
    }
    /// Those that failed, in the warm-up too.
    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }
}

/// Runs plans.
pub(crate) struct Engine {
    plan: Arc<Plan>,
}

struct Sample {
    kind: Kind,
    counts: bool,
    latency: Duration,
    lag: Duration,
    outcome: Result<()>,
}

impl Engine {
    /// For one plan.
    pub(crate) fn new(plan: Arc<Plan>) -> Self {
        Self { plan }
    }

    /// Runs the whole plan against one target.
    pub(crate) async fn run(&self, name: &'static str, target: Arc<dyn Target>, instance: &Instance) -> Result<Phase> {
        let start = Instant::now() + LEAD_IN;
        let measured_from = start + self.plan.measured_from();
        let sampler = procs::Sampler::start(instance, measured_from);
        let (sender, samples) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher {
            plan: self.plan.clone(),
            target,
            start,
            samples: sender,
            in_flight: Arc::default(),
        };
        let runtime = tokio::runtime::Handle::current();
        // A thread of its own: the runtime's timers are only good to a millisecond, and its workers are busy.
        let thread = std::thread::Builder::new()
            .name("dispatcher".to_owned())
            .spawn(move || dispatcher.run(&runtime));
        thread.context("no thread")?;
        let mut phase = self.collect(name, samples).await?;
        phase.wall = measured_from.elapsed();
        phase.usage = sampler.finish().await?;
        Ok(phase)
    }

    /// Ends when the dispatcher and every request have dropped their senders.
    async fn collect(&self, name: &'static str, mut samples: mpsc::UnboundedReceiver<Sample>) -> Result<Phase> {
        let histogram = || Histogram::new_with_bounds(1, 120_000_000, 3).context("no histogram");
        let mut phase = Phase {
            name,
            kinds: BTreeMap::new(),
            lag: histogram()?,
            errors: BTreeMap::new(),
            wall: Duration::ZERO,
            usage: Vec::new(),
        };
        for kind in Kind::ALL {
            phase.kinds.insert(kind, histogram()?);
        }
        let progress = Progress::new(name, self.plan.len() as u64);
        while let Some(sample) = samples.recv().await {
            progress.step();
            if let Err(error) = &sample.outcome {
                let message = format!("{}: {error:#}", sample.kind.as_str());
                *phase.errors.entry(message).or_default() += 1;
            }
            if sample.counts {
                let kind = phase.kinds.get_mut(&sample.kind).context("every kind has one")?;
                kind.saturating_record(micros(sample.latency));
                phase.lag.saturating_record(micros(sample.lag));
            }
        }
        Ok(phase)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

struct Dispatcher {
    plan: Arc<Plan>,
    target: Arc<dyn Target>,
    start: Instant,
    samples: mpsc::UnboundedSender<Sample>,
    in_flight: Arc<AtomicUsize>,
}

impl Dispatcher {
    fn run(self, runtime: &tokio::runtime::Handle) {
        for (after, job, counts) in self.plan.due() {
            let due = self.start + after;
            loop {
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                std::thread::park_timeout(left);
            }
            self.send(runtime, due, job, counts);
        }
    }

    fn send(&self, runtime: &tokio::runtime::Handle, due: Instant, job: Job, counts: bool) {
        let lag = due.elapsed();
        let samples = self.samples.clone();
        let sample = move |outcome| Sample {
            kind: job.kind,
            counts,
            latency: due.elapsed(),
            lag,
            outcome,
        };
        if self.in_flight.fetch_add(1, Ordering::Relaxed) >= MOST_IN_FLIGHT {
            self.in_flight.fetch_sub(1, Ordering::Relaxed);
            let outcome = Err(anyhow::anyhow!("not sent: {MOST_IN_FLIGHT} requests were under way"));
            // The collector only goes away when the run is given up.
            drop(samples.send(sample(outcome)));
            return;
        }
        let (asked, in_flight) = (self.target.ask(job), self.in_flight.clone());
        runtime.spawn(async move {
            let outcome = match tokio::time::timeout(PATIENCE, asked).await {
                Ok(outcome) => outcome,
                Err(_) => Err(anyhow::anyhow!("no answer in {} s", PATIENCE.as_secs())),
            };
            in_flight.fetch_sub(1, Ordering::Relaxed);
            drop(samples.send(sample(outcome)));
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::LoadTenant;
    use clap::Parser;

    /// Answers after a second, one at a time: the worst case for a closed loop.
    struct Slow(Arc<tokio::sync::Mutex<()>>);

    impl Target for Slow {
        fn ask(&self, _: Job) -> BoxFuture<'static, Result<()>> {
            let lock = self.0.clone();
            Box::pin(async move {
                let _turn = lock.lock().await;
                tokio::time::sleep(Duration::from_millis(100)).await;
                Ok(())
            })
        }
    }

    #[tokio::test]
    async fn requests_that_waited_behind_a_slow_one_count_their_wait() {
        let line = [
            "load",
            "--world",
            "w",
            "--rate",
            "20",
            "--warmup",
            "0",
            "--seconds",
            "1",
        ];
        let args = crate::args::Args::parse_from(line);
        let plan = Plan::new(&args, &[LoadTenant::example(0)]).expect("a plan");
        let engine = Engine::new(Arc::new(plan));
        let (sender, samples) = mpsc::unbounded_channel();
        let dispatcher = Dispatcher {
            plan: engine.plan.clone(),
            target: Arc::new(Slow(Arc::default())),
            start: Instant::now(),
            samples: sender,
            in_flight: Arc::default(),
        };
        let runtime = tokio::runtime::Handle::current();
        std::thread::spawn(move || dispatcher.run(&runtime));
        let phase = engine.collect("slow", samples).await.expect("collected");
        assert_eq!((phase.requests(), phase.failed()), (20, 0));
        let longest = phase.kinds.values().map(Histogram::max).max().expect("some");
        // Twenty answers of 100 ms, the last one due after 950 ms.
        assert!(longest >= 1_000_000, "{longest}");
    }
}

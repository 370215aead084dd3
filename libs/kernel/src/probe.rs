//! Numbers that a library knows and a scrape asks for: counters that are added to and gauges that are read when somebody
//! looks. `libs/telemetry` prints them; this module only keeps them, so that every library may have some.
//!
//! Label values must come from small, fixed sets (a pool, a queue, an outcome). It must never hold a tenant, a user or
//! free text; [`MOST_LABELS`] bounds what a mistake can cost.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Label sets under one name; further ones are counted by [`dropped`] and not kept.
pub const MOST_LABELS: usize = 64;

type Labels = Vec<(&'static str, String)>;
type Read = Arc<dyn Fn() -> Option<f64> + Send + Sync>;

#[derive(Clone)]
enum Source {
    Counter(Counter),
    Micros(Counter),
    Gauges(Vec<Read>),
}

struct Family {
    help: &'static str,
    series: BTreeMap<Labels, Source>,
}

/// One name with everything that is known under it now.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// `tenantry_..`; counters end in `_total`.
    pub name: &'static str,
    /// What it is.
    pub help: &'static str,
    /// Only grows.
    pub counter: bool,
    /// Labels and value.
    pub series: Vec<(Vec<(&'static str, String)>, f64)>,
}

static FAMILIES: LazyLock<Mutex<BTreeMap<&'static str, Family>>> = LazyLock::new(Mutex::default);
static DROPPED: AtomicU64 = AtomicU64::new(0);
static RECORDING: AtomicBool = AtomicBool::new(false);

/// A number that only grows. Cheap to clone and to add to.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn one(&self) {
        self.add(1);
    }
    /// `n` more.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    /// Up to now.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counter of this name and these labels; the same one for the same arguments.
#[must_use]
pub fn counter(name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
    keep(name, help, labels, || Source::Counter(Counter::default()))
}

/// Like [`counter`], added to in microseconds and read in seconds.
#[must_use]
pub fn seconds(name: &'static str, help: &'static str, labels: &[(&'static str, &str)]) -> Counter {
    keep(name, help, labels, || Source::Micros(Counter::default()))
}

fn keep(name: &'static str, help: &'static str, labels: &[(&'static str, &str)], source: fn() -> Source) -> Counter {
    let mut families = families();
    let series = &mut families.entry(name).or_insert_with(|| family(help)).series;
    let labels = owned(labels);
    if series.len() >= MOST_LABELS && !series.contains_key(&labels) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return Counter::default();
    }
    match series.entry(labels).or_insert_with(source) {
        Source::Counter(counter) | Source::Micros(counter) => counter.clone(),
        Source::Gauges(_) => Counter::default(),
    }
}

/// Adds a value that is read at each scrape; `None` ends it (what it looked at is gone). Several under the same labels
/// are added up: the parts of one pool.
pub fn gauge(
    name: &'static str,
    help: &'static str,
    labels: &[(&'static str, &str)],
    read: impl Fn() -> Option<f64> + Send + Sync + 'static,
) {
    let mut families = families();
    let series = &mut families.entry(name).or_insert_with(|| family(help)).series;
    let labels = owned(labels);
    if series.len() >= MOST_LABELS && !series.contains_key(&labels) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        return;
    }
    if let Source::Gauges(reads) = series.entry(labels).or_insert_with(|| Source::Gauges(Vec::new())) {
        reads.push(Arc::new(read));
    }
}

/// Everything there is now. The readers run without the lock.
#[must_use]
pub fn read() -> Vec<Reading> {
    let copies: Vec<_> = families()
        .iter()
        .map(|(name, family)| (*name, family.help, family.series.clone()))
        .collect();
    let mut readings = Vec::with_capacity(copies.len());
    for (name, help, series) in copies {
        let counter = series.values().any(|source| !matches!(source, Source::Gauges(_)));
        let series = series
            .into_iter()
            .filter_map(|(labels, source)| Some((labels, value(&source)?)))
            .collect();
        readings.push(Reading {
            name,
            help,
            counter,
            series,
        });
    }
    readings
}

/// Label sets that were refused because there were too many.
#[must_use]
pub fn dropped() -> u64 {
    DROPPED.load(Ordering::Relaxed)
}

/// Whether spans go anywhere. Libraries ask before they make one for each statement or message.
#[must_use]
pub fn recording() -> bool {
    RECORDING.load(Ordering::Relaxed)
}

/// Telemetry says whether it exports spans.
pub fn set_recording(on: bool) {
    RECORDING.store(on, Ordering::Relaxed);
}

fn value(source: &Source) -> Option<f64> {
    match source {
        Source::Counter(counter) => Some(counter.get() as f64),
        Source::Micros(counter) => Some(counter.get() as f64 / 1e6),
        Source::Gauges(reads) => {
            let values: Vec<f64> = reads.iter().filter_map(|read| read()).collect();
            (!values.is_empty()).then(|| values.iter().sum())
        }
    }
}

fn family(help: &'static str) -> Family {
    Family {
        help,
        series: BTreeMap::new(),
    }
}

fn owned(labels: &[(&'static str, &str)]) -> Labels {
    labels
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()))
        .collect()
}

fn families() -> MutexGuard<'static, BTreeMap<&'static str, Family>> {
    FAMILIES.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Vec<(Labels, f64)> {
        read()
            .into_iter()
            .find(|reading| reading.name == name)
            .map(|reading| reading.series)
            .unwrap_or_default()
    }

    #[test]
    fn the_same_name_and_labels_are_one_counter() {
        let one = counter("probe_test_total", "test", &[("outcome", "ok")]);
        counter("probe_test_total", "test", &[("outcome", "ok")]).add(2);
        one.one();
        let micros = seconds("probe_test_seconds_total", "test", &[]);
        micros.add(1_500_000);
        assert_eq!(series("probe_test_total"), [(vec![("outcome", "ok".to_owned())], 3.0)]);
        assert_eq!(series("probe_test_seconds_total"), [(vec![], 1.5)]);
    }

    #[test]
    fn gauges_of_one_place_are_added_and_end_with_it() {
        let alive = Arc::new(());
        let weak = Arc::downgrade(&alive);
        gauge("probe_test_open", "test", &[], || Some(2.0));
        gauge("probe_test_open", "test", &[], move || weak.upgrade().map(|_| 3.0));
        assert_eq!(series("probe_test_open"), [(vec![], 5.0)]);
        drop(alive);
        assert_eq!(series("probe_test_open"), [(vec![], 2.0)]);
    }

    #[test]
    fn too_many_labels_are_refused_and_counted() {
        for n in 0..MOST_LABELS + 10 {
            counter("probe_test_many_total", "test", &[("n", &n.to_string())]).one();
        }
        assert_eq!(series("probe_test_many_total").len(), MOST_LABELS);
        assert!(dropped() >= 10);
    }
}

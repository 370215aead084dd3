//! Memory of the six services, idle and under load: idle is read before the first tenant is made.

use crate::{engine::Phase, procs::SERVICES};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// What all six together may hold when nobody asks anything, in proportional set size.
const IDLE_TARGET: u64 = 150_000_000;

/// See the module.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Memory {
    services: BTreeMap<String, Pair>,
    idle_bytes: u64,
    idle_together_bytes: u64,
    loaded_bytes: u64,
    idle_target_bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Pair {
    idle_bytes: u64,
    loaded_bytes: u64,
}

impl Memory {
    /// `idle` is resident memory by name, `together` proportional memory of all; `phases` know the largest that was seen.
    pub(crate) fn new(idle: &BTreeMap<String, u64>, together: u64, phases: &[Phase]) -> Self {
        let most = |name: &str| {
            let usages = phases.iter().flat_map(|phase| &phase.usage);
            usages
                .filter(|usage| usage.name == name)
                .map(|usage| usage.rss_bytes)
                .max()
        };
        let pair = |name: &str| Pair {
            idle_bytes: idle.get(name).copied().unwrap_or_default(),
            loaded_bytes: most(name).unwrap_or_default(),
        };
        let services: BTreeMap<String, Pair> = SERVICES.iter().map(|name| ((*name).to_owned(), pair(name))).collect();
        Self {
            idle_bytes: services.values().map(|pair| pair.idle_bytes).sum(),
            idle_together_bytes: together,
            loaded_bytes: services.values().map(|pair| pair.loaded_bytes).sum(),
            idle_target_bytes: IDLE_TARGET,
            services,
        }
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = |bytes: u64| bytes as f64 / 1e6;
        write!(f, "Resident memory, idle and at most under load (MB):")?;
        for (name, pair) in &self.services {
            write!(f, " {name} {:.0}/{:.0}", mb(pair.idle_bytes), mb(pair.loaded_bytes))?;
        }
        let verdict = if self.idle_together_bytes < self.idle_target_bytes {
            "met"
        } else {
            "MISSED"
        };
        writeln!(
            f,
            "\nSix services: resident {:.0} MB idle, {:.0} MB loaded; together (shared pages counted once) {:.0} MB idle, target < {:.0} MB: {verdict}",
            mb(self.idle_bytes),
            mb(self.loaded_bytes),
            mb(self.idle_together_bytes),
            mb(self.idle_target_bytes)
        )
    }
}

//! What is asked and when: made before the run from a seed, so that every target sees the same requests.

use crate::{args::Args, args::Distribution, setup::LoadTenant};
use anyhow::{Context, Result};
use rand::{RngExt, SeedableRng, distr::Distribution as _, distr::weighted::WeightedIndex, rngs::StdRng};
use serde::Serialize;
use std::time::Duration;

/// Of a hundred requests.
const GETS: u32 = 70;
const LISTS: u32 = 20;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// One record by its id.
    Get,
    /// The first page of a filtered, ordered list.
    List,
    /// One field of one record.
    Write,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Get, Self::List, Self::Write];
    /// For tables.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Write => "write",
        }
    }
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// What.
    pub(crate) kind: Kind,
    /// Index of the tenant.
    pub(crate) tenant: usize,
    /// Index of its record.
    pub(crate) record: usize,
    /// Value to be written.
    pub(crate) priority: u32,
}

/// All requests of a run, at a fixed rate.
#[derive(Debug)]
pub(crate) struct Plan {
    jobs: Vec<Job>,
    interval: Duration,
    warmup: usize,
}

impl Plan {
    /// For these tenants.
    pub(crate) fn new(args: &Args, tenants: &[LoadTenant]) -> Result<Self> {
        let mut random = StdRng::seed_from_u64(args.seed);
        let weight = |n: usize| match args.distribution {
            Distribution::Uniform => 1.0,
            Distribution::Zipf => 1.0 / (n + 1) as f64,
        };
        let pick = WeightedIndex::new((0..tenants.len()).map(weight)).context("no tenants")?;
        let count = |seconds: u32| args.rate as usize * seconds as usize;
        let jobs = (0..count(args.warmup) + count(args.seconds))
            .map(|_| {
                let tenant = pick.sample(&mut random);
                let kind = match random.random_range(0..100) {
                    n if n < GETS => Kind::Get,
                    n if n < GETS + LISTS => Kind::List,
                    _ => Kind::Write,
                };
                Job {
                    kind,
                    tenant,
                    record: random.random_range(0..tenants[tenant].records.len()),
                    priority: random.random_range(0..1000),
                }
            })
            .collect();
        Ok(Self {
            jobs,
            interval: Duration::from_secs(1) / args.rate,
            warmup: count(args.warmup),
        })
    }
    /// Every request with the time after the start at which it is due, and whether it counts.
    pub(crate) fn due(&self) -> impl Iterator<Item = (Duration, Job, bool)> + '_ {
        let due = |n: usize| self.interval.mul_f64(n as f64);
        self.jobs
            .iter()
            .enumerate()
            .map(move |(n, job)| (due(n), *job, n >= self.warmup))
    }
    /// How many requests.
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }
    /// When the first one that counts is due.
    pub(crate) fn measured_from(&self) -> Duration {
        self.interval.mul_f64(self.warmup as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    fn plan(distribution: &str) -> Plan {
        let line = [
            "load",
            "--world",
            "w",
            "--rate",
            "1000",
            "--warmup",
            "2",
            "--seconds",
            "8",
            "--distribution",
            distribution,
        ];
        let tenants: Vec<_> = (0..100).map(LoadTenant::example).collect();
        Plan::new(&Args::parse_from(line), &tenants).expect("a plan")
    }

    #[test]
    fn the_mix_and_the_rate_are_as_said() {
        let plan = plan("uniform");
        let kinds = |kind| plan.due().filter(|(_, job, _)| job.kind == kind).count();
        assert!((6800..7200).contains(&kinds(Kind::Get)), "{}", kinds(Kind::Get));
        assert!((1850..2150).contains(&kinds(Kind::List)), "{}", kinds(Kind::List));
        assert_eq!(plan.due().filter(|(_, _, counts)| *counts).count(), 8000);
        let (last, ..) = plan.due().last().expect("some");
        assert_eq!((last.as_millis(), plan.measured_from().as_millis()), (9999, 2000));
    }

    #[test]
    fn zipf_prefers_the_first_tenant_and_leaves_none_out() {
        let plan = plan("zipf");
        let mut seen = [0; 100];
        plan.due().for_each(|(_, job, _)| seen[job.tenant] += 1);
        assert!(seen[0] > 15 * seen[99] && seen[99] > 0, "{seen:?}");
    }
}

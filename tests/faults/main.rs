//! Faults, with the real binaries of the running instance: services, servers and fault points are killed or broken
//! while customers work, and afterwards everything that was acknowledged must be there once. `make test` runs a seeded
//! subset; `TENANTRY_FULL=1` runs every point and every moment.

#![expect(
    clippy::print_stdout,
    reason = "what was killed when, and how long it took, belongs to the result"
)]

mod bucket;
mod cache;
mod crash_points;
mod customers;
mod forced_failures;
mod kills;
mod lab;
mod leaving;
mod metering;
mod patient;
mod replicas;
mod restoring;
mod revocation;
mod snapshots;
mod stumbles;
mod terminate;
mod undoing;
mod watch;

//! What each tenant uses, counted in memory ([`Meter`]) and reported every few seconds ([`Reporter`]) so that monitoring
//! adds it up exactly once (decision 22). The receiving side reads reports with [`Report::decode`].
//!
//! It must never send a message for a request, never block one, and never grow with what a client sends: only tenants
//! that the caller has resolved are counted.

mod histogram;
mod meter;
mod report;
mod reporter;

pub use histogram::{BOUNDS_MS, BUCKETS, bucket, percentile};
pub use meter::{Meter, Request};
pub use report::{Delta, Invalid, KIND, MOST_TENANTS, Report};
pub use reporter::Reporter;

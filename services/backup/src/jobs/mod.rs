//! Work that no request waits for: operations in steps, the schedule, retention, tenants that are gone.

pub mod capture;
mod ending;
pub mod janitor;
pub mod restore;
pub mod run;
pub mod scheduler;
pub mod worker;

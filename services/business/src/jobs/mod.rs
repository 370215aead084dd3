//! Work that no request waits for: each file is one job, driven by a timer, a nudge or a queue.

pub mod import_apply;
pub mod import_read;
pub mod import_validate;
pub mod import_worker;
pub mod janitor;
pub mod relay;
pub mod saga;

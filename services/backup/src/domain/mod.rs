//! What backups are, without any I/O: snapshots and their manifests, the header of a segment, schedules, retention,
//! operations. Pure, and tested beside the code.

pub mod manifest;
pub mod operation;
pub mod policy;
pub mod segment;
pub mod snapshot;

pub use manifest::Manifest;
pub use operation::{Failure, Operation};
pub use policy::Policy;
pub use snapshot::Snapshot;

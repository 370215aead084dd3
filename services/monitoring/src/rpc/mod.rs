//! Proto to command, result to proto. Decides nothing.

mod convert;
pub mod fleet;
pub mod quotas;
pub mod usage;

//! The tenant registry.
pub mod domain;
pub mod store;

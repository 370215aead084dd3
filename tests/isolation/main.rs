//! The isolation matrix: every method of the contract against every way to reach another tenant's data. Methods come
//! from the descriptors, so a new one without a row turns this red. Each denial is preceded by the same call as the
//! rightful owner, which must succeed: a matrix of calls that never work would prove nothing.

mod attacks;
mod catalog;
mod console;
mod data;
mod database;
mod fixture;
mod keys;
mod matrix;
mod operators;
mod pages;
mod rows;
mod rows_backup;
mod rows_monitoring;
mod rows_registry;

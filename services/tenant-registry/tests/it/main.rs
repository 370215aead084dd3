//! The registry's store, apps and sagas on a real PostgreSQL with the real roles. Each test makes its own database;
//! where
//! not the real one is used, the broker is played by the test, which reads the outbox and hands in replies.

mod branding;
mod broker;
mod clones;
mod lists;
mod routes;
mod sagas;
mod tenancy;
mod wire;
mod world;

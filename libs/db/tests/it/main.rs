//! Isolation proved on a real PostgreSQL with the real roles. Each test makes its own database.

mod context;
mod data;
mod linter;
mod pgbouncer;
mod slow_host;
mod stolen;
mod tls;
mod transactions;
mod world;

//! Monitoring on a real database of its own for each test.

mod fleet;
mod ingest;
mod quotas;
mod world;

//! Auth on a real PostgreSQL: each test has a database of its own.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

mod exchange;
mod forged;
mod members;
mod passwords;
mod refresh;
mod saga;
mod tables;
mod world;

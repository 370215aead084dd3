//! Business on the real PostgreSQL and Redis, with the real roles. Each test makes its own database.

mod imports;
mod imports_left;
mod listing;
mod records;
mod restoring;
mod restoring_beside;
mod restoring_held;
mod restoring_refused;
mod saga;
mod types;
mod watching;
mod world;

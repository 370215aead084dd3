//! Background work: one loop per file, each input-free and idempotent, by timer and by nudge.

pub mod driver;
pub mod janitor;
pub mod replies;
pub mod routes;

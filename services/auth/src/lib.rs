//! tenantry-auth: members, sessions, keys, and the tokens by which the other services know who calls for which tenant.
//!
//! ```text
//! gateway --credential--> rpc/tokens -> app/exchange -> store -> app/minter --transaction token + signed db context-->
//! sign-in (via gateway) -> rpc/login -> app/{login,hasher,refresh,links} -> store
//! members, sessions, API keys -> rpc/{users,sessions,api_keys} -> app/.. -> store (+ revocation, same transaction)
//! auth.revocations -> jobs/revocations -> app/feed -> WatchRevocations -> every verifier
//! RabbitMQ auth.commands -> jobs/saga -> app/realms -> store (+ inbox, outbox, same transaction) -> relay -> registry
//! ```
//!
//! It must never keep a secret in clear, hand a key to a caller without service identity, or build a link from a
//! request header.

pub mod app;
pub mod config;
pub mod domain;
pub mod jobs;
pub mod rpc;
pub mod store;
pub mod wiring;

pub use config::Config;

use tenantry_db::Migrator;

/// Tables of schema `auth`.
pub static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

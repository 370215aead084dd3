//! What auth does, one method per command. This layer owns transactions and is the only one that orders steps.
//!
//! Keys are fetched before a transaction is opened: a key that is not cached needs a connection of its own, and a
//! transaction that waits for one while holding another could wait for itself.

pub mod access;
pub mod api_keys;
pub mod bootstrap;
pub mod core;
pub mod directory;
pub mod exchange;
pub mod feed;
pub mod hasher;
pub mod keyring;
pub mod links;
pub mod login;
pub mod minter;
pub mod once;
pub mod pages;
pub mod realms;
pub mod refresh;
pub mod rotation;
pub mod services;
pub mod sessions;
pub mod users;

pub use self::core::{Core, Urls};

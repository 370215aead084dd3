//! The only crate that talks to RabbitMQ: one recovering connection ([`Bus`]), confirmed publishing ([`Publisher`]),
//! the outbox [`Relay`] and consumers with bounded retries and dead letters ([`Consumer`]). Messages are CloudEvents
//! in binary mode (decision 19).
//!
//! It must never hold state that a lost message would lose (that lives in tables), acknowledge before the handler has
//! returned, or trust a message's claims about its sender: only the broker-validated `user_id` counts.

mod bus;
mod consumer;
mod message;
mod publisher;
mod relay;
mod topology;
mod trace;

pub use bus::Bus;
pub use consumer::{Consumer, Outcome};
pub use message::{Delivery, Message};
pub use publisher::Publisher;
pub use relay::{OutboxSource, Relay};
pub use topology::Topology;

//! Messaging proved on a real RabbitMQ with the real users. Each test has names of its own.

mod consume;
mod outage;
mod world;

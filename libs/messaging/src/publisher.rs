//! Publishing that means it: confirmed by the broker, routed to a queue, persistent, under our own identity.

use crate::{Bus, Message, message, trace};
use lapin::{
    BasicProperties, Channel,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use std::{fmt, sync::Arc, time::Duration};
use tenantry_kernel::{Error, Result};
use tenantry_telemetry::current_traceparent;
use tokio::sync::Mutex;
use tracing::Instrument;

/// A broker that does not confirm within this time is treated as away.
const CONFIRM: Duration = Duration::from_secs(5);

/// Publishes on a channel of its own; shared by cloning.
#[derive(Clone)]
pub struct Publisher {
    bus: Bus,
    channel: Arc<Mutex<Option<Channel>>>,
}

impl Publisher {
    pub(crate) fn new(bus: Bus) -> Self {
        Self {
            bus,
            channel: Arc::new(Mutex::new(None)),
        }
    }

    /// Returns after the broker has stored the message in at least one queue (an event: in every queue there is for it).
    ///
    /// # Errors
    /// `UNAVAILABLE` where the broker is away, refuses, or no queue takes the message; publish again later (the
    /// consumer's inbox makes a duplicate harmless).
    pub async fn publish(&self, message: &Message) -> Result<()> {
        let span = trace::producer(message);
        // The consumer's parent is this span, not the one that wrote the message down.
        let traceparent = span.in_scope(current_traceparent).filter(|_| !span.is_disabled());
        let properties = message::properties(message, traceparent.as_deref(), self.bus.user());
        // An event that nobody has subscribed to is no failure.
        let mandatory = !message.exchange.ends_with(".events");
        let (exchange, key) = (&message.exchange, &message.routing_key);
        let sent = self
            .transmit(exchange, key, &message.payload, properties, mandatory)
            .instrument(span.clone())
            .await;
        trace::published(&span, sent.is_ok());
        sent
    }

    pub(crate) async fn send(
        &self,
        exchange: &str,
        routing_key: &str,
        payload: &[u8],
        properties: BasicProperties,
    ) -> Result<()> {
        self.transmit(exchange, routing_key, payload, properties, true).await
    }

    /// `mandatory`: a message that no queue takes is an error.
    async fn transmit(
        &self,
        exchange: &str,
        routing_key: &str,
        payload: &[u8],
        properties: BasicProperties,
        mandatory: bool,
    ) -> Result<()> {
        let work = async {
            let channel = self.channel().await?;
            let options = BasicPublishOptions {
                mandatory,
                ..BasicPublishOptions::default()
            };
            let confirm = channel
                .basic_publish(exchange.into(), routing_key.into(), options, payload, properties)
                .await;
            let answer = confirm.map_err(Error::unavailable)?.await.map_err(Error::unavailable)?;
            if !answer.is_ack() {
                return Err(Error::unavailable("the broker refused the message"));
            }
            match answer.take_message() {
                None => Ok(()),
                Some(_) => Err(Error::unavailable(format!("no queue for {routing_key} at {exchange}"))),
            }
        };
        match tokio::time::timeout(CONFIRM, work).await {
            Ok(done) => done,
            Err(_) => Err(Error::unavailable("the broker did not confirm in time")),
        }
    }

    /// A refusal (a forged user, a missing exchange) closes the channel; the next publish opens another.
    async fn channel(&self) -> Result<Channel> {
        let mut slot = self.channel.lock().await;
        if let Some(channel) = slot.as_ref().filter(|channel| channel.status().connected()) {
            return Ok(channel.clone());
        }
        let connection = self
            .bus
            .current()
            .ok_or_else(|| Error::unavailable("not connected to the broker"))?;
        let channel = connection.create_channel().await.map_err(Error::unavailable)?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(Error::unavailable)?;
        *slot = Some(channel.clone());
        Ok(channel)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Publisher({})", self.bus.user())
    }
}

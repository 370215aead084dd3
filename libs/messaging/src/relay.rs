//! Carries messages from an outbox table to the broker, after their transaction has committed. By timer and by nudge;
//! any number of relays may run, because the outbox leases rows.

use crate::{Message, Publisher};
use futures::{StreamExt, stream};
use std::{fmt, future::Future, sync::Arc, time::Duration};
use tenantry_kernel::Result;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const POLL: Duration = Duration::from_millis(500);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
const BATCH: u32 = 100;
/// Confirms wait for the broker's disk: several at once share one flush.
const CONCURRENT: usize = 16;

/// An outbox. Services implement it over `tenantry_db::outbox` and their system database.
pub trait OutboxSource: Send + Sync + 'static {
    /// Takes due messages and hides them for a lease (30 s is good): a relay that dies gives them back by itself.
    fn claim(&self, limit: u32) -> impl Future<Output = Result<Vec<Message>>> + Send;
    /// They are published: forget them.
    fn done(&self, ids: Vec<Uuid>) -> impl Future<Output = Result<()>> + Send;
    /// The broker did not take them: make them due again soon.
    fn failed(&self, ids: Vec<Uuid>, error: &str) -> impl Future<Output = Result<()>> + Send;
}

/// The loop.
pub struct Relay<S> {
    source: S,
    publisher: Publisher,
    nudge: Arc<Notify>,
}

impl<S: OutboxSource> Relay<S> {
    /// Over one outbox.
    pub fn new(source: S, publisher: Publisher) -> Self {
        Self {
            source,
            publisher,
            nudge: Arc::new(Notify::new()),
        }
    }
    /// Notify it after a commit that wrote to the outbox, and the message leaves at once.
    #[must_use]
    pub fn nudge(&self) -> Arc<Notify> {
        Arc::clone(&self.nudge)
    }
    /// Runs until `stop`; a batch that has begun is finished.
    pub async fn run(self, stop: CancellationToken) {
        let mut pause = POLL;
        while !stop.is_cancelled() {
            match self.run_once().await {
                Ok(count) if count == BATCH as usize => {
                    pause = POLL;
                    continue;
                }
                Ok(_) => pause = POLL,
                Err(error) => {
                    tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "outbox relay waits");
                    pause = (pause * 2).min(LAST_BACKOFF);
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.nudge.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One batch: how many messages were taken.
    ///
    /// # Errors
    /// The outbox's own, or the broker's last: everything not published is due again.
    pub async fn run_once(&self) -> Result<usize> {
        let messages = self.source.claim(BATCH).await?;
        let count = messages.len();
        let outcomes: Vec<_> = stream::iter(messages)
            .map(|message| async move { (message.id, self.publisher.publish(&message).await) })
            .buffer_unordered(CONCURRENT)
            .collect()
            .await;
        let (mut done, mut failed, mut last) = (Vec::new(), Vec::new(), None);
        for (id, outcome) in outcomes {
            match outcome {
                Ok(()) => done.push(id),
                Err(error) => {
                    failed.push(id);
                    last = Some(error);
                }
            }
        }
        if !done.is_empty() {
            self.source.done(done).await?;
        }
        let Some(error) = last else { return Ok(count) };
        self.source.failed(failed, &error.to_string()).await?;
        Err(error)
    }
}

impl<S> fmt::Debug for Relay<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay(..)")
    }
}

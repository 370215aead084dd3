//! The connection to Redis: one multiplexed connection, opened when first needed, with a time limit for every command
//! and a pause after every failure, so that a Redis that is away costs one request in a second 100 ms and the others
//! nothing.

use redis::{Client, RedisResult, aio::MultiplexedConnection};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::{sync::Mutex, time::timeout};

/// How long a command may take, connecting included.
pub(crate) const LIMIT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Link {
    client: Client,
    limit: Duration,
    connection: Mutex<Option<MultiplexedConnection>>,
    started: Instant,
    /// Milliseconds after `started` until which Redis is not asked.
    paused_until: AtomicU64,
    away: AtomicBool,
}

impl Link {
    pub(crate) fn new(url: &str, limit: Duration) -> Option<Self> {
        let client = match Client::open(url) {
            Ok(client) => client,
            Err(error) => {
                // The kind only: the text could quote a URL with a password.
                tracing::error!(kind = ?error.kind(), "redis.url cannot be used; running without a cache");
                return None;
            }
        };
        Some(Self {
            client,
            limit,
            connection: Mutex::default(),
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
            away: AtomicBool::new(false),
        })
    }

    /// Runs one command; `None` where Redis is paused, too slow or failing.
    pub(crate) async fn run<T>(&self, command: impl AsyncFnOnce(MultiplexedConnection) -> RedisResult<T>) -> Option<T> {
        if self.millis() < self.paused_until.load(Ordering::Relaxed) {
            return None;
        }
        let outcome = timeout(self.limit, async { command(self.connection().await?).await }).await;
        match outcome {
            Ok(Ok(value)) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("redis answers again");
                }
                Some(value)
            }
            Ok(Err(error)) => self.failed(&format!("{:?}", error.kind())).await,
            Err(_) => self.failed("no answer in time").await,
        }
    }

    async fn connection(&self) -> RedisResult<MultiplexedConnection> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref() {
            return Ok(connection.clone());
        }
        let connection = self.client.get_multiplexed_async_connection().await?;
        Ok(slot.insert(connection).clone())
    }

    async fn failed<T>(&self, why: &str) -> Option<T> {
        let pause = u64::try_from(PAUSE.as_millis()).expect("a second fits");
        self.paused_until.store(self.millis() + pause, Ordering::Relaxed);
        *self.connection.lock().await = None;
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "redis does not answer; running without the cache until it does");
        }
        None
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

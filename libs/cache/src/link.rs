//! The way to Redis: a small pool of connections, opened when first needed, with a time limit for every command and a
//! pause after every failure, so that a Redis that is away costs one request in a second 100 ms and the others nothing.

use deadpool_redis::{
    Connection, Manager, Pool, PoolConfig, PoolError, QueueMode, Runtime, TimeoutType, Timeouts,
    redis::{AsyncConnectionConfig, RedisResult},
};
use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::time::timeout;

/// How long a command may take, everything included: waiting for a connection, opening or checking it.
pub(crate) const LIMIT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);
/// More would only queue inside Redis, which runs one command at a time.
const CONNECTIONS: usize = 16;

pub(crate) struct Link {
    pool: Pool,
    limit: Duration,
    started: Instant,
    /// Milliseconds after `started` until which Redis is not asked.
    paused_until: AtomicU64,
    away: AtomicBool,
}

/// Why a command has no answer.
enum Failure {
    /// Every connection is in use. Their users will say whether Redis is away: this is no reason to pause.
    Busy,
    /// What to log: never the error's text, which could quote a URL with a password.
    Away(String),
}

impl Link {
    /// Opens nothing yet; `None` where the URL cannot be used.
    pub(crate) fn new(url: &str, limit: Duration) -> Option<Self> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limit))
            .set_response_timeout(Some(limit));
        let manager = match Manager::new_with_config(url, config) {
            Ok(manager) => manager,
            Err(error) => {
                tracing::error!(kind = ?error.kind(), "redis.url cannot be used; running without a cache");
                return None;
            }
        };
        let pool = Pool::builder(manager)
            .config(pool_config(limit))
            .runtime(Runtime::Tokio1)
            .build()
            .expect("the timeouts have the runtime they need");
        Some(Self {
            pool,
            limit,
            started: Instant::now(),
            paused_until: AtomicU64::new(0),
            away: AtomicBool::new(false),
        })
    }

    /// Runs one command or script on a connection of its own; `None` where Redis is paused, too slow or failing.
    pub(crate) async fn run<T>(&self, command: impl AsyncFnOnce(Connection) -> RedisResult<T>) -> Option<T> {
        if self.millis() < self.paused_until.load(Ordering::Relaxed) {
            return None;
        }
        let run = async {
            let connection = self.pool.get().await.map_err(|error| Failure::of(&error))?;
            command(connection)
                .await
                .map_err(|error| Failure::Away(format!("{:?}", error.kind())))
        };
        let outcome = timeout(self.limit, run).await;
        match outcome.unwrap_or_else(|_| Err(Failure::Away("no answer in time".to_owned()))) {
            Ok(value) => {
                if self.away.swap(false, Ordering::Relaxed) {
                    tracing::info!("redis answers again");
                }
                Some(value)
            }
            Err(Failure::Busy) => None,
            Err(Failure::Away(why)) => {
                self.failed(&why);
                None
            }
        }
    }

    fn failed(&self, why: &str) {
        let pause = u64::try_from(PAUSE.as_millis()).expect("a second fits");
        self.paused_until.store(self.millis() + pause, Ordering::Relaxed);
        // The connections stay: the pool asks each whether it still answers before it is used again. Closing them all
        // because a busy machine was slow once would make it slower.
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "redis does not answer; running without the cache until it does");
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Failure {
    fn of(error: &PoolError) -> Self {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Self::Busy,
            PoolError::Timeout(_) => Self::Away("no connection in time".to_owned()),
            PoolError::Backend(error) => Self::Away(format!("{:?}", error.kind())),
            _ => Self::Away("no connection".to_owned()),
        }
    }
}

/// No step of getting a connection may use up a command's whole time. The connection used last is taken first, so that few stay open.
fn pool_config(limit: Duration) -> PoolConfig {
    let mut config = PoolConfig::new(CONNECTIONS);
    config.queue_mode = QueueMode::Lifo;
    config.timeouts = Timeouts {
        wait: Some(limit / 2),
        create: Some(limit / 2),
        recycle: Some(limit / 2),
    };
    config
}

//! The way to Redis: a small pool of connections, opened when first needed, with a time limit for every command. After
//! a failure Redis is not asked until a connection answers again, which is tried beside the requests: a Redis that is
//! away costs the requests that found out 100 ms and the others nothing.

use deadpool_redis::{
    Connection, Manager, Pool, PoolConfig, PoolError, QueueMode, Runtime, TimeoutType, Timeouts,
    redis::{AsyncConnectionConfig, RedisResult},
};
use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tenantry_kernel::probe;
use tokio::time::timeout;

/// How long a command may take, everything included: waiting for a connection, opening or checking it.
pub(crate) const LIMIT: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_secs(1);
/// How long the way back may take. Longer than a command: on a busy machine a connection that is given up too early
/// would be given up every time.
const RETURN: Duration = Duration::from_secs(2);
/// More would only queue inside Redis, which runs one command at a time.
const CONNECTIONS: usize = 16;

pub(crate) struct Link {
    pool: Pool,
    limit: Duration,
    /// Set while Redis is not asked; a task that ends it is running then.
    away: Arc<AtomicBool>,
}

/// Why a command has no answer.
enum Failure {
    /// Every connection is in use, or one more did not open in time. The users of the others will say whether Redis is
    /// away: this is no reason to pause.
    Busy,
    /// What to log: never the error's text, which could quote a URL with a password.
    Away(String),
}

impl Link {
    /// Opens nothing yet; `None` where the URL cannot be used.
    pub(crate) fn new(url: &str, limit: Duration) -> Option<Self> {
        let slowest = Some(limit.max(RETURN));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(slowest)
            .set_response_timeout(slowest);
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
        let away = Arc::<AtomicBool>::default();
        let seen = Arc::downgrade(&away);
        let help = "1 while a dependency is treated as away";
        probe::gauge("tenantry_circuit_open", help, &[("dependency", "redis")], move || {
            seen.upgrade().map(|away| f64::from(away.load(Ordering::Relaxed)))
        });
        Some(Self { pool, limit, away })
    }

    /// Runs one command or script on a connection of its own; `None` where Redis is away, too slow or failing.
    pub(crate) async fn run<T>(&self, command: impl AsyncFnOnce(Connection) -> RedisResult<T>) -> Option<T> {
        if self.away.load(Ordering::Relaxed) {
            return None;
        }
        let run = async {
            let connection = self.pool.get().await.map_err(|error| self.failure(&error))?;
            command(connection)
                .await
                .map_err(|error| Failure::Away(format!("{:?}", error.kind())))
        };
        match timeout(self.limit, run).await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(Failure::Busy)) => None,
            Ok(Err(Failure::Away(why))) => self.failed(&why),
            Err(_) => self.failed("no answer in time"),
        }
    }

    fn failure(&self, error: &PoolError) -> Failure {
        match error {
            PoolError::Timeout(TimeoutType::Wait) => Failure::Busy,
            PoolError::Timeout(TimeoutType::Create) if self.pool.status().size > 0 => Failure::Busy,
            PoolError::Timeout(_) => Failure::Away("no connection in time".to_owned()),
            PoolError::Backend(error) => Failure::Away(format!("{:?}", error.kind())),
            _ => Failure::Away("no connection".to_owned()),
        }
    }

    /// The connections stay in the pool, which asks each whether it still answers before it is used again: closing them
    /// all because a busy machine was slow once would make it slower.
    fn failed<T>(&self, why: &str) -> Option<T> {
        if !self.away.swap(true, Ordering::Relaxed) {
            tracing::warn!(why, "redis does not answer; running without the cache until it does");
            tokio::spawn(come_back(self.pool.clone(), self.limit, Arc::downgrade(&self.away)));
        }
        None
    }
}

/// Ends the pause as soon as a connection can be opened, or an open one answers.
async fn come_back(pool: Pool, limit: Duration, away: Weak<AtomicBool>) {
    let patient = Timeouts {
        wait: Some(RETURN),
        create: Some(RETURN),
        // As many as there are may hang, one after the other.
        recycle: Some(limit),
    };
    loop {
        tokio::time::sleep(PAUSE).await;
        // Gone with the cache: nobody waits any more.
        let Some(away) = away.upgrade() else { return };
        if pool.timeout_get(&patient).await.is_ok() {
            away.store(false, Ordering::Relaxed);
            tracing::info!("redis answers again");
            return;
        }
    }
}

/// No step of getting a connection may use up a command's whole time. The connection used last is taken first, so that
/// few stay open.
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

//! One connection per process that comes back by itself. A service starts, and answers what it can, without a broker.

use crate::{Consumer, Publisher, Topology};
use futures::StreamExt;
use lapin::{Channel, Connection, ConnectionProperties, Event, options::QueueDeclareOptions, types::FieldTable};
use std::{
    convert::Infallible,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};
use tenantry_kernel::{Error, Result, probe};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const FIRST_BACKOFF: Duration = Duration::from_millis(250);
const LAST_BACKOFF: Duration = Duration::from_secs(10);
/// Connecting includes the handshake and the declarations.
const CONNECT: Duration = Duration::from_secs(15);
/// Events tell of a loss at once; the check is for the ones that do not.
const CHECK: Duration = Duration::from_secs(1);
/// How often the dead letters are counted. The broker gives up messages, too, and tells nobody.
const COUNT: Duration = Duration::from_secs(5);
const UNKNOWN: i64 = -1;
/// Bytes in a frame, where the URL does not say (`?frame_max=`). The client keeps two buffers of 32 frames from the first byte on:
/// 1 MiB in all at this size, 8 MiB at the broker's own 128 KiB. Longer bodies travel in several frames.
const FRAME_MAX: u32 = 16 * 1024;

/// The connection, shared by cloning.
#[derive(Clone)]
pub struct Bus {
    inner: Arc<Inner>,
}

struct Inner {
    user: String,
    topology: Topology,
    state: watch::Receiver<Option<Arc<Connection>>>,
    stop: CancellationToken,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Bus {
    /// Starts connecting in the background and goes on forever. `url` is `amqp://user:password@host:port/vhost`;
    /// its user is the identity that the broker validates on every message. Needs a tokio runtime.
    ///
    /// # Errors
    /// Where the URL cannot be parsed.
    pub fn connect(url: &str, service: &str, topology: Topology) -> Result<Self> {
        let mut uri: lapin::uri::AMQPUri = url
            .parse()
            .map_err(|_| Error::internal("amqp.url is not amqp://user:password@host:port/vhost"))?;
        uri.query.frame_max.get_or_insert(FRAME_MAX);
        let user = uri.authority.userinfo.username.clone();
        let (up, state) = watch::channel(None);
        let stop = CancellationToken::new();
        let dead = Arc::new(AtomicI64::new(UNKNOWN));
        let keeper = Keeper {
            uri,
            name: service.to_owned(),
            topology: topology.clone(),
            dead: dead.clone(),
            up,
            stop: stop.clone(),
        };
        tokio::spawn(keeper.run());
        let inner = Arc::new(Inner {
            user,
            topology,
            state,
            stop,
        });
        crate::trace::prepare(None);
        if inner.topology.takes_messages() {
            watch_dead(&inner.topology.dead_queue(), &dead, &inner.stop);
        }
        let seen = Arc::downgrade(&inner);
        let help = "1 while a dependency is treated as away";
        probe::gauge("tenantry_circuit_open", help, &[("dependency", "broker")], move || {
            let inner = seen.upgrade()?;
            let bus = Self { inner };
            Some(f64::from(u8::from(!bus.is_up())))
        });
        Ok(Self { inner })
    }
    /// Whether messages can be published and consumed now, for readiness and metrics.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.inner
            .state
            .borrow()
            .as_ref()
            .is_some_and(|connection| connection.status().connected())
    }
    /// A publisher; each keeps a channel of its own.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.clone())
    }
    /// A consumer of `queue` with at most `prefetch` messages in work.
    #[must_use]
    pub fn consumer(&self, queue: impl Into<String>, prefetch: u16) -> Consumer {
        Consumer::new(self.clone(), queue.into(), prefetch)
    }
    /// The names this bus was made with.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.inner.topology
    }
    /// Ends the connection and does not come back.
    pub async fn close(&self) {
        self.inner.stop.cancel();
        let mut state = self.inner.state.clone();
        // An error means that the keeper has ended already.
        let _ended = state.wait_for(Option::is_none).await;
    }

    pub(crate) fn user(&self) -> &str {
        &self.inner.user
    }
    /// The connection, if there is one now.
    pub(crate) fn current(&self) -> Option<Arc<Connection>> {
        self.inner
            .state
            .borrow()
            .clone()
            .filter(|connection| connection.status().connected())
    }
    /// Waits for a connection; `None` after [`Bus::close`].
    pub(crate) async fn connected(&self) -> Option<Arc<Connection>> {
        let mut state = self.inner.state.clone();
        loop {
            if let Some(connection) = self.current() {
                return Some(connection);
            }
            if self.inner.stop.is_cancelled() {
                return None;
            }
            tokio::select! {
                changed = state.changed() => if changed.is_err() { return None },
                () = tokio::time::sleep(CHECK) => {}
            }
        }
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bus({}, up: {})", self.inner.user, self.is_up())
    }
}

/// What waits for people. Nothing is said while nobody knows.
fn watch_dead(queue: &str, dead: &Arc<AtomicI64>, stop: &CancellationToken) {
    let (dead, stop) = (dead.clone(), stop.clone());
    let help = "Messages that were given up, by us or by the broker, and lie there for people";
    probe::gauge("tenantry_dead_letters", help, &[("queue", queue)], move || {
        let count = dead.load(Ordering::Relaxed);
        (count != UNKNOWN && !stop.is_cancelled()).then_some(count as f64)
    });
}

/// Owns the connection: connects, declares, watches, and starts again.
struct Keeper {
    uri: lapin::uri::AMQPUri,
    name: String,
    topology: Topology,
    dead: Arc<AtomicI64>,
    up: watch::Sender<Option<Arc<Connection>>>,
    stop: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        let mut backoff = FIRST_BACKOFF;
        while !self.stop.is_cancelled() {
            let attempt = tokio::select! {
                attempt = tokio::time::timeout(CONNECT, self.open()) => attempt,
                () = self.stop.cancelled() => break,
            };
            match attempt {
                Ok(Ok(connection)) => {
                    tracing::info!("connected to the broker");
                    backoff = FIRST_BACKOFF;
                    self.up.send_replace(Some(Arc::clone(&connection)));
                    self.watch(&connection).await;
                    self.dead.store(UNKNOWN, Ordering::Relaxed);
                    self.up.send_replace(None);
                }
                Ok(Err(error)) => tracing::warn!(%error, "no connection to the broker; trying again"),
                Err(_) => tracing::warn!("the broker does not answer; trying again"),
            }
            tokio::select! {
                () = tokio::time::sleep(backoff) => {}
                () = self.stop.cancelled() => {}
            }
            backoff = (backoff * 2).min(LAST_BACKOFF);
        }
        self.up.send_replace(None);
    }

    async fn open(&self) -> lapin::Result<Arc<Connection>> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let connection = Connection::connect_uri(self.uri.clone(), properties).await?;
        let channel = connection.create_channel().await?;
        self.topology.declare(&channel).await?;
        close_channel(&channel).await;
        Ok(Arc::new(connection))
    }

    /// Returns when the connection is lost, or after closing it because we stop.
    async fn watch(&self, connection: &Connection) {
        let events = connection.events_listener();
        let counting = self.count_dead(connection);
        tokio::pin!(events, counting);
        loop {
            if !connection.status().connected() {
                tracing::warn!("lost the connection to the broker");
                return;
            }
            tokio::select! {
                () = self.stop.cancelled() => {
                    // The broker may be gone; we leave anyway.
                    let _closed = tokio::time::timeout(CHECK, connection.close(200, "bye".into())).await;
                    return;
                }
                event = events.next() => match event {
                    Some(Event::ConnectionBlocked(reason)) => tracing::error!(reason, "the broker blocks publishers"),
                    Some(Event::Error(error)) => tracing::warn!(%error, "error on the connection to the broker"),
                    Some(_) => {}
                    None => tokio::time::sleep(CHECK).await,
                },
                never = &mut counting => match never {},
                () = tokio::time::sleep(CHECK) => {}
            }
        }
    }

    /// Asks the broker again and again how many messages are dead. Whatever fails is asked again: the broker closes the
    /// channel of whoever asks for a queue that somebody has deleted.
    async fn count_dead(&self, connection: &Connection) -> Infallible {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = self.topology.dead_queue();
        while self.topology.takes_messages() {
            if let Ok(channel) = connection.create_channel().await {
                let ask = || channel.queue_declare(queue.as_str().into(), options, FieldTable::default());
                while let Ok(found) = ask().await {
                    self.dead.store(i64::from(found.message_count()), Ordering::Relaxed);
                    tokio::time::sleep(COUNT).await;
                }
                self.dead.store(UNKNOWN, Ordering::Relaxed);
            }
            tokio::time::sleep(COUNT).await;
        }
        std::future::pending().await
    }
}

/// A channel that cannot be closed is gone already.
pub(crate) async fn close_channel(channel: &Channel) {
    if let Err(error) = channel.close(200, "bye".into()).await {
        tracing::debug!(%error, "channel was closed already");
    }
}

//! The change stream: every change of the tenant's records, resumable. The stream holds no transaction between batches,
//! waits for slow clients instead of buffering, and proves its right to go on before every batch.

use super::{Contexts, Parts};
use crate::{
    domain::change::Change,
    store::{
        self,
        change::{self, Window},
        janitor::CHANGE_DAYS,
    },
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD as B64};
use chrono::{DateTime, Utc};
use std::{sync::Arc, time::Duration};
use tenantry_crypto::{Purpose, Sealer};
use tenantry_kernel::{Ctx, Error, Reason, Resolve, Result, TenantId, TenantStatus};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;

const BATCH: i64 = 200;
const POLL: Duration = Duration::from_millis(500);
const HEARTBEAT: Duration = Duration::from_secs(5);
/// A database context lives five minutes; the streams' own is renewed well before.
const RENEW: Duration = Duration::from_secs(60);
/// Batches on their way to one client.
const BUFFER: usize = 4;
/// Tokens end an hour before the changes behind them are deleted.
const TOKEN_SECONDS: i64 = CHANGE_DAYS * 86_400 - 3_600;

/// Whether a caller's session or key was ended since its stream began. A trait, so that the app does not depend on how
/// revocations travel.
pub trait Revoked: Send + 'static {
    /// # Errors
    /// `CREDENTIALS_INVALID`, or `UNAVAILABLE` where revocations may have been missed.
    fn check(&mut self) -> Result<()>;
}

/// Makes streams.
#[derive(Clone)]
pub struct Watch {
    parts: Parts,
    contexts: Arc<dyn Contexts>,
    resolver: Arc<dyn Resolve>,
    stop: CancellationToken,
}

/// Some changes and the token to resume behind them; no changes = heartbeat.
#[derive(Debug)]
pub struct Batch {
    /// In order.
    pub changes: Vec<Change>,
    /// For `resume_token`.
    pub resume_token: String,
}

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    window: Window,
    /// Everything committed before this time is delivered or lies in the window.
    as_of: i64,
    /// How often the tenant was restored: changes of another generation are about other data.
    generation: i64,
}

impl Watch {
    /// Over shared parts; streams end when `stop` is cancelled.
    #[must_use]
    pub fn new(parts: Parts, contexts: Arc<dyn Contexts>, resolver: Arc<dyn Resolve>, stop: CancellationToken) -> Self {
        Self {
            parts,
            contexts,
            resolver,
            stop,
        }
    }

    /// Opens a stream. What is wrong with the request is said here, what happens later in the stream.
    ///
    /// # Errors
    /// `RESUME_TOKEN_EXPIRED`, `INVALID_ARGUMENT`.
    pub async fn open(
        &self,
        ctx: &Ctx,
        type_id: Option<String>,
        resume_token: &str,
        revoked: impl Revoked,
    ) -> Result<mpsc::Receiver<Result<Batch>>> {
        super::feature::require(ctx, super::feature::WATCH)?;
        let position = match resume_token {
            "" => self.start(ctx).await?,
            token => self.resume(ctx, token).await?,
        };
        let (out, batches) = mpsc::channel(BUFFER);
        let stream = Stream {
            watch: self.clone(),
            ctx: ctx.clone(),
            renewed: Instant::now(),
            type_id,
            position,
            out,
            revoked,
        };
        tokio::spawn(stream.run());
        Ok(batches)
    }

    async fn start(&self, ctx: &Ctx) -> Result<Position> {
        let now = self.parts.clock.now();
        let mut tx = self.parts.store.begin(ctx).await?;
        let (horizon, generation) = change::horizon(&mut tx).await?;
        tx.commit().await?;
        Ok(Position {
            window: Window {
                from: horizon,
                to: horizon,
                seq: 0,
                last: 0,
            },
            as_of: now.timestamp(),
            generation,
        })
    }

    async fn resume(&self, ctx: &Ctx, token: &str) -> Result<Position> {
        let tenant = ctx.tenant()?;
        let sealed = Some(token)
            .filter(|token| token.len() <= 512)
            .and_then(|token| B64.decode(token).ok())
            .ok_or_else(invalid_token)?;
        let version = Sealer::version_of(&sealed).map_err(|_| invalid_token())?;
        let sealer = match self.parts.keys.sealer(tenant, Purpose::PageToken, Some(version)).await {
            Ok(sealer) => sealer,
            Err(missing) if missing.reason() == Reason::NotFound => return Err(invalid_token()),
            Err(other) => return Err(other),
        };
        let opened = sealer.open(&aad(tenant), &sealed).map_err(|_| invalid_token())?;
        let position = Position::from_bytes(&opened).ok_or_else(invalid_token)?;
        if self.parts.clock.now().timestamp() - position.as_of > TOKEN_SECONDS {
            let text = "The resume token is older than the changes that are kept (7 days). List the records again and watch without a token.";
            return Err(Error::new(Reason::ResumeTokenExpired, text));
        }
        let mut tx = self.parts.store.begin(ctx).await?;
        let (_, generation) = change::horizon(&mut tx).await?;
        tx.commit().await?;
        same_data(position, generation)?;
        Ok(position)
    }

    async fn token(&self, tenant: TenantId, position: Position) -> Result<String> {
        let sealer = self.parts.keys.sealer(tenant, Purpose::PageToken, None).await?;
        Ok(B64.encode(sealer.seal(&aad(tenant), position.to_bytes())))
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch(..)")
    }
}

/// One open stream.
struct Stream<R> {
    watch: Watch,
    ctx: Ctx,
    renewed: Instant,
    type_id: Option<String>,
    position: Position,
    out: mpsc::Sender<Result<Batch>>,
    revoked: R,
}

impl<R: Revoked> Stream<R> {
    async fn run(mut self) {
        let (stop, out) = (self.watch.stop.clone(), self.out.clone());
        let outcome = tokio::select! {
            outcome = self.follow() => outcome,
            () = stop.cancelled() => Err(Error::unavailable("shutting down")),
            () = out.closed() => return,
        };
        if let Err(error) = outcome {
            // A client that has gone needs no reason.
            drop(out.send(Err(error)).await);
        }
    }

    async fn follow(&mut self) -> Result<()> {
        let tenant = self.ctx.tenant()?;
        let nudged = self.watch.parts.nudges.of(tenant);
        let mut heartbeat = Instant::now(); // the first token goes out at once
        loop {
            let wake = nudged.notified();
            tokio::pin!(wake);
            // From here on no nudge is missed.
            wake.as_mut().enable();
            self.prove().await?;
            let changes = self.next_changes().await?;
            let more = !self.position.window.is_done();
            if !changes.is_empty() || Instant::now() >= heartbeat {
                let resume_token = self.watch.token(tenant, self.position).await?;
                if self.out.send(Ok(Batch { changes, resume_token })).await.is_err() {
                    return Ok(());
                }
                heartbeat = Instant::now() + HEARTBEAT;
            }
            if !more {
                tokio::select! {
                    () = wake => {}
                    () = tokio::time::sleep(POLL) => {}
                }
            }
        }
    }

    /// The tenant is still served, the caller still allowed, the database context still young.
    async fn prove(&mut self) -> Result<()> {
        self.revoked.check()?;
        let tenant = self.ctx.tenant()?;
        let route = self.watch.resolver.by_id(tenant).await?;
        match route.status {
            TenantStatus::Active => {}
            TenantStatus::Suspended => {
                return Err(Error::new(
                    Reason::TenantSuspended,
                    "The tenant is suspended. Contact the operator.",
                ));
            }
            TenantStatus::Creating | TenantStatus::Deleted => {
                return Err(Error::new(Reason::TenantNotActive, "The tenant is not active."));
            }
        }
        if self.renewed.elapsed() >= RENEW {
            let db = self.watch.contexts.database_context(tenant, "watch").await?;
            self.ctx = self.ctx.clone().with_db(Some(db)).with_route(route);
            self.renewed = Instant::now();
        }
        Ok(())
    }

    async fn next_changes(&mut self) -> Result<Vec<Change>> {
        let asked = self.watch.parts.clock.now();
        let mut tx = self.watch.parts.store.begin(&self.ctx).await?;
        let mut window = self.position.window;
        if window.is_done() {
            let (next, generation) = change::window(&mut tx, window.to).await?;
            same_data(self.position, generation)?;
            window = next;
        }
        let changes = if window.is_done() {
            Vec::new()
        } else {
            store::change::page(&mut tx, &window, self.type_id.as_deref(), BATCH).await?
        };
        tx.commit().await?;
        let full = i64::try_from(changes.len()).unwrap_or(i64::MAX) >= BATCH;
        window.seq = changes.last().filter(|_| full).map_or(window.last, |change| change.seq);
        // While a window is open, its oldest change is as old as the position it was opened from.
        let as_of = if window.is_done() && self.position.window.is_done() {
            asked.timestamp()
        } else {
            self.position.as_of
        };
        self.position = Position {
            window,
            as_of,
            ..self.position
        };
        Ok(changes)
    }
}

impl Position {
    fn to_bytes(self) -> Vec<u8> {
        let Window { from, to, seq, last } = self.window;
        [from, to, seq, last, self.as_of, self.generation]
            .iter()
            .flat_map(|number| number.to_be_bytes())
            .collect()
    }
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<8>();
        let ([from, to, seq, last, as_of], generation) = chunks.split_first_chunk::<5>()?;
        let number = |bytes: &[u8; 8]| i64::from_be_bytes(*bytes);
        let window = Window {
            from: number(from),
            to: number(to),
            seq: number(seq),
            last: number(last),
        };
        let generation = match generation {
            // A token from before there were restores.
            [] => 0,
            [generation] => number(generation),
            _ => return None,
        };
        rest.is_empty().then_some(Self {
            window,
            as_of: number(as_of),
            generation,
        })
    }
}

/// Every change in a stream is about the data it began with.
fn same_data(position: Position, generation: i64) -> Result<()> {
    if position.generation == generation {
        return Ok(());
    }
    let text = "The tenant's data was restored from a backup. List the records again and watch without a token.";
    Err(Error::new(Reason::ResumeTokenExpired, text))
}

/// A resume token opens only for its tenant.
fn aad(tenant: TenantId) -> Vec<u8> {
    [b"resume-token\0".as_slice(), tenant.uuid().as_bytes()].concat()
}

fn invalid_token() -> Error {
    Error::invalid_field(
        "resume_token",
        "is not a token of this tenant's stream; list the records again and watch without a token",
    )
}

/// When a token made at `as_of` ends, for tests and documentation.
#[must_use]
pub fn token_expiry(as_of: DateTime<Utc>) -> DateTime<Utc> {
    as_of + chrono::Duration::seconds(TOKEN_SECONDS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_survives_its_token() {
        let position = Position {
            window: Window {
                from: 1,
                to: i64::MAX,
                seq: -1,
                last: 9,
            },
            as_of: 5,
            generation: 2,
        };
        assert_eq!(Position::from_bytes(&position.to_bytes()), Some(position));
        let old = Position::from_bytes(&position.to_bytes()[..40]).expect("older tokens are shorter");
        assert_eq!((old.as_of, old.generation), (5, 0));
        for wrong in [0, 32, 39, 41, 56] {
            assert_eq!(Position::from_bytes(&vec![0; wrong]), None);
        }
    }
}

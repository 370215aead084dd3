//! Password hashing (Argon2id) by a bounded number of workers. A tenant has at most half of the workers and half of the
//! places in the queue, so that one tenant's sign-ins never stop another's; beyond that calls are refused at once.

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version, password_hash::phc::PasswordHash};
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenantry_kernel::{Error, Reason, Result, TenantId};
use tokio::{
    runtime::Runtime,
    sync::{OwnedSemaphorePermit, Semaphore},
};
use zeroize::Zeroizing;

/// Nobody waits longer for a worker.
const PATIENCE: Duration = Duration::from_secs(8);
/// Idle threads stay: a new one would bring a new arena.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// See the module.
pub struct Hasher {
    argon: Argon2<'static>,
    dummy: Arc<str>,
    workers: Arc<Semaphore>,
    pool: Pool,
    per_tenant: usize,
    queue: usize,
    gates: Mutex<HashMap<TenantId, Gate>>,
}

/// Threads of its own, as many as workers. On the shared blocking pool each of many threads would keep the tens of MiB of
/// its last hash in its allocator arena: 600 MiB after a thousand sign-ins.
struct Pool(Option<Runtime>);

impl Pool {
    fn new(workers: usize) -> Result<Self> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let builder = builder
            .max_blocking_threads(workers)
            .thread_keep_alive(FOREVER)
            .thread_name("argon2");
        Ok(Self(Some(builder.build().map_err(Error::internal)?)))
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        // A runtime must not be waited for inside of another one.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// One tenant's share.
struct Gate {
    workers: Arc<Semaphore>,
    inside: usize,
}

/// The right to compute one hash. The worker is free again when the hash is done; the tenant's share when this is
/// dropped, so that a failure can be recorded before the tenant's next guess is looked at.
pub struct Turn {
    hasher: Arc<Hasher>,
    tenant: TenantId,
    own: Option<OwnedSemaphorePermit>,
    shared: Option<OwnedSemaphorePermit>,
}

/// What a check of a password found.
#[derive(Debug)]
pub struct Checked {
    /// It is the password.
    pub matches: bool,
    /// A hash with today's parameters, where the stored one has others.
    pub rehashed: Option<String>,
}

impl Hasher {
    /// With `(KiB, passes, lanes)`, `workers` at once and `queue` places.
    ///
    /// # Errors
    /// `INTERNAL` for parameters Argon2 does not accept (configuration was validated before).
    pub fn new((memory, passes, lanes): (u32, u32, u32), workers: usize, queue: usize) -> Result<Arc<Self>> {
        let internal = |error: argon2::Error| Error::internal(error.to_string());
        let params = Params::new(memory, passes, lanes, None).map_err(internal)?;
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let dummy = hash(&argon, "the password of nobody")?;
        let workers = workers.max(1);
        Ok(Arc::new(Self {
            argon,
            dummy: dummy.into(),
            workers: Arc::new(Semaphore::new(workers)),
            pool: Pool::new(workers)?,
            per_tenant: workers.div_ceil(2),
            queue: queue.max(2),
            gates: Mutex::default(),
        }))
    }
    /// Waits for a worker.
    ///
    /// # Errors
    /// `OVERLOADED` where the queue is full or the wait takes too long.
    pub async fn turn(self: &Arc<Self>, tenant: TenantId, deadline: Option<Instant>) -> Result<Turn> {
        let gate = self.enter(tenant)?;
        // From here on dropping gives the place back.
        let mut turn = Turn {
            hasher: Arc::clone(self),
            tenant,
            own: None,
            shared: None,
        };
        let until = Instant::now() + PATIENCE;
        let until = deadline.map_or(until, |deadline| deadline.min(until));
        // The tenant's own permit first: whoever waits for a shared one holds nothing a stranger needs.
        let both = async {
            let own = gate.acquire_owned().await;
            (own, Arc::clone(&self.workers).acquire_owned().await)
        };
        match tokio::time::timeout_at(until.into(), both).await {
            Ok((Ok(own), Ok(shared))) => (turn.own, turn.shared) = (Some(own), Some(shared)),
            Ok(_) => return Err(Error::internal("a semaphore was closed")),
            Err(_) => return Err(overloaded()),
        }
        Ok(turn)
    }

    fn enter(&self, tenant: TenantId) -> Result<Arc<Semaphore>> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let total: usize = gates.values().map(|gate| gate.inside).sum();
        let own = gates.get(&tenant).map_or(0, |gate| gate.inside);
        if total >= self.queue || own >= self.queue / 2 {
            return Err(overloaded());
        }
        let gate = gates.entry(tenant).or_insert_with(|| Gate {
            workers: Arc::new(Semaphore::new(self.per_tenant)),
            inside: 0,
        });
        gate.inside += 1;
        Ok(Arc::clone(&gate.workers))
    }

    fn leave(&self, tenant: TenantId) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = gates.get_mut(&tenant) {
            gate.inside -= 1;
            if gate.inside == 0 {
                gates.remove(&tenant);
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.own = None;
        self.hasher.leave(self.tenant);
    }
}

impl Turn {
    /// Checks a password. Without a stored hash it takes the same time and fails.
    ///
    /// # Errors
    /// `INTERNAL` where the worker dies.
    pub async fn check(self, password: Zeroizing<String>, stored: Option<String>) -> Result<(Checked, Self)> {
        // The turn moves along: a caller who goes away does not free a worker that is still busy.
        self.run(move |hasher| {
            let phc = stored.as_deref().unwrap_or(&hasher.dummy);
            let Ok(parsed) = PasswordHash::new(phc) else {
                return Err(Error::internal("a stored password hash is malformed"));
            };
            let matches = hasher.argon.verify_password(password.as_bytes(), &parsed).is_ok() && stored.is_some();
            let outdated = Params::try_from(&parsed).map_or(true, |params| !same_cost(&params, hasher.argon.params()));
            let rehashed = if matches && outdated {
                Some(hash(&hasher.argon, &password)?)
            } else {
                None
            };
            Ok(Checked { matches, rehashed })
        })
        .await
    }
    /// Hashes a new password.
    ///
    /// # Errors
    /// `INTERNAL` where the worker dies.
    pub async fn hash(self, password: Zeroizing<String>) -> Result<String> {
        Ok(self.run(move |hasher| hash(&hasher.argon, &password)).await?.0)
    }

    async fn run<T: Send + 'static>(
        mut self,
        work: impl FnOnce(&Hasher) -> Result<T> + Send + 'static,
    ) -> Result<(T, Self)> {
        let hasher = Arc::clone(&self.hasher);
        let runtime = hasher
            .pool
            .0
            .as_ref()
            .ok_or_else(|| Error::internal("the hashing threads are gone"))?;
        let task = runtime.spawn_blocking(move || {
            let done = work(&self.hasher);
            self.shared = None;
            Ok((done?, self))
        });
        task.await.map_err(Error::internal)?
    }
}

fn same_cost(one: &Params, other: &Params) -> bool {
    (one.m_cost(), one.t_cost(), one.p_cost()) == (other.m_cost(), other.t_cost(), other.p_cost())
}

fn hash(argon: &Argon2<'_>, password: &str) -> Result<String> {
    let hash = argon
        .hash_password(password.as_bytes())
        .map_err(|error| Error::internal(error.to_string()))?;
    Ok(hash.to_string())
}

fn overloaded() -> Error {
    Error::new(
        Reason::Overloaded,
        "Too many sign-ins are waiting. Try again in a moment.",
    )
    .retry_after(Duration::from_secs(1))
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn secret(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_is_checked_and_rehashed_when_the_cost_changes() {
        let tenant = TenantId::PLATFORM;
        let cheap = Hasher::new((1_024, 1, 1), 2, 8).unwrap();
        let stored = cheap
            .turn(tenant, None)
            .await
            .unwrap()
            .hash(secret("four unrelated words"))
            .await
            .unwrap();
        let same = cheap
            .turn(tenant, None)
            .await
            .unwrap()
            .check(secret("four unrelated words"), Some(stored.clone()))
            .await
            .unwrap()
            .0;
        assert!(same.matches && same.rehashed.is_none());
        let dear = Hasher::new((2_048, 2, 1), 2, 8).unwrap();
        let moved = dear
            .turn(tenant, None)
            .await
            .unwrap()
            .check(secret("four unrelated words"), Some(stored.clone()))
            .await
            .unwrap()
            .0;
        assert!(moved.matches && moved.rehashed.is_some_and(|new| new.contains("m=2048,t=2,p=1")));
        let wrong = dear
            .turn(tenant, None)
            .await
            .unwrap()
            .check(secret("four related words"), Some(stored))
            .await
            .unwrap()
            .0;
        assert!(!wrong.matches && wrong.rehashed.is_none());
        let nobody = dear
            .turn(tenant, None)
            .await
            .unwrap()
            .check(secret("the password of nobody"), None)
            .await
            .unwrap()
            .0;
        assert!(!nobody.matches, "the dummy is nobody's password");
    }

    #[tokio::test]
    async fn one_tenant_never_takes_all_workers_or_places() {
        let hasher = Hasher::new((1_024, 1, 1), 4, 8).unwrap();
        let (busy, other) = (TenantId::PLATFORM, TenantId::from_uuid(Uuid::from_u128(9)));
        let soon = || Some(Instant::now() + Duration::from_millis(50));
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(hasher.turn(busy, None).await.unwrap());
        }
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.turn(busy, soon()).await })
            })
            .collect();
        tokio::task::yield_now().await;
        assert_eq!(
            hasher.turn(busy, None).await.err().map(|e| e.reason()),
            Some(Reason::Overloaded),
            "its half of the queue is full"
        );
        let quick = hasher.turn(other, soon()).await.expect("another tenant goes on");
        for task in waiting {
            assert_eq!(
                task.await.unwrap().err().map(|e| e.reason()),
                Some(Reason::Overloaded),
                "gave up at its deadline"
            );
        }
        drop((held, quick));
        assert!(
            hasher.gates.lock().unwrap().is_empty(),
            "nothing is remembered of tenants that are done"
        );
    }

    /// The worker of an async runtime must never hash: everybody else's requests would stand still.
    #[tokio::test]
    async fn hashes_are_computed_by_few_threads_of_their_own() {
        let hasher = Hasher::new((1_024, 1, 1), 2, 200).unwrap();
        let (signal, waits) = std::sync::mpsc::channel();
        let turn = hasher.turn(TenantId::PLATFORM, None).await.unwrap();
        let blocked = turn.run(move |_| waits.recv_timeout(Duration::from_secs(30)).map_err(Error::internal));
        let goes_on = async { signal.send("from the async side").unwrap() };
        // In this order on one async thread: only a hash on another thread lets the signal through.
        let (told, ()) = tokio::join!(biased; blocked, goes_on);
        assert_eq!(
            told.expect("the async thread was free meanwhile").0,
            "from the async side"
        );

        let hashes = (0..40).map(|n| {
            let hasher = Arc::clone(&hasher);
            tokio::spawn(async move {
                let turn = hasher.turn(TenantId::from_uuid(Uuid::from_u128(n % 8)), None).await?;
                let on = |hasher: &Hasher| {
                    hash(&hasher.argon, "four unrelated words")?;
                    let thread = std::thread::current();
                    Ok((thread.id(), thread.name().map(str::to_owned)))
                };
                turn.run(on).await.map(|done| done.0)
            })
        });
        let mut threads = std::collections::HashSet::new();
        for hash in hashes.collect::<Vec<_>>() {
            let (thread, name) = hash.await.unwrap().unwrap();
            assert_eq!(name.as_deref(), Some("argon2"));
            threads.insert(thread);
        }
        assert!(threads.len() <= 2, "{} threads for two workers", threads.len());
    }
}

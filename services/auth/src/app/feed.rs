//! Revocations on their way to verifiers: one reader of the table, any number of followers. Followers get the last five
//! minutes first; a follower never sees a gap, because joining and publishing share one lock.

use crate::{
    domain::{Revocation, Subject},
    store::{
        Store,
        revocations::{self, Cursor},
    },
};
use chrono::{DateTime, Duration, Utc};
use std::{
    collections::{HashSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tenantry_kernel::{Error, Result};
use tenantry_server::{Revocations, Revoked};
use tokio::sync::broadcast;

const REMEMBERED: Duration = Duration::minutes(5);
const BACKLOG: usize = 1_024;

/// New revocations; empty as a heartbeat.
pub type Batch = Arc<[Revocation]>;

/// With the time of arrival; `None` before the first read.
type Recent = Option<VecDeque<(DateTime<Utc>, Revocation)>>;

/// See the module.
pub struct Feed {
    recent: Mutex<Recent>,
    sender: broadcast::Sender<Batch>,
    own: Arc<Revocations>,
}

impl Feed {
    /// `own` is what auth's own request stack asks.
    #[must_use]
    pub fn new(own: Arc<Revocations>) -> Self {
        Self {
            recent: Mutex::new(None),
            sender: broadcast::channel(BACKLOG).0,
            own,
        }
    }
    /// Tells everybody. An empty batch says that the table was read and nothing is new: it is only sent then.
    pub fn publish(&self, fresh: Vec<Revocation>, now: DateTime<Utc>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let list = recent.get_or_insert_default();
        list.extend(fresh.iter().map(|revocation| (now, *revocation)));
        while list.front().is_some_and(|(at, _)| *at < now - REMEMBERED) {
            list.pop_front();
        }
        self.own.apply(&fresh.iter().map(own).collect::<Vec<_>>(), now);
        // Nobody listening is fine.
        drop(self.sender.send(fresh.into()));
    }
    /// The last five minutes, and what comes after them.
    ///
    /// # Errors
    /// `UNAVAILABLE` before the table was read for the first time.
    pub fn follow(&self) -> Result<(Vec<Revocation>, broadcast::Receiver<Batch>)> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let list = recent
            .as_ref()
            .ok_or_else(|| Error::unavailable("revocations are not loaded yet"))?;
        Ok((
            list.iter().map(|(_, revocation)| *revocation).collect(),
            self.sender.subscribe(),
        ))
    }
}

fn own(revocation: &Revocation) -> tenantry_server::Revocation {
    let what = match revocation.subject {
        Subject::Tenant => Revoked::Tenant,
        Subject::User(id) => Revoked::User(id),
        Subject::Session(id) => Revoked::Session(id),
        Subject::ApiKey(id) => Revoked::ApiKey(id),
    };
    tenantry_server::Revocation {
        tenant: revocation.tenant,
        what,
        not_before: revocation.not_before,
    }
}

/// Reads the table in commit order.
pub struct Reader {
    store: Store,
    cursor: Option<Cursor>,
    last: HashSet<i64>,
}

impl Reader {
    /// At the beginning.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            cursor: None,
            last: HashSet::new(),
        }
    }
    /// What has not been read before. Rows around the cursor come twice from the table, once from here.
    ///
    /// # Errors
    /// `UNAVAILABLE`; the next call reads the same rows again.
    pub async fn read(&mut self) -> Result<Vec<Revocation>> {
        let mut tx = self.store.begin_system("revocation_feed").await?;
        let (rows, cursor) = match &self.cursor {
            None => revocations::revocation_snapshot(&mut tx).await?,
            Some(cursor) => revocations::revocation_since(&mut tx, cursor).await?,
        };
        tx.commit().await?;
        let seqs = rows.iter().map(|row| row.seq).collect();
        let fresh = rows.into_iter().filter(|row| !self.last.contains(&row.seq)).collect();
        (self.last, self.cursor) = (seqs, Some(cursor));
        Ok(fresh)
    }
}

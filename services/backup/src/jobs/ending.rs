//! Ends an operation that will not succeed: takes back what it had begun, then says why it failed. Noted before it
//! begins, so that a process that dies on the way is followed by one that goes on taking back, never by one that goes on
//! restoring.

use super::{
    restore,
    run::{Run, is_lost},
};
use crate::{
    domain::{
        Failure,
        operation::{State, Target, Verb, is_transient},
        policy::SHOW_FAILED,
        snapshot,
    },
    store::{self, operation},
};
use std::time::Duration;
use tenantry_kernel::{Error, Reason, Result};

const POLL: Duration = Duration::from_millis(300);

/// How an operation ended, for its metric; `None` where it goes on later.
pub(super) type Ended = Option<&'static str>;

/// Takes back and ends; what passes by itself is tried again later, as often as it takes.
pub(super) async fn end(run: &Run, failure: Failure) -> Result<Ended> {
    let mut shown = failure.clone();
    if let Some(slug) = begun(run) {
        match take_back(run, &failure).await {
            Ok(false) => {}
            Ok(true) => shown.message += &format!(" The new tenant {slug} was removed again."),
            Err(error) if is_lost(&error) => return Err(error),
            Err(error) if is_transient(&error) => return later(run, &error).await.map(|()| None),
            Err(error) => {
                shown.message += &format!(
                    " The new tenant {slug} could not be removed again: {} An operator can delete it.",
                    error.public()
                );
            }
        }
    }
    close(run, &failure, &shown).await.map(Some)
}

/// Gives the operation back, to be tried again.
pub(super) async fn later(run: &Run, error: &Error) -> Result<()> {
    let mut tx = run.begin().await?;
    let delay = Duration::from_millis(500) * 2_u32.pow(run.claim.attempt.clamp(0, 6).unsigned_abs());
    operation::retry_later(&mut tx, &run.claim, error.public(), delay).await?;
    tx.commit().await
}

/// The slug of the new tenant that may be there.
fn begun(run: &Run) -> Option<&str> {
    let checkpoint = run.checkpoint();
    match &run.operation.input {
        Target::NewTenant { slug, .. } if checkpoint.asked || !checkpoint.clone.is_empty() => Some(slug),
        _ => None,
    }
}

/// Has the new tenant purged, and waits until nothing is left of it: only then its slug is free. Says whether there was one.
async fn take_back(run: &Run, failure: &Failure) -> Result<bool> {
    run.cannot_be_cancelled();
    let mut checkpoint = run.checkpoint();
    if checkpoint.ending.is_none() {
        checkpoint.ending = Some(failure.clone());
        let mut tx = run.begin().await?;
        run.keep(&mut tx, checkpoint).await?;
        tx.commit().await?;
    }
    run.step("discard", 0).await?;
    run.parts.faults.hit("backup.restore.before_discard").await?;
    let work = async {
        // Where its id was never noted, the registry is asked again: the same request names the same tenant.
        let checkpoint = match restore::ask(run).await {
            // Refused: there is none.
            Err(_) if !run.checkpoint().asked => return Ok(false),
            other => other?,
        };
        while !run.parts.clients.discard_clone(&checkpoint.clone).await? {
            tokio::time::sleep(POLL).await;
        }
        Ok(true)
    };
    tokio::select! {
        done = work => done,
        stop = run.beat() => Err(stop),
    }
}

/// The end of the operation, and of the snapshot that it was writing.
async fn close(run: &Run, failure: &Failure, shown: &Failure) -> Result<&'static str> {
    let reason = Reason::parse(&failure.reason);
    let (state, result) = match reason {
        Some(Reason::Cancelled) => (State::Cancelled, "cancelled"),
        Some(Reason::SnapshotCorrupt) => (State::Failed, "corrupt"),
        _ => (State::Failed, "failed"),
    };
    // The snapshot that was being written is no snapshot: first its objects go, then its row says so.
    let unfinished = match run.operation.verb {
        Verb::CreateSnapshot => Some(run.operation.snapshot),
        _ => run.checkpoint().before_restore,
    };
    let now = run.parts.clock.now();
    let mut tx = run.begin().await?;
    if let Some(id) = unfinished
        && let Some(row) = store::snapshot::fetch(&mut tx, id).await?
        && row.state == snapshot::State::Running
    {
        run.parts.archive.remove(run.claim.tenant, id).await?;
        store::snapshot::failed(&mut tx, id, &shown.message, now + SHOW_FAILED).await?;
        run.parts.metrics.snapshot(result, 0, 0);
    }
    if reason == Some(Reason::SnapshotCorrupt) && run.operation.verb != Verb::CreateSnapshot {
        store::snapshot::verified(&mut tx, run.operation.snapshot, &failure.message, now).await?;
    }
    let stored = serde_json::to_value(shown).map_err(Error::internal)?;
    operation::finish(&mut tx, &run.claim, state, &stored, &shown.message).await?;
    tx.commit().await?;
    Ok(result)
}

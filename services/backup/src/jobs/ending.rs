//! Ends an operation that will not succeed: takes back what it had begun, then says why it failed. Noted before it
//! begins, so that a process that dies on the way is followed by one that goes on taking back, never by one that goes on
//! restoring.

use super::{restore, run::Run};
use crate::{
    domain::{
        Failure,
        operation::{Target, Verb, is_transient},
        policy::SHOW_FAILED,
        snapshot,
    },
    store::{self, SCHEMA},
};
use std::time::Duration;
use tenantry_kernel::{Error, Reason, Result};
use tenantry_operations::{State, is_lost, lease};

const POLL: Duration = Duration::from_millis(300);
/// A store or a service that is away holds up no end longer than this.
const PATIENCE: Duration = Duration::from_secs(30);

/// How an operation ended, for its metric; `None` where it goes on later.
pub(super) type Ended = Option<&'static str>;

/// Takes back and ends, with the operation's heart beside it; what passes by itself is tried again later, as often as it
/// takes. That it ends is noted first, whatever it was: nobody begins anew what is being removed.
pub(super) async fn end(run: &Run, failure: Failure) -> Result<Ended> {
    let mut checkpoint = run.checkpoint();
    if checkpoint.ending.is_none() {
        checkpoint.ending = Some(failure.clone());
        run.note(checkpoint).await?;
    }
    tokio::select! {
        ended = finish(run, failure) => ended,
        stop = run.beat() => Err(stop),
    }
}

async fn finish(run: &Run, failure: Failure) -> Result<Ended> {
    let mut shown = failure.clone();
    if let Some(slug) = begun(run) {
        match take_back(run).await {
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
    clear(run).await;
    close(run, &failure, &shown).await.map(Some)
}

/// Gives the operation back, to be tried again.
pub(super) async fn later(run: &Run, error: &Error) -> Result<()> {
    let mut tx = run.begin().await?;
    let delay = lease::backoff(run.attempt());
    lease::retry_later(&mut tx, SCHEMA, &run.claim, error.public(), delay).await?;
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
async fn take_back(run: &Run) -> Result<bool> {
    run.step("discard", 0).await?;
    run.parts.faults.hit("backup.restore.before_discard").await?;
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
}

/// Lets go of the tenant, and removes the objects of a snapshot that did not come to be. Both end by themselves where
/// this fails: a hold is not renewed, and retention removes objects with their row.
async fn clear(run: &Run) {
    let tenant = run.claim.tenant;
    let release = async {
        if run.operation.input == Target::InPlace && run.checkpoint().before_restore.is_some() {
            run.parts.clients.restored(tenant, run.claim.operation).await?;
        }
        Ok::<_, Error>(())
    };
    let remove = async {
        if let Some(id) = unfinished(run).await? {
            run.parts.archive.remove(tenant, id).await?;
        }
        Ok::<_, Error>(())
    };
    let (released, removed) = tokio::join!(
        tokio::time::timeout(PATIENCE, release),
        tokio::time::timeout(PATIENCE, remove)
    );
    for outcome in [released, removed] {
        let reason = match outcome {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => error.reason(),
            Err(_) => Reason::DeadlineExceeded,
        };
        tracing::warn!(tenant.id = %tenant, operation = %run.claim.operation, %reason, "what an operation leaves ends later");
    }
}

/// The snapshot that was being written.
async fn unfinished(run: &Run) -> Result<Option<uuid::Uuid>> {
    let written = match run.operation.verb {
        Verb::CreateSnapshot => Some(run.operation.snapshot),
        _ => run.checkpoint().before_restore,
    };
    let Some(id) = written else { return Ok(None) };
    let mut tx = run.begin().await?;
    let row = store::snapshot::fetch(&mut tx, id).await?;
    tx.commit().await?;
    Ok(row
        .filter(|row| row.state == snapshot::State::Running)
        .map(|row| row.id))
}

/// The end of the operation, and of the snapshot that it was writing.
async fn close(run: &Run, failure: &Failure, shown: &Failure) -> Result<&'static str> {
    let reason = Reason::parse(&failure.reason);
    let (state, result) = match reason {
        Some(Reason::Cancelled) => (State::Cancelled, "cancelled"),
        Some(Reason::SnapshotCorrupt) => (State::Failed, "corrupt"),
        _ => (State::Failed, "failed"),
    };
    let (now, unfinished) = (run.parts.clock.now(), unfinished(run).await?);
    let corrupt = reason == Some(Reason::SnapshotCorrupt) && run.operation.verb != Verb::CreateSnapshot;
    let mut tx = run.begin().await?;
    if let Some(id) = unfinished {
        store::snapshot::failed(&mut tx, id, &shown.message, now + SHOW_FAILED).await?;
    }
    if corrupt {
        store::snapshot::verified(&mut tx, run.operation.snapshot, &failure.message, now).await?;
    }
    let stored = serde_json::to_value(shown).map_err(Error::internal)?;
    lease::finish(&mut tx, SCHEMA, &run.claim, (state, None), &stored, &shown.message).await?;
    tx.commit().await?;
    let counted = if unfinished.is_some() && result != "corrupt" {
        Some(result)
    } else {
        None
    };
    for result in counted.into_iter().chain(corrupt.then_some("corrupt")) {
        run.parts.metrics.snapshot(result, 0, 0);
    }
    Ok(result)
}

//! Brings a snapshot back: reads it wholly first; then keeps a snapshot of what is replaced, or makes the new tenant;
//! then streams it to business, which swaps it in in one moment under the operation's id, once. Each try takes a copy of
//! what it replaces: business holds the tenant from that copy until the swap, and no longer than the try lasts.

use super::{capture, run::Run, worker};
use crate::{
    archive::reader::{self, Sink},
    domain::{
        Manifest, Snapshot,
        operation::{Checkpoint, Restored, Target, is_transient},
        snapshot::{self, Kind},
    },
    store,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime},
};
use tenantry_api::{
    business::{
        DataFooter, DataHeader, DataPart, DataRows, RestoreDataRequest, RestoreDataResponse, RestoreTarget,
        data_part::Part, restore_data_request::Message,
    },
    registry::{CloneState, CreateCloneRequest, GetCloneResponse},
};
use tenantry_crypto::{Purpose, Sealer};
use tenantry_kernel::{Error, Reason, Result, TenantId, fits_plan};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Messages on their way: at most some MiB.
const IN_FLIGHT: usize = 4;
const POLL: Duration = Duration::from_millis(300);
const MOST_NAME: usize = 100;

/// All steps; each finds what an earlier try has done.
pub(super) async fn restore(run: &Run) -> Result<()> {
    // Before anything else, and whoever has cancelled: an earlier try may have replaced the data. Nor is a copy given up
    // before business has said that nothing was.
    let earlier = run.checkpoint();
    if (earlier.committed || earlier.before_restore.is_some())
        && let Some(answer) = settled(run).await?
    {
        return finish(run, &answer).await;
    }
    let manifest = worker::verified(run).await?;
    run.parts.faults.hit("backup.restore.after_verify").await?;
    // Once there is a new tenant, business knows what to make of the rest.
    let checkpoint = run.checkpoint();
    if !checkpoint.asked {
        // A new tenant gets the plan of this one.
        fits_plan(&run.route, manifest.totals.types, manifest.totals.rows)?;
    }
    let target = match &run.operation.input {
        Target::InPlace => {
            keep_present(run).await?;
            run.claim.tenant
        }
        Target::NewTenant { .. } => new_tenant(run).await?.0,
    };
    run.step("restore", manifest.totals.rows).await?;
    run.parts.faults.hit("backup.restore.before_stream").await?;
    let answer = match stream(run, &manifest, target).await {
        // The footer was on its way: what became of it only business knows.
        Err(error) if run.checkpoint().committed => settled(run).await?.ok_or(error)?,
        answer => answer?,
    };
    run.parts.faults.hit("backup.restore.after_stream").await?;
    finish(run, &answer).await
}

/// What business says about a restore that may be done. If it is not, nothing was replaced, and it can be begun again.
async fn settled(run: &Run) -> Result<Option<RestoreDataResponse>> {
    // Not by a worker that was taken for dead: asking gives up what another one may be sending.
    run.advance().await?;
    let mut checkpoint = run.checkpoint();
    let target = match &run.operation.input {
        Target::InPlace => run.claim.tenant,
        Target::NewTenant { .. } => new_tenant(run).await?.0,
    };
    let answer = run.parts.clients.restored(target, run.claim.operation).await?;
    if answer.is_none() && checkpoint.committed {
        checkpoint.committed = false;
        run.note(checkpoint).await?;
    }
    Ok(answer)
}

async fn finish(run: &Run, answer: &RestoreDataResponse) -> Result<()> {
    let mut restored = Restored {
        before_restore: run.checkpoint().before_restore,
        records: i64::try_from(answer.rows).unwrap_or(i64::MAX),
        ..Restored::default()
    };
    if let Target::NewTenant { slug, .. } = &run.operation.input {
        let (tenant, clone) = new_tenant(run).await?;
        restored.tenant = Some(tenant.uuid());
        slug.clone_into(&mut restored.slug);
        restored.sealed_invite = seal_invite(run, &clone.invite_uri).await?;
    }
    let mut tx = run.begin().await?;
    store::snapshot::verified(&mut tx, run.operation.snapshot, "", run.parts.clock.now()).await?;
    run.finish(&mut tx, &restored).await?;
    tx.commit().await
}

/// A snapshot of the data that is about to be replaced. One of an earlier try shows what was there before changes were
/// let in again: it goes.
async fn keep_present(run: &Run) -> Result<()> {
    let (mut checkpoint, tenant) = (run.checkpoint(), run.claim.tenant);
    let (id, now) = (run.parts.ids.new_v7(), run.parts.clock.now());
    let text = format!("Before the restore of {}", snapshot::name(run.operation.snapshot));
    let copy = Snapshot::new(id, Kind::BeforeRestore, text, run.claim.operation, now);
    let mut tx = run.begin().await?;
    let earlier = checkpoint.before_restore.replace(id);
    if let Some(earlier) = earlier {
        store::snapshot::deleting(&mut tx, earlier).await?;
    }
    store::snapshot::insert(&mut tx, tenant, &copy).await?;
    run.keep(&mut tx, checkpoint).await?;
    tx.commit().await?;
    if earlier.is_some() {
        run.parts.sweep.notify_one();
    }
    run.step("snapshot", 0).await?;
    let manifest = capture::capture(run, id, Some(run.claim.operation)).await?;
    let mut tx = run.begin().await?;
    capture::ready(run, &mut tx, &manifest).await?;
    tx.commit().await?;
    run.parts
        .metrics
        .snapshot("ok", manifest.totals.raw_bytes, manifest.totals.bytes);
    Ok(())
}

/// The new tenant, active, with its owner's link.
async fn new_tenant(run: &Run) -> Result<(TenantId, GetCloneResponse)> {
    run.step("clone", 0).await?;
    let mut checkpoint = ask(run).await?;
    run.parts.faults.hit("backup.restore.after_clone").await?;
    let tenant = checkpoint
        .tenant
        .ok_or_else(|| Error::internal("a clone without tenant"))?;
    loop {
        let clone = run.parts.clients.get_clone(&checkpoint.clone).await?;
        match clone.state() {
            CloneState::Active => return Ok((TenantId::from_uuid(tenant), clone)),
            CloneState::Failed => {
                // Nothing is left of it, so there is nothing to take back.
                (checkpoint.asked, checkpoint.tenant) = (false, None);
                checkpoint.clone.clear();
                run.note(checkpoint).await?;
                let text = format!("The new tenant could not be made. {}", clone.problem);
                return Err(Error::new(Reason::FailedPrecondition, text));
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

/// Asks the registry for the new tenant and notes its id. That it is asked is noted first: whoever takes the operation
/// over knows that there may be one.
pub(super) async fn ask(run: &Run) -> Result<Checkpoint> {
    let mut checkpoint = run.checkpoint();
    if !checkpoint.clone.is_empty() {
        return Ok(checkpoint);
    }
    let request = clone_request(run).await?;
    if !checkpoint.asked {
        checkpoint.asked = true;
        run.note(checkpoint).await?;
        checkpoint = run.checkpoint();
    }
    match run.parts.clients.create_clone(request).await {
        Ok(clone) => {
            run.parts.faults.hit("backup.restore.before_note").await?;
            checkpoint.tenant = Some(clone.tenant_id.parse().map_err(Error::internal)?);
            checkpoint.clone = clone.clone_id;
            run.note(checkpoint).await?;
            Ok(run.checkpoint())
        }
        Err(error) => {
            // Refused, so nothing was made; a reused key says that something was.
            if !is_transient(&error) && error.reason() != Reason::IdempotencyKeyReused {
                checkpoint.asked = false;
                run.note(checkpoint).await?;
            }
            Err(error)
        }
    }
}

async fn clone_request(run: &Run) -> Result<CreateCloneRequest> {
    let Target::NewTenant {
        slug,
        display_name,
        user,
    } = &run.operation.input
    else {
        return Err(Error::internal("a restore in place makes no tenant"));
    };
    let owner = run.parts.clients.contact(run.claim.tenant, *user).await;
    let owner = owner.map_err(|error| {
        if error.reason() == Reason::NotFound {
            let text = "The member who asked for the restore is no member any more.";
            Error::new(Reason::FailedPrecondition, text)
        } else {
            error
        }
    })?;
    let display_name = match display_name.as_str() {
        "" => {
            let suffix = " (restored)";
            let room = MOST_NAME - suffix.len();
            let name: String = run.route.display_name.chars().take(room).collect();
            format!("{name}{suffix}")
        }
        given => given.to_owned(),
    };
    Ok(CreateCloneRequest {
        source_tenant_id: run.claim.tenant.to_string(),
        slug: slug.clone(),
        display_name,
        owner_email: owner.email,
        owner_display_name: owner.display_name,
        // The same operation never makes two tenants.
        request_id: run.claim.operation.to_string(),
    })
}

async fn seal_invite(run: &Run, link: &str) -> Result<String> {
    let sealer = run.parts.keys.sealer(run.claim.tenant, Purpose::Backup, None).await?;
    Ok(crate::app::operations::seal_invite(&sealer, run.claim.operation, link))
}

/// Sends everything to business. Without the footer it replaces nothing, and the footer is sent only after every object
/// was read to its end and found right.
async fn stream(run: &Run, manifest: &Arc<Manifest>, target: TenantId) -> Result<RestoreDataResponse> {
    let sealer = reader::sealer(run.parts.keys.as_ref(), manifest).await?;
    let (sender, receiver) = mpsc::channel(IN_FLIGHT);
    let pipe = Pipe {
        sender,
        closed: Arc::default(),
    };
    let closed = Arc::clone(&pipe.closed);
    let produce = produce(run, manifest, &sealer, target, pipe);
    let restore = run.parts.clients.restore(target, ReceiverStream::new(receiver));
    let (produced, answered) = tokio::join!(produce, restore);
    match (produced, answered) {
        // What stopped us explains why business got no footer.
        (Err(error), _) if !closed.load(Ordering::SeqCst) => Err(error),
        (_, answer) => answer,
    }
}

async fn produce(run: &Run, manifest: &Manifest, sealer: &Sealer, target: TenantId, pipe: Pipe) -> Result<()> {
    let place = RestoreTarget {
        tenant_id: target.to_string(),
        restore_id: run.claim.operation.to_string(),
    };
    pipe.send(Message::Target(place)).await?;
    let time = SystemTime::from(manifest.snapshot_time);
    let header = DataHeader {
        format: manifest.data_format,
        snapshot_time: Some(time.into()),
    };
    pipe.send(part(Part::Header(header))).await?;
    let mut rows = Streamed {
        run,
        pipe: &pipe,
        done: 0,
    };
    for data_type in reader::types(manifest, sealer)? {
        let segments: Vec<_> = manifest.segments_of(&data_type.object_type).cloned().collect();
        pipe.send(part(Part::DataType(data_type))).await?;
        for entry in segments {
            reader::segment(&run.parts.archive, sealer, manifest, &entry, &mut rows).await?;
        }
    }
    run.parts.faults.hit("backup.restore.before_footer").await?;
    run.commit().await?;
    let footer = DataFooter {
        object_types: manifest.totals.types,
        rows: manifest.totals.rows,
    };
    pipe.send(part(Part::Footer(footer))).await
}

fn part(part: Part) -> Message {
    Message::Part(DataPart { part: Some(part) })
}

/// Rows on their way to business.
struct Streamed<'a> {
    run: &'a Run,
    pipe: &'a Pipe,
    done: u64,
}

impl Sink for Streamed<'_> {
    async fn take(&mut self, rows: DataRows) -> Result<()> {
        self.done += rows.rows;
        self.run.progress(self.done);
        self.pipe.send(part(Part::DataRows(rows))).await
    }
}

/// To business.
struct Pipe {
    sender: mpsc::Sender<RestoreDataRequest>,
    /// Business has answered before it had everything: its answer says why.
    closed: Arc<AtomicBool>,
}

impl Pipe {
    async fn send(&self, message: Message) -> Result<()> {
        let request = RestoreDataRequest { message: Some(message) };
        self.sender.send(request).await.map_err(|_| {
            self.closed.store(true, Ordering::SeqCst);
            Error::unavailable("business reads no more")
        })
    }
}

//! Brings a snapshot back: reads it wholly first; then keeps a snapshot of what is replaced, or makes the new tenant;
//! then streams it to business, which swaps it in in one moment under the operation's id, once.

use super::{capture, run::Run, worker};
use crate::{
    archive::reader::{self, Sink},
    domain::{
        Manifest, Snapshot,
        operation::{Checkpoint, Restored, Target, is_transient},
        snapshot::Kind,
    },
    store,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
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
use uuid::Uuid;

/// Messages on their way: at most some MiB.
const IN_FLIGHT: usize = 4;
const POLL: Duration = Duration::from_millis(300);
const MOST_NAME: usize = 100;

/// All steps; each finds what an earlier try has done.
pub(super) async fn restore(run: &Run) -> Result<()> {
    let manifest = worker::verified(run).await?;
    run.parts.faults.hit("backup.restore.after_verify").await?;
    // Behind these steps something has changed, and business knows what to make of the rest.
    let checkpoint = run.checkpoint();
    if checkpoint.before_restore.is_none() && !checkpoint.asked {
        // A new tenant gets the plan of this one.
        fits_plan(&run.route, manifest.totals.types, manifest.totals.rows)?;
    }
    let mut restored = Restored::default();
    let target = match &run.operation.input {
        Target::InPlace => {
            restored.before_restore = Some(keep_present(run).await?);
            run.claim.tenant
        }
        Target::NewTenant { slug, .. } => {
            let (tenant, clone) = new_tenant(run).await?;
            restored.tenant = Some(tenant.uuid());
            slug.clone_into(&mut restored.slug);
            restored.sealed_invite = seal_invite(run, &clone.invite_uri).await?;
            tenant
        }
    };
    run.step("restore", manifest.totals.rows).await?;
    run.parts.faults.hit("backup.restore.before_stream").await?;
    let answer = stream(run, &manifest, target).await?;
    run.parts.faults.hit("backup.restore.after_stream").await?;
    restored.records = i64::try_from(answer.rows).unwrap_or(i64::MAX);
    let mut tx = run.begin().await?;
    store::snapshot::verified(&mut tx, manifest.snapshot, "", run.parts.clock.now()).await?;
    run.finish(&mut tx, &restored).await?;
    tx.commit().await
}

/// A snapshot of the data that is about to be replaced.
async fn keep_present(run: &Run) -> Result<Uuid> {
    let mut checkpoint = run.checkpoint();
    let id = match checkpoint.before_restore {
        Some(id) => id,
        None => {
            let (id, now) = (run.parts.ids.new_v7(), run.parts.clock.now());
            let text = format!(
                "Before the restore of {}",
                crate::domain::snapshot::name(run.operation.snapshot)
            );
            let snapshot = Snapshot::new(id, Kind::BeforeRestore, text, run.claim.operation, now);
            let mut tx = run.begin().await?;
            store::snapshot::insert(&mut tx, run.claim.tenant, &snapshot).await?;
            checkpoint.before_restore = Some(id);
            run.keep(&mut tx, checkpoint).await?;
            tx.commit().await?;
            id
        }
    };
    let mut tx = run.begin().await?;
    let row = store::snapshot::fetch(&mut tx, id)
        .await?
        .ok_or_else(Error::not_found)?;
    tx.commit().await?;
    // Once it is there it stays: after the swap the present data is no longer what it should show.
    if row.state == crate::domain::snapshot::State::Ready {
        return Ok(id);
    }
    run.step("snapshot", 0).await?;
    let manifest = capture::capture(run, id).await?;
    let mut tx = run.begin().await?;
    capture::ready(run, &mut tx, &manifest).await?;
    tx.commit().await?;
    run.parts
        .metrics
        .snapshot("ok", manifest.totals.raw_bytes, manifest.totals.bytes);
    Ok(id)
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
                note(run, &checkpoint).await?;
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
        note(run, &checkpoint).await?;
    }
    match run.parts.clients.create_clone(request).await {
        Ok(clone) => {
            run.parts.faults.hit("backup.restore.before_note").await?;
            checkpoint.tenant = Some(clone.tenant_id.parse().map_err(Error::internal)?);
            checkpoint.clone = clone.clone_id;
            note(run, &checkpoint).await?;
            Ok(checkpoint)
        }
        Err(error) => {
            // Refused, so nothing was made; a reused key says that something was.
            if !is_transient(&error) && error.reason() != Reason::IdempotencyKeyReused {
                checkpoint.asked = false;
                note(run, &checkpoint).await?;
            }
            Err(error)
        }
    }
}

async fn note(run: &Run, checkpoint: &Checkpoint) -> Result<()> {
    let mut tx = run.begin().await?;
    run.keep(&mut tx, checkpoint.clone()).await?;
    tx.commit().await
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
    let time = manifest.snapshot_time;
    let header = DataHeader {
        format: manifest.data_format,
        snapshot_time: Some(prost_types::Timestamp {
            seconds: time.timestamp(),
            nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
        }),
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

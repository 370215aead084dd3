//! Takes a snapshot. A try that was cut off left objects, and perhaps the manifest: a manifest that verifies is the
//! snapshot, anything else is removed and begun again. Objects are never overwritten, and each try has names of its own.

use super::{run::Run, worker};
use crate::{
    archive::{reader, verify, writer::Writer},
    domain::{Manifest, Policy, segment},
    store,
};
use tenantry_crypto::Purpose;
use tenantry_db::Tx;
use tenantry_kernel::{Error, Reason, Result};
use tenantry_server::error_of;
use uuid::Uuid;

/// Writes the snapshot `id` of the run's tenant. For a `restore` that will replace the data business holds the tenant from
/// before the snapshot on.
///
/// # Errors
/// What business, auth or the store answered.
pub(super) async fn capture(run: &Run, id: Uuid, restore: Option<Uuid>) -> Result<Manifest> {
    let (parts, tenant, by) = (&run.parts, run.claim.tenant, run.claim.owner);
    if let Some(manifest) = finished(run, id).await? {
        return Ok(manifest);
    }
    parts.archive.remove_earlier(tenant, id, by).await?;
    parts.faults.hit("backup.snapshot.before_export").await?;
    let sealer = parts.keys.sealer(tenant, Purpose::Backup, None).await?;
    let mut stream = parts.clients.export(tenant, restore).await?;
    let mut writer = Writer::new(parts.archive.clone(), sealer, tenant, id, by);
    while let Some(message) = stream.message().await.map_err(|status| error_of(&status))? {
        let part = message
            .part
            .ok_or_else(|| Error::internal("business sent an empty message"))?;
        let before = writer.stored();
        writer.part(part).await?;
        run.progress(writer.progress().0);
        if writer.stored() > before {
            parts.faults.hit("backup.snapshot.after_segment").await?;
        }
    }
    // Not by a worker that was taken for dead.
    run.advance().await?;
    parts.faults.hit("backup.snapshot.before_manifest").await?;
    let manifest = writer.finish(&parts.signing, parts.clock.now()).await?;
    parts.faults.hit("backup.snapshot.after_manifest").await?;
    Ok(manifest)
}

/// What an earlier try has finished.
async fn finished(run: &Run, id: Uuid) -> Result<Option<Manifest>> {
    let parts = &run.parts;
    let name = segment::manifest_key(run.claim.tenant, id);
    if parts.archive.read(&name).await?.is_none() {
        return Ok(None);
    }
    let read = async {
        let manifest = reader::manifest(&parts.archive, &parts.trusted, run.claim.tenant, id).await?;
        let sealer = reader::sealer(parts.keys.as_ref(), &manifest).await?;
        verify::verify(&parts.archive, &sealer, &manifest, |_| {}).await?;
        Ok::<_, Error>(manifest)
    };
    match read.await {
        Ok(manifest) => Ok(Some(manifest)),
        Err(error) if matches!(error.reason(), Reason::SnapshotCorrupt | Reason::FailedPrecondition) => {
            // Not by a worker that was taken for dead.
            run.advance().await?;
            parts.archive.delete(&name).await.map(|()| None)
        }
        Err(other) => Err(other),
    }
}

/// Shows it in its row.
///
/// # Errors
/// As every statement.
pub(super) async fn ready(run: &Run, tx: &mut Tx, manifest: &Manifest) -> Result<()> {
    let row = store::snapshot::fetch(tx, manifest.snapshot)
        .await?
        .ok_or_else(Error::not_found)?;
    let expire = if worker::expires(row.kind) {
        let policy = store::policy::fetch(tx).await?;
        let policy = match policy {
            Some(policy) => policy,
            None => Policy::standard(run.claim.tenant, run.parts.clock.now())?,
        };
        Some(policy.expiry(row.create_time))
    } else {
        None
    };
    store::snapshot::ready(tx, manifest, expire).await
}

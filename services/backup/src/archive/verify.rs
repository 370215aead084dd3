//! Reads everything a manifest names and compares it. What passes here can be restored: restore reads in the same way.

use super::{
    Archive, corrupt,
    reader::{self, Sink},
};
use crate::domain::{Manifest, segment};
use tenantry_api::business::DataRows;
use tenantry_crypto::Sealer;
use tenantry_kernel::Result;

/// Checks every object; `progress` hears how many rows are done.
///
/// # Errors
/// `SNAPSHOT_CORRUPT` naming the first object that is wrong, `UNAVAILABLE`.
pub async fn verify(
    archive: &Archive,
    sealer: &Sealer,
    manifest: &Manifest,
    progress: impl Fn(u64) + Send,
) -> Result<()> {
    let listed = archive
        .list(&segment::folder(manifest.tenant, manifest.snapshot))
        .await?;
    // Cheap first: a missing or cut object is named before gigabytes were read.
    for entry in &manifest.segments {
        match listed.get(&entry.key) {
            None => return Err(corrupt(&entry.key, "is missing")),
            Some(bytes) if *bytes != entry.bytes => {
                return Err(corrupt(&entry.key, "has another length than the manifest says"));
            }
            Some(_) => {}
        }
    }
    reader::types(manifest, sealer)?;
    let mut count = Count { done: 0, progress };
    for entry in &manifest.segments {
        reader::segment(archive, sealer, manifest, entry, &mut count).await?;
    }
    Ok(())
}

/// Counts rows and forgets them.
struct Count<F> {
    done: u64,
    progress: F,
}

impl<F: Fn(u64) + Send> Sink for Count<F> {
    async fn take(&mut self, rows: DataRows) -> Result<()> {
        self.done += rows.rows;
        (self.progress)(self.done);
        Ok(())
    }
}

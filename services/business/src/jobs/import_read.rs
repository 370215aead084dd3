//! Rows of a stored file, streamed: sealed chunks from the database into a blocking CSV reader and back as batches.

use super::import_worker::Run;
use crate::{
    app::upload::{ChunkReader, chunk_aad},
    domain::{csv::Rows, import::RowError},
    store,
};
use tenantry_crypto::{Purpose, Sealer};
use tenantry_kernel::{Error, Result};
use tokio::sync::mpsc;

/// Rows of one batch.
pub const ROWS: usize = 1_000;

/// Some rows; a row that cannot be read is its error.
pub type Batch = Vec<std::result::Result<crate::domain::csv::Row, RowError>>;

/// Starts reading the plan's file from the beginning.
#[must_use]
pub(super) fn stream(run: &Run) -> mpsc::Receiver<Result<Batch>> {
    let (out, batches) = mpsc::channel(2);
    let (feed, chunks) = mpsc::channel(2);
    let (run, failed) = (run.clone(), out.clone());
    tokio::spawn(async move {
        if let Err(error) = feed_chunks(&run, &feed).await {
            drop(failed.send(Err(error)).await);
            // The reader must not take the end of the feed for the end of the file.
            failed.closed().await;
        }
    });
    tokio::task::spawn_blocking(move || read(ChunkReader::new(chunks), &out));
    batches
}

async fn feed_chunks(run: &Run, feed: &mpsc::Sender<Vec<u8>>) -> Result<()> {
    let (parts, tenant, import) = (&run.parts, run.claim.tenant, run.plan.import);
    for seq in 0.. {
        // A large file takes longer than one database context lives.
        let mut tx = parts.store.begin(&run.ctx().await?).await?;
        let sealed = store::import::fetch_chunk(&mut tx, import, seq).await?;
        tx.commit().await?;
        let Some(sealed) = sealed else { break };
        let version = Sealer::version_of(&sealed).map_err(Error::internal)?;
        let sealer = parts.keys.sealer(tenant, Purpose::File, Some(version)).await?;
        let chunk = sealer
            .open(&chunk_aad(tenant, import, seq), &sealed)
            .map_err(Error::internal)?;
        if feed.send(chunk).await.is_err() {
            break; // nobody reads on
        }
    }
    Ok(())
}

fn read(input: ChunkReader, out: &mpsc::Sender<Result<Batch>>) {
    let rows = match Rows::open(input) {
        Ok(rows) => rows,
        Err(error) => {
            drop(out.blocking_send(Ok(vec![Err(error)])));
            return;
        }
    };
    let mut batch = Vec::with_capacity(ROWS);
    for row in rows {
        batch.push(row);
        if batch.len() == ROWS
            && out
                .blocking_send(Ok(std::mem::replace(&mut batch, Vec::with_capacity(ROWS))))
                .is_err()
        {
            return;
        }
    }
    if !batch.is_empty() {
        drop(out.blocking_send(Ok(batch)));
    }
}

//! Receiving a CSV file: chunks are sealed and stored as they come, and read at the same time for headers and types.
//! Nothing is written to records, and an upload that breaks off leaves nothing to find.

use super::Parts;
use crate::{
    domain::{
        csv::Rows,
        import::{Import, ImportState, MAX_BYTES, MAX_CHUNK, MAX_ERRORS, RowError},
        infer::{self, Guess},
    },
    store,
};
use std::io::{self, Read};
use tenantry_crypto::Purpose;
use tenantry_kernel::{Ctx, Error, Reason, Result, TenantId};
use tokio::{sync::mpsc, task::JoinHandle};
use uuid::Uuid;

/// Files a tenant may have uploaded and not imported.
const MAX_WAITING: i64 = 50;
/// Files of imports that failed are kept for a day to be started again; more than this many are not.
const MAX_FAILED: i64 = 20;
/// No upload takes longer (the gateway ends it after ten minutes): what is older was cut off.
const LONGEST: chrono::Duration = chrono::Duration::minutes(15);

/// What was understood of a whole file.
struct Summary {
    headers: Vec<String>,
    guesses: Vec<Guess>,
    rows: i64,
}

/// One upload in progress.
pub struct Upload {
    parts: Parts,
    ctx: Ctx,
    import: Import,
    buffer: Vec<u8>,
    seq: i32,
    size: u64,
    feed: Option<mpsc::Sender<Vec<u8>>>,
    reading: JoinHandle<Result<Summary>>,
    /// Whole, or taken back already.
    settled: bool,
}

impl Upload {
    /// Begins one.
    ///
    /// # Errors
    /// A filename that cannot be kept.
    pub async fn begin(parts: &Parts, ctx: &Ctx, filename: &str) -> Result<Self> {
        if filename.chars().count() > 200 || filename.contains(char::is_control) {
            return Err(Error::invalid_field(
                "filename",
                "must have at most 200 characters and no control characters",
            ));
        }
        let import = Import {
            id: parts.ids.new_v7(),
            filename: filename.to_owned(),
            size_bytes: 0,
            row_count: 0,
            columns: Vec::new(),
            state: ImportState::Uploading,
            operation: None,
            create_time: crate::domain::value::micros(parts.clock.now()),
        };
        let mut tx = parts.store.begin(ctx).await?;
        store::import::prune(&mut tx, import.create_time - LONGEST, MAX_FAILED).await?;
        if store::import::count_waiting(&mut tx).await? >= MAX_WAITING {
            let text = format!(
                "{MAX_WAITING} uploaded files wait to be imported. Import some of them; files that are not imported are removed after a day."
            );
            return Err(Error::new(Reason::QuotaExceeded, text).meta("limit", "waiting_imports"));
        }
        store::import::insert(&mut tx, &import, &Parts::creator(ctx)).await?;
        tx.commit().await?;
        let (feed, chunks) = mpsc::channel(2);
        let reading = tokio::task::spawn_blocking(move || summarize(ChunkReader::new(chunks)));
        Ok(Self {
            parts: parts.clone(),
            ctx: ctx.clone(),
            import,
            buffer: Vec::new(),
            seq: 0,
            size: 0,
            feed: Some(feed),
            reading,
            settled: false,
        })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `REQUEST_TOO_LARGE`; `IMPORT_INVALID` as soon as the file cannot be read.
    pub async fn chunk(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.size += bytes.len() as u64;
        if bytes.len() > MAX_CHUNK || self.size > MAX_BYTES {
            return Err(Error::new(
                Reason::RequestTooLarge,
                "The file is too large: at most 100 MiB, in chunks of at most 1 MiB. Split it.",
            ));
        }
        self.buffer.extend_from_slice(&bytes);
        let fed = match &self.feed {
            Some(feed) => feed.send(bytes).await.is_ok(),
            None => false,
        };
        if !fed {
            // The reader ended before the file did: it has found what is wrong.
            self.read_to_end().await?;
            return Err(Error::internal("the reader ended early"));
        }
        while self.buffer.len() >= MAX_CHUNK {
            let rest = self.buffer.split_off(MAX_CHUNK);
            let full = std::mem::replace(&mut self.buffer, rest);
            self.keep(full).await?;
        }
        Ok(())
    }

    /// Ends the upload.
    ///
    /// # Errors
    /// `IMPORT_INVALID` with the wrong lines.
    pub async fn finish(mut self) -> Result<Import> {
        let finished = self.complete().await;
        match finished {
            Ok(()) => {
                self.settled = true;
                Ok(self.import.clone())
            }
            Err(error) => {
                self.discard().await;
                Err(error)
            }
        }
    }

    async fn complete(&mut self) -> Result<()> {
        let summary = self.read_to_end().await?;
        let last = std::mem::take(&mut self.buffer);
        if !last.is_empty() {
            self.keep(last).await?;
        }
        self.import.columns = infer::columns(&summary.headers, &summary.guesses);
        self.import.row_count = summary.rows;
        self.import.size_bytes = i64::try_from(self.size).unwrap_or(i64::MAX);
        self.import.state = ImportState::Uploaded;
        let mut tx = self.parts.store.begin(&self.ctx).await?;
        store::import::complete(&mut tx, &self.import).await?;
        tx.commit().await
    }

    /// Removes what an upload that failed has stored. The janitor would, a day later.
    pub async fn discard(mut self) {
        self.settled = true;
        take_back(&self.parts, &self.ctx, self.import.id).await;
    }

    async fn read_to_end(&mut self) -> Result<Summary> {
        self.feed = None;
        (&mut self.reading).await.map_err(Error::internal)?
    }

    async fn keep(&mut self, chunk: Vec<u8>) -> Result<()> {
        let tenant = self.ctx.tenant()?;
        let sealer = self.parts.keys.sealer(tenant, Purpose::File, None).await?;
        let sealed = sealer.seal(&chunk_aad(tenant, self.import.id, self.seq), chunk);
        let mut tx = self.parts.store.begin(&self.ctx).await?;
        store::import::insert_chunk(&mut tx, self.import.id, self.seq, sealed).await?;
        tx.commit().await?;
        self.seq += 1;
        Ok(())
    }
}

async fn take_back(parts: &Parts, ctx: &Ctx, import: Uuid) {
    let Ok(mut tx) = parts.store.begin(ctx).await else {
        return;
    };
    if store::import::delete(&mut tx, import).await.is_ok() {
        drop(tx.commit().await);
    }
}

impl Drop for Upload {
    /// Its caller has gone, and with it the task that received the file.
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // The call's deadline may be what ended it.
            let (parts, ctx, import) = (self.parts.clone(), self.ctx.clone().with_deadline(None), self.import.id);
            runtime.spawn(async move { take_back(&parts, &ctx, import).await });
        }
    }
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Upload({}, {} bytes)", self.import.id, self.size)
    }
}

/// A chunk opens only in its place of its file of its tenant.
pub(crate) fn chunk_aad(tenant: TenantId, import: Uuid, seq: i32) -> Vec<u8> {
    [
        b"import-chunk\0".as_slice(),
        tenant.uuid().as_bytes(),
        import.as_bytes(),
        &seq.to_be_bytes(),
    ]
    .concat()
}

/// Reads the whole file once.
fn summarize(input: ChunkReader) -> Result<Summary> {
    let rows = Rows::open(input).map_err(|error| invalid_file(vec![error]))?;
    let headers = rows.headers().to_vec();
    let mut summary = Summary {
        guesses: vec![Guess::default(); headers.len()],
        headers,
        rows: 0,
    };
    let mut wrong = Vec::new();
    for row in rows {
        match row {
            Ok(row) => summary
                .guesses
                .iter_mut()
                .zip(&row.cells)
                .for_each(|(guess, cell)| guess.see(cell)),
            Err(error) => wrong.push(error),
        }
        summary.rows += 1;
        if wrong.len() >= MAX_ERRORS {
            break;
        }
    }
    if wrong.is_empty() {
        Ok(summary)
    } else {
        Err(invalid_file(wrong))
    }
}

fn invalid_file(errors: Vec<RowError>) -> Error {
    let first = errors
        .first()
        .map(|error| format!("line {}: {}{}", error.line, prefix(&error.column), error.message))
        .unwrap_or_default();
    let error = Error::new(
        Reason::ImportInvalid,
        format!("The file cannot be read as CSV: {first}"),
    );
    errors.into_iter().fold(error, |error, row| {
        error.field(
            format!("line {}", row.line),
            format!("{}{}", prefix(&row.column), row.message),
        )
    })
}

fn prefix(column: &str) -> String {
    if column.is_empty() {
        String::new()
    } else {
        format!("column {column}: ")
    }
}

/// Chunks from async code as a blocking reader.
pub(crate) struct ChunkReader {
    chunks: mpsc::Receiver<Vec<u8>>,
    current: io::Cursor<Vec<u8>>,
}

impl ChunkReader {
    pub(crate) fn new(chunks: mpsc::Receiver<Vec<u8>>) -> Self {
        Self {
            chunks,
            current: io::Cursor::default(),
        }
    }
}

impl Read for ChunkReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            match self.chunks.blocking_recv() {
                Some(chunk) => self.current = io::Cursor::new(chunk),
                None => return Ok(0),
            }
        }
    }
}

//! From objects back to rows. A segment is believed piece by piece: what comes out of it is authentic; that it is
//! whole, and the one that the manifest means, is known when it has been read to its end.

use super::{Archive, corrupt};
use crate::domain::{
    Manifest,
    manifest::{Refused, SegmentEntry},
    segment::{self, Header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use futures::TryStreamExt;
use prost::Message;
use std::sync::Arc;
use tenantry_api::business::{DataRows, DataType};
use tenantry_crypto::{Digest, FrameOpener, Purpose, Sealer, TenantKeys, VerifyingKeys};
use tenantry_kernel::{Error, Kind, Reason, Result, TenantId};
use uuid::Uuid;
use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// Plain bytes in hand at once: a frame may decompress to any length.
const STEP: usize = 256 * 1024;
/// Largest message that is believed; business sends 1 MiB, or one row of any length it may have.
const MOST_MESSAGE: usize = 64 * 1024 * 1024;

/// The manifest of a snapshot of this tenant.
///
/// # Errors
/// `SNAPSHOT_CORRUPT` naming the manifest; `FAILED_PRECONDITION` where it is signed by a key that is not trusted here;
/// `UNAVAILABLE`.
pub async fn manifest(archive: &Archive, keys: &VerifyingKeys, tenant: TenantId, snapshot: Uuid) -> Result<Manifest> {
    let key = segment::manifest_key(tenant, snapshot);
    let Some(bytes) = archive.read(&key).await? else {
        let left = archive.list(&segment::folder(tenant, snapshot)).await?;
        let what = if left.is_empty() {
            "is missing, as is everything else of the snapshot (is the store that it was written to the one that is configured and mounted?)"
        } else {
            "is missing"
        };
        return Err(corrupt(&key, what));
    };
    Manifest::open(&bytes, keys, tenant, snapshot).map_err(|refused| match refused {
        Refused::Untrusted(_) => unusable(
            &key,
            &format!("{refused}. List it under signing.trusted and start again"),
        ),
        other => corrupt(&key, &other.to_string()),
    })
}

/// Nothing is known to be wrong with the snapshot, but it cannot be read as this service is set up.
fn unusable(key: &str, what: &str) -> Error {
    let text = format!("The object {key} {what}. The snapshot was not read, and stays as it is.");
    Error::new(Reason::FailedPrecondition, text).meta("object", key)
}

/// The key that a manifest's objects are sealed with.
///
/// # Errors
/// `FAILED_PRECONDITION` where auth does not know such a key of the tenant, `UNAVAILABLE`.
pub async fn sealer(keys: &dyn TenantKeys, manifest: &Manifest) -> Result<Arc<Sealer>> {
    let found = keys
        .sealer(manifest.tenant, Purpose::Backup, Some(manifest.key_version))
        .await;
    found.map_err(|error| match error.kind() {
        Kind::NotFound => unusable(
            &segment::manifest_key(manifest.tenant, manifest.snapshot),
            &format!(
                "needs version {} of the tenant's backup key, which auth does not have. Was the platform's database brought back from an older copy",
                manifest.key_version
            ),
        ),
        _ => error,
    })
}

/// The types of a manifest as business sent them.
///
/// # Errors
/// `SNAPSHOT_CORRUPT` where a definition does not open.
pub fn types(manifest: &Manifest, sealer: &Sealer) -> Result<Vec<DataType>> {
    let name = segment::manifest_key(manifest.tenant, manifest.snapshot);
    let open = |entry: &crate::domain::manifest::TypeEntry| {
        let aad = super::writer::definition_aad(manifest.tenant, manifest.snapshot, &entry.object_type);
        let sealed = BASE64_STANDARD.decode(&entry.definition).ok();
        let definition = sealed.and_then(|sealed| sealer.open(&aad, &sealed).ok());
        Ok(DataType {
            object_type: entry.object_type.clone(),
            definition: definition.ok_or_else(|| corrupt(&name, "holds a definition that does not open"))?,
            columns: entry.columns.clone(),
        })
    };
    manifest.types.iter().map(open).collect()
}

/// Where rows go.
pub trait Sink: Send {
    /// Takes the next rows.
    ///
    /// # Errors
    /// Ends the reading.
    fn take(&mut self, rows: DataRows) -> impl Future<Output = Result<()>> + Send;
}

/// Reads one segment and hands its rows to `sink`.
///
/// # Errors
/// `SNAPSHOT_CORRUPT` naming the object; `UNAVAILABLE`; the sink's error.
pub async fn segment(
    archive: &Archive,
    sealer: &Sealer,
    manifest: &Manifest,
    entry: &SegmentEntry,
    sink: &mut impl Sink,
) -> Result<()> {
    let stream = archive.stream(&entry.key).await?;
    let mut stream = stream.ok_or_else(|| corrupt(&entry.key, "is missing"))?;
    let mut reading = Reading::new(manifest, entry, sealer)?;
    while let Some(piece) = stream.try_next().await? {
        reading.take(&piece)?;
        while let Some(rows) = reading.next()? {
            sink.take(rows).await?;
        }
    }
    reading.end()?;
    while let Some(rows) = reading.next()? {
        sink.take(rows).await?;
    }
    reading.check()
}

/// A segment half way through.
struct Reading<'a> {
    manifest: &'a Manifest,
    entry: &'a SegmentEntry,
    sealer: &'a Sealer,
    digest: Digest,
    bytes: u64,
    /// Until the header is whole.
    head: Vec<u8>,
    frames: Option<FrameOpener>,
    frame_count: u32,
    decompress: Decoder<'static>,
    /// Opened, not yet decompressed; from `at`.
    compressed: Vec<u8>,
    at: usize,
    /// The compressed stream has come to its end.
    ended: bool,
    /// Decompressed, not yet a message; from `used`.
    plain: Vec<u8>,
    used: usize,
    rows: u64,
    raw_bytes: u64,
}

impl<'a> Reading<'a> {
    fn new(manifest: &'a Manifest, entry: &'a SegmentEntry, sealer: &'a Sealer) -> Result<Self> {
        Ok(Self {
            manifest,
            entry,
            sealer,
            digest: Digest::default(),
            bytes: 0,
            head: Vec::new(),
            frames: None,
            frame_count: 0,
            decompress: Decoder::new().map_err(Error::internal)?,
            compressed: Vec::new(),
            at: 0,
            ended: false,
            plain: Vec::new(),
            used: 0,
            rows: 0,
            raw_bytes: 0,
        })
    }
    fn wrong(&self, what: &str) -> Error {
        corrupt(&self.entry.key, what)
    }

    fn take(&mut self, piece: &[u8]) -> Result<()> {
        self.digest.update(piece);
        self.bytes += piece.len() as u64;
        // An object that was replaced by an endless one is not read to its end.
        if self.bytes > self.entry.bytes {
            return Err(self.wrong("is longer than the manifest says"));
        }
        if self.frames.is_some() {
            return self.open(piece);
        }
        self.head.extend_from_slice(piece);
        let parsed = Header::parse(&self.head).map_err(|_| self.wrong("is not a segment"))?;
        let Some((header, length)) = parsed else { return Ok(()) };
        self.expect(&header)?;
        self.frames = Some(FrameOpener::new(self.sealer, &self.head[..length]));
        let rest = self.head.split_off(length);
        self.open(&rest)
    }

    /// The header must name exactly the place where the manifest has the segment.
    fn expect(&self, header: &Header) -> Result<()> {
        let same = header.tenant == self.manifest.tenant
            && header.snapshot == self.manifest.snapshot
            && header.object_type == self.entry.object_type
            && header.part == self.entry.part
            && header.key_version == self.sealer.key_version();
        if same {
            Ok(())
        } else {
            Err(self.wrong("belongs elsewhere"))
        }
    }

    fn open(&mut self, sealed: &[u8]) -> Result<()> {
        let Some(frames) = &mut self.frames else { return Ok(()) };
        // Everything before was decompressed by `next`.
        self.compressed.drain(..self.at);
        self.at = 0;
        let opened = frames.push(sealed, &mut self.compressed);
        opened.map_err(|_| self.wrong("does not open: it was changed, or sealed with another key"))
    }

    /// The object has come to its end.
    fn end(&mut self) -> Result<()> {
        let Some(frames) = self.frames.take() else {
            return Err(self.wrong("is cut off in its header"));
        };
        self.frame_count = frames
            .finish(&mut self.compressed)
            .map_err(|_| self.wrong("does not open at its end: it was cut off or changed"))?;
        Ok(())
    }

    /// The next message that is whole.
    fn next(&mut self) -> Result<Option<DataRows>> {
        loop {
            if let Some(rows) = self.message()? {
                self.rows += rows.rows;
                return Ok(Some(rows));
            }
            if !self.decompress()? {
                return Ok(None);
            }
        }
    }

    /// Decompresses a step; whether there was any progress.
    fn decompress(&mut self) -> Result<bool> {
        if self.ended {
            return if self.at == self.compressed.len() {
                Ok(false)
            } else {
                Err(self.wrong("goes on behind its end"))
            };
        }
        self.plain.drain(..self.used);
        self.used = 0;
        let start = self.plain.len();
        self.plain.resize(start + STEP, 0);
        let mut input = InBuffer::around(&self.compressed[self.at..]);
        let mut output = OutBuffer::around(&mut self.plain[start..]);
        let left = self.decompress.run(&mut input, &mut output);
        let (read, written) = (input.pos(), output.pos());
        self.plain.truncate(start + written);
        let left = left.map_err(|_| self.wrong("does not decompress"))?;
        self.at += read;
        self.raw_bytes += written as u64;
        self.ended = left == 0;
        if self.raw_bytes > self.entry.raw_bytes {
            return Err(self.wrong("holds more than the manifest says"));
        }
        Ok(read > 0 || written > 0)
    }

    fn message(&mut self) -> Result<Option<DataRows>> {
        let rest = &self.plain[self.used..];
        let mut cursor = rest;
        let Ok(length) = prost::decode_length_delimiter(&mut cursor) else {
            return if rest.len() < 10 {
                Ok(None)
            } else {
                Err(self.wrong("holds no rows"))
            };
        };
        if length > MOST_MESSAGE {
            return Err(self.wrong("holds rows that are too large"));
        }
        let Some(message) = cursor.get(..length) else {
            return Ok(None);
        };
        let rows = DataRows::decode(message).map_err(|_| self.wrong("holds no rows"))?;
        self.used += rest.len() - cursor.len() + length;
        Ok(Some(rows))
    }

    fn check(self) -> Result<()> {
        if !self.ended || self.used != self.plain.len() {
            return Err(self.wrong("is cut off"));
        }
        let entry = self.entry;
        let counts = (self.bytes, self.rows, self.raw_bytes, self.frame_count);
        if counts != (entry.bytes, entry.rows, entry.raw_bytes, entry.frames) {
            return Err(self.wrong("has other counts than the manifest says"));
        }
        if self.digest.clone().hex() != entry.sha256 {
            return Err(self.wrong("has another checksum than the manifest says"));
        }
        Ok(())
    }
}

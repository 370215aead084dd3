//! From the stream of business to objects: rows are compressed, sealed in frames and written in segments; the signed
//! manifest comes last. In memory is one segment at most.

use super::Archive;
use crate::domain::{
    manifest::{self, Manifest, SegmentEntry, Totals, TypeEntry},
    segment::{self, Header},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, Utc};
use prost::Message;
use std::{io::Write, mem, sync::Arc};
use tenantry_api::business::{DataFooter, DataPart, DataRows, DataType, data_part::Part};
use tenantry_crypto::{Digest, FrameSealer, Sealer, SigningKey, stream::salt};
use tenantry_kernel::{Error, Result, TenantId};
use uuid::Uuid;

/// A segment is closed when it has grown to this.
pub const SEGMENT_BYTES: usize = 8 * 1024 * 1024;
/// Also closed after this much before compression: rows that compress well must not become one endless object.
const SEGMENT_RAW_BYTES: u64 = 256 * 1024 * 1024;
const LEVEL: i32 = 3;

/// What the sealed definition of a type is bound to.
#[must_use]
pub fn definition_aad(tenant: TenantId, snapshot: Uuid, object_type: &str) -> Vec<u8> {
    format!("backup definition v1|{tenant}|{snapshot}|{object_type}").into_bytes()
}

/// Writes one snapshot.
pub struct Writer {
    archive: Archive,
    sealer: Arc<Sealer>,
    tenant: TenantId,
    snapshot: Uuid,
    /// This try.
    by: Uuid,
    segment_bytes: usize,
    header: Option<(u32, DateTime<Utc>)>,
    finished: bool,
    types: Vec<TypeEntry>,
    segments: Vec<SegmentEntry>,
    open: Option<Segment>,
}

/// The segment that is being filled.
struct Segment {
    object_type: String,
    part: u32,
    /// The object so far: the header, then frames.
    object: Vec<u8>,
    compress: zstd::stream::write::Encoder<'static, Vec<u8>>,
    frames: FrameSealer,
    rows: u64,
    raw_bytes: u64,
}

impl Writer {
    /// A writer for the try `by`, into a folder without manifest.
    #[must_use]
    pub fn new(archive: Archive, sealer: Arc<Sealer>, tenant: TenantId, snapshot: Uuid, by: Uuid) -> Self {
        Self {
            archive,
            sealer,
            tenant,
            snapshot,
            by,
            segment_bytes: SEGMENT_BYTES,
            header: None,
            finished: false,
            types: Vec::new(),
            segments: Vec::new(),
            open: None,
        }
    }
    /// With smaller segments, for tests.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: usize) -> Self {
        self.segment_bytes = bytes;
        self
    }
    /// Rows and bytes before compression so far.
    #[must_use]
    pub fn progress(&self) -> (u64, u64) {
        let open = self.open.as_ref().map_or(0, |open| open.raw_bytes);
        let rows = self.types.iter().map(|entry| entry.rows).sum();
        (
            rows,
            self.segments.iter().map(|entry| entry.raw_bytes).sum::<u64>() + open,
        )
    }
    /// Segments that are stored.
    #[must_use]
    pub fn stored(&self) -> usize {
        self.segments.len()
    }
    /// Takes the next part of the stream.
    ///
    /// # Errors
    /// `INTERNAL` for parts in a wrong order or with wrong counts; else as [`Archive::create`].
    pub async fn part(&mut self, part: DataPart) -> Result<()> {
        let part = part.part.ok_or_else(|| disorder("an empty part"))?;
        if self.finished {
            return Err(disorder("a part behind the footer"));
        }
        match (part, self.header.is_some()) {
            (Part::Header(header), false) => {
                let time = header.snapshot_time.ok_or_else(|| disorder("a header without time"))?;
                let time = DateTime::from_timestamp(time.seconds, time.nanos.unsigned_abs());
                self.header = Some((header.format, time.ok_or_else(|| disorder("an impossible time"))?));
                Ok(())
            }
            (Part::DataType(next), true) => self.next_type(next).await,
            (Part::DataRows(rows), true) => self.rows(&rows).await,
            (Part::Footer(footer), true) => self.footer(footer).await,
            _ => Err(disorder("a part before the header, or a second header")),
        }
    }
    /// Writes the manifest, and with it makes the snapshot.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the stream ended without a footer: it was cut off.
    pub async fn finish(self, key: &SigningKey, now: DateTime<Utc>) -> Result<Manifest> {
        let Some((data_format, snapshot_time)) = self.header.filter(|_| self.finished) else {
            return Err(Error::unavailable("the stream ended without its footer"));
        };
        let totals = self.segments.iter().fold(Totals::default(), |sum, entry| Totals {
            types: self.types.len() as u64,
            rows: sum.rows + entry.rows,
            raw_bytes: sum.raw_bytes + entry.raw_bytes,
            bytes: sum.bytes + entry.bytes,
        });
        let manifest = Manifest {
            version: manifest::VERSION,
            tenant: self.tenant,
            snapshot: self.snapshot,
            snapshot_time,
            create_time: now,
            data_format,
            key_version: self.sealer.key_version(),
            totals: Totals {
                types: self.types.len() as u64,
                ..totals
            },
            types: self.types,
            segments: self.segments,
        };
        let stored = manifest.clone().seal(key);
        let name = segment::manifest_key(self.tenant, self.snapshot);
        self.archive.create(&name, stored.into()).await?;
        Ok(manifest)
    }

    async fn next_type(&mut self, next: DataType) -> Result<()> {
        self.close().await?;
        if !segment::is_type(&next.object_type) || self.types.iter().any(|known| known.object_type == next.object_type)
        {
            return Err(disorder("a type that cannot be stored"));
        }
        let aad = definition_aad(self.tenant, self.snapshot, &next.object_type);
        self.types.push(TypeEntry {
            definition: BASE64_STANDARD.encode(self.sealer.seal(&aad, &next.definition)),
            object_type: next.object_type,
            columns: next.columns,
            rows: 0,
        });
        Ok(())
    }

    async fn rows(&mut self, rows: &DataRows) -> Result<()> {
        let current = self.types.last_mut().ok_or_else(|| disorder("rows before a type"))?;
        current.rows += rows.rows;
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let of_type = |entry: &&SegmentEntry| entry.object_type == current.object_type;
                let part = u32::try_from(self.segments.iter().filter(of_type).count()).map_err(Error::internal)?;
                let header = Header {
                    tenant: self.tenant,
                    snapshot: self.snapshot,
                    object_type: current.object_type.clone(),
                    part,
                    key_version: self.sealer.key_version(),
                    compression: segment::ZSTD,
                    salt: salt(),
                };
                self.open.insert(Segment::new(&self.sealer, header)?)
            }
        };
        open.push(rows)?;
        if open.object.len() >= self.segment_bytes || open.raw_bytes >= SEGMENT_RAW_BYTES {
            self.close().await?;
        }
        Ok(())
    }

    async fn footer(&mut self, footer: DataFooter) -> Result<()> {
        self.close().await?;
        let rows: u64 = self.types.iter().map(|entry| entry.rows).sum();
        if footer.object_types != self.types.len() as u64 || footer.rows != rows {
            return Err(disorder("a footer with other counts than the parts"));
        }
        self.finished = true;
        Ok(())
    }

    /// Stores the open segment, if there is one.
    async fn close(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let key = segment::segment_key(self.tenant, self.snapshot, &open.object_type, open.part, self.by);
        let (entry, object) = open.finish(key)?;
        self.archive.create(&entry.key, object.into()).await?;
        self.segments.push(entry);
        Ok(())
    }
}

impl Segment {
    fn new(sealer: &Sealer, header: Header) -> Result<Self> {
        let object = header.encode();
        Ok(Self {
            frames: FrameSealer::new(sealer, &object),
            compress: zstd::stream::write::Encoder::new(Vec::new(), LEVEL).map_err(Error::internal)?,
            object_type: header.object_type,
            part: header.part,
            object,
            rows: 0,
            raw_bytes: 0,
        })
    }

    fn push(&mut self, rows: &DataRows) -> Result<()> {
        let message = rows.encode_length_delimited_to_vec();
        self.rows += rows.rows;
        self.raw_bytes += message.len() as u64;
        self.compress.write_all(&message).map_err(Error::internal)?;
        let compressed = mem::take(self.compress.get_mut());
        self.frames.push(&compressed, &mut self.object);
        Ok(())
    }

    fn finish(mut self, key: String) -> Result<(SegmentEntry, Vec<u8>)> {
        let rest = self.compress.finish().map_err(Error::internal)?;
        self.frames.push(&rest, &mut self.object);
        let frames = self.frames.finish(&mut self.object);
        let mut digest = Digest::default();
        digest.update(&self.object);
        let entry = SegmentEntry {
            key,
            object_type: self.object_type,
            part: self.part,
            bytes: self.object.len() as u64,
            sha256: digest.hex(),
            rows: self.rows,
            frames,
            raw_bytes: self.raw_bytes,
        };
        Ok((entry, self.object))
    }
}

fn disorder(what: &'static str) -> Error {
    Error::internal(format!("business sent {what}"))
}

//! The signed list of everything a snapshot consists of. Who has the manifest and the tenant's key can restore; what is
//! not in the manifest does not belong to the snapshot.

use super::{segment, snapshot::TypeCount};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tenantry_crypto::{SigningKey, VerifyingKeys};
use tenantry_kernel::TenantId;
use uuid::Uuid;

/// Version of this format.
pub const VERSION: u32 = 1;

/// Why a manifest is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is no JSON of this version.
    #[error("is not a manifest of this version")]
    Malformed,
    /// Changed since it was signed.
    #[error("was changed since it was signed")]
    Signature,
    /// Rightly signed, by somebody else. What it says may be fine: a setting is missing here.
    #[error("is signed by the key {0}, which is not trusted here")]
    Untrusted(String),
    /// It is another tenant's or another snapshot's.
    #[error("belongs to another snapshot")]
    Foreign,
    /// It contradicts itself.
    #[error("contradicts itself: {0}")]
    Inconsistent(&'static str),
}

/// One object type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypeEntry {
    /// Id.
    pub object_type: String,
    /// Its definition, sealed under the tenant's backup key, in base64.
    pub definition: String,
    /// Columns of the rows, in order.
    pub columns: Vec<String>,
    /// Rows.
    pub rows: u64,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentEntry {
    /// Name of the object.
    pub key: String,
    /// Rows of which type.
    pub object_type: String,
    /// From 0.
    pub part: u32,
    /// Length of the object.
    pub bytes: u64,
    /// SHA-256 of the object, hexadecimal.
    pub sha256: String,
    /// Rows in it.
    pub rows: u64,
    /// Encrypted frames in it.
    pub frames: u32,
    /// Bytes before compression.
    pub raw_bytes: u64,
}

/// Sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Object types.
    pub types: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Bytes of all segments.
    pub bytes: u64,
}

/// What a snapshot consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// Whose.
    pub tenant: TenantId,
    /// Id.
    pub snapshot: Uuid,
    /// The moment it shows.
    pub snapshot_time: DateTime<Utc>,
    /// When it was written.
    pub create_time: DateTime<Utc>,
    /// Version of the rows' format, which is business's.
    pub data_format: u32,
    /// Version of the tenant's backup key.
    pub key_version: u32,
    /// Types, in the order they came.
    pub types: Vec<TypeEntry>,
    /// Segments, type by type, part by part.
    pub segments: Vec<SegmentEntry>,
    /// Sums.
    pub totals: Totals,
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signed {
    manifest: Manifest,
    /// Public key, base64.
    key: String,
    /// Ed25519 over the manifest's JSON as this version writes it: fields in order, no spaces.
    signature: String,
}

impl Signed {
    /// Why the signature does not count.
    fn refused(&self) -> Refused {
        let own = VerifyingKeys::new([self.key.as_str()]);
        if own.is_ok_and(|own| own.verify(&self.key, &self.manifest.message(), &self.signature)) {
            Refused::Untrusted(self.key.clone())
        } else {
            Refused::Signature
        }
    }
}

impl Manifest {
    /// The bytes to store.
    #[must_use]
    pub fn seal(self, key: &SigningKey) -> Vec<u8> {
        let signature = key.sign(&self.message());
        let signed = Signed {
            manifest: self,
            key: key.public(),
            signature,
        };
        serde_json::to_vec_pretty(&signed).expect("plain data becomes JSON")
    }
    /// Reads stored bytes and believes them only if all of it fits: signature, tenant, snapshot, names, sums.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn open(bytes: &[u8], keys: &VerifyingKeys, tenant: TenantId, snapshot: Uuid) -> Result<Self, Refused> {
        let signed: Signed = serde_json::from_slice(bytes).map_err(|_| Refused::Malformed)?;
        if !keys.verify(&signed.key, &signed.manifest.message(), &signed.signature) {
            return Err(signed.refused());
        }
        let manifest = signed.manifest;
        if manifest.version != VERSION {
            return Err(Refused::Malformed);
        }
        if manifest.tenant != tenant || manifest.snapshot != snapshot {
            return Err(Refused::Foreign);
        }
        manifest.consistent()?;
        Ok(manifest)
    }
    /// A type's segments in order.
    pub fn segments_of<'a>(&'a self, object_type: &'a str) -> impl Iterator<Item = &'a SegmentEntry> {
        self.segments
            .iter()
            .filter(move |segment| segment.object_type == object_type)
    }
    /// Records by type, for the row.
    #[must_use]
    pub fn counts(&self) -> Vec<TypeCount> {
        let count = |entry: &TypeEntry| TypeCount {
            object_type: entry.object_type.clone(),
            records: i64::try_from(entry.rows).unwrap_or(i64::MAX),
        };
        self.types.iter().map(count).collect()
    }

    fn message(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("plain data becomes JSON")
    }

    fn consistent(&self) -> Result<(), Refused> {
        let mut seen = HashSet::new();
        let (mut totals, mut segments) = (Totals::default(), 0);
        for entry in &self.types {
            if !segment::is_type(&entry.object_type) || !seen.insert(entry.object_type.as_str()) {
                return Err(Refused::Inconsistent("types"));
            }
            let mut rows = 0_u64;
            for (part, found) in self.segments_of(&entry.object_type).enumerate() {
                let part = u32::try_from(part).unwrap_or(u32::MAX);
                let named = segment::names_segment(&found.key, self.tenant, self.snapshot, &entry.object_type, part);
                if found.part != part || !named {
                    return Err(Refused::Inconsistent("names of segments"));
                }
                rows = add(rows, found.rows)?;
                totals.raw_bytes = add(totals.raw_bytes, found.raw_bytes)?;
                totals.bytes = add(totals.bytes, found.bytes)?;
                segments += 1;
            }
            if rows != entry.rows {
                return Err(Refused::Inconsistent("rows of a type"));
            }
            totals.rows = add(totals.rows, rows)?;
            totals.types += 1;
        }
        if segments != self.segments.len() {
            return Err(Refused::Inconsistent("segments of no type"));
        }
        if totals != self.totals {
            return Err(Refused::Inconsistent("totals"));
        }
        Ok(())
    }
}

fn add(a: u64, b: u64) -> Result<u64, Refused> {
    a.checked_add(b).ok_or(Refused::Inconsistent("sums"))
}

#[cfg(test)]
#[path = "manifest_test.rs"]
mod tests;

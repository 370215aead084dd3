//! The plaintext header of a segment and the names of objects. The header says where a segment belongs; it is bound to
//! every frame behind it, so a segment that was moved does not open.

use tenantry_kernel::TenantId;
use uuid::Uuid;

const MAGIC: &[u8; 8] = b"TNTRYSEG";
const VERSION: u16 = 1;
/// Everything before the type's id.
const FIXED: usize = 8 + 2 + 16 + 16 + 4 + 4 + 1 + 32 + 1;
/// zstd, the only compression there is.
pub const ZSTD: u8 = 1;

/// Bytes that are no header of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a segment of this version")]
pub struct Malformed;

/// Where a segment belongs and how it is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whose.
    pub tenant: TenantId,
    /// Of which snapshot.
    pub snapshot: Uuid,
    /// Rows of which type.
    pub object_type: String,
    /// Its place among the type's segments, from 0.
    pub part: u32,
    /// Version of the tenant's backup key.
    pub key_version: u32,
    /// [`ZSTD`].
    pub compression: u8,
    /// Random: no two segments share a key.
    pub salt: [u8; 32],
}

impl Header {
    /// The bytes a segment begins with.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED + self.object_type.len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(self.tenant.uuid().as_bytes());
        out.extend_from_slice(self.snapshot.as_bytes());
        out.extend_from_slice(&self.part.to_be_bytes());
        out.extend_from_slice(&self.key_version.to_be_bytes());
        out.push(self.compression);
        out.extend_from_slice(&self.salt);
        out.push(u8::try_from(self.object_type.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(self.object_type.as_bytes());
        out
    }
    /// Reads a header and its length; `None` while there are too few bytes.
    ///
    /// # Errors
    /// Where the bytes are no header, however many follow.
    pub fn parse(bytes: &[u8]) -> Result<Option<(Self, usize)>, Malformed> {
        let known = bytes.len().min(MAGIC.len());
        if bytes[..known] != MAGIC[..known] {
            return Err(Malformed);
        }
        let Some(fixed) = bytes.first_chunk::<FIXED>() else {
            return Ok(None);
        };
        let mut rest = &fixed[MAGIC.len()..];
        if u16::from_be_bytes(take(&mut rest)) != VERSION {
            return Err(Malformed);
        }
        let (tenant, snapshot) = (Uuid::from_bytes(take(&mut rest)), Uuid::from_bytes(take(&mut rest)));
        let (part, key_version) = (u32::from_be_bytes(take(&mut rest)), u32::from_be_bytes(take(&mut rest)));
        let [compression] = take(&mut rest);
        let salt = take(&mut rest);
        let [length] = take(&mut rest);
        let end = FIXED + usize::from(length);
        let Some(object_type) = bytes.get(FIXED..end) else {
            return Ok(None);
        };
        let object_type = std::str::from_utf8(object_type).map_err(|_| Malformed)?;
        if compression != ZSTD || !is_type(object_type) {
            return Err(Malformed);
        }
        let header = Self {
            tenant: TenantId::from_uuid(tenant),
            snapshot,
            object_type: object_type.to_owned(),
            part,
            key_version,
            compression,
            salt,
        };
        Ok(Some((header, end)))
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> [u8; N] {
    let (head, tail) = rest.split_first_chunk().expect("FIXED counts every field");
    *rest = tail;
    *head
}

/// Whether `text` can be part of an object's name as a type's id.
#[must_use]
pub fn is_type(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
}

/// `v1/{tenant}/{snapshot}`
#[must_use]
pub fn folder(tenant: TenantId, snapshot: Uuid) -> String {
    format!("{}/{snapshot}", tenant_folder(tenant))
}

/// `v1/{tenant}`
#[must_use]
pub fn tenant_folder(tenant: TenantId) -> String {
    format!("v1/{tenant}")
}

/// `v1/{tenant}/{snapshot}/{type}.{part}.{try}.seg`. Each try of a snapshot has names of its own: a worker that was taken for
/// dead and goes on meets only what is its own.
#[must_use]
pub fn segment_key(tenant: TenantId, snapshot: Uuid, object_type: &str, part: u32, by: Uuid) -> String {
    format!("{}{}.seg", stem(tenant, snapshot, object_type, part), by.simple())
}

/// Whether `key` names this segment; before tries had names of their own it ended in `{part}.seg`.
#[must_use]
pub fn names_segment(key: &str, tenant: TenantId, snapshot: Uuid, object_type: &str, part: u32) -> bool {
    let rest = key.strip_prefix(&stem(tenant, snapshot, object_type, part));
    rest.is_some_and(|rest| rest == "seg" || try_of(key).is_some_and(|by| rest == format!("{}.seg", by.simple())))
}

/// The try that wrote a segment, if its name says so.
#[must_use]
pub fn try_of(key: &str) -> Option<Uuid> {
    let (_, by) = key.strip_suffix(".seg")?.rsplit_once('.')?;
    // Uuid would take other spellings, too.
    if by.len() == 32 { Uuid::try_parse(by).ok() } else { None }
}

fn stem(tenant: TenantId, snapshot: Uuid, object_type: &str, part: u32) -> String {
    format!("{}/{object_type}.{part}.", folder(tenant, snapshot))
}

/// `v1/{tenant}/{snapshot}/manifest.json`
#[must_use]
pub fn manifest_key(tenant: TenantId, snapshot: Uuid) -> String {
    format!("{}/manifest.json", folder(tenant, snapshot))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header() -> Header {
        Header {
            tenant: TenantId::PLATFORM,
            snapshot: Uuid::from_u128(7),
            object_type: "tickets".to_owned(),
            part: 3,
            key_version: 2,
            compression: ZSTD,
            salt: [9; 32],
        }
    }

    #[test]
    fn a_header_comes_back_and_a_part_of_it_asks_for_more() {
        let bytes = header().encode();
        for cut in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..cut]), Ok(None), "cut at {cut}");
        }
        let longer = [bytes.as_slice(), b"frames"].concat();
        assert_eq!(Header::parse(&longer), Ok(Some((header(), bytes.len()))));
    }

    #[test]
    fn a_segment_is_named_by_its_place_and_its_try_and_by_nothing_else() {
        let (tenant, snapshot, by) = (TenantId::PLATFORM, Uuid::from_u128(7), Uuid::from_u128(9));
        let key = segment_key(tenant, snapshot, "tickets", 3, by);
        assert_eq!(try_of(&key), Some(by));
        let named = |key: &str| names_segment(key, tenant, snapshot, "tickets", 3);
        let old = key.replace(&format!("{}.seg", by.simple()), "seg");
        assert!(named(&key) && named(&old) && try_of(&old).is_none());
        let other = key.replace("tickets.3", "tickets.4");
        for bad in [
            other,
            key.replace(".seg", ".seg#1"),
            key.to_uppercase(),
            key.replace(".seg", "/../x.seg"),
            old.replace("seg", "x.seg"),
        ] {
            assert!(!named(&bad), "{bad}");
        }
    }

    #[test]
    fn another_magic_version_compression_or_name_is_refused() {
        for (at, value) in [(0, b'X'), (9, 2), (50, 9), (FIXED, b'/')] {
            let mut bytes = header().encode();
            bytes[at] = value;
            assert_eq!(Header::parse(&bytes), Err(Malformed), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            drop(Header::parse(&bytes));
            drop(Header::parse(&[MAGIC.as_slice(), &VERSION.to_be_bytes(), &bytes].concat()));
        }
    }
}

//! A tenant's data as a stream of parts: what it must look like. A header, then each type followed by its rows, then a
//! footer that counts both. Rows are PostgreSQL's COPY text, whole lines, the first two columns being id and version.

use super::{FieldType, ObjectType};
use chrono::{DateTime, Utc};
use std::collections::HashSet;
use tenantry_kernel::{Error, Reason, Result};

/// Version of the format.
pub const FORMAT: u32 = 1;
/// Rows are sent in pieces of this size; one row that is larger goes alone.
pub const CHUNK: usize = 1024 * 1024;
/// The lower half of a record's version counts its changes, the upper half the restores of its tenant.
const CHANGES: u64 = 0xFFFF_FFFF;

/// One part of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// First.
    Header {
        /// See [`FORMAT`].
        format: u32,
        /// The moment the data shows.
        snapshot_time: DateTime<Utc>,
    },
    /// For each type.
    Type {
        /// All of it.
        object_type: ObjectType,
        /// Columns of its rows.
        columns: Vec<String>,
    },
    /// Whole lines of the type before.
    Rows {
        /// COPY text.
        text: Vec<u8>,
        /// How many.
        rows: u64,
    },
    /// Last.
    Footer {
        /// Types.
        object_types: u64,
        /// Rows of all types.
        rows: u64,
    },
}

/// What is wrong with a stream.
pub fn bad_data(what: impl std::fmt::Display) -> Error {
    Error::new(Reason::InvalidArgument, format!("The data cannot be restored: {what}."))
}

/// The rows of a type have exactly its columns, in their order.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_columns(type_id: &str, columns: &[String], expected: &[String]) -> Result<()> {
    if columns == expected {
        return Ok(());
    }
    Err(bad_data(format_args!(
        "the columns of objectTypes/{type_id} must be {}",
        expected.join(", ")
    )))
}

/// Every reference leads to a type of the stream.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub fn check_references(types: &[ObjectType]) -> Result<()> {
    let known: HashSet<&str> = types.iter().map(|object_type| object_type.id.as_str()).collect();
    for object_type in types {
        let mut references = object_type
            .fields()
            .iter()
            .filter(|field| field.kind == FieldType::Reference);
        if let Some(field) = references.find(|field| !known.contains(field.reference_type.as_str())) {
            return Err(bad_data(format_args!(
                "objectTypes/{} refers to objectTypes/{}, which is not in it",
                object_type.id, field.reference_type
            )));
        }
    }
    Ok(())
}

/// Appends `text` to `out` with every version raised into `generation`: a version that somebody has seen before the
/// restore never comes again with other content. Answers how many lines there were.
///
/// # Errors
/// `INVALID_ARGUMENT` for a line that does not begin with an id and a version, or has no end.
pub fn restamp(text: &[u8], generation: i64, out: &mut Vec<u8>) -> Result<u64> {
    let high = u64::try_from(generation).unwrap_or(0) << 32;
    let mut lines = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        lines += 1;
        let broken = || bad_data("a line of its rows is malformed");
        let tab = |from: usize| line[from..].iter().position(|byte| *byte == b'\t').map(|at| from + at);
        let first = tab(0).ok_or_else(broken)?;
        let second = tab(first + 1).ok_or_else(broken)?;
        let version = std::str::from_utf8(&line[first + 1..second])
            .ok()
            .and_then(|text| text.parse::<u64>().ok());
        let version = version.filter(|_| line.ends_with(b"\n")).ok_or_else(broken)?;
        out.extend_from_slice(&line[..=first]);
        out.extend_from_slice((high | (version & CHANGES)).to_string().as_bytes());
        out.extend_from_slice(&line[second..]);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_grow_with_every_restore_and_the_rest_of_a_line_stays() {
        let mut out = b"before".to_vec();
        assert_eq!(
            restamp(b"id\t3\ta\\tb\t\\N\nid2\t4294967297\t\n", 2, &mut out).expect("fine"),
            2
        );
        assert_eq!(out, b"beforeid\t8589934595\ta\\tb\t\\N\nid2\t8589934593\t\n");
        assert_eq!(restamp(b"", 2, &mut out).expect("nothing"), 0);
        for bad in [
            b"\\.\n".as_slice(),
            b"id\t1\n",
            b"id\tx\ty\n",
            b"id\t1\tno end",
            b"\n",
            b"id\t-1\tx\n",
        ] {
            assert!(restamp(bad, 1, &mut Vec::new()).is_err(), "{bad:?}");
        }
    }
}

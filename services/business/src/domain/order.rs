//! `order_by` and the place in a list where the next page starts.

use super::{
    Kind, ObjectType, Value,
    filter::{self, Column},
};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tenantry_kernel::{Error, Result};
use uuid::Uuid;

const MAX_KEYS: usize = 3;

/// One sort key. NULLs come last ascending and first descending, as PostgreSQL's indexes have them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// What.
    pub column: Column,
    /// Largest first.
    pub descending: bool,
}

/// The keys, and the direction of the record id that always ends them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// At most three.
    pub keys: Vec<Key>,
    /// Same as the last key, so that one index serves both.
    pub id_descending: bool,
}

/// Where the last page ended: the values of the keys and the record's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// One for each key.
    pub values: Vec<Value>,
    /// The record.
    pub id: Uuid,
}

impl Cursor {
    /// Whether it can come from a list in this order: the columns might have changed since.
    #[must_use]
    pub fn fits(&self, order: &Order) -> bool {
        let kind_fits = |(value, key): (&Value, &Key)| value.kind().is_none_or(|kind| kind == key.column.kind);
        self.values.len() == order.keys.len() && self.values.iter().zip(&order.keys).all(kind_fits)
    }
}

/// Parses `priority desc, create_time`.
///
/// # Errors
/// `INVALID_ARGUMENT` saying what is accepted.
pub fn parse(order_by: &str, object_type: &ObjectType) -> Result<Order> {
    let invalid = |description: String| Error::invalid_field("order_by", description);
    let mut keys: Vec<Key> = Vec::new();
    let mut seen = HashSet::new();
    if order_by.len() > 400 {
        return Err(invalid("is too long; name at most 3 fields".to_owned()));
    }
    for part in order_by.split(',').filter(|_| !order_by.trim().is_empty()) {
        let words: Vec<_> = part.split_whitespace().collect();
        let (name, descending) = match words.as_slice() {
            [name] | [name, "asc"] => (*name, false),
            [name, "desc"] => (*name, true),
            _ => {
                return Err(invalid(
                    "must be fields separated by commas, each optionally followed by asc or desc".to_owned(),
                ));
            }
        };
        let (column, _) = filter::column(object_type, name).map_err(invalid)?;
        debug_assert_ne!(column.kind, Kind::Json);
        if !seen.insert(column.name.clone()) {
            return Err(invalid(format!("{name} is there twice")));
        }
        keys.push(Key { column, descending });
    }
    if keys.len() > MAX_KEYS {
        return Err(invalid(format!("must name at most {MAX_KEYS} fields")));
    }
    let id_descending = keys.last().is_some_and(|key| key.descending);
    Ok(Order { keys, id_descending })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::filter::tests::every_type;
    use proptest::prelude::*;

    #[test]
    fn orders_are_parsed_and_bounded() {
        let order = parse("i desc, fields.s ,create_time asc", &every_type()).expect("three");
        let shape: Vec<_> = order
            .keys
            .iter()
            .map(|key| (key.column.name.as_str(), key.descending))
            .collect();
        assert_eq!(shape, [("f_i", true), ("f_s", false), ("create_time", false)]);
        assert!(parse("", &every_type()).expect("empty").keys.is_empty());
        for bad in [
            ",",
            "i,,s",
            "i down",
            "i, i",
            "j",
            "nope",
            "i, s, d, b",
            "tenant_id",
            "i; drop",
            "id",
        ] {
            assert!(parse(bad, &every_type()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_parser_never_panics(text in ".{0,100}") {
            let _ = parse(&text, &every_type());
        }
    }
}

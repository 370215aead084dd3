//! Violated constraints in the caller's words: which field, which type.

use crate::{domain::ident, store};
use tenantry_kernel::{Error, Reason};

/// Names the field under `path` (`record.fields`) that a unique value or a reference was refused for.
#[must_use]
pub fn named(error: Error, path: &str) -> Error {
    let Some(constraint) = store::constraint_of_violation(&error) else {
        return error;
    };
    let Some(field) = ident::field_of_constraint(&constraint) else {
        return error;
    };
    let description = match error.reason() {
        Reason::UniqueViolation => "another record has this value already; the field is unique",
        Reason::ReferenceNotFound => "names a record that does not exist; create it first or correct the reference",
        Reason::InvalidArgument => "is outside of what the field accepts",
        _ => return error,
    };
    let at = format!("{path}.{field}");
    let text = format!("{at}: {description}.");
    Error::new(error.reason(), text)
        .field(at, description)
        .meta("field", field.to_owned())
        .because(error)
}

/// Says which type's records still refer to the one that was to be deleted.
#[must_use]
pub fn still_referenced(error: Error, name: &str) -> Error {
    if error.reason() != Reason::StillReferenced {
        return error;
    }
    let Some(by) = store::type_of_violation(&error) else {
        return error;
    };
    let text = format!("Records of objectTypes/{by} still refer to {name}. Delete or change them first.");
    Error::new(Reason::StillReferenced, text)
        .meta("referenced_by", format!("objectTypes/{by}"))
        .because(error)
}

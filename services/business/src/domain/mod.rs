//! What object types, records, filters and imports are: pure, synchronous, no SQL, no wire format.

pub mod cell;
pub mod change;
pub mod csv;
pub mod data;
pub mod field;
pub mod filter;
pub mod ident;
pub mod import;
pub mod infer;
pub mod object_type;
pub mod operation;
pub mod order;
pub mod record;
pub mod value;

pub use field::{Field, FieldType};
pub use object_type::ObjectType;
pub use record::Record;
pub use value::{Kind, Value};

/// Collects violations, so that a caller sees every wrong field at once.
#[derive(Debug, Default)]
pub struct Violations {
    fields: Vec<(String, String)>,
    unknown: bool,
}

impl Violations {
    /// A value that is not accepted.
    pub fn invalid(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.fields.push((field.into(), description.into()));
    }
    /// A field that does not exist.
    pub fn unknown(&mut self, field: impl Into<String>, description: impl Into<String>) {
        self.unknown = true;
        self.fields.push((field.into(), description.into()));
    }
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
    /// Nothing, or one error with every violation.
    ///
    /// # Errors
    /// `UNKNOWN_FIELD` where a field does not exist, else `INVALID_ARGUMENT`.
    pub fn finish(self) -> tenantry_kernel::Result<()> {
        use tenantry_kernel::{Error, Reason};
        let Some((field, description)) = self.fields.first() else {
            return Ok(());
        };
        let reason = if self.unknown {
            Reason::UnknownField
        } else {
            Reason::InvalidArgument
        };
        let error = Error::new(reason, format!("{field}: {description}"));
        Err(self
            .fields
            .into_iter()
            .fold(error, |error, (field, description)| error.field(field, description)))
    }
}

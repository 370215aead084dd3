//! An object type: its checks when it is made and what may change later.

use super::{
    Violations,
    field::{Field, FieldType},
    ident,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use tenantry_kernel::Result;
use uuid::Uuid;

/// Fields of a type.
pub const MAX_FIELDS: usize = 100;
const MAX_ENUM: usize = 100;
const MAX_TITLE: usize = 200;
const MAX_DESCRIPTION: usize = 2_000;

/// What the definition column holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Definition {
    /// For people.
    #[serde(default)]
    pub display_name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// In the order they were added.
    pub fields: Vec<Field>,
}

/// A kind of record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ObjectType {
    /// The id in its name.
    pub id: String,
    /// This incarnation: a type that is deleted and made again has another one.
    pub key: Uuid,
    /// Grows with every change, also over incarnations.
    pub version: i64,
    /// Fields and texts.
    pub definition: Definition,
    /// When it was made.
    pub create_time: DateTime<Utc>,
    /// When it last changed.
    pub update_time: DateTime<Utc>,
}

impl ObjectType {
    /// Finds a field.
    #[must_use]
    pub fn field(&self, id: &str) -> Option<&Field> {
        self.definition.fields.iter().find(|field| field.id == id)
    }
    /// Its fields.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.definition.fields
    }
    /// `objectTypes/{id}`
    #[must_use]
    pub fn name(&self) -> String {
        format!("objectTypes/{}", self.id)
    }
    /// Quoted version.
    #[must_use]
    pub fn etag(&self) -> String {
        etag(self.version)
    }
}

/// A version as an etag (RFC 9110: quoted).
#[must_use]
pub fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

/// The version behind an etag; an empty one means "whatever it is". Quotes may be missing: shells eat them.
///
/// # Errors
/// `ETAG_MISMATCH` for a text that no version of ours can have.
pub fn version_of_etag(etag: &str) -> Result<Option<i64>> {
    if etag.is_empty() || etag == "*" {
        return Ok(None);
    }
    etag.trim_matches('"')
        .parse()
        .map(Some)
        .map_err(|_| tenantry_kernel::Error::etag_mismatch())
}

/// Checks a new definition. `path` is where the caller wrote it: `object_type`.
///
/// # Errors
/// Every wrong field at once.
pub fn check_new(id: &str, definition: &Definition, path: &str) -> Result<()> {
    let mut bad = Violations::default();
    if !ident::is_id(id) {
        bad.invalid(
            format!("{path}.name"),
            format!("must be objectTypes/{{type}}, where the type {}", ident::SHAPE),
        );
    }
    check_texts(definition, path, &mut bad);
    if definition.fields.is_empty() || definition.fields.len() > MAX_FIELDS {
        bad.invalid(format!("{path}.fields"), format!("must have 1 to {MAX_FIELDS} fields"));
    }
    let mut seen = HashSet::new();
    for (i, field) in definition.fields.iter().enumerate() {
        let at = format!("{path}.fields[{i}]");
        if !seen.insert(field.id.as_str()) {
            bad.invalid(
                format!("{at}.field_id"),
                format!("{} is there twice; field ids are unique in a type", field.id),
            );
        }
        check_field(field, &at, &mut bad);
    }
    bad.finish()
}

/// What an update does: the fields to add and the definition it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct Evolution {
    /// The new definition.
    pub definition: Definition,
    /// Fields that get a column.
    pub added: Vec<Field>,
}

/// Merges `new` into `old`, limited to `mask` (`display_name`, `description`, `fields`).
///
/// # Errors
/// Fields cannot be removed or retyped, new ones must be optional or have a default.
pub fn evolve(old: &Definition, new: &Definition, mask: &[&str], path: &str) -> Result<Evolution> {
    let mut bad = Violations::default();
    let mut next = old.clone();
    let mut added = Vec::new();
    for part in mask {
        match *part {
            "display_name" => next.display_name.clone_from(&new.display_name),
            "description" => next.description.clone_from(&new.description),
            "fields" => added = merge_fields(&mut next, new, path, &mut bad),
            other => bad.unknown(
                "update_mask",
                format!("{other} cannot be changed; accepted are display_name, description, fields"),
            ),
        }
    }
    check_texts(&next, path, &mut bad);
    if next.fields.len() > MAX_FIELDS {
        bad.invalid(
            format!("{path}.fields"),
            format!("must have at most {MAX_FIELDS} fields"),
        );
    }
    bad.finish()?;
    Ok(Evolution {
        definition: next,
        added,
    })
}

fn merge_fields(next: &mut Definition, new: &Definition, path: &str, bad: &mut Violations) -> Vec<Field> {
    let mut added = Vec::new();
    let mut seen = HashSet::new();
    for (i, field) in new.fields.iter().enumerate() {
        let at = format!("{path}.fields[{i}]");
        if !seen.insert(field.id.as_str()) {
            bad.invalid(
                format!("{at}.field_id"),
                format!("{} is there twice; field ids are unique in a type", field.id),
            );
            continue;
        }
        if let Some(known) = next.fields.iter_mut().find(|known| known.id == field.id) {
            let texts = Field {
                display_name: field.display_name.clone(),
                description: field.description.clone(),
                ..known.clone()
            };
            if texts == *field {
                *known = texts;
            } else {
                bad.invalid(at, format!("{}: only display_name and description of an existing field can change; add a new field instead", field.id));
            }
            continue;
        }
        check_field(field, &at, bad);
        if field.required && field.default_value.is_null() {
            bad.invalid(
                format!("{at}.required"),
                "a field that is added later must be optional or have a default_value",
            );
        }
        added.push(field.clone());
    }
    for known in &next.fields {
        if !seen.contains(known.id.as_str()) {
            bad.invalid(
                format!("{path}.fields"),
                format!(
                    "{} is missing; fields cannot be removed, so list all existing fields and the new ones",
                    known.id
                ),
            );
        }
    }
    next.fields.extend(added.iter().cloned());
    added
}

fn check_texts(definition: &Definition, path: &str, bad: &mut Violations) {
    text(
        &definition.display_name,
        MAX_TITLE,
        &format!("{path}.display_name"),
        bad,
    );
    text(
        &definition.description,
        MAX_DESCRIPTION,
        &format!("{path}.description"),
        bad,
    );
}

fn text(value: &str, limit: usize, at: &str, bad: &mut Violations) {
    if value.chars().count() > limit || value.contains('\0') {
        bad.invalid(at, format!("must have at most {limit} characters and no NUL"));
    }
}

fn check_field(field: &Field, at: &str, bad: &mut Violations) {
    if !ident::is_id(&field.id) {
        bad.invalid(format!("{at}.field_id"), ident::SHAPE);
    } else if ident::is_reserved(&field.id) {
        bad.invalid(
            format!("{at}.field_id"),
            format!("{} is reserved; choose another", field.id),
        );
    }
    text(&field.display_name, MAX_TITLE, &format!("{at}.display_name"), bad);
    text(&field.description, MAX_DESCRIPTION, &format!("{at}.description"), bad);
    check_options(field, at, bad);
    if !field.default_value.is_null() {
        if field.unique {
            bad.invalid(
                format!("{at}.default_value"),
                "a unique field cannot have a default: the second record would repeat it",
            );
        } else if field.kind == FieldType::Reference {
            bad.invalid(format!("{at}.default_value"), "a reference cannot have a default");
        } else if let Err(accepts) = field.parse(&field.default_value) {
            bad.invalid(format!("{at}.default_value"), accepts);
        }
    }
}

fn check_options(field: &Field, at: &str, bad: &mut Violations) {
    let is_text = matches!(field.kind, FieldType::String | FieldType::Text);
    let most = if field.kind == FieldType::Text {
        super::field::TEXT_MAX
    } else {
        super::field::STRING_MAX
    };
    if field.max_length != 0 && (!is_text || field.max_length > most) {
        bad.invalid(
            format!("{at}.max_length"),
            format!(
                "is for STRING (at most {}) and TEXT (at most {})",
                super::field::STRING_MAX,
                super::field::TEXT_MAX
            ),
        );
    }
    if field.scale > 9 || (field.scale != 0 && field.kind != FieldType::Decimal) {
        bad.invalid(format!("{at}.scale"), "must be 0 to 9, and is for DECIMAL only");
    }
    let values: HashSet<_> = field.enum_values.iter().collect();
    let enum_ok = (1..=MAX_ENUM).contains(&field.enum_values.len())
        && values.len() == field.enum_values.len()
        && field
            .enum_values
            .iter()
            .all(|value| (1..=100).contains(&value.chars().count()) && !value.contains(char::is_control));
    if (field.kind == FieldType::Enum && !enum_ok) || (field.kind != FieldType::Enum && !field.enum_values.is_empty()) {
        bad.invalid(
            format!("{at}.enum_values"),
            format!("must be 1 to {MAX_ENUM} different values of 1 to 100 characters, and is for ENUM only"),
        );
    }
    let is_reference = field.kind == FieldType::Reference;
    if is_reference != ident::is_id(&field.reference_type) && (is_reference || !field.reference_type.is_empty()) {
        bad.invalid(
            format!("{at}.reference_type"),
            "must be objectTypes/{type}, and is for REFERENCE only",
        );
    }
    // A B-tree entry holds about 2,700 bytes; a character has at most four.
    let indexable = match field.kind {
        FieldType::Json => false,
        FieldType::String | FieldType::Text => field.text_limit() <= 500,
        _ => true,
    };
    if (field.unique || field.indexed) && !indexable {
        let key = if field.unique { "unique" } else { "indexed" };
        bad.invalid(
            format!("{at}.{key}"),
            "is not for JSON, and text needs a max_length of at most 500",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tenantry_kernel::Reason;

    fn definition(fields: Vec<Field>) -> Definition {
        Definition {
            fields,
            ..Definition::default()
        }
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let mut unique_text = Field::new("long", FieldType::Text);
        unique_text.unique = true;
        let mut scaled = Field::new("x", FieldType::Int64);
        scaled.scale = 2;
        let mut defaulted = Field::new("d", FieldType::Date);
        defaulted.default_value = json!("soon");
        let bad = definition(vec![
            Field::new("Bad", FieldType::Bool),
            Field::new("create_time", FieldType::Bool),
            unique_text,
            scaled,
            defaulted,
            Field::new("e", FieldType::Enum),
            Field::new("r", FieldType::Reference),
            Field::new("r", FieldType::Bool),
        ]);
        let error = check_new("Tickets", &bad, "object_type").expect_err("wrong");
        let named: Vec<_> = error
            .fields()
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        for expected in [
            "object_type.name",
            "object_type.fields[0].field_id",
            "object_type.fields[1].field_id",
            "object_type.fields[2].unique",
            "object_type.fields[3].scale",
            "object_type.fields[4].default_value",
            "object_type.fields[5].enum_values",
            "object_type.fields[6].reference_type",
            "object_type.fields[7].field_id",
        ] {
            assert!(named.contains(&expected), "{expected} is not in {named:?}");
        }
    }

    #[test]
    fn a_type_only_grows() {
        let old = definition(vec![Field::new("a", FieldType::Bool)]);
        let mut with_default = Field::new("b", FieldType::Int64);
        with_default.required = true;
        with_default.default_value = json!(1);
        let grown = evolve(
            &old,
            &definition(vec![Field::new("a", FieldType::Bool), with_default]),
            &["fields"],
            "t",
        )
        .expect("grows");
        assert_eq!((grown.added.len(), grown.definition.fields.len()), (1, 2));
        let mut required = Field::new("b", FieldType::Int64);
        required.required = true;
        for new in [
            vec![],
            vec![Field::new("a", FieldType::Date)],
            vec![Field::new("a", FieldType::Bool), required],
        ] {
            assert!(
                evolve(&old, &definition(new.clone()), &["fields"], "t").is_err(),
                "{new:?}"
            );
        }
        let unknown = evolve(&old, &old, &["etag"], "t").expect_err("unknown");
        assert_eq!(unknown.reason(), Reason::UnknownField);
    }

    #[test]
    fn an_etag_is_a_quoted_version() {
        assert_eq!(version_of_etag(&etag(7)).expect("own"), Some(7));
        assert_eq!(version_of_etag("").expect("none"), None);
        assert!(version_of_etag("\"x\"").is_err());
    }
}

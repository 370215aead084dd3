//! Inputs of a record's form, one for each field by its type; and the rows with which fields are added to a type.

use super::{
    console::{Console, Form, Trouble, id_of},
    values,
};
use prost_types::{Struct, Value};
use std::collections::BTreeMap;
use tenantry_api::business::{Field, FieldType, ListRecordsRequest, ListRecordsResponse, ObjectType, Record};
use tonic::Status;

/// References are offered as a list up to so many records.
const OFFERED: i32 = 200;

/// One input.
pub(super) struct Input {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) hint: String,
    /// `text`, `textarea`, `number`, `date`, `datetime-local`, `select`.
    pub(super) kind: &'static str,
    pub(super) step: &'static str,
    pub(super) value: String,
    /// What was shown first; a field that still holds it is not sent.
    pub(super) was: String,
    pub(super) required: bool,
    pub(super) max_length: i32,
    pub(super) options: Vec<Choice>,
}

/// One entry of a list.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

/// A field's name for people.
pub(super) fn label(field: &Field) -> &str {
    if field.display_name.is_empty() {
        &field.field_id
    } else {
        &field.display_name
    }
}

fn hint(field: &Field) -> String {
    let kind = match field.r#type() {
        FieldType::Decimal => format!("A number with at most {} digits after the point.", field.scale),
        FieldType::Timestamp => "In UTC.".to_owned(),
        FieldType::Uuid => "A UUID.".to_owned(),
        FieldType::Json => "Any JSON.".to_owned(),
        FieldType::Reference => format!("A record of {}.", id_of(&field.reference_type)),
        _ => String::new(),
    };
    let unique = if field.unique {
        "No two records have the same."
    } else {
        ""
    };
    [field.description.as_str(), kind.as_str(), unique]
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The inputs of a type for a record; `form` is what was typed before, if anything.
pub(super) async fn inputs(
    console: &Console,
    of: &ObjectType,
    record: Option<&Record>,
    form: Option<&Form>,
) -> Vec<Input> {
    let empty = BTreeMap::new();
    let present = record
        .and_then(|record| record.fields.as_ref())
        .map_or(&empty, |fields| &fields.fields);
    let mut out = Vec::with_capacity(of.fields.len());
    for field in &of.fields {
        let start = if record.is_some() {
            present.get(&field.field_id)
        } else {
            field.default_value.as_ref()
        };
        let was = values::input(field, start);
        let value = form.map_or_else(|| was.clone(), |form| typed(field, form, &was));
        out.push(one(console, field, value, was).await);
    }
    out
}

/// What was typed; where nothing was, what is there now.
fn typed(field: &Field, form: &Form, now: &str) -> String {
    if is_untouched(field, form) {
        now.to_owned()
    } else {
        form.text(&format!("f.{}", field.field_id)).to_owned()
    }
}

/// Whether a form sent back what it was given. Browsers write some values in other words than ours: what it stands for counts.
pub(super) fn is_untouched(field: &Field, form: &Form) -> bool {
    let (name, was) = (format!("f.{}", field.field_id), format!("was.{}", field.field_id));
    form.has(&was) && values::parse(field, form.text(&name)) == values::parse(field, form.text(&was))
}

async fn one(console: &Console, field: &Field, value: String, was: String) -> Input {
    let (kind, step) = match field.r#type() {
        FieldType::Text | FieldType::Json => ("textarea", ""),
        FieldType::Int64 => ("number", "1"),
        FieldType::Double => ("number", "any"),
        FieldType::Date => ("date", ""),
        FieldType::Timestamp => ("datetime-local", "1"),
        FieldType::Bool | FieldType::Enum => ("select", ""),
        _ => ("text", ""),
    };
    let option = |of: &str, label: &str| Choice {
        value: of.to_owned(),
        label: label.to_owned(),
        chosen: of == value,
    };
    let mut options = match field.r#type() {
        FieldType::Bool => vec![option("true", "yes"), option("false", "no")],
        FieldType::Enum => field.enum_values.iter().map(|text| option(text, text)).collect(),
        FieldType::Reference => offered(console, field)
            .await
            .iter()
            .map(|(name, label)| option(name, label))
            .collect(),
        _ => Vec::new(),
    };
    // A reference to a record that is not offered keeps its plain input.
    let kind = if options.is_empty()
        || (field.r#type() == FieldType::Reference && !value.is_empty() && !options.iter().any(|one| one.chosen))
    {
        options.clear();
        kind
    } else {
        options.insert(0, option("", "–"));
        "select"
    };
    Input {
        id: field.field_id.clone(),
        label: label(field).to_owned(),
        hint: hint(field),
        kind,
        step,
        value,
        was,
        required: field.required,
        max_length: field.max_length,
        options,
    }
}

/// Records of the type a reference is to, if they are few.
async fn offered(console: &Console, field: &Field) -> Vec<(String, String)> {
    let question = ListRecordsRequest {
        parent: field.reference_type.clone(),
        page_size: OFFERED,
        ..ListRecordsRequest::default()
    };
    let answer: Result<ListRecordsResponse, Status> = console
        .ask("/tenantry.business.v1.RecordService/ListRecords", &question)
        .await;
    match answer {
        Ok(answer) if answer.next_page_token.is_empty() => answer
            .records
            .iter()
            .map(|record| (record.name.clone(), caption(record)))
            .collect(),
        // It is only a help: the name can always be typed.
        _ => Vec::new(),
    }
}

/// A record in a few words: its shortest telling text, or its id.
pub(super) fn caption(record: &Record) -> String {
    let texts = record.fields.iter().flat_map(|fields| &fields.fields);
    let text = texts
        .map(|(name, value)| (rank(name), values::shown(Some(value))))
        .filter(|(rank, text)| *rank < 9 && (1..=80).contains(&text.chars().count()))
        .min();
    text.map_or_else(|| id_of(&record.name).to_owned(), |(_, text)| text)
}

fn rank(field: &str) -> usize {
    ["name", "title", "email", "label", "subject", "full_name"]
        .iter()
        .position(|known| *known == field)
        .unwrap_or(9)
}

/// What a form says about a type's fields. For an update only what changed, with its mask.
///
/// # Errors
/// The first value that cannot be sent.
pub(super) fn record(
    console: &Console,
    of: &ObjectType,
    form: &Form,
    changed_only: bool,
) -> Result<(Struct, Vec<String>), Box<Trouble>> {
    let (mut fields, mut mask, mut wrong) = (BTreeMap::new(), Vec::new(), Vec::new());
    for field in &of.fields {
        let name = format!("f.{}", field.field_id);
        if !form.has(&name) || (changed_only && is_untouched(field, form)) {
            continue;
        }
        match values::parse(field, form.text(&name)) {
            Ok(value) if !changed_only && value == values::null() => {}
            Ok(value) => {
                fields.insert(field.field_id.clone(), value);
                mask.push(format!("fields.{}", field.field_id));
            }
            Err(text) => wrong.push((label(field).to_owned(), text)),
        }
    }
    if let Some((field, text)) = wrong.first() {
        let mut trouble = console.wrong(field, text);
        trouble.violations = wrong;
        return Err(Box::new(trouble));
    }
    Ok((Struct { fields }, mask))
}

/// One row of the form that adds fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
    pub(super) at: usize,
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) required: bool,
    pub(super) unique: bool,
    pub(super) indexed: bool,
    pub(super) detail: String,
}

/// The types as the form offers them.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("string", "one line of text"),
    ("text", "text"),
    ("int64", "whole number"),
    ("double", "number"),
    ("decimal", "decimal (money)"),
    ("bool", "yes or no"),
    ("date", "date"),
    ("timestamp", "time"),
    ("enum", "one of a list"),
    ("reference", "reference to a record"),
    ("uuid", "UUID"),
    ("json", "JSON"),
];

/// Most rows of one form.
const MOST_ROWS: usize = 100;

/// The rows of a form; at least `least`.
pub(super) fn rows(form: &Form, least: usize) -> Vec<Row> {
    let sent = form.text("rows").parse::<usize>().unwrap_or_default();
    (0..sent.max(least).min(MOST_ROWS))
        .map(|at| {
            let text = |name: &str| form.trimmed(&format!("{at}.{name}")).to_owned();
            let flag = |name: &str| form.has(&format!("{at}.{name}"));
            Row {
                at,
                id: text("id"),
                name: text("name"),
                kind: text("kind"),
                required: flag("required"),
                unique: flag("unique"),
                indexed: flag("indexed"),
                detail: text("detail"),
            }
        })
        .collect()
}

impl Row {
    /// The field a filled row stands for; `None` for an empty one.
    pub(super) fn field(&self) -> Option<Field> {
        if self.id.is_empty() && self.name.is_empty() {
            return None;
        }
        let kind = FieldType::from_str_name(&format!("FIELD_TYPE_{}", self.kind.to_ascii_uppercase()));
        let kind = kind.unwrap_or(FieldType::String);
        let mut field = Field {
            field_id: if self.id.is_empty() {
                slug(&self.name)
            } else {
                self.id.clone()
            },
            r#type: kind.into(),
            required: self.required,
            unique: self.unique,
            indexed: self.indexed,
            display_name: self.name.clone(),
            ..Field::default()
        };
        match kind {
            FieldType::Enum => {
                let values = self
                    .detail
                    .split([',', '\n'])
                    .map(str::trim)
                    .filter(|text| !text.is_empty());
                field.enum_values = values.map(str::to_owned).collect();
            }
            FieldType::Reference => field.reference_type = format!("objectTypes/{}", id_of(&self.detail)),
            FieldType::Decimal => field.scale = self.detail.parse().unwrap_or(2),
            FieldType::String | FieldType::Text => field.max_length = self.detail.parse().unwrap_or_default(),
            _ => {}
        }
        Some(field)
    }
}

/// An id from a name: `First name` becomes `first_name`.
pub(super) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim().to_ascii_lowercase().chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    out.trim_end_matches('_').chars().take(40).collect()
}

/// Whether a table's column can be ordered and filtered by.
pub(super) fn is_comparable(field: &Field) -> bool {
    field.r#type() != FieldType::Json
}

/// A value as a filter's literal.
pub(super) fn literal(field: Option<&Field>, text: &str) -> String {
    let bare = text == "null"
        || field.is_some_and(|field| {
            matches!(
                field.r#type(),
                FieldType::Int64 | FieldType::Double | FieldType::Decimal | FieldType::Bool
            )
        }) && !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b".+-".contains(&b));
    if bare {
        text.to_owned()
    } else {
        format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

/// A value of a record's field.
pub(super) fn value<'a>(record: &'a Record, field: &str) -> Option<&'a Value> {
    record.fields.as_ref().and_then(|fields| fields.fields.get(field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_fields() {
        let pairs = [
            ("rows", "3"),
            ("0.name", "First name"),
            ("0.kind", "string"),
            ("0.required", "on"),
            ("1.id", "status"),
            ("1.kind", "enum"),
            ("1.detail", "open, closed,"),
        ];
        let form = Form(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        );
        let fields: Vec<Field> = rows(&form, 1).iter().filter_map(Row::field).collect();
        assert_eq!(fields.len(), 2);
        assert_eq!((fields[0].field_id.as_str(), fields[0].required), ("first_name", true));
        assert_eq!(fields[1].enum_values, ["open", "closed"]);
        assert_eq!(rows(&Form(vec![("rows".into(), "999999".into())]), 1).len(), MOST_ROWS);
    }

    #[test]
    fn after_a_conflict_only_what_was_typed_stays() {
        let field = Field {
            field_id: "seen".into(),
            r#type: FieldType::Timestamp.into(),
            ..Field::default()
        };
        let form = |now: &str| {
            Form(vec![
                ("was.seen".into(), "2026-11-23T09:30:00".into()),
                ("f.seen".into(), now.into()),
            ])
        };
        assert!(
            is_untouched(&field, &form("2026-11-23T09:30")),
            "the same time in other words"
        );
        assert_eq!(typed(&field, &form("2026-11-23T09:30"), "theirs"), "theirs");
        assert_eq!(typed(&field, &form("2026-11-24T00:00"), "theirs"), "2026-11-24T00:00");
        assert_eq!(typed(&field, &form(""), "theirs"), "", "emptied is typed");
    }

    #[test]
    fn a_literal_cannot_leave_its_quotes() {
        let number = Field {
            r#type: FieldType::Int64.into(),
            ..Field::default()
        };
        assert_eq!(literal(Some(&number), "5"), "5");
        assert_eq!(literal(Some(&number), "5 AND x = 1"), "\"5 AND x = 1\"");
        assert_eq!(literal(None, r#"a" OR "b\"#), r#""a\" OR \"b\\""#);
    }
}

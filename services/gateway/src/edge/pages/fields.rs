//! Inputs of a record's form, one for each field by its type, and what a record is called.

use super::{
    console::{Console, Form, Trouble, id_of},
    references,
    references::Captions,
    remedies::Named,
    values,
};
use prost_types::{Struct, Value};
use std::collections::BTreeMap;
use tenantry_api::business::{Field, FieldType, ObjectType, Record};

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
    /// Records to choose from, where what was typed could mean more than one.
    pub(super) found: Vec<Choice>,
    /// Where the script looks for records by what is typed, and the field it compares.
    pub(super) search: String,
    pub(super) search_by: String,
    /// The page of the record it refers to, and what that is called.
    pub(super) see: String,
    pub(super) see_label: String,
    /// What is wrong with it.
    pub(super) wrong: String,
}

impl Input {
    /// The ids of the texts that describe it.
    pub(super) fn described(&self) -> String {
        let parts = [("wrong", !self.wrong.is_empty()), ("hint", !self.hint.is_empty())];
        let ids = parts.iter().filter(|(_, is_there)| *is_there);
        ids.map(|(part, _)| format!("{part}.{}", self.id))
            .collect::<Vec<_>>()
            .join(" ")
    }
}

/// One entry of a list.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) chosen: bool,
}

impl Choice {
    pub(super) fn of(value: &str, label: &str, chosen: &str) -> Self {
        Self {
            value: value.to_owned(),
            label: label.to_owned(),
            chosen: value == chosen,
        }
    }
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

/// The inputs of a type for a record; `form` is what was typed before, if anything, and `trouble` what is wrong with it.
pub(super) async fn inputs(
    console: &Console,
    of: &ObjectType,
    record: Option<&Record>,
    form: Option<&Form>,
    trouble: Option<&Trouble>,
) -> Vec<Input> {
    let captions = match record {
        Some(record) => {
            Captions::of(
                console,
                references::names(of.fields.iter(), std::slice::from_ref(record)),
            )
            .await
        }
        None => Captions::default(),
    };
    let mut out = Vec::with_capacity(of.fields.len());
    for field in &of.fields {
        let start = match record {
            Some(record) => value(record, &field.field_id),
            None => field.default_value.as_ref(),
        };
        let was = values::input(field, start);
        let now = form.map_or_else(|| was.clone(), |form| typed(field, form, &was));
        let mut input = one(field, now, was);
        input.wrong = super::remedies::wrong(trouble, &format!("f.{}", field.field_id)).to_owned();
        if field.r#type() == FieldType::Reference {
            offer(console, field, &mut input, &captions).await;
        }
        out.push(input);
    }
    out
}

/// What was typed; where nothing was, what is there now.
fn typed(field: &Field, form: &Form, now: &str) -> String {
    if is_untouched(field, form) {
        now.to_owned()
    } else {
        sent(field, form).to_owned()
    }
}

/// What a form says about a field: the record that was chosen from those that were found, or what was typed.
pub(super) fn sent<'a>(field: &Field, form: &'a Form) -> &'a str {
    match form.text(&format!("pick.{}", field.field_id)) {
        "" => form.text(&format!("f.{}", field.field_id)),
        picked => picked,
    }
}

/// Whether a form sent back what it was given. Browsers write some values in other words than ours: what it stands for counts.
pub(super) fn is_untouched(field: &Field, form: &Form) -> bool {
    let was = format!("was.{}", field.field_id);
    form.has(&was) && values::parse(field, sent(field, form)) == values::parse(field, form.text(&was))
}

fn one(field: &Field, value: String, was: String) -> Input {
    let (kind, step) = match field.r#type() {
        FieldType::Text | FieldType::Json => ("textarea", ""),
        FieldType::Int64 => ("number", "1"),
        FieldType::Double => ("number", "any"),
        FieldType::Date => ("date", ""),
        FieldType::Timestamp => ("datetime-local", "1"),
        FieldType::Bool | FieldType::Enum => ("select", ""),
        _ => ("text", ""),
    };
    let mut options = options(field, &value);
    if !options.is_empty() {
        options.insert(0, Choice::of("", "–", &value));
    }
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
        found: Vec::new(),
        search: String::new(),
        search_by: String::new(),
        see: String::new(),
        see_label: String::new(),
        wrong: String::new(),
    }
}

/// What a field can hold, if that is a list.
pub(super) fn options(field: &Field, value: &str) -> Vec<Choice> {
    match field.r#type() {
        FieldType::Bool => vec![Choice::of("true", "yes", value), Choice::of("false", "no", value)],
        FieldType::Enum => field
            .enum_values
            .iter()
            .map(|text| Choice::of(text, text, value))
            .collect(),
        _ => Vec::new(),
    }
}

/// Few records are a list. Of many, one is named by what it is called: the form keeps that text, and shows what it could mean.
async fn offer(console: &Console, field: &Field, input: &mut Input, captions: &Captions) {
    if let (Some(href), Some(caption)) = (references::href(&input.was), captions.get(&input.was)) {
        input.see = href;
        caption.clone_into(&mut input.see_label);
    }
    let offered = references::offered(console, field).await;
    // A reference to a record that is not offered keeps its plain input.
    if !offered.is_empty() && (input.value.is_empty() || offered.iter().any(|(name, _)| *name == input.value)) {
        input.kind = "select";
        input.options = vec![Choice::of("", "–", &input.value)];
        let all = offered
            .iter()
            .map(|(name, label)| Choice::of(name, label, &input.value));
        input.options.extend(all);
        return;
    }
    let found = references::beginning(console, field, input.value.trim()).await;
    input.found = found.iter().map(|(name, label)| Choice::of(name, label, "")).collect();
    input.search_by = references::search_field(console, field).await;
    if !input.search_by.is_empty() {
        input.search = format!("/v1/{}/records", field.reference_type);
        input.hint = format!("{} Type what it is called, or how that begins.", input.hint);
    }
    // Both say the same, so that an untouched one is known by it.
    for text in [&mut input.value, &mut input.was] {
        if let Some(caption) = captions.get(text) {
            *text = caption.to_owned();
        }
    }
}

/// What a record is called by: the names that people give, then what tells it from others, then any text.
pub(super) fn calling(of: &ObjectType) -> impl Iterator<Item = &Field> {
    let named = TELLING
        .iter()
        .filter_map(|known| of.fields.iter().find(|field| field.field_id == *known));
    let kinds = [FieldType::String, FieldType::Text];
    let other = of.fields.iter().filter(move |field| {
        (field.unique || kinds.contains(&field.r#type())) && !TELLING.contains(&field.field_id.as_str())
    });
    named.chain(other)
}

/// Ids of fields that say what a record is called, the best first.
const TELLING: [&str; 6] = ["name", "title", "email", "label", "subject", "full_name"];
/// A longer text is cut.
const CAPTION: usize = 80;

/// What a record is called by the ids of its fields alone.
pub(super) fn telling(record: &Record) -> Option<String> {
    let text = |id: &&str| values::text(value(record, id)).filter(|text| !text.trim().is_empty());
    TELLING.iter().find_map(text).map(clipped)
}

/// A record in a few words: what it is called, or its id.
pub(super) fn caption(of: Option<&ObjectType>, record: &Record) -> String {
    telling(record)
        .or_else(|| {
            let texts = calling(of?).map(|field| values::shown(field, value(record, &field.field_id)));
            texts
                .into_iter()
                .find(|text| !text.trim().is_empty())
                .map(|text| clipped(&text))
        })
        .unwrap_or_else(|| id_of(&record.name).to_owned())
}

/// The beginning of a long text.
pub(super) fn clipped(text: &str) -> String {
    if text.chars().count() <= CAPTION {
        return text.to_owned();
    }
    text.chars().take(CAPTION).chain(['…']).collect()
}

/// What a service says about a field of a record, in the form's words.
pub(super) fn named(of: &ObjectType, path: &str, text: &str) -> Option<Named> {
    let id = path.strip_prefix("record.fields.")?;
    let field = of.fields.iter().find(|field| field.field_id == id)?;
    let accepted = match field.r#type() {
        FieldType::Reference => format!("must be a record of {}", id_of(&field.reference_type)),
        FieldType::Timestamp => "must be a time, such as 2026-11-23 09:30".to_owned(),
        FieldType::Decimal => format!("must be a number with at most {} digits after the point", field.scale),
        FieldType::Bool => "must be yes or no".to_owned(),
        FieldType::Int64 => "must be a whole number".to_owned(),
        _ => text.to_owned(),
    };
    let text = match text.split_once("; it must be") {
        Some(_) => "is required".to_owned(),
        None if text.starts_with("must be") => accepted,
        None => text.to_owned(),
    };
    Some(Named {
        label: label(field).to_owned(),
        input: format!("f.{id}"),
        text,
    })
}

/// What a form says about a type's fields. For an update only what changed, with its mask.
///
/// # Errors
/// Every value that cannot be sent.
pub(super) async fn record(
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
        let text = sent(field, form);
        let read = match field.r#type() {
            FieldType::Reference if !text.trim().is_empty() => {
                let meant = references::meant(console, field, text.trim()).await;
                meant.and_then(|name| values::parse(field, &name))
            }
            _ => values::parse(field, text),
        };
        match read {
            Ok(value) if !changed_only && value == values::null() => {}
            Ok(value) => {
                fields.insert(field.field_id.clone(), value);
                mask.push(format!("fields.{}", field.field_id));
            }
            Err(text) => wrong.push((format!("record.fields.{}", field.field_id), text)),
        }
    }
    if let Some((field, text)) = wrong.first() {
        let mut trouble = console.wrong(field, text);
        trouble.violations = wrong;
        return Err(Box::new(trouble));
    }
    Ok((Struct { fields }, mask))
}

/// An id from a name: `First name` becomes `first_name`. It begins with a letter, as ids do; a name without any of ours
/// makes none.
pub(super) fn slug(name: &str) -> String {
    let mut out = String::new();
    for c in name.trim().to_ascii_lowercase().chars() {
        if c.is_ascii_digit() && out.is_empty() {
            out.push_str("n_");
        }
        if c.is_ascii_alphanumeric() {
            out.push(c);
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
        }
    }
    let short: String = out.chars().take(40).collect();
    short.trim_end_matches('_').to_owned()
}

/// The first of `field_1`, `field_2`, … that is not taken.
pub(super) fn numbered(kind: &str, is_taken: impl Fn(&str) -> bool) -> String {
    let mut ids = (1..).map(|n| format!("{kind}_{n}"));
    ids.find(|id| !is_taken(id)).unwrap_or_default()
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
    if bare { text.to_owned() } else { quoted(text) }
}

/// A text as a filter's literal.
pub(super) fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\n', "\\n").replace('\t', "\\t"))
}

/// A value of a record's field.
pub(super) fn value<'a>(record: &'a Record, field: &str) -> Option<&'a Value> {
    record.fields.as_ref().and_then(|fields| fields.fields.get(field))
}

/// Every input of a type with `text` in everything that people type, for tests of templates.
#[cfg(test)]
pub(super) fn sample(of: &ObjectType, text: &str) -> Vec<Input> {
    let one = |field: &Field| Input {
        found: vec![Choice::of(text, text, text)],
        search: text.to_owned(),
        search_by: text.to_owned(),
        see: text.to_owned(),
        see_label: text.to_owned(),
        wrong: text.to_owned(),
        ..one(field, text.to_owned(), text.to_owned())
    };
    of.fields.iter().map(one).collect()
}

#[cfg(test)]
#[path = "fields_test.rs"]
mod tests;

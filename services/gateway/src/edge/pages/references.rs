//! References in words: what the record is called that a field names, and which record somebody means who types a name.
//!
//! Services have no look-up of many records by name. A page asks for what it shows: the first records of a type that it
//! names often, and one by one, up to a bound, what is not among those.

use super::{
    console::{Console, id_of},
    fields, values,
};
use futures::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_api::business::{
    Field, FieldType, GetObjectTypeRequest, GetObjectTypeResponse, GetRecordRequest, GetRecordResponse,
    ListRecordsRequest, ListRecordsResponse, ObjectType, Record,
};
use tonic::Status;

/// References are offered as a list up to so many records; as many are asked for at once.
const OFFERED: i32 = 200;
/// Up to so many records of a type are asked for one by one without looking at its first ones.
const FEW: usize = 8;
/// So many records are asked for one by one at most; a reference beyond them shows its id.
const MOST: usize = 64;
/// So many at a time.
const AT_ONCE: usize = 8;
/// Found by what was typed, to choose from.
const FOUND: i32 = 20;

/// What records are called, by their names.
#[derive(Default)]
pub(super) struct Captions(BTreeMap<String, String>);

impl Captions {
    /// Of all these records. What cannot be had is left out: a page is not worse for it than with its id.
    pub(super) async fn of(console: &Console, names: BTreeSet<&str>) -> Self {
        let mut by_type: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &names {
            *by_type.entry(type_of(name)).or_default() += 1;
        }
        let often = by_type.iter().filter(|(_, count)| **count > FEW);
        let listed = join_all(often.map(|(of, _)| list(console, of, OFFERED, String::new()))).await;
        let mut records: Vec<Record> = listed.into_iter().flatten().flat_map(|answer| answer.records).collect();
        let known: BTreeSet<&str> = records.iter().map(|record| record.name.as_str()).collect();
        let missing: Vec<&str> = names.difference(&known).copied().take(MOST).collect();
        let mut found = Vec::new();
        for some in missing.chunks(AT_ONCE) {
            found.extend(join_all(some.iter().map(|name| get(console, name))).await);
        }
        records.extend(found.into_iter().flatten());
        records.retain(|record| names.contains(record.name.as_str()));
        Self(captioned(console, &records).await)
    }

    /// What a record is called, if that is known.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Types are asked for only where a record says too little without its own.
async fn captioned(console: &Console, records: &[Record]) -> BTreeMap<String, String> {
    let mute = records.iter().filter(|record| fields::telling(record).is_none());
    let types: BTreeSet<&str> = mute.map(|record| type_of(&record.name)).collect();
    let types = join_all(types.into_iter().map(|name| get_type(console, name))).await;
    let types: BTreeMap<String, ObjectType> = types.into_iter().flatten().map(|of| (of.name.clone(), of)).collect();
    let caption = |record: &Record| fields::caption(types.get(type_of(&record.name)), record);
    records
        .iter()
        .map(|record| (record.name.clone(), caption(record)))
        .collect()
}

/// `objectTypes/a` of `objectTypes/a/records/b`.
fn type_of(name: &str) -> &str {
    name.split_once("/records/").map_or("", |(of, _)| of)
}

/// The page of a record; `None` for what is no record's name.
pub(super) fn href(name: &str) -> Option<String> {
    let (of, record) = name.strip_prefix("objectTypes/")?.split_once("/records/")?;
    let is_plain =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    (is_plain(of) && is_plain(record)).then(|| format!("/types/{of}/records/{record}"))
}

async fn get(console: &Console, name: &str) -> Option<Record> {
    let question = GetRecordRequest { name: name.to_owned() };
    let answer: Result<GetRecordResponse, Status> = console
        .ask("/tenantry.business.v1.RecordService/GetRecord", &question)
        .await;
    answer.ok()?.record
}

async fn get_type(console: &Console, name: &str) -> Option<ObjectType> {
    let question = GetObjectTypeRequest { name: name.to_owned() };
    let answer: Result<GetObjectTypeResponse, Status> = console
        .ask("/tenantry.business.v1.ObjectTypeService/GetObjectType", &question)
        .await;
    answer.ok()?.object_type
}

async fn list(console: &Console, of: &str, size: i32, filter: String) -> Option<ListRecordsResponse> {
    let question = ListRecordsRequest {
        parent: of.to_owned(),
        page_size: size,
        filter,
        ..ListRecordsRequest::default()
    };
    let answer: Result<ListRecordsResponse, Status> = console
        .ask("/tenantry.business.v1.RecordService/ListRecords", &question)
        .await;
    answer.ok()
}

/// A record to choose: its name and what it is called.
pub(super) type Offer = (String, String);

async fn offers(console: &Console, records: &[Record]) -> Vec<Offer> {
    let captions = captioned(console, records).await;
    records
        .iter()
        .map(|record| {
            (
                record.name.clone(),
                captions.get(&record.name).cloned().unwrap_or_default(),
            )
        })
        .collect()
}

/// All records of the type a reference is to, if they are few.
pub(super) async fn offered(console: &Console, field: &Field) -> Vec<Offer> {
    match list(console, &field.reference_type, OFFERED, String::new()).await {
        Some(answer) if answer.next_page_token.is_empty() => offers(console, &answer.records).await,
        // There is another way to say which: see `meant`.
        _ => Vec::new(),
    }
}

/// The field by which records of a type are called and looked for: `None` where there is no such text.
async fn called_by(console: &Console, field: &Field) -> Option<Field> {
    let of = get_type(console, &field.reference_type).await?;
    fields::calling(&of)
        .find(|field| matches!(field.r#type(), FieldType::String | FieldType::Text))
        .cloned()
}

/// The id of the field by which records of the type are looked for; empty where there is none.
pub(super) async fn search_field(console: &Console, field: &Field) -> String {
    called_by(console, field)
        .await
        .map_or_else(String::new, |by| by.field_id)
}

/// Whether a text is a record's name or id, and which name that is.
pub(super) fn name_of(field: &Field, text: &str) -> Option<String> {
    let id = text
        .strip_prefix(field.reference_type.as_str())
        .and_then(|rest| rest.strip_prefix("/records/"))
        .unwrap_or(text);
    let is_id = id.len() == 36 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    is_id.then(|| format!("{}/records/{id}", field.reference_type))
}

/// The record that somebody means by what they typed: its id, or all of what it is called.
///
/// # Errors
/// What to do instead.
pub(super) async fn meant(console: &Console, field: &Field, text: &str) -> Result<String, String> {
    if let Some(name) = name_of(field, text) {
        return Ok(name);
    }
    let of = id_of(&field.reference_type);
    let Some(by) = called_by(console, field).await else {
        return Err(format!("must be the id of a record of {of}"));
    };
    let filter = format!("{} = {}", by.field_id, fields::quoted(text));
    let found = list(console, &field.reference_type, 2, filter)
        .await
        .unwrap_or_default();
    match found.records.as_slice() {
        [one] => Ok(one.name.clone()),
        [] => Err(format!(
            "no record of {of} is called “{text}”; choose one below, or type how its name begins"
        )),
        _ => Err(format!(
            "more than one record of {of} is called “{text}”; choose one below"
        )),
    }
}

/// Records whose name begins with what was typed, to choose from.
pub(super) async fn beginning(console: &Console, field: &Field, text: &str) -> Vec<Offer> {
    if text.is_empty() || name_of(field, text).is_some() {
        return Vec::new();
    }
    let Some(by) = called_by(console, field).await else {
        return Vec::new();
    };
    let found = list(console, &field.reference_type, FOUND, prefix(&by.field_id, text)).await;
    let mut offers = offers(console, &found.unwrap_or_default().records).await;
    // Two that are called the same are told apart by their ids.
    let calls: Vec<String> = offers.iter().map(|(_, caption)| caption.clone()).collect();
    for (name, caption) in &mut offers {
        if calls.iter().filter(|one| *one == caption).count() > 1 {
            *caption = format!("{caption} ({})", id_of(name));
        }
    }
    offers
}

/// Texts are ordered by code points, so whatever begins with a text lies between it and it with the last code point behind.
fn prefix(field: &str, text: &str) -> String {
    let last = format!("{text}\u{10ffff}");
    format!(
        "{field} >= {} AND {field} < {}",
        fields::quoted(text),
        fields::quoted(&last)
    )
}

/// The names that records hold in these fields.
pub(super) fn names<'a>(fields: impl Iterator<Item = &'a Field> + Clone, records: &'a [Record]) -> BTreeSet<&'a str> {
    let references = fields.filter(|field| field.r#type() == FieldType::Reference);
    records
        .iter()
        .flat_map(|record| {
            references
                .clone()
                .filter_map(|field| values::text(fields::value(record, &field.field_id)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_records_name_becomes_a_link() {
        let id = "01a2b3c4-0000-7000-8000-000000000001";
        assert_eq!(
            href(&format!("objectTypes/contacts/records/{id}")),
            Some(format!("/types/contacts/records/{id}"))
        );
        for no in [
            "",
            "https://evil.example",
            "objectTypes/a/records/b?c",
            "objectTypes/a/records/",
            "objectTypes/../records/b",
        ] {
            assert_eq!(href(no), None, "{no}");
        }
    }

    #[test]
    fn an_id_is_a_name_and_a_word_is_none() {
        let field = Field {
            reference_type: "objectTypes/contacts".into(),
            ..Field::default()
        };
        let id = "01a2b3c4-0000-7000-8000-000000000001";
        let name = format!("objectTypes/contacts/records/{id}");
        assert_eq!(name_of(&field, id), Some(name.clone()));
        assert_eq!(name_of(&field, &name), Some(name));
        assert_eq!(name_of(&field, "Zoe Kowalski"), None);
        assert_eq!(name_of(&field, &format!("objectTypes/others/records/{id}")), None);
    }

    #[test]
    fn what_begins_with_a_text_lies_between_two() {
        assert_eq!(
            prefix("name", "Zo\""),
            "name >= \"Zo\\\"\" AND name < \"Zo\\\"\u{10ffff}\""
        );
    }
}

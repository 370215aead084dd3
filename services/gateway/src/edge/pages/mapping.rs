//! Where the columns of a file go and how its texts are read: the form of an import, and what it asks of the service.

use super::{
    console::Form,
    definition::{KINDS, kind_label, kind_name, kind_of},
    fields,
    fields::Choice,
    remedies,
    remedies::Named,
    trouble::Trouble,
};
use chrono::{Datelike, NaiveDate};
use tenantry_api::business::{Field, FieldType, Import, ImportColumn, ObjectType, StartImportRequest};

/// Dates as people write them, each with an example. The first is what services read by themselves.
const DATES: &[(&str, &str)] = &[
    ("%Y-%m-%d", "2026-11-23"),
    ("%Y/%m/%d", "2026/11/23"),
    ("%Y.%m.%d", "2026.11.23"),
    ("%Y%m%d", "20261123"),
    ("%d.%m.%Y", "23.11.2026"),
    ("%d/%m/%Y", "23/11/2026"),
    ("%d-%m-%Y", "23-11-2026"),
    ("%m/%d/%Y", "11/23/2026"),
    ("%d.%m.%y", "23.11.26"),
    ("%m/%d/%y", "11/23/26"),
];
/// What a column of a new type can be: all that needs nothing but a name.
const MADE: &[&str] = &[
    "string",
    "text",
    "int64",
    "double",
    "bool",
    "date",
    "timestamp",
    "uuid",
    "json",
];

/// A column of the file and what becomes of it.
pub(super) struct Column {
    at: usize,
    pub(super) header: String,
    pub(super) samples: String,
    /// What its values look like.
    pub(super) kind: String,
    /// The fields it can go to, or for a new type what its field can be. The first leaves it out.
    pub(super) choices: Vec<Choice>,
    /// The id of the new field.
    pub(super) id: String,
    pub(super) wrong: String,
}

impl Column {
    /// The id of its input.
    pub(super) fn input(&self, part: &str) -> String {
        input(self.at, part)
    }
}

fn input(at: usize, part: &str) -> String {
    format!("{at}.{part}")
}

/// The form.
pub(super) struct Mapping {
    pub(super) columns: Vec<Column>,
    /// What of a column is chosen: `field`, or `kind` for a new type.
    pub(super) part: &'static str,
    pub(super) dates: Vec<Choice>,
    /// A pattern that is not in the list.
    pub(super) pattern: String,
    pub(super) empty: String,
    pub(super) offset: String,
}

impl Mapping {
    /// As it begins, or as it was sent; `into` is the type the rows go to, none for a new one.
    pub(super) fn of(import: &Import, into: Option<&ObjectType>, form: &Form, trouble: Option<&Trouble>) -> Self {
        let is_sent = form.has("mapped");
        let typed = |name: &str, otherwise: &str| {
            let text = if is_sent { form.trimmed(name) } else { otherwise };
            text.to_owned()
        };
        let guess = import.columns.iter().find_map(dated).unwrap_or(DATES[0].0);
        let date = typed("dates", guess);
        let column = |(at, column): (usize, &ImportColumn)| {
            let chosen = match into {
                Some(of) => typed(&input(at, "field"), target(of, column)),
                None => typed(&input(at, "kind"), &made(column)),
            };
            let wrong = ["field", "kind", "id"].map(|part| remedies::wrong(trouble, &input(at, part)));
            Column {
                at,
                header: column.header.clone(),
                samples: column.samples.iter().take(3).cloned().collect::<Vec<_>>().join(" · "),
                kind: kind_label(&kind_name(column.r#type())).to_owned(),
                choices: choices(into, &chosen),
                id: typed(&input(at, "id"), &column.field_id),
                wrong: wrong
                    .into_iter()
                    .find(|text| !text.is_empty())
                    .unwrap_or_default()
                    .to_owned(),
            }
        };
        Self {
            columns: import.columns.iter().enumerate().map(column).collect(),
            part: if into.is_some() { "field" } else { "kind" },
            dates: DATES
                .iter()
                .map(|(pattern, example)| Choice::of(pattern, example, &date))
                .collect(),
            pattern: typed("pattern", ""),
            empty: typed("empty", ""),
            offset: typed("offset", "+00:00"),
        }
    }
}

fn choices(into: Option<&ObjectType>, chosen: &str) -> Vec<Choice> {
    let mut choices = vec![Choice::of("", "leave out", chosen)];
    match into {
        Some(of) => choices.extend(of.fields.iter().map(|field| {
            let label = format!(
                "{} ({}{})",
                fields::label(field),
                kind_label(&kind_name(field.r#type())),
                if field.required { ", required" } else { "" }
            );
            Choice::of(&field.field_id, &label, chosen)
        })),
        None => {
            let kinds = KINDS.iter().filter(|(name, _)| MADE.contains(name));
            choices.extend(kinds.map(|(name, label)| Choice::of(name, label, chosen)));
        }
    }
    choices
}

/// The field of a type that a column is likely for.
fn target<'a>(of: &'a ObjectType, column: &ImportColumn) -> &'a str {
    let is_it = |field: &&Field| {
        field.field_id == column.field_id || fields::slug(fields::label(field)) == fields::slug(&column.header)
    };
    of.fields.iter().find(is_it).map_or("", |field| field.field_id.as_str())
}

/// What the field of a new type is likely to be: a text whose every sample is a date of one and the same format is a date.
fn made(column: &ImportColumn) -> String {
    match dated(column) {
        Some(_) => "date".to_owned(),
        None => kind_name(column.r#type()),
    }
}

/// The one format in which a column of texts holds dates.
fn dated(column: &ImportColumn) -> Option<&'static str> {
    if column.samples.is_empty() || !matches!(column.r#type(), FieldType::String | FieldType::Text) {
        return None;
    }
    let reads = |pattern: &str, text: &String| {
        // A pattern with four digits for the year reads two as the first century.
        NaiveDate::parse_from_str(text, pattern).is_ok_and(|date| date.year() >= 1000)
    };
    let mut fits = DATES
        .iter()
        .filter(|(pattern, _)| column.samples.iter().all(|text| reads(pattern, text)));
    match (fits.next(), fits.next()) {
        (Some((pattern, _)), None) => Some(pattern),
        // Day and month can be told apart by nobody: whoever imports says it.
        _ => None,
    }
}

/// What the form asks of the service.
pub(super) fn request(import: &Import, into: Option<&ObjectType>, form: &Form) -> StartImportRequest {
    // A program may send less: then everything is as inferred.
    if !form.has("mapped") {
        return StartImportRequest::default();
    }
    let column = |(at, own): (usize, &ImportColumn)| {
        let (field_id, kind) = match into {
            Some(of) => {
                let id = form.trimmed(&input(at, "field"));
                let field = of.fields.iter().find(|field| field.field_id == id);
                (id.to_owned(), field.map_or(own.r#type(), Field::r#type))
            }
            None => match kind_of(form.trimmed(&input(at, "kind"))) {
                Some(kind) => (new_id(form, at, own), kind),
                None => (String::new(), own.r#type()),
            },
        };
        ImportColumn {
            header: own.header.clone(),
            field_id,
            r#type: kind.into(),
            samples: Vec::new(),
        }
    };
    let chosen = match form.trimmed("pattern") {
        "" => form.trimmed("dates"),
        pattern => pattern,
    };
    let mut date_formats: Vec<String> = vec![chosen.to_owned()];
    // Columns that were understood without a format are still read.
    if chosen != DATES[0].0 {
        date_formats.push(DATES[0].0.to_owned());
    }
    date_formats.retain(|pattern| !pattern.is_empty());
    StartImportRequest {
        columns: import.columns.iter().enumerate().map(column).collect(),
        null_values: texts(form.trimmed("empty")),
        date_formats,
        timezone_offset: form.trimmed("offset").to_owned(),
        ..StartImportRequest::default()
    }
}

fn new_id(form: &Form, at: usize, own: &ImportColumn) -> String {
    match form.trimmed(&input(at, "id")) {
        "" => own.field_id.clone(),
        id => id.to_owned(),
    }
}

fn texts(text: &str) -> Vec<String> {
    let texts = text.split(',').map(str::trim);
    texts.filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// What the service says about a start, in the form's words.
pub(super) fn named(asked: &StartImportRequest, path: &str, text: &str) -> Option<Named> {
    let known = match path {
        "object_type" | "object_type.name" => Some(("Id of the new type", "new_type")),
        "null_values" => Some(("Texts that mean empty", "empty")),
        "date_formats" => Some(("Dates are written", "pattern")),
        "timezone_offset" => Some(("Times without an offset", "offset")),
        "columns" | "object_type.fields" => Some(("Columns", "0.field")),
        _ => None,
    };
    let (label, input, text) = match known {
        // Fields are told by their ids there, which the form shows in its lists.
        Some((label, id)) => (
            label.to_owned(),
            id.to_owned(),
            text.split(". Leave field_id").next().unwrap_or(text),
        ),
        None => {
            let (list, rest) = path.split_once('[')?;
            let (at, part) = rest.split_once(']')?;
            let mut at: usize = at.parse().ok()?;
            if list == "object_type.fields" {
                // Of the columns that are not left out.
                let kept = asked
                    .columns
                    .iter()
                    .enumerate()
                    .filter(|(_, column)| !column.field_id.is_empty());
                at = kept.map(|(at, _)| at).nth(at)?;
            } else if list != "columns" {
                return None;
            }
            let header = &asked.columns.get(at)?.header;
            let part = match part {
                ".type" => "kind",
                _ if asked.create_type => "id",
                _ => "field",
            };
            (format!("Column “{header}”"), input(at, part), text)
        }
    };
    let text = text.split_once("where the type ").map_or(text, |(_, shape)| shape);
    Some(Named {
        label,
        input,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(header: &str, kind: FieldType, samples: &[&str]) -> ImportColumn {
        ImportColumn {
            header: header.into(),
            field_id: fields::slug(header),
            r#type: kind.into(),
            samples: samples.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    fn form(pairs: &[(&str, &str)]) -> Form {
        Form(
            pairs
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    fn chosen(choices: &[Choice]) -> &str {
        choices
            .iter()
            .find(|one| one.chosen)
            .map_or("", |one| one.value.as_str())
    }

    #[test]
    fn the_weather_of_the_examples_has_dates() {
        let file = Import {
            columns: vec![
                column("date", FieldType::String, &["2012/01/01", "2012/01/02", "2012/01/03"]),
                column("precipitation", FieldType::Double, &["0.0"]),
            ],
            ..Import::default()
        };
        let mapping = Mapping::of(&file, None, &Form::default(), None);
        assert_eq!(chosen(&mapping.columns[0].choices), "date");
        assert_eq!(chosen(&mapping.columns[1].choices), "double");
        assert_eq!(chosen(&mapping.dates), "%Y/%m/%d");
        let sent = form(&[
            ("mapped", "1"),
            ("0.kind", "date"),
            ("0.id", "day"),
            ("1.kind", ""),
            ("dates", "%Y/%m/%d"),
            ("empty", "NA, n/a"),
            ("offset", "+02:00"),
        ]);
        let asked = request(&file, None, &sent);
        assert_eq!(
            (asked.columns[0].field_id.as_str(), asked.columns[0].r#type()),
            ("day", FieldType::Date)
        );
        assert_eq!(asked.columns[1].field_id, "", "left out");
        assert_eq!(asked.date_formats, ["%Y/%m/%d", "%Y-%m-%d"]);
        assert_eq!(asked.null_values, ["NA", "n/a"]);
        assert_eq!(asked.timezone_offset, "+02:00");
        assert!(request(&file, None, &Form::default()).columns.is_empty());
    }

    #[test]
    fn only_what_can_mean_one_day_is_taken_for_a_date() {
        let guess = |samples: &[&str]| dated(&column("x", FieldType::String, samples));
        assert_eq!(guess(&["23.11.2026", "01.02.2026"]), Some("%d.%m.%Y"));
        assert_eq!(guess(&["23.11.26"]), Some("%d.%m.%y"));
        assert_eq!(guess(&["11/23/2026"]), Some("%m/%d/%Y"));
        assert_eq!(
            guess(&["01/02/2026"]),
            None,
            "the first of February or the second of January"
        );
        assert_eq!(guess(&["2026/11/23", "later"]), None);
        assert_eq!(guess(&[]), None);
        assert_eq!(
            dated(&column("x", FieldType::Int64, &["20261123"])),
            None,
            "a number is a number"
        );
    }

    #[test]
    fn columns_go_to_fields_of_their_name() {
        let of = ObjectType {
            fields: vec![
                Field {
                    field_id: "title".into(),
                    display_name: "Full title".into(),
                    ..Field::default()
                },
                Field {
                    field_id: "due".into(),
                    r#type: FieldType::Date.into(),
                    ..Field::default()
                },
            ],
            ..ObjectType::default()
        };
        let file = Import {
            columns: vec![
                column("Full Title", FieldType::String, &[]),
                column("due", FieldType::String, &[]),
                column("other", FieldType::String, &[]),
            ],
            ..Import::default()
        };
        let mapping = Mapping::of(&file, Some(&of), &Form::default(), None);
        let goes: Vec<&str> = mapping.columns.iter().map(|column| chosen(&column.choices)).collect();
        assert_eq!(goes, ["title", "due", ""]);
        let sent = form(&[
            ("mapped", "1"),
            ("0.field", ""),
            ("1.field", "due"),
            ("2.field", "title"),
        ]);
        let again = Mapping::of(&file, Some(&of), &sent, None);
        let goes: Vec<&str> = again.columns.iter().map(|column| chosen(&column.choices)).collect();
        assert_eq!(goes, ["", "due", "title"], "what was chosen stays");
        let asked = request(&file, Some(&of), &sent);
        assert_eq!(asked.columns[1].r#type(), FieldType::Date, "the field's own type");
        let said = named(&asked, "columns[2].field_id", "two columns go to title").expect("known");
        assert_eq!(
            (said.label.as_str(), said.input.as_str()),
            ("Column “other”", "2.field")
        );
    }

    #[test]
    fn a_refused_field_is_the_column_it_came_from() {
        let asked = StartImportRequest {
            create_type: true,
            columns: vec![
                column("", FieldType::String, &[]),
                column("Bad", FieldType::String, &[]),
            ],
            ..StartImportRequest::default()
        };
        let said = named(&asked, "object_type.fields[0].field_id", "x").expect("known");
        assert_eq!((said.label.as_str(), said.input.as_str()), ("Column “Bad”", "1.id"));
        let said = named(
            &asked,
            "object_type.name",
            "must be objectTypes/{type}, where the type must be short",
        )
        .expect("known");
        assert_eq!((said.input.as_str(), said.text.as_str()), ("new_type", "must be short"));
        assert!(named(&asked, "line 3", "x").is_none());
    }
}

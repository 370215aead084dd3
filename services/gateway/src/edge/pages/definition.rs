//! The rows with which a type gets its fields: one input for each meaning, and every row that cannot be read is refused
//! where it stands.

use super::{
    console::{Console, Form, Trouble},
    fields,
    remedies::Named,
    values,
};
use tenantry_api::business::{Field, FieldType};

/// Most rows a form is given.
pub(super) const MOST_ROWS: usize = 100;
/// Types as they are offered, the usual first.
pub(super) const KINDS: &[(&str, &str)] = &[
    ("string", "text, one line"),
    ("text", "text, many lines"),
    ("int64", "whole number"),
    ("decimal", "decimal"),
    ("double", "number"),
    ("bool", "yes or no"),
    ("date", "date"),
    ("timestamp", "time"),
    ("enum", "one of a list"),
    ("reference", "reference"),
    ("uuid", "UUID"),
    ("json", "JSON"),
];

/// A type's name for people.
pub(super) fn kind_label(kind: &str) -> &str {
    KINDS
        .iter()
        .find(|(name, _)| *name == kind)
        .map_or(kind, |(_, label)| *label)
}

/// The name a form gives a type.
pub(super) fn kind_name(kind: FieldType) -> String {
    kind.as_str_name()
        .trim_start_matches("FIELD_TYPE_")
        .to_ascii_lowercase()
}

/// The type that a form names.
pub(super) fn kind_of(name: &str) -> Option<FieldType> {
    let known = KINDS.iter().any(|(kind, _)| *kind == name);
    let kind = FieldType::from_str_name(&format!("FIELD_TYPE_{}", name.to_ascii_uppercase()));
    kind.filter(|_| known)
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
    /// Of a list.
    pub(super) values: String,
    /// The type a reference is to.
    pub(super) target: String,
    /// Behind the point of a decimal.
    pub(super) digits: String,
    /// Of a text.
    pub(super) length: String,
    pub(super) default: String,
    /// What is wrong, by the part of the row.
    wrong: Vec<(String, String)>,
}

impl Row {
    /// What is wrong with an input of the row.
    pub(super) fn wrong(&self, part: &str) -> &str {
        let found = self.wrong.iter().find(|(one, _)| one == part);
        found.map_or("", |(_, text)| text.as_str())
    }

    /// Whether it says nothing.
    fn is_empty(&self) -> bool {
        let texts = [
            &self.id,
            &self.name,
            &self.values,
            &self.digits,
            &self.length,
            &self.default,
        ];
        texts.iter().all(|text| text.is_empty())
    }

    /// The field it stands for, and what of it cannot be read.
    fn field(&self, id: String) -> (Field, Vec<(&'static str, String)>) {
        let kind = kind_of(&self.kind).unwrap_or(FieldType::String);
        let mut wrong = Vec::new();
        let mut field = Field {
            field_id: id,
            r#type: kind.into(),
            required: self.required,
            unique: self.unique,
            indexed: self.indexed,
            display_name: self.name.clone(),
            ..Field::default()
        };
        let is_text = matches!(kind, FieldType::String | FieldType::Text);
        for (part, text, fits, whose) in [
            ("values", &self.values, kind == FieldType::Enum, "“one of a list”"),
            ("target", &self.target, kind == FieldType::Reference, "“reference”"),
            ("digits", &self.digits, kind == FieldType::Decimal, "“decimal”"),
            ("length", &self.length, is_text, "texts"),
        ] {
            if !text.is_empty() && !fits {
                wrong.push((part, format!("is only for {whose}; empty it, or choose that type")));
            }
        }
        match kind {
            FieldType::Enum => field.enum_values = list(&self.values),
            FieldType::Reference => field.reference_type = format!("objectTypes/{}", self.target),
            FieldType::Decimal => field.scale = whole(&self.digits, 2, 0..=9, "digits", &mut wrong),
            FieldType::String | FieldType::Text => {
                field.max_length = whole(&self.length, 0, 1..=100_000, "length", &mut wrong);
            }
            _ => {}
        }
        if kind == FieldType::Enum && field.enum_values.is_empty() {
            wrong.push(("values", "needs at least one value".to_owned()));
        }
        if kind == FieldType::Reference && self.target.is_empty() {
            wrong.push(("target", "is needed: the type whose records it refers to".to_owned()));
        }
        if !self.default.is_empty() {
            match values::parse(&field, &self.default) {
                Ok(value) => field.default_value = Some(value),
                Err(text) => wrong.push(("default", text)),
            }
        }
        (field, wrong)
    }
}

fn list(text: &str) -> Vec<String> {
    let values = text.split([',', '\n']).map(str::trim);
    values.filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

fn whole(
    text: &str,
    otherwise: i32,
    accepted: std::ops::RangeInclusive<i32>,
    part: &'static str,
    wrong: &mut Vec<(&'static str, String)>,
) -> i32 {
    if text.is_empty() {
        return otherwise;
    }
    let number = text.parse().ok().filter(|number| accepted.contains(number));
    if number.is_none() {
        let (least, most) = accepted.into_inner();
        wrong.push((part, format!("must be a whole number from {least} to {most}")));
    }
    number.unwrap_or(otherwise)
}

/// The rows of a form, at least `least`, with what is wrong in each.
pub(super) fn rows(form: &Form, least: usize, trouble: Option<&Trouble>) -> Vec<Row> {
    let sent = form.text("rows").parse::<usize>().unwrap_or_default();
    (0..sent.max(least).min(MOST_ROWS))
        .map(|at| {
            let text = |name: &str| form.trimmed(&format!("{at}.{name}")).to_owned();
            let parts = [
                "name", "id", "kind", "values", "target", "digits", "length", "default", "required", "unique",
                "indexed",
            ];
            let wrong = parts.iter().map(|part| {
                let text = super::remedies::wrong(trouble, &format!("{at}.{part}"));
                ((*part).to_owned(), text.to_owned())
            });
            Row {
                at,
                id: text("id"),
                name: text("name"),
                kind: text("kind"),
                required: form.has(&format!("{at}.required")),
                unique: form.has(&format!("{at}.unique")),
                indexed: form.has(&format!("{at}.indexed")),
                values: text("values"),
                target: text("target"),
                digits: text("digits"),
                length: text("length"),
                default: text("default"),
                wrong: wrong.filter(|(_, text)| !text.is_empty()).collect(),
            }
        })
        .collect()
}

/// The fields of the filled rows, each with its row.
#[derive(Debug, Default)]
pub(super) struct Added {
    pub(super) fields: Vec<Field>,
    rows: Vec<usize>,
    /// So many fields stand before them in what is sent.
    before: usize,
}

impl Added {
    /// What a service says about one of them, in the form's words.
    pub(super) fn named(&self, path: &str, text: &str) -> Option<Named> {
        let rest = path.strip_prefix("object_type.fields")?;
        let (row, part) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (at, part) = rest.split_once(']')?;
                let at = at.parse::<usize>().ok()?.checked_sub(self.before)?;
                (self.rows.get(at)?, part.strip_prefix('.').unwrap_or("field_id"))
            }
            None => {
                let (id, part) = rest.strip_prefix('.')?.split_once('.')?;
                let at = self.fields.iter().position(|field| field.field_id == id)?;
                (self.rows.get(at)?, part)
            }
        };
        let (part, label) = match part {
            "field_id" => ("id", "Id"),
            "display_name" => ("name", "Name"),
            "type" => ("kind", "Type"),
            "enum_values" => ("values", "Values"),
            "reference_type" => ("target", "Refers to"),
            "scale" => ("digits", "Digits"),
            "max_length" => ("length", "Most characters"),
            "default_value" => ("default", "Default"),
            "unique" => ("unique", "unique"),
            "indexed" => ("indexed", "indexed"),
            "required" => ("required", "required"),
            _ => return None,
        };
        let text = match part {
            "values" => "must be 1 to 100 different values of 1 to 100 characters each",
            "target" => "is no type that is there",
            "unique" | "indexed" => "needs “Most characters” of at most 500 for a text, and is not for JSON",
            "required" => "is for fields with a default: records that are there already have no value",
            _ => text,
        };
        Some(Named {
            label: format!("Field {}: {label}", row + 1),
            input: format!("{row}.{part}"),
            text: text.to_owned(),
        })
    }
}

/// What the filled rows add to the fields that are there.
///
/// # Errors
/// Everything in them that cannot be read.
pub(super) fn added(console: &Console, form: &Form, present: &[Field]) -> Result<Added, Box<Trouble>> {
    let (added, wrong) = read(form, present);
    let Some((path, text)) = wrong.first() else {
        return Ok(added);
    };
    let mut trouble = console.wrong(path, text);
    trouble.violations.clone_from(&wrong);
    Err(Box::new(trouble.named(|path, text| {
        // These are texts of ours already.
        added.named(path, text).map(|named| Named {
            text: text.to_owned(),
            ..named
        })
    })))
}

fn read(form: &Form, present: &[Field]) -> (Added, Vec<(String, String)>) {
    let rows: Vec<Row> = rows(form, 0, None).into_iter().filter(|row| !row.is_empty()).collect();
    let mut added = Added {
        before: present.len(),
        ..Added::default()
    };
    let mut wrong = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let id = match (row.id.as_str(), fields::slug(&row.name)) {
            ("", slug) if slug.is_empty() => fields::numbered("field", |id| {
                let taken = present.iter().chain(&added.fields).any(|field| field.field_id == id);
                taken || rows.iter().any(|other| other.id == id)
            }),
            ("", slug) => slug,
            (id, _) => id.to_owned(),
        };
        let (field, unread) = row.field(id);
        for (part, text) in unread {
            let part = match part {
                "values" => "enum_values",
                "target" => "reference_type",
                "digits" => "scale",
                "length" => "max_length",
                _ => "default_value",
            };
            wrong.push((format!("object_type.fields[{}].{part}", present.len() + at), text));
        }
        added.rows.push(row.at);
        added.fields.push(field);
    }
    (added, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> Form {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Form(pairs.collect())
    }

    #[test]
    fn rows_become_fields() {
        let form = form(&[
            ("rows", "6"),
            ("0.name", "First name"),
            ("0.kind", "string"),
            ("0.required", "on"),
            ("0.length", "20"),
            ("2.id", "status"),
            ("2.kind", "enum"),
            ("2.values", "open, closed,"),
            ("2.default", "open"),
            ("3.name", "氏名"),
            ("3.kind", "string"),
            ("4.name", "Cost"),
            ("4.kind", "decimal"),
            ("4.digits", "0"),
        ]);
        let present = [Field {
            field_id: "field_1".into(),
            ..Field::default()
        }];
        let (added, wrong) = read(&form, &present);
        assert_eq!(wrong, []);
        let fields = &added.fields;
        assert_eq!(
            fields.iter().map(|field| field.field_id.as_str()).collect::<Vec<_>>(),
            ["first_name", "status", "field_2", "cost"]
        );
        assert_eq!((fields[0].required, fields[0].max_length), (true, 20));
        assert_eq!(fields[1].enum_values, ["open", "closed"]);
        assert_eq!(values::text(fields[1].default_value.as_ref()), Some("open"));
        assert_eq!(fields[3].scale, 0);
        assert_eq!(
            rows(&Form(vec![("rows".into(), "999999".into())]), 1, None).len(),
            MOST_ROWS
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_not_guessed() {
        for (kind, part, text, path) in [
            ("decimal", "digits", "two", "scale"),
            ("decimal", "digits", "10", "scale"),
            ("decimal", "values", "2", "enum_values"),
            ("string", "length", "-1", "max_length"),
            ("string", "digits", "2", "scale"),
            ("bool", "length", "5", "max_length"),
            ("enum", "values", " , ", "enum_values"),
            ("enum", "target", "contacts", "reference_type"),
            ("reference", "target", "", "reference_type"),
            ("int64", "default", "many", "default_value"),
            ("json", "default", "9007199254740993", "default_value"),
        ] {
            let row = form(&[
                ("rows", "1"),
                ("0.name", "X"),
                ("0.kind", kind),
                (&format!("0.{part}"), text),
            ]);
            let (_, wrong) = read(&row, &[]);
            assert!(
                wrong
                    .iter()
                    .any(|(at, _)| *at == format!("object_type.fields[0].{path}")),
                "{kind} with {part} {text:?}: {wrong:?}"
            );
        }
    }

    #[test]
    fn a_path_of_the_service_leads_to_its_row() {
        let form = form(&[
            ("rows", "4"),
            ("1.name", "A"),
            ("3.name", "B"),
            ("3.kind", "reference"),
            ("3.target", "x"),
        ]);
        let (added, _) = read(&form, &[Field::default(), Field::default()]);
        let named = |path: &str| added.named(path, "must be").map(|named| (named.label, named.input));
        assert_eq!(
            named("object_type.fields[3].field_id"),
            Some(("Field 4: Id".into(), "3.id".into()))
        );
        assert_eq!(
            named("object_type.fields[2]"),
            Some(("Field 2: Id".into(), "1.id".into()))
        );
        assert_eq!(
            named("object_type.fields.b.reference_type"),
            Some(("Field 4: Refers to".into(), "3.target".into()))
        );
        assert_eq!(
            named("object_type.fields[0].field_id"),
            None,
            "one that was there before"
        );
        assert_eq!(named("object_type.name"), None);
    }
}

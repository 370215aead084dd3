//! The simple filter: one comparison by the type of its field, added to the filter as text. It takes what the grid shows.

use super::{
    console::{Console, address},
    fields,
    fields::Choice,
    references, types, values,
};
use chrono::{DateTime, SecondsFormat, Utc};
use tenantry_api::business::{Field, FieldType, ObjectType};

type Ops = &'static [(&'static str, &'static str)];

const SAME: Ops = &[("=", "equal to"), ("!=", "not")];
const ORDERED: Ops = &[
    ("=", "equal to"),
    ("!=", "not"),
    ("<", "less than"),
    ("<=", "at most"),
    (">", "more than"),
    (">=", "at least"),
];
/// A shown time stands for a minute: what is not in it would be two comparisons with an OR between them.
const TIMES: Ops = &[
    ("=", "at"),
    ("<", "before"),
    ("<=", "until"),
    (">", "after"),
    (">=", "from"),
];
const PRESENCE: Ops = &[("empty", "empty"), ("filled", "not empty")];

/// The two inputs behind the field: how it is compared, and with what.
pub(super) struct Control {
    pub(super) id: String,
    pub(super) label: String,
    /// `text`, `number`, `date`, `select`.
    pub(super) kind: &'static str,
    pub(super) hint: &'static str,
    pub(super) ops: Vec<Choice>,
    pub(super) options: Vec<Choice>,
    pub(super) value: String,
}

/// The form, as it was sent or as it begins.
pub(super) struct SimpleFilter {
    /// Of the field that is chosen.
    pub(super) control: Control,
    /// Of the other fields, for the script.
    pub(super) others: Vec<Control>,
    /// What is wrong with the value.
    pub(super) wrong: String,
}

impl SimpleFilter {
    pub(super) fn of(console: &Console, of: &ObjectType, wrong: String) -> Option<Self> {
        let mut controls: Vec<Control> = comparable(of).map(|field| control(&field, "", "")).collect();
        let at = controls
            .iter()
            .position(|one| one.id == console.parameter("field"))
            .unwrap_or(0);
        if controls.is_empty() {
            return None;
        }
        let mut chosen = controls.remove(at);
        if let Some(field) = comparable(of).nth(at) {
            chosen = control(&field, console.parameter("op"), console.parameter("value"));
        }
        Some(Self {
            control: chosen,
            others: controls,
            wrong,
        })
    }
}

#[cfg(test)]
impl SimpleFilter {
    /// With `text` in everything that people type, for tests of templates.
    pub(super) fn sample(of: &ObjectType, text: &str) -> Option<Self> {
        let mut controls = comparable(of).map(|field| control(&field, text, text));
        Some(Self {
            control: controls.next()?,
            others: controls.collect(),
            wrong: text.to_owned(),
        })
    }
}

/// What can be compared: the fields in their order, and the times that every record has.
fn comparable(of: &ObjectType) -> impl Iterator<Item = Field> {
    let time = |id: &str, label: &str| Field {
        field_id: id.to_owned(),
        display_name: label.to_owned(),
        r#type: FieldType::Timestamp.into(),
        required: true,
        ..Field::default()
    };
    let own = of.fields.iter().filter(|field| fields::is_comparable(field)).cloned();
    own.chain([time("create_time", "made at"), time("update_time", "changed at")])
}

fn control(field: &Field, op: &str, value: &str) -> Control {
    let (ops, kind, hint) = match field.r#type() {
        FieldType::Bool | FieldType::Enum => (SAME, "select", ""),
        FieldType::Reference => (SAME, "text", "What the record is called, or its id."),
        FieldType::Uuid => (SAME, "text", ""),
        FieldType::Timestamp => (TIMES, "text", "In UTC: 2026-11-23 09:30, or a whole day: 2026-11-23."),
        FieldType::Date => (ORDERED, "date", ""),
        FieldType::Int64 | FieldType::Double | FieldType::Decimal => (ORDERED, "number", ""),
        _ => (ORDERED, "text", ""),
    };
    let presence = if field.required { &[] } else { PRESENCE };
    let mut options = fields::options(field, value);
    if !options.is_empty() && !field.required {
        options.insert(0, Choice::of("", "–", value));
    }
    Control {
        id: field.field_id.clone(),
        label: fields::label(field).to_owned(),
        kind,
        hint,
        ops: ops
            .iter()
            .chain(presence)
            .map(|(name, label)| Choice::of(name, label, op))
            .collect(),
        options,
        value: value.to_owned(),
    }
}

/// Whether the simple form was sent, and not only another field chosen.
pub(super) fn is_sent(console: &Console) -> bool {
    !console.parameter("field").is_empty() && console.parameter("pick").is_empty()
}

/// The list under the filter with the form's comparison added.
///
/// # Errors
/// What is wrong with the value.
pub(super) async fn added(console: &Console, of: &ObjectType) -> Result<String, String> {
    let id = console.parameter("field");
    let field = comparable(of).find(|field| field.field_id == id);
    let field = field.ok_or("choose one of the fields")?;
    let (op, mut text) = (console.parameter("op"), console.parameter("value").trim().to_owned());
    if field.r#type() == FieldType::Reference && !text.is_empty() && !matches!(op, "empty" | "filled") {
        text = references::meant(console, &field, &text).await?;
    }
    let comparison = comparison(&field, op, &text)?;
    let filter = match console.parameter("filter").trim() {
        "" => comparison,
        present => format!("{present} AND {comparison}"),
    };
    let order = console.parameter("order");
    Ok(address(
        &format!("{}/records", types::at(console)),
        &[("filter", &filter), ("order", order)],
    ))
}

/// A comparison as a filter has it.
fn comparison(field: &Field, op: &str, text: &str) -> Result<String, String> {
    let id = field.field_id.as_str();
    match (op, text) {
        ("empty", _) | ("=", "") if !field.required => return Ok(format!("{id} = null")),
        ("filled", _) | ("!=", "") if !field.required => return Ok(format!("{id} != null")),
        (_, "") => return Err("is needed: with what is the field compared?".to_owned()),
        _ => {}
    }
    if field.r#type() == FieldType::Timestamp {
        return times(id, op, text);
    }
    let known = ORDERED.iter().find(|(one, _)| *one == op).map_or("=", |(one, _)| *one);
    let is_ordered = !matches!(
        field.r#type(),
        FieldType::Bool | FieldType::Enum | FieldType::Uuid | FieldType::Reference
    );
    if !is_ordered && !matches!(known, "=" | "!=") {
        return Err("is only equal or not for this field".to_owned());
    }
    let literal = match field.r#type() {
        FieldType::Enum if !field.enum_values.iter().any(|one| one == text) => {
            return Err(format!("must be one of {}", field.enum_values.join(", ")));
        }
        FieldType::Date if chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_err() => {
            return Err("must be a date, such as 2026-11-23".to_owned());
        }
        FieldType::Decimal if text.parse::<f64>().is_err() => return Err("must be a number, such as 1.5".to_owned()),
        FieldType::String | FieldType::Text => fields::quoted(text),
        _ => fields::literal(Some(field), &values::raw(Some(&values::parse(field, text)?))),
    };
    Ok(format!("{id} {known} {literal}"))
}

fn times(id: &str, op: &str, text: &str) -> Result<String, String> {
    let (from, until) =
        values::span(text).ok_or("must be a time, such as 2026-11-23 09:30, or a day, such as 2026-11-23")?;
    let at = |at: DateTime<Utc>| format!("\"{}\"", at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let (from, until) = (at(from), at(until));
    Ok(match op {
        "<" => format!("{id} < {from}"),
        "<=" => format!("{id} < {until}"),
        ">" => format!("{id} >= {until}"),
        ">=" => format!("{id} >= {from}"),
        "!=" => return Err("is a whole minute or day: choose before or after it".to_owned()),
        _ => format!("{id} >= {from} AND {id} < {until}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldType) -> Field {
        Field {
            field_id: "x".into(),
            r#type: kind.into(),
            enum_values: vec!["open".into(), "two words".into()],
            ..Field::default()
        }
    }

    #[test]
    fn what_the_grid_shows_is_accepted() {
        for (kind, op, text, wanted) in [
            (FieldType::Bool, "=", "yes", "x = true"),
            (FieldType::Bool, "!=", "no", "x != false"),
            (FieldType::Enum, "=", "two words", "x = \"two words\""),
            (FieldType::Date, ">=", "2026-06-01", "x >= \"2026-06-01\""),
            (FieldType::Decimal, "<", "3364.20", "x < 3364.20"),
            (FieldType::Int64, "=", "-5", "x = -5"),
            (FieldType::String, "=", "a \"b\"", "x = \"a \\\"b\\\"\""),
            (FieldType::String, "=", "null", "x = \"null\""),
            (FieldType::Int64, "=", "", "x = null"),
            (FieldType::Timestamp, "filled", "", "x != null"),
            (
                FieldType::Timestamp,
                "=",
                "2026-06-01 09:25 UTC",
                "x >= \"2026-06-01T09:25:00Z\" AND x < \"2026-06-01T09:26:00Z\"",
            ),
            (FieldType::Timestamp, "<=", "2026-06-01", "x < \"2026-06-02T00:00:00Z\""),
            (
                FieldType::Timestamp,
                ">",
                "2026-06-01T09:25",
                "x >= \"2026-06-01T09:26:00Z\"",
            ),
        ] {
            assert_eq!(
                comparison(&field(kind), op, text).as_deref(),
                Ok(wanted),
                "{kind:?} {op} {text}"
            );
        }
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        for (kind, op, text) in [
            (FieldType::Bool, "=", "maybe"),
            (FieldType::Bool, "<", "yes"),
            (FieldType::Enum, "=", "closed"),
            (FieldType::Date, "=", "yesterday"),
            (FieldType::Timestamp, "=", "soon"),
            (FieldType::Timestamp, "!=", "2026-06-01"),
            (FieldType::Int64, "=", "1 AND y = 2"),
            (FieldType::Int64, "<", ""),
        ] {
            assert!(comparison(&field(kind), op, text).is_err(), "{kind:?} {op} {text}");
        }
    }

    #[test]
    fn every_field_but_json_is_offered_and_the_times_too() {
        let of = ObjectType {
            fields: (0..30)
                .map(|n| Field {
                    field_id: format!("f{n}"),
                    r#type: if n == 3 { FieldType::Json } else { FieldType::String }.into(),
                    ..Field::default()
                })
                .collect(),
            ..ObjectType::default()
        };
        let ids: Vec<String> = comparable(&of).map(|field| field.field_id).collect();
        assert_eq!(ids.len(), 31);
        assert!(
            !ids.contains(&"f3".to_owned())
                && ids.contains(&"f29".to_owned())
                && ids.contains(&"update_time".to_owned())
        );
    }
}

//! Values of fields between a form's text and the API's JSON. What is wrong with a value is said by the service; here only
//! what cannot be sent at all is refused.

use super::console::id_of;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, Timelike, Utc};
use prost_types::{ListValue, Struct, Value, value::Kind};
use tenantry_api::business::{Field, FieldType};

/// Integers up to here are exact as a JSON number.
const EXACT: i64 = 1 << 53;

/// A value of a field as people read it. A reference has its record's name beside it (see [`super::references`]); alone it
/// is the record's id.
pub(super) fn shown(field: &Field, value: Option<&Value>) -> String {
    match (field.r#type(), text(value)) {
        (FieldType::Timestamp, Some(text)) => {
            DateTime::parse_from_rfc3339(text).map_or_else(|_| text.to_owned(), |at| moment(at.with_timezone(&Utc)))
        }
        (FieldType::Reference, Some(name)) => id_of(name).to_owned(),
        _ => plain_text(value),
    }
}

/// The text that a value is, if it is one.
pub(super) fn text(value: Option<&Value>) -> Option<&str> {
    match &value?.kind {
        Some(Kind::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// A time for people, as exact as it is.
fn moment(at: DateTime<Utc>) -> String {
    let pattern = match (at.second(), at.nanosecond()) {
        (0, 0) => "%Y-%m-%d %H:%M UTC",
        (_, 0) => "%Y-%m-%d %H:%M:%S UTC",
        _ => "%Y-%m-%d %H:%M:%S%.f UTC",
    };
    at.format(pattern).to_string()
}

fn plain_text(value: Option<&Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        None | Some(Kind::NullValue(_)) => String::new(),
        Some(Kind::BoolValue(true)) => "yes".to_owned(),
        Some(Kind::BoolValue(false)) => "no".to_owned(),
        Some(Kind::StringValue(text)) => text.clone(),
        Some(Kind::NumberValue(number)) => plain(*number),
        Some(Kind::StructValue(_) | Kind::ListValue(_)) => value.map(json).unwrap_or_default().to_string(),
    }
}

/// A value as a program would read it.
pub(super) fn raw(value: Option<&Value>) -> String {
    match value.and_then(|value| value.kind.as_ref()) {
        Some(Kind::BoolValue(flag)) => flag.to_string(),
        _ => plain_text(value),
    }
}

fn plain(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
    if number.fract() == 0.0 && number.abs() < 9e15 {
        (number as i64).to_string()
    } else {
        number.to_string()
    }
}

/// A value as a field's input holds it.
pub(super) fn input(field: &Field, value: Option<&Value>) -> String {
    match field.r#type() {
        FieldType::Timestamp => DateTime::parse_from_rfc3339(&raw(value))
            .map(|at| at.with_timezone(&Utc).format("%Y-%m-%dT%H:%M:%S").to_string())
            .unwrap_or_default(),
        FieldType::Json => match value {
            Some(value) if !matches!(value.kind, None | Some(Kind::NullValue(_))) => {
                serde_json::to_string_pretty(&json(value)).unwrap_or_default()
            }
            _ => String::new(),
        },
        _ => raw(value),
    }
}

/// What an input's text stands for; an empty one is null.
///
/// # Errors
/// A text for people.
pub(super) fn parse(field: &Field, text: &str) -> Result<Value, String> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(null());
    }
    let kind = match field.r#type() {
        FieldType::Bool => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "yes" => Kind::BoolValue(true),
            "false" | "no" => Kind::BoolValue(false),
            _ => return Err("must be yes or no".to_owned()),
        },
        FieldType::Int64 => match trimmed.parse::<i64>() {
            #[expect(clippy::cast_precision_loss, reason = "checked to be exact")]
            Ok(number) if number.abs() <= EXACT => Kind::NumberValue(number as f64),
            Ok(_) => Kind::StringValue(trimmed.to_owned()),
            Err(_) => return Err("must be a whole number".to_owned()),
        },
        FieldType::Double => match trimmed.parse::<f64>() {
            Ok(number) if number.is_finite() => Kind::NumberValue(number),
            _ => return Err("must be a number, such as 1.5".to_owned()),
        },
        FieldType::Timestamp => Kind::StringValue(timestamp(trimmed)?),
        FieldType::Json => {
            let value: serde_json::Value =
                serde_json::from_str(trimmed).map_err(|error| format!("must be JSON: {error}"))?;
            if let Some(number) = rounded(trimmed) {
                return Err(format!(
                    "has the whole number {number}, which would be rounded: beyond 2^53 write it as a text, \"{number}\""
                ));
            }
            return Ok(of_json(value));
        }
        FieldType::String | FieldType::Text => Kind::StringValue(text.replace("\r\n", "\n")),
        _ => Kind::StringValue(trimmed.to_owned()),
    };
    Ok(Value { kind: Some(kind) })
}

/// A whole number in a JSON text that would not arrive as it is: on the way numbers are 64-bit floats.
fn rounded(json: &str) -> Option<&str> {
    let is_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let (mut rest, mut in_text) = (json, false);
    while let Some(c) = rest.chars().next() {
        if in_text {
            in_text = c != '"';
            // What is escaped does not end the text.
            let skip = if c == '\\' {
                rest.chars().take(2).map(char::len_utf8).sum()
            } else {
                c.len_utf8()
            };
            rest = &rest[skip..];
        } else if c.is_ascii_digit() || c == '-' {
            let (number, after) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
            let is_whole = !number.contains(['.', 'e', 'E']);
            if is_whole
                && !number
                    .parse::<i64>()
                    .is_ok_and(|number| number.unsigned_abs() <= EXACT.unsigned_abs())
            {
                return Some(number);
            }
            rest = after;
        } else {
            in_text = c == '"';
            rest = &rest[c.len_utf8()..];
        }
    }
    None
}

/// Browsers send a local time without an offset; ours is labelled as UTC.
fn timestamp(text: &str) -> Result<String, String> {
    match span(text) {
        Some((at, until)) if until - at < TimeDelta::days(1) => Ok(at.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        _ => Err("must be a time, such as 2026-11-23 09:30".to_owned()),
    }
}

/// The times a text stands for, from the first to the one behind the last: a minute, a second, a whole day. Pages show times
/// without what is zero or does not matter there, so what they show must find what they show it for.
pub(super) fn span(text: &str) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        let at = at.with_timezone(&Utc);
        return Some((at, at.checked_add_signed(width(at))?));
    }
    let text = text
        .strip_suffix("UTC")
        .or_else(|| text.strip_suffix('Z'))
        .unwrap_or(text)
        .trim_end();
    let (at, width) = match NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        Ok(day) => (day.and_time(NaiveTime::MIN).and_utc(), TimeDelta::days(1)),
        Err(_) => local(text)?,
    };
    Some((at, at.checked_add_signed(width)?))
}

fn local(text: &str) -> Option<(DateTime<Utc>, TimeDelta)> {
    let read = |patterns: [&str; 2]| {
        patterns
            .iter()
            .find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok())
            .map(|at| at.and_utc())
    };
    read(["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"])
        .map(|at| (at, TimeDelta::minutes(1)))
        .or_else(|| read(["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]).map(|at| (at, width(at))))
}

/// A second; a time with a fraction is meant exactly, to the microseconds that are kept.
fn width(at: DateTime<Utc>) -> TimeDelta {
    if at.nanosecond() == 0 {
        TimeDelta::seconds(1)
    } else {
        TimeDelta::microseconds(1)
    }
}

/// Null.
pub(super) fn null() -> Value {
    Value {
        kind: Some(Kind::NullValue(0)),
    }
}

/// A value as JSON.
pub(super) fn json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(flag)) => Json::Bool(*flag),
        Some(Kind::NumberValue(number)) => plain(*number).parse::<i64>().map_or_else(
            |_| serde_json::Number::from_f64(*number).map_or(Json::Null, Json::Number),
            |whole| Json::Number(whole.into()),
        ),
        Some(Kind::StringValue(text)) => Json::String(text.clone()),
        Some(Kind::ListValue(list)) => Json::Array(list.values.iter().map(json).collect()),
        Some(Kind::StructValue(fields)) => Json::Object(
            fields
                .fields
                .iter()
                .map(|(name, value)| (name.clone(), json(value)))
                .collect(),
        ),
    }
}

fn of_json(value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(flag) => Kind::BoolValue(flag),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(values) => Kind::ListValue(ListValue {
            values: values.into_iter().map(of_json).collect(),
        }),
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: fields.into_iter().map(|(name, value)| (name, of_json(value))).collect(),
        }),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(kind: FieldType) -> Field {
        Field {
            r#type: kind.into(),
            ..Field::default()
        }
    }

    #[test]
    fn what_a_form_shows_is_what_it_sends_back() {
        for (kind, text) in [
            (FieldType::String, "a \"b\" <c>"),
            (FieldType::Text, "one\ntwo"),
            (FieldType::Int64, "-12"),
            (FieldType::Int64, "9007199254740993"),
            (FieldType::Double, "1.5"),
            (FieldType::Decimal, "10.20"),
            (FieldType::Bool, "false"),
            (FieldType::Date, "2026-11-23"),
            (FieldType::Timestamp, "2026-11-23T09:30:00"),
            (FieldType::Enum, "open"),
        ] {
            let field = field(kind);
            let value = parse(&field, text).expect(text);
            assert_eq!(input(&field, Some(&value)), text, "{kind:?}");
        }
        let value = parse(&field(FieldType::Json), r#"{"a": [1, null, "x"]}"#).expect("JSON");
        assert_eq!(json(&value).to_string(), r#"{"a":[1,null,"x"]}"#);
        assert_eq!(parse(&field(FieldType::Int64), " ").expect("null"), null());
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        for (kind, text) in [
            (FieldType::Int64, "1.5"),
            (FieldType::Double, "NaN"),
            (FieldType::Bool, "maybe"),
            (FieldType::Timestamp, "yesterday"),
            (FieldType::Timestamp, "2026-11-23"),
            (FieldType::Json, "{"),
            (FieldType::Json, "[9007199254740993]"),
            (FieldType::Json, r#"{"a\"": -123456789012345678901234567890}"#),
        ] {
            assert!(parse(&field(kind), text).is_err(), "{text}");
        }
        // A text, a fraction and a power of ten are as they are; so is what fits.
        let kept = r#"["9007199254740993", 0.1, 1e300, 9007199254740992, "\\", -5]"#;
        assert!(parse(&field(FieldType::Json), kept).is_ok());
    }

    #[test]
    fn what_a_page_shows_can_be_read_back() {
        let time = |text: &str| {
            let value = Value {
                kind: Some(Kind::StringValue(text.to_owned())),
            };
            shown(&field(FieldType::Timestamp), Some(&value))
        };
        assert_eq!(time("2026-06-01T09:25:00Z"), "2026-06-01 09:25 UTC");
        assert_eq!(time("2026-06-01T09:25:07+02:00"), "2026-06-01 07:25:07 UTC");
        assert_eq!(time("2026-06-01T09:25:07.25Z"), "2026-06-01 09:25:07.250 UTC");
        for text in [
            "2026-06-01T09:25:00Z",
            "2026-06-01T09:25:07Z",
            "2026-06-01T09:25:07.250Z",
        ] {
            let back = parse(&field(FieldType::Timestamp), &time(text)).expect("a time");
            assert_eq!(raw(Some(&back)), text);
        }
        let minutes = |text: &str| span(text).map(|(from, until)| (until - from).num_minutes());
        assert_eq!(minutes("2026-06-01 09:25 UTC"), Some(1));
        assert_eq!(minutes("2026-06-01"), Some(24 * 60));
        assert_eq!(minutes("soon"), None);
        let yes = parse(&field(FieldType::Bool), "Yes").expect("a truth");
        assert_eq!(shown(&field(FieldType::Bool), Some(&yes)), "yes");
        let name = Value {
            kind: Some(Kind::StringValue("objectTypes/a/records/b".to_owned())),
        };
        assert_eq!(shown(&field(FieldType::Reference), Some(&name)), "b");
    }
}

//! Values of fields between a form's text and the API's JSON. What is wrong with a value is said by the service; here only
//! what cannot be sent at all is refused.

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use prost_types::{ListValue, Struct, Value, value::Kind};
use tenantry_api::business::{Field, FieldType};

/// Integers up to here are exact as a JSON number.
const EXACT: i64 = 1 << 53;

/// A value as text, for a table.
pub(super) fn shown(value: Option<&Value>) -> String {
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
        _ => shown(value),
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
        FieldType::Bool => match trimmed {
            "true" => Kind::BoolValue(true),
            "false" => Kind::BoolValue(false),
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
            return Ok(of_json(value));
        }
        FieldType::String | FieldType::Text => Kind::StringValue(text.replace("\r\n", "\n")),
        _ => Kind::StringValue(trimmed.to_owned()),
    };
    Ok(Value { kind: Some(kind) })
}

/// Browsers send a local time without an offset; ours is labelled as UTC.
fn timestamp(text: &str) -> Result<String, String> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
    }
    [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
    ]
    .iter()
    .find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok())
    .map(|at| at.and_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    .ok_or_else(|| "must be a time, such as 2026-11-23T09:30:00".to_owned())
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
            (FieldType::Json, "{"),
        ] {
            assert!(parse(&field(kind), text).is_err(), "{text}");
        }
    }
}

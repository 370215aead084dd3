//! `google.protobuf.Struct` to JSON and back.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Number, Value as Json};
use tenantry_kernel::{Error, Result};

/// Fields of a record. `path` names them in messages.
///
/// # Errors
/// Numbers that JSON does not have.
pub(super) fn map(fields: Option<Struct>, path: &str) -> Result<Map<String, Json>> {
    let fields = fields.unwrap_or_default().fields;
    fields
        .into_iter()
        .map(|(id, value)| {
            json(value)
                .map(|json| (id.clone(), json))
                .ok_or_else(|| Error::invalid_field(format!("{path}.{id}"), "must not contain NaN or infinity"))
        })
        .collect()
}

/// One value; `None` for NaN and infinities.
pub(super) fn json(value: Value) -> Option<Json> {
    Some(match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(truth)) => Json::Bool(truth),
        Some(Kind::NumberValue(number)) => number_to_json(number)?,
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => Json::Array(list.values.into_iter().map(json).collect::<Option<_>>()?),
        Some(Kind::StructValue(inner)) => Json::Object(
            inner
                .fields
                .into_iter()
                .map(|(key, value)| Some((key, json(value)?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Whole numbers as integers, so that `1.0` and `1` are one value.
fn number_to_json(number: f64) -> Option<Json> {
    // 2^53 + 1 arrives as 2^53, so that one may be another number, too.
    const EXACT: f64 = 9_007_199_254_740_991.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
        return Some(Json::from(number as i64));
    }
    Number::from_f64(number).map(Json::Number)
}

/// Fields of a record, for the wire.
pub(super) fn to_struct(map: Map<String, Json>) -> Struct {
    Struct {
        fields: map.into_iter().map(|(key, json)| (key, to_value(json))).collect(),
    }
}

/// One value, for the wire.
pub(super) fn to_value(json: Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(items) => Kind::ListValue(ListValue {
            values: items.into_iter().map(to_value).collect(),
        }),
        Json::Object(map) => Kind::StructValue(to_struct(map)),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_survives_the_wire() {
        let json_in =
            serde_json::json!({"a": null, "b": [1, 2.5, "x"], "c": {"d": true, "e": -9_007_199_254_740_991_i64}});
        assert_eq!(json(to_value(json_in.clone())), Some(json_in));
        assert_eq!(
            json(Value {
                kind: Some(Kind::NumberValue(f64::NAN))
            }),
            None
        );
    }
}

//! JSON to request message, guided by the descriptor: every wrong value is named by its path, an unknown field is an
//! error, depth is bounded before anything is built. Well-known types follow the proto3 JSON mapping.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value};
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value as Json, error::Category};
use std::{collections::HashMap, fmt};
use tenantry_kernel::{Error, Reason};

/// Deepest nesting of arrays and objects.
pub const MAX_DEPTH: usize = 64;

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Parses a body.
///
/// # Errors
/// `MALFORMED_REQUEST` for what is not UTF-8, not JSON or nested too deeply.
pub fn parse(body: &[u8]) -> Result<Json, Error> {
    let malformed = |text: String| Error::new(Reason::MalformedRequest, text);
    let text = std::str::from_utf8(body).map_err(|e| {
        malformed(format!(
            "The body is not UTF-8 (byte {}). Send JSON in UTF-8.",
            e.valid_up_to()
        ))
    })?;
    if depth(text) > MAX_DEPTH {
        return Err(malformed(format!(
            "The body is nested more than {MAX_DEPTH} levels deep."
        )));
    }
    let parsed = serde_json::from_str::<Unique>(text).map_err(|e| {
        let what = if e.classify() == Category::Data {
            "names a member twice"
        } else {
            "is not valid JSON"
        };
        malformed(format!("The body {what} (line {}, column {}).", e.line(), e.column()))
    })?;
    Ok(parsed.0)
}

/// JSON whose objects name each member once: of two, every reader would take another one (RFC 8259, section 4).
struct Unique(Json);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl<'de> Visitor<'de> for Visit {
            type Value = Unique;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Unique, E> {
                Ok(Unique(Json::Null))
            }
            fn visit_bool<E>(self, value: bool) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_str<E>(self, value: &str) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_string<E>(self, value: String) -> Result<Unique, E> {
                Ok(Unique(value.into()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique, A::Error> {
                let mut items = Vec::new();
                while let Some(Unique(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Unique(Json::Array(items)))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut object = Map::new();
                while let Some((name, Unique(value))) = map.next_entry::<String, Unique>()? {
                    if object.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is named twice"));
                    }
                }
                Ok(Unique(Json::Object(object)))
            }
        }
        from.deserialize_any(Visit)
    }
}

/// Where a free-form value holds a whole number that no double can be: it would become its neighbour without a word.
fn inexact(json: &Json, path: &str) -> Option<String> {
    const EXACT: u64 = (1 << 53) - 1;
    match json {
        Json::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            size.filter(|size| *size > EXACT).map(|_| path.to_owned())
        }
        Json::Array(items) => items
            .iter()
            .enumerate()
            .find_map(|(at, item)| inexact(item, &format!("{path}[{at}]"))),
        Json::Object(members) => members.iter().find_map(|(name, item)| inexact(item, &join(path, name))),
        _ => None,
    }
}

/// Depth by counting brackets outside of strings: no recursion, whatever comes.
fn depth(text: &str) -> usize {
    let (mut now, mut deepest, mut quoted, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in text.bytes() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => quoted = true,
            b'{' | b'[' => {
                now += 1;
                deepest = deepest.max(now);
            }
            b'}' | b']' => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Makes a message of `kind` from JSON; `path` is where the JSON stands in the request.
///
/// # Errors
/// `UNKNOWN_FIELD` or `INVALID_ARGUMENT`, naming the path.
pub fn message(kind: &MessageDescriptor, json: &Json, path: &str) -> Result<DynamicMessage, Error> {
    if kind.full_name() == "google.protobuf.FieldMask" {
        let text = json
            .as_str()
            .ok_or_else(|| Error::invalid_field(path, "must be a string of comma-separated paths"))?;
        return Ok(field_mask(kind, text));
    }
    if [
        "google.protobuf.Struct",
        "google.protobuf.Value",
        "google.protobuf.ListValue",
    ]
    .contains(&kind.full_name())
        && let Some(at) = inexact(json, path)
    {
        return Err(Error::invalid_field(
            at,
            "is a whole number beyond 2^53; write it as a string",
        ));
    }
    if kind.full_name().starts_with("google.protobuf.") {
        let expected = expectation(kind.full_name());
        return DynamicMessage::deserialize(kind.clone(), json)
            .map_err(|_| Error::invalid_field(path, format!("must be {expected}")));
    }
    let object = json
        .as_object()
        .ok_or_else(|| Error::invalid_field(path, "must be a JSON object"))?;
    let mut message = DynamicMessage::new(kind.clone());
    for (name, json) in object {
        let at = join(path, name);
        let field = field(kind, name).ok_or_else(|| unknown(&at))?;
        if message.has_field(&field) {
            return Err(Error::invalid_field(
                at,
                "is given twice, by its JSON name and its proto name",
            ));
        }
        if let Some(other) = field
            .containing_oneof()
            .and_then(|oneof| oneof.fields().find(|other| message.has_field(other)))
        {
            return Err(Error::invalid_field(
                at,
                format!("excludes {}; give only one of them", other.json_name()),
            ));
        }
        if !json.is_null() || accepts_null(&field) {
            message.set_field(&field, value(&field, json, &at)?);
        }
    }
    Ok(message)
}

/// A field by JSON name (lowerCamelCase) or proto name.
#[must_use]
pub fn field(kind: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_json_name(name)
        .or_else(|| kind.get_field_by_name(name))
}

/// The error for a field that does not exist.
#[must_use]
pub fn unknown(path: &str) -> Error {
    Error::new(
        Reason::UnknownField,
        format!("{path}: no such field. Remove it or check its spelling."),
    )
    .field(path, "no such field")
}

/// A field mask from text. Each path may be in lowerCamelCase (the JSON mapping) or as in the proto; ids of a tenant's own
/// fields contain underscores, so a path without capitals is taken as it is.
#[must_use]
pub fn field_mask(kind: &MessageDescriptor, text: &str) -> DynamicMessage {
    let paths = text
        .split(',')
        .map(str::trim)
        .filter(|path| !path.is_empty())
        .map(|path| Value::String(snake_case(path)))
        .collect();
    let mut mask = DynamicMessage::new(kind.clone());
    mask.set_field_by_name("paths", Value::List(paths));
    mask
}

fn snake_case(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

/// The value of a whole field: list, map or single.
///
/// # Errors
/// As [`message`].
pub fn value(field: &FieldDescriptor, json: &Json, path: &str) -> Result<Value, Error> {
    if field.is_map() {
        return map(field, json, path);
    }
    if field.is_list() {
        let items = json
            .as_array()
            .ok_or_else(|| Error::invalid_field(path, "must be a JSON array"))?;
        let items = items
            .iter()
            .enumerate()
            .map(|(index, json)| single(&field.kind(), json, &format!("{path}[{index}]")));
        return Ok(Value::List(items.collect::<Result<_, _>>()?));
    }
    single(&field.kind(), json, path)
}

fn map(field: &FieldDescriptor, json: &Json, path: &str) -> Result<Value, Error> {
    let object = json
        .as_object()
        .ok_or_else(|| Error::invalid_field(path, "must be a JSON object"))?;
    let Kind::Message(entry) = field.kind() else {
        return Err(Error::invalid_field(path, "must be a JSON object"));
    };
    let mut out = HashMap::with_capacity(object.len());
    for (name, json) in object {
        let at = join(path, name);
        let key = single(&entry.map_entry_key_field().kind(), &Json::String(name.clone()), &at)?;
        let key: MapKey = key
            .into_map_key()
            .ok_or_else(|| Error::invalid_field(&at, "is not a valid key"))?;
        out.insert(key, single(&entry.map_entry_value_field().kind(), json, &at)?);
    }
    Ok(Value::Map(out))
}

/// One value. Numbers may come as text, as the proto3 JSON mapping allows.
///
/// # Errors
/// As [`message`].
pub fn single(kind: &Kind, json: &Json, path: &str) -> Result<Value, Error> {
    let wrong = |expected: &str| Error::invalid_field(path, format!("must be {expected}"));
    let bytes = |text: &str| STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok();
    match kind {
        Kind::Message(kind) => Ok(Value::Message(message(kind, json, path)?)),
        Kind::String => json
            .as_str()
            .map(|text| Value::String(text.to_owned()))
            .ok_or_else(|| wrong("a string")),
        Kind::Bytes => json
            .as_str()
            .and_then(bytes)
            .map(|bytes| Value::Bytes(bytes.into()))
            .ok_or_else(|| wrong("a string in base64")),
        Kind::Bool => json.as_bool().map(Value::Bool).ok_or_else(|| wrong("true or false")),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => integer(json)
            .and_then(|n| i32::try_from(n).ok())
            .map(Value::I32)
            .ok_or_else(|| wrong("an integer of 32 bits")),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => integer(json)
            .and_then(|n| i64::try_from(n).ok())
            .map(Value::I64)
            .ok_or_else(|| wrong("an integer of 64 bits")),
        Kind::Uint32 | Kind::Fixed32 => integer(json)
            .and_then(|n| u32::try_from(n).ok())
            .map(Value::U32)
            .ok_or_else(|| wrong("an integer from 0 to 4294967295")),
        Kind::Uint64 | Kind::Fixed64 => integer(json)
            .and_then(|n| u64::try_from(n).ok())
            .map(Value::U64)
            .ok_or_else(|| wrong("an integer of 64 bits that is not negative")),
        Kind::Double => double(json).map(Value::F64).ok_or_else(|| wrong("a number")),
        #[expect(clippy::cast_possible_truncation, reason = "a float field holds no more")]
        Kind::Float => double(json)
            .map(|n| Value::F32(n as f32))
            .ok_or_else(|| wrong("a number")),
        Kind::Enum(kind) => {
            let by_name = json
                .as_str()
                .and_then(|name| kind.get_value_by_name(name))
                .map(|value| value.number());
            let number = by_name.or_else(|| {
                integer(json)
                    .and_then(|n| i32::try_from(n).ok())
                    .filter(|n| kind.get_value(*n).is_some())
            });
            number.map(Value::EnumNumber).ok_or_else(|| {
                let names: Vec<String> = kind.values().skip(1).map(|value| value.name().to_owned()).collect();
                wrong(&format!("one of {}", names.join(", ")))
            })
        }
    }
}

fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| {
                let float = number.as_f64()?;
                // 1e3 and 5.0 are integers in proto3 JSON; beyond 2^53 a float has lost what it meant.
                #[expect(clippy::cast_possible_truncation, reason = "bounded by the line above")]
                (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i128)
            }),
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn double(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            other => other.parse().ok().filter(|n: &f64| n.is_finite()),
        },
        _ => None,
    }
}

fn accepts_null(field: &FieldDescriptor) -> bool {
    matches!(field.kind(), Kind::Message(kind) if kind.full_name() == "google.protobuf.Value")
        && !field.is_list()
        && !field.is_map()
}

fn expectation(name: &str) -> &'static str {
    match name {
        "google.protobuf.Timestamp" => "a time such as 2026-11-23T10:00:00Z",
        "google.protobuf.Duration" => "a duration such as 10s or 1.5s",
        "google.protobuf.Struct" | "google.protobuf.Empty" | "google.protobuf.Any" => "a JSON object",
        "google.protobuf.ListValue" => "a JSON array",
        _ => "a value of another type",
    }
}

pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
#[path = "json_test.rs"]
mod tests;

//! One field of an object type: what it accepts, from JSON and from text, and how it answers.

use super::{
    ident,
    value::{self, Kind, Value},
};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

/// Characters of a STRING without a `max_length`.
pub const STRING_MAX: u32 = 1_000;
/// Characters of a TEXT without a `max_length`.
pub const TEXT_MAX: u32 = 100_000;
const JSON_BYTES: usize = 64 * 1024;
const JSON_DEPTH: usize = 32;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the proto says what each is")]
pub enum FieldType {
    String,
    Text,
    Int64,
    Double,
    Decimal,
    Bool,
    Date,
    Timestamp,
    Uuid,
    Enum,
    Reference,
    Json,
}

/// One field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// Unique in its type.
    pub id: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// A record without it is refused.
    #[serde(default)]
    pub required: bool,
    /// No two records have the same value.
    #[serde(default)]
    pub unique: bool,
    /// Has an index.
    #[serde(default)]
    pub indexed: bool,
    /// Characters; 0 = the type's own limit.
    #[serde(default)]
    pub max_length: u32,
    /// Digits after the point.
    #[serde(default)]
    pub scale: u32,
    /// Values of an ENUM.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enum_values: Vec<String>,
    /// Type id a REFERENCE points to.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reference_type: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub display_name: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The value of a record that does not set the field; JSON null = none.
    #[serde(default, skip_serializing_if = "Json::is_null")]
    pub default_value: Json,
}

impl Field {
    /// A field with nothing but a name and a type.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: FieldType) -> Self {
        Self {
            id: id.into(),
            kind,
            required: false,
            unique: false,
            indexed: false,
            max_length: 0,
            scale: 0,
            enum_values: Vec::new(),
            reference_type: String::new(),
            display_name: String::new(),
            description: String::new(),
            default_value: Json::Null,
        }
    }
    /// Its column.
    #[must_use]
    pub fn column(&self) -> String {
        ident::column(&self.id)
    }
    /// The kind of its column.
    #[must_use]
    pub fn column_kind(&self) -> Kind {
        match self.kind {
            FieldType::String | FieldType::Text | FieldType::Enum => Kind::Text,
            FieldType::Int64 | FieldType::Decimal => Kind::Int,
            FieldType::Double => Kind::Float,
            FieldType::Bool => Kind::Bool,
            FieldType::Date => Kind::Date,
            FieldType::Timestamp => Kind::Time,
            FieldType::Uuid | FieldType::Reference => Kind::Uuid,
            FieldType::Json => Kind::Json,
        }
    }
    /// Longest text in characters.
    #[must_use]
    pub fn text_limit(&self) -> u32 {
        match (self.kind, self.max_length) {
            (FieldType::Text, 0) => TEXT_MAX,
            (_, 0) => STRING_MAX,
            (_, limit) => limit,
        }
    }
    /// What it accepts, for messages.
    #[must_use]
    pub fn accepts(&self) -> String {
        match self.kind {
            FieldType::String => format!("must be one line of text with at most {} characters", self.text_limit()),
            FieldType::Text => format!("must be text with at most {} characters", self.text_limit()),
            FieldType::Int64 => "must be a whole number of 64 bits; beyond 2^53 write it as a string".to_owned(),
            FieldType::Double => "must be a number".to_owned(),
            FieldType::Decimal => format!(
                "must be a decimal string with at most {} digits after the point, such as \"{}\"; a number only with at most 15 digits",
                self.scale,
                value::decimal_to_text(1, self.scale)
            ),
            FieldType::Bool => "must be true or false".to_owned(),
            FieldType::Date => "must be a date such as \"2026-11-23\"".to_owned(),
            FieldType::Timestamp => {
                "must be an RFC 3339 time with an offset, such as \"2026-11-23T10:00:00Z\"".to_owned()
            }
            FieldType::Uuid => "must be a UUID".to_owned(),
            FieldType::Enum => format!("must be one of {}", self.enum_values.join(", ")),
            FieldType::Reference => format!(
                "must be a name such as \"objectTypes/{}/records/{{record}}\"",
                self.reference_type
            ),
            FieldType::Json => format!(
                "must be JSON of at most {} kB and {JSON_DEPTH} levels, without NUL characters",
                JSON_BYTES / 1024
            ),
        }
    }
    /// Reads a JSON value; null is null.
    ///
    /// # Errors
    /// What is accepted.
    pub fn parse(&self, json: &Json) -> Result<Value, String> {
        if json.is_null() {
            return Ok(Value::Null);
        }
        self.try_parse(json).ok_or_else(|| self.accepts())
    }

    fn try_parse(&self, json: &Json) -> Option<Value> {
        match self.kind {
            FieldType::Int64 => value::int_from_json(json).map(Value::Int),
            FieldType::Double => json.as_f64().filter(|float| float.is_finite()).map(Value::Float),
            FieldType::Bool => json.as_bool().map(Value::Bool),
            FieldType::Json => json_fits(json).then(|| Value::Json(json.clone())),
            FieldType::Decimal if json.is_number() => self.parse_text(&exact_decimal(json)?),
            _ => self.parse_text(json.as_str()?),
        }
    }

    /// Reads the text form: of a filter literal and of a CSV cell in the default format.
    #[must_use]
    pub fn parse_text(&self, text: &str) -> Option<Value> {
        match self.kind {
            FieldType::String => {
                (self.text_fits(text) && !text.contains(['\n', '\r'])).then(|| Value::Text(text.to_owned()))
            }
            FieldType::Text => self.text_fits(text).then(|| Value::Text(text.to_owned())),
            FieldType::Enum => self
                .enum_values
                .iter()
                .any(|known| known == text)
                .then(|| Value::Text(text.to_owned())),
            FieldType::Int64 => text.parse().ok().map(Value::Int),
            FieldType::Double => text
                .parse()
                .ok()
                .filter(|float: &f64| float.is_finite())
                .map(Value::Float),
            FieldType::Decimal => value::decimal_from_text(text, self.scale).map(Value::Int),
            FieldType::Bool => match text {
                "true" => Some(Value::Bool(true)),
                "false" => Some(Value::Bool(false)),
                _ => None,
            },
            FieldType::Date => value::date_from_text(text).map(Value::Date),
            FieldType::Timestamp => value::time_from_text(text).map(Value::Time),
            FieldType::Uuid => Uuid::try_parse(text).ok().map(Value::Uuid),
            FieldType::Reference => self.reference_from(text).map(Value::Uuid),
            FieldType::Json => serde_json::from_str(text).ok().filter(json_fits).map(Value::Json),
        }
    }

    fn text_fits(&self, text: &str) -> bool {
        let limit = self.text_limit() as usize;
        !text.contains('\0') && (text.len() <= limit || text.chars().count() <= limit)
    }

    fn reference_from(&self, text: &str) -> Option<Uuid> {
        let id = text
            .strip_prefix("objectTypes/")?
            .strip_prefix(self.reference_type.as_str())?
            .strip_prefix("/records/")?;
        Uuid::try_parse(id).ok()
    }

    /// The JSON form of a stored value.
    #[must_use]
    pub fn render(&self, value: &Value) -> Json {
        match value {
            Value::Null => Json::Null,
            Value::Text(text) => Json::String(text.clone()),
            Value::Int(scaled) if self.kind == FieldType::Decimal => {
                Json::String(value::decimal_to_text(*scaled, self.scale))
            }
            Value::Int(int) => value::int_to_json(*int),
            Value::Float(float) => value::float_to_json(*float),
            Value::Bool(truth) => Json::Bool(*truth),
            Value::Date(date) => Json::String(date.format("%Y-%m-%d").to_string()),
            Value::Time(time) => Json::String(value::time_to_text(*time)),
            Value::Uuid(id) if self.kind == FieldType::Reference => {
                Json::String(format!("objectTypes/{}/records/{id}", self.reference_type))
            }
            Value::Uuid(id) => Json::String(id.to_string()),
            Value::Json(json) => json.clone(),
        }
    }
    /// The default as a value.
    #[must_use]
    pub fn default(&self) -> Value {
        self.parse(&self.default_value).unwrap_or(Value::Null)
    }
}

/// The digits of a number that came as a double. With more than 15 of them it may have been another one.
fn exact_decimal(number: &Json) -> Option<String> {
    let text = number.to_string();
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.chars().filter(char::is_ascii_digit).collect::<String>();
    let exact = digits.trim_start_matches('0').trim_end_matches('0').len() <= 15;
    exact.then_some(text)
}

fn json_fits(json: &Json) -> bool {
    fn clean(json: &Json, depth: usize) -> bool {
        match json {
            _ if depth > JSON_DEPTH => false,
            Json::String(text) => !text.contains('\0'),
            Json::Array(items) => items.iter().all(|item| clean(item, depth + 1)),
            Json::Object(map) => map
                .iter()
                .all(|(key, item)| !key.contains('\0') && clean(item, depth + 1)),
            _ => true,
        }
    }
    // Depth first: printing a very deep value would recurse.
    clean(json, 0) && json.to_string().len() <= JSON_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_wrong_type_is_refused_with_what_is_accepted() {
        let wrong = [
            (FieldType::String, json!(1)),
            (FieldType::String, json!("a\nb")),
            (FieldType::String, json!("a\u{0}b")),
            (FieldType::Int64, json!(1.5)),
            (FieldType::Int64, json!("x")),
            (FieldType::Double, json!("1")),
            (FieldType::Bool, json!("true")),
            (FieldType::Date, json!("23.11.2026")),
            (FieldType::Timestamp, json!("2026-11-23T10:00:00")),
            (FieldType::Uuid, json!("x")),
            (FieldType::Enum, json!("x")),
            (FieldType::Reference, json!("objectTypes/b/records/x")),
            (FieldType::Json, json!({"a": "\u{0}"})),
            (FieldType::Decimal, json!("1.5")),
        ];
        for (kind, json) in wrong {
            let refused = Field::new("x", kind).parse(&json).expect_err("wrong");
            assert!(refused.starts_with("must be"), "{kind:?} {json}: {refused}");
        }
    }

    #[test]
    fn json_in_is_json_out() {
        let mut decimal = Field::new("x", FieldType::Decimal);
        decimal.scale = 2;
        let mut reference = Field::new("x", FieldType::Reference);
        reference.reference_type = "people".to_owned();
        let id = Uuid::from_u128(5);
        let same = [
            (Field::new("x", FieldType::String), json!("é")),
            (Field::new("x", FieldType::Int64), json!(9_007_199_254_740_991_i64)),
            (Field::new("x", FieldType::Int64), json!("9223372036854775807")),
            (Field::new("x", FieldType::Double), json!(0.1)),
            (decimal, json!("-12.30")),
            (Field::new("x", FieldType::Date), json!("2024-02-29")),
            (Field::new("x", FieldType::Timestamp), json!("2026-11-23T10:00:00.5Z")),
            (reference, json!(format!("objectTypes/people/records/{id}"))),
            (Field::new("x", FieldType::Json), json!({"a": [1, null]})),
        ];
        for (field, json) in same {
            let value = field.parse(&json).expect("accepted");
            let back = field.render(&value);
            assert_eq!(field.parse(&back), Ok(value), "{json} came back as {back}");
        }
    }

    #[test]
    fn a_number_that_may_have_been_another_is_refused() {
        let mut decimal = Field::new("x", FieldType::Decimal);
        decimal.scale = 2;
        for (number, kept) in [
            (json!(12.5), "12.50"),
            (json!(9_999_999_999_999.99_f64), "9999999999999.99"),
            (json!(1e3), "1000.00"),
        ] {
            let value = decimal.parse(&number).expect("at most 15 digits");
            assert_eq!(decimal.render(&value), json!(kept));
        }
        for changed in [json!(70_368_744_177_664.01_f64), json!(99_999_999_999_999.99_f64)] {
            assert!(decimal.parse(&changed).is_err(), "{changed}");
        }
        let int = Field::new("x", FieldType::Int64);
        assert!(
            int.parse(&json!(9_007_199_254_740_992_f64)).is_err(),
            "2^53 may have been 2^53 + 1"
        );
        assert!(int.parse(&json!(9_007_199_254_740_991_f64)).is_ok());
    }

    #[test]
    fn deep_json_is_refused_without_recursion_limits() {
        let mut deep = json!(1);
        for _ in 0..200 {
            deep = json!([deep]);
        }
        assert!(Field::new("x", FieldType::Json).parse(&deep).is_err());
    }
}

//! Values as PostgreSQL stores them, and their JSON form.

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};
use uuid::Uuid;

/// The largest integer a JSON number (a double) holds exactly.
const EXACT: u64 = (1 << 53) - 1;

/// The column kinds; all but [`Kind::Json`] have leakproof comparison, so indexes work under row security.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `text`
    Text,
    /// `int8`
    Int,
    /// `float8`
    Float,
    /// `bool`
    Bool,
    /// `date`
    Date,
    /// `timestamptz`
    Time,
    /// `uuid`
    Uuid,
    /// `jsonb`
    Json,
}

/// One typed value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// No value.
    Null,
    /// Text and enum.
    Text(String),
    /// Integer, or a decimal times 10^scale.
    Int(i64),
    /// Double.
    Float(#[serde(with = "bits")] f64),
    /// Truth value.
    Bool(bool),
    /// Day.
    Date(NaiveDate),
    /// Instant, to the microsecond.
    Time(DateTime<Utc>),
    /// UUID and reference.
    Uuid(Uuid),
    /// Anything.
    Json(Json),
}

impl Value {
    /// Its kind; `None` for null.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Null => return None,
            Self::Text(_) => Kind::Text,
            Self::Int(_) => Kind::Int,
            Self::Float(_) => Kind::Float,
            Self::Bool(_) => Kind::Bool,
            Self::Date(_) => Kind::Date,
            Self::Time(_) => Kind::Time,
            Self::Uuid(_) => Kind::Uuid,
            Self::Json(_) => Kind::Json,
        })
    }
    /// Whether there is no value.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }
}

/// A double as its bits: JSON text would not give every one back exactly.
mod bits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    pub(super) fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        value.to_bits().serialize(out)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
        u64::deserialize(input).map(f64::from_bits)
    }
}

/// An integer from JSON: a number up to 2^53 or a string beyond.
#[must_use]
pub fn int_from_json(json: &Json) -> Option<i64> {
    match json {
        Json::Number(number) => match number.as_i64() {
            Some(int) => Some(int),
            None => number.as_f64().and_then(int_from_f64),
        },
        Json::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn int_from_f64(float: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 is exact")]
    let exact = float.fract() == 0.0 && float.abs() <= EXACT as f64;
    #[expect(clippy::cast_possible_truncation, reason = "whole and within 2^53")]
    exact.then_some(float as i64)
}

/// An integer to JSON.
#[must_use]
pub fn int_to_json(int: i64) -> Json {
    if int.unsigned_abs() <= EXACT {
        Json::from(int)
    } else {
        Json::String(int.to_string())
    }
}

/// A finite double to JSON.
#[must_use]
pub fn float_to_json(float: f64) -> Json {
    Number::from_f64(float).map_or(Json::Null, Json::Number)
}

/// A decimal text to its scaled integer; `None` if it does not fit exactly.
#[must_use]
pub fn decimal_from_text(text: &str, scale: u32) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty()
        || digits.ends_with('.')
        || !all_digits(whole)
        || !all_digits(fraction)
        || fraction.len() > scale as usize
    {
        return None;
    }
    let mut scaled: i64 = 0;
    let zeros = std::iter::repeat_n(b'0', scale as usize - fraction.len());
    for digit in whole.bytes().chain(fraction.bytes()).chain(zeros) {
        scaled = scaled.checked_mul(10)?.checked_sub(i64::from(digit - b'0'))?;
    }
    if negative { Some(scaled) } else { scaled.checked_neg() }
}

/// A scaled integer to decimal text with all `scale` digits.
#[must_use]
pub fn decimal_to_text(scaled: i64, scale: u32) -> String {
    let sign = if scaled < 0 { "-" } else { "" };
    if scale == 0 {
        return scaled.to_string();
    }
    let digits = format!("{:0>width$}", scaled.unsigned_abs(), width = scale as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
    format!("{sign}{whole}.{fraction}")
}

/// A day from `2026-11-23`, years 1 to 9999.
#[must_use]
pub fn date_from_text(text: &str) -> Option<NaiveDate> {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| {
            if i == 4 || i == 7 {
                b == b'-'
            } else {
                b.is_ascii_digit()
            }
        });
    shape
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
        .filter(in_range)
}

/// Years that both PostgreSQL and RFC 3339 write with four digits.
#[must_use]
pub fn in_range(date: &NaiveDate) -> bool {
    (1..=9999).contains(&chrono::Datelike::year(date))
}

/// An instant from RFC 3339, to the microsecond.
#[must_use]
pub fn time_from_text(text: &str) -> Option<DateTime<Utc>> {
    let time = DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    in_range(&time.date_naive()).then(|| micros(time))
}

/// Cut to what PostgreSQL keeps.
#[must_use]
pub fn micros(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// An instant as RFC 3339 in UTC.
#[must_use]
pub fn time_to_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_survive_json(int in any::<i64>()) {
            prop_assert_eq!(int_from_json(&int_to_json(int)), Some(int));
        }
        #[test]
        fn decimals_survive_text(scaled in any::<i64>(), scale in 0_u32..=9) {
            prop_assert_eq!(decimal_from_text(&decimal_to_text(scaled, scale), scale), Some(scaled));
        }
        #[test]
        fn decimal_text_never_panics(text in ".*", scale in 0_u32..=9) {
            let _ = decimal_from_text(&text, scale);
        }
        #[test]
        fn a_double_survives_a_cursor(float in any::<f64>().prop_filter("finite", |f| f.is_finite())) {
            let text = serde_json::to_string(&Value::Float(float)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), Value::Float(float));
        }
        #[test]
        fn times_survive_text(seconds in -62_135_596_800_i64..253_402_300_799, micro in 0_u32..1_000_000) {
            let time = DateTime::from_timestamp(seconds, micro * 1000).unwrap();
            prop_assert_eq!(time_from_text(&time_to_text(time)), Some(time));
        }
    }

    #[test]
    fn what_does_not_fit_exactly_is_refused() {
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "1.234",
            "1e3",
            "--1",
            "1 ",
            "99999999999999999999",
            "NaN",
        ] {
            assert_eq!(decimal_from_text(bad, 2), None, "{bad}");
        }
        assert_eq!(decimal_from_text("-0.10", 2), Some(-10));
        assert_eq!(int_from_json(&Json::from(1.5)), None);
        assert_eq!(int_from_json(&Json::from(1e300)), None);
        assert_eq!(int_from_json(&Json::from(3.0)), Some(3));
        for bad in [
            "2026-13-01",
            "2026-1-1",
            "26-11-23",
            "2026/11/23",
            "+2026-11-2",
            "0000-01-01",
        ] {
            assert_eq!(date_from_text(bad), None, "{bad}");
        }
    }
}

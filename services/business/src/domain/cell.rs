//! A CSV cell as a typed value, under the options of one import.

use super::{Field, FieldType, Value, ident, value};
use chrono::{
    DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc,
    format::{Item, StrftimeItems},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const MAX_TEXTS: usize = 20;

/// How texts of a file are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dialect {
    /// Texts that mean null, besides the empty one.
    pub null_values: Vec<String>,
    /// strftime patterns of dates, tried in order; empty = `%Y-%m-%d`.
    pub date_formats: Vec<String>,
    /// For timestamps without an offset; empty = `+00:00`.
    pub timezone_offset: String,
}

impl Dialect {
    /// Checks the options.
    ///
    /// # Errors
    /// Which option, and what is accepted.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        if self.null_values.len() > MAX_TEXTS
            || self
                .null_values
                .iter()
                .any(|text| text.len() > 100 || text.contains('\0'))
        {
            return Err((
                "null_values",
                format!("must be at most {MAX_TEXTS} texts of at most 100 bytes"),
            ));
        }
        if self.date_formats.len() > MAX_TEXTS || self.date_formats.iter().any(|pattern| !is_pattern(pattern)) {
            return Err((
                "date_formats",
                "must be at most 20 strftime patterns such as %Y-%m-%d, %d.%m.%Y or %m/%d/%y".to_owned(),
            ));
        }
        self.offset().map(|_| ()).ok_or_else(|| {
            (
                "timezone_offset",
                "must be an offset such as +00:00, -05:00 or +05:30".to_owned(),
            )
        })
    }

    fn offset(&self) -> Option<FixedOffset> {
        match self.timezone_offset.as_str() {
            "" | "Z" => FixedOffset::east_opt(0),
            text => text.parse().ok(),
        }
    }

    /// Reads one cell.
    ///
    /// # Errors
    /// What is wrong and what is accepted.
    pub fn read(&self, field: &Field, text: &str) -> Result<Value, String> {
        if text.is_empty() || self.null_values.iter().any(|null| null == text) {
            return if field.required {
                Err(format!("is empty; {} is required and {}", field.id, field.accepts()))
            } else {
                Ok(Value::Null)
            };
        }
        self.parse(field, text).ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            format!("{shown:?}: {}", self.accepts(field))
        })
    }

    fn accepts(&self, field: &Field) -> String {
        match field.kind {
            FieldType::Date if !self.date_formats.is_empty() => {
                format!("must be a date of the format {}", self.date_formats.join(" or "))
            }
            FieldType::Timestamp => "must be a time such as 2026-11-23T10:00:00Z or 2026-11-23 10:00:00".to_owned(),
            FieldType::Reference => format!("{} or the record's UUID", field.accepts()),
            _ => field.accepts(),
        }
    }

    fn parse(&self, field: &Field, text: &str) -> Option<Value> {
        match field.kind {
            FieldType::Date if !self.date_formats.is_empty() => {
                let date = self
                    .date_formats
                    .iter()
                    .find_map(|pattern| NaiveDate::parse_from_str(text, pattern).ok());
                date.filter(value::in_range).map(Value::Date)
            }
            FieldType::Timestamp => self.time(text).map(Value::Time),
            FieldType::Bool => bool_from(text).map(Value::Bool),
            FieldType::Reference => Uuid::try_parse(text)
                .ok()
                .map(Value::Uuid)
                .or_else(|| field.parse_text(text)),
            _ => field.parse_text(text),
        }
    }

    fn time(&self, text: &str) -> Option<DateTime<Utc>> {
        if let Some(time) = value::time_from_text(text) {
            return Some(time);
        }
        let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|pattern| NaiveDateTime::parse_from_str(text, pattern).ok());
        let dated = || {
            self.date_formats
                .iter()
                .find_map(|pattern| NaiveDate::parse_from_str(text, pattern).ok())
                .map(|date| date.and_time(NaiveTime::MIN))
        };
        let local = plain.or_else(dated)?;
        let time = self.offset()?.from_local_datetime(&local).single()?.to_utc();
        value::in_range(&time.date_naive()).then(|| value::micros(time))
    }
}

/// The spellings of truth that spreadsheets write.
pub(super) fn bool_from(text: &str) -> Option<bool> {
    match text {
        "true" | "TRUE" | "True" => Some(true),
        "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A time without an offset, or with one.
pub(super) fn looks_like_time(text: &str) -> bool {
    Dialect::default().time(text).is_some()
}

fn is_pattern(pattern: &str) -> bool {
    (1..=40).contains(&pattern.len())
        && pattern.contains('%')
        && !pattern.contains(char::is_control)
        && StrftimeItems::new(pattern).all(|item| !matches!(item, Item::Error))
}

/// A field id out of a header: lower case, `_` for everything else, unique among `taken`.
#[must_use]
pub fn field_id_of(header: &str, position: usize, taken: &[String]) -> String {
    let mapped: String = header
        .to_lowercase()
        .chars()
        .map(|c| {
            if c.is_ascii_lowercase() || c.is_ascii_digit() {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut id: String = mapped.trim_matches('_').chars().take(32).collect();
    if id.is_empty() {
        id = format!("column_{position}");
    } else if !id.starts_with(|c: char| c.is_ascii_lowercase()) {
        id = format!("f_{id}");
    }
    if ident::is_reserved(&id) {
        id.push_str("_value");
    }
    let mut unique = id.clone();
    let mut number = 2;
    while taken.contains(&unique) {
        unique = format!("{id}_{number}");
        number += 1;
    }
    unique
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn options_change_what_a_cell_means() {
        let dialect = Dialect {
            null_values: vec!["None".into()],
            date_formats: vec!["%Y/%m/%d".into(), "%d.%m.%y".into()],
            timezone_offset: "-05:00".into(),
        };
        dialect.check().expect("valid");
        let date = Field::new("d", FieldType::Date);
        let day = Value::Date(NaiveDate::from_ymd_opt(2012, 1, 2).expect("valid"));
        assert_eq!(dialect.read(&date, "2012/01/02"), Ok(day.clone()));
        assert_eq!(dialect.read(&date, "02.01.12"), Ok(day));
        assert_eq!(dialect.read(&date, "None"), Ok(Value::Null));
        assert!(
            dialect
                .read(&date, "2012-01-02")
                .expect_err("other format")
                .contains("%Y/%m/%d")
        );
        let time = Field::new("t", FieldType::Timestamp);
        let at = Value::Time("2012-10-02T14:00:00Z".parse().expect("valid"));
        assert_eq!(dialect.read(&time, "2012-10-02 09:00:00"), Ok(at.clone()));
        assert_eq!(dialect.read(&time, "2012-10-02T14:00:00Z"), Ok(at));
        let mut required = Field::new("n", FieldType::Int64);
        required.required = true;
        assert!(dialect.read(&required, "").is_err());
    }

    #[test]
    fn broken_options_are_refused() {
        let bad = [
            Dialect {
                date_formats: vec!["%Q".into()],
                ..Dialect::default()
            },
            Dialect {
                date_formats: vec!["year".into()],
                ..Dialect::default()
            },
            Dialect {
                date_formats: vec!["%Y\0".into()],
                ..Dialect::default()
            },
            Dialect {
                null_values: vec!["\0".into()],
                ..Dialect::default()
            },
            Dialect {
                timezone_offset: "Europe/Berlin".into(),
                ..Dialect::default()
            },
        ];
        for dialect in bad {
            assert!(dialect.check().is_err(), "{dialect:?}");
        }
    }

    proptest! {
        #[test]
        fn every_header_becomes_a_field_id(headers in proptest::collection::vec(".{0,60}", 1..20)) {
            let mut taken = Vec::new();
            for (i, header) in headers.iter().enumerate() {
                let id = field_id_of(header, i + 1, &taken);
                prop_assert!(ident::is_id(&id) && !ident::is_reserved(&id) && !taken.contains(&id), "{header:?} -> {id}");
                taken.push(id);
            }
        }
        #[test]
        fn cells_never_panic(text in ".{0,60}", pattern in "[%YmdHy./-]{1,12}") {
            let dialect = Dialect { date_formats: vec![pattern], ..Dialect::default() };
            if dialect.check().is_ok() {
                for kind in [FieldType::Date, FieldType::Timestamp, FieldType::Int64, FieldType::Double, FieldType::Decimal, FieldType::Json] {
                    let _ = dialect.read(&Field::new("x", kind), &text);
                }
            }
        }
    }
}

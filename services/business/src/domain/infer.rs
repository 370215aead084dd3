//! What a CSV column looks like, learned from every row without keeping any.

use super::{FieldType, cell, field::STRING_MAX, import::Column, value};

const SAMPLES: usize = 3;
const SAMPLE_LENGTH: usize = 100;

/// What is still possible for one column.
#[derive(Clone, Debug)]
pub struct Guess {
    int: bool,
    double: bool,
    truth: bool,
    date: bool,
    time: bool,
    line: bool,
    seen: bool,
    samples: Vec<String>,
}

impl Default for Guess {
    fn default() -> Self {
        Self {
            int: true,
            double: true,
            truth: true,
            date: true,
            time: true,
            line: true,
            seen: false,
            samples: Vec::new(),
        }
    }
}

impl Guess {
    /// Learns from one cell.
    pub fn see(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.seen = true;
        self.int = self.int && is_plain_int(text);
        self.double = self.double && is_plain_number(text);
        self.truth = self.truth && cell::bool_from(text).is_some();
        self.date = self.date && value::date_from_text(text).is_some();
        self.time = self.time && cell::looks_like_time(text);
        self.line = self.line && text.len() <= STRING_MAX as usize && !text.contains(['\n', '\r']);
        if self.samples.len() < SAMPLES {
            let sample: String = text.chars().take(SAMPLE_LENGTH).collect();
            if !self.samples.contains(&sample) {
                self.samples.push(sample);
            }
        }
    }
    /// The narrowest type that every value fits; a column without values is text.
    #[must_use]
    pub fn field_type(&self) -> FieldType {
        match self {
            Self { seen: false, .. } => FieldType::String,
            Self { int: true, .. } => FieldType::Int64,
            Self { double: true, .. } => FieldType::Double,
            Self { truth: true, .. } => FieldType::Bool,
            Self { date: true, .. } => FieldType::Date,
            Self { time: true, .. } => FieldType::Timestamp,
            Self { line: true, .. } => FieldType::String,
            _ => FieldType::Text,
        }
    }
}

/// Names and types of all columns.
#[must_use]
pub fn columns(headers: &[String], guesses: &[Guess]) -> Vec<Column> {
    let mut taken = Vec::new();
    let pairs = headers.iter().zip(guesses).enumerate();
    pairs
        .map(|(i, (header, guess))| {
            let field_id = cell::field_id_of(header, i + 1, &taken);
            taken.push(field_id.clone());
            Column {
                header: header.clone(),
                field_id,
                kind: guess.field_type(),
                samples: guess.samples.clone(),
            }
        })
        .collect()
}

/// A number that is not an identifier: `007` and `+49` stay text.
fn is_plain_int(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    !leading_zero && digits.bytes().all(|b| b.is_ascii_digit()) && text.parse::<i64>().is_ok()
}

fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let leading_zero = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    let shape = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
        && digits.starts_with(|c: char| c.is_ascii_digit());
    !leading_zero && shape && text.parse::<f64>().is_ok_and(f64::is_finite)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Field, cell::Dialect};
    use proptest::prelude::*;

    fn guess(cells: &[&str]) -> FieldType {
        let mut guess = Guess::default();
        cells.iter().for_each(|cell| guess.see(cell));
        guess.field_type()
    }

    #[test]
    fn the_narrowest_type_wins_and_identifiers_stay_text() {
        assert_eq!(guess(&["1", "", "-2"]), FieldType::Int64);
        assert_eq!(guess(&["1", "2.5", "1e3"]), FieldType::Double);
        assert_eq!(guess(&["TRUE", "false"]), FieldType::Bool);
        assert_eq!(guess(&["2026-11-23"]), FieldType::Date);
        assert_eq!(
            guess(&["2012-10-02 09:00:00", "2012-10-02T09:00:00Z"]),
            FieldType::Timestamp
        );
        assert_eq!(guess(&["2012/01/01"]), FieldType::String);
        assert_eq!(guess(&["01234", "5"]), FieldType::String);
        assert_eq!(guess(&["+49 30"]), FieldType::String);
        assert_eq!(guess(&["", ""]), FieldType::String);
        assert_eq!(guess(&["a\nb"]), FieldType::Text);
        assert_eq!(guess(&["99999999999999999999"]), FieldType::Double);
    }

    proptest! {
        #[test]
        fn whatever_is_inferred_also_reads(cells in proptest::collection::vec("[0-9.eE:/TZ -]{0,20}|true|FALSE|[a-z]{0,5}", 1..20)) {
            let mut guess = Guess::default();
            cells.iter().for_each(|cell| guess.see(cell));
            let field = Field::new("x", guess.field_type());
            for cell in &cells {
                prop_assert!(Dialect::default().read(&field, cell).is_ok(), "{cell:?} as {:?}", field.kind);
            }
        }
    }
}

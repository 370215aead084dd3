//! What goes to stdout: a table for people or JSON for programs, never both, never colours. Everything else that is
//! said goes to stderr.

use crate::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::{self, Write};

/// `-o`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// As the API answered.
    Json,
}

/// Characters of a column in a list.
const WIDTH: usize = 80;

/// One column: its title and where its value is in a resource (a JSON pointer).
pub(crate) type Column = (&'static str, &'static str);

impl Format {
    /// Prints a list of resources.
    ///
    /// # Errors
    /// Where stdout cannot be written.
    pub(crate) fn list(self, columns: &[Column], items: &[Value]) -> Result<(), Failure> {
        match self {
            Self::Json => print_json(&Value::from(items.to_vec())),
            Self::Table => {
                let titles = columns.iter().map(|(title, _)| (*title).to_owned()).collect();
                let rows = items
                    .iter()
                    .map(|item| columns.iter().map(|(_, at)| cell(item.pointer(at))).collect());
                print(&table(titles, rows))
            }
        }
    }
    /// Prints one resource: every value with its name.
    ///
    /// # Errors
    /// As [`Format::list`].
    pub(crate) fn one(self, item: &Value) -> Result<(), Failure> {
        match self {
            Self::Json => print_json(item),
            Self::Table => {
                let mut rows = Vec::new();
                flatten("", item, &mut rows);
                print(&table(vec!["FIELD".to_owned(), "VALUE".to_owned()], rows.into_iter()))
            }
        }
    }
}

/// A table without lines: it can be read by people and cut by tools.
#[must_use]
pub(crate) fn table(titles: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(titles)
        .add_rows(rows);
    let lines: Vec<String> = table.to_string().lines().map(|line| line.trim().to_owned()).collect();
    lines.join("\n")
}

fn print_json(value: &Value) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(value)?)
}

/// Prints to stdout. A reader that went away (`| head`) is no error.
///
/// # Errors
/// Where stdout cannot be written for another reason.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Says something to the person, on stderr.
pub(crate) fn say(text: &str) {
    // Nobody to tell is no reason to fail.
    drop(writeln!(io::stderr().lock(), "{text}"));
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                flatten(&path, value, rows);
            }
        }
        other => rows.push(vec![path.to_owned(), line(Some(other))]),
    }
}

/// As [`line`], cut to what fits beside others.
#[must_use]
pub(crate) fn cell(value: Option<&Value>) -> String {
    let text = line(value);
    if text.chars().count() <= WIDTH {
        text
    } else {
        text.chars().take(WIDTH - 1).chain(['…']).collect()
    }
}

/// One value in one line. Control characters are replaced: a tenant's text must not steer the terminal.
fn line(value: Option<&Value>) -> String {
    let text = match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(|item| line(Some(item))).collect::<Vec<_>>().join(", ")
        }
        Some(other) => other.to_string(),
    };
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tenants_text_cannot_steer_the_terminal() {
        assert_eq!(cell(Some(&json!("a\u{1b}[2Jb\n"))), "a [2Jb ");
    }

    #[test]
    fn a_list_is_cut_and_a_single_resource_is_whole() {
        let link = json!("x".repeat(200));
        let mut rows = Vec::new();
        flatten("inviteUri", &link, &mut rows);
        assert_eq!((cell(Some(&link)).chars().count(), rows[0][1].len()), (80, 200));
    }

    #[test]
    fn columns_line_up_and_lines_have_no_padding_at_their_ends() {
        let text = table(
            vec!["A".into(), "B".into()],
            vec![vec!["long value".into(), "x".into()]].into_iter(),
        );
        assert_eq!(text, "A           B\nlong value  x");
    }
}

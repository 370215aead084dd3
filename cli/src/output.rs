//! What goes to stdout: a table for people, or JSON, YAML or bare names for programs, never two of them, never colours.
//! Everything else that is said goes to stderr.

use crate::Failure;
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use serde_json::Value;
use std::{
    io::{self, Write},
    os::fd::AsFd,
};
use tokio::{io::Interest, net::unix::pipe};

/// `-o`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// For people with a wide screen: every column, nothing cut.
    Wide,
    /// As the API answered.
    Json,
    /// The same as YAML.
    Yaml,
    /// Resource names only, one a line.
    Name,
}

/// Characters of a column in a list.
const WIDTH: usize = 80;

/// How a value is shown in a table.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// An enum value without this prefix.
    Word(&'static str),
    /// A time without fractions of a second.
    Time,
    /// A size.
    Bytes,
    /// A measured number, to one place.
    Measure,
}

/// One column: its title and where its value is in a resource (a JSON pointer).
#[derive(Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    at: &'static str,
    kind: Kind,
    wide: bool,
}

/// Any value.
pub(crate) const fn text(title: &'static str, at: &'static str) -> Column {
    Column {
        title,
        at,
        kind: Kind::Text,
        wide: false,
    }
}

/// An enum value: `TENANT_STATE_ACTIVE` is shown as `active`.
pub(crate) const fn word(title: &'static str, at: &'static str, prefix: &'static str) -> Column {
    Column {
        kind: Kind::Word(prefix),
        ..text(title, at)
    }
}

/// A time.
pub(crate) const fn time(title: &'static str, at: &'static str) -> Column {
    Column {
        kind: Kind::Time,
        ..text(title, at)
    }
}

/// A number of bytes.
pub(crate) const fn bytes(title: &'static str, at: &'static str) -> Column {
    Column {
        kind: Kind::Bytes,
        ..text(title, at)
    }
}

/// A measured number: no more than one place means anything.
pub(crate) const fn measure(title: &'static str, at: &'static str) -> Column {
    Column {
        kind: Kind::Measure,
        ..text(title, at)
    }
}

impl Column {
    /// Only with `-o wide`.
    pub(crate) const fn wide(self) -> Self {
        Self { wide: true, ..self }
    }

    fn show(&self, item: &Value) -> String {
        let value = item.pointer(self.at);
        let plain = || line(value);
        match (self.kind, value.and_then(Value::as_str)) {
            (Kind::Word(prefix), Some(word)) => match word.strip_prefix(prefix) {
                Some("UNSPECIFIED") => String::new(),
                Some(rest) => rest.to_lowercase().replace('_', " "),
                None => plain(),
            },
            (Kind::Time, Some(time)) => time
                .split_once('.')
                .map_or_else(plain, |(whole, _)| format!("{whole}Z")),
            (Kind::Bytes, _) => number(value).map_or_else(plain, |size| HumanBytes(size).to_string()),
            (Kind::Measure, _) => value
                .and_then(Value::as_f64)
                .map_or_else(plain, |number| format!("{number:.1}")),
            _ => plain(),
        }
    }
}

impl Format {
    /// Whether people read it.
    pub(crate) fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
    /// Prints a list of resources.
    ///
    /// # Errors
    /// Where stdout cannot be written.
    pub(crate) fn list(self, columns: &[Column], items: &[Value]) -> Result<(), Failure> {
        match self {
            Self::Json => print_json(&Value::from(items.to_vec())),
            Self::Yaml => print_yaml(&Value::from(items.to_vec())),
            Self::Name => {
                let first = columns.first().map(|column| column.at);
                items.iter().try_for_each(|item| print(&name_of(item, first)))
            }
            Self::Table | Self::Wide => {
                let wide = self == Self::Wide;
                let shown: Vec<&Column> = columns.iter().filter(|column| wide || !column.wide).collect();
                let titles = shown.iter().map(|column| column.title.to_owned()).collect();
                let rows = items.iter().map(|item| {
                    let cells = shown.iter().map(|column| column.show(item));
                    cells.map(|text| if wide { text } else { cut(text) }).collect()
                });
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
            Self::Yaml => print_yaml(item),
            Self::Name => print(&name_of(item, None)),
            Self::Table | Self::Wide => {
                let mut rows = Vec::new();
                flatten("", item, &mut rows);
                print(&table(vec!["FIELD".to_owned(), "VALUE".to_owned()], rows.into_iter()))
            }
        }
    }
}

/// The resource name of an item, or of the one resource that it wraps, or what its first column shows.
fn name_of(item: &Value, first: Option<&str>) -> String {
    let own = item.get("name").and_then(Value::as_str);
    let inner = || {
        let parts = item.as_object().into_iter().flat_map(serde_json::Map::values);
        parts
            .filter(|part| part.is_object())
            .find_map(|part| part["name"].as_str())
    };
    match own.or_else(inner) {
        Some(name) => line(Some(&Value::from(name))),
        None => line(first.and_then(|at| item.pointer(at))),
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

fn print_yaml(value: &Value) -> Result<(), Failure> {
    print(yaml(value)?.trim_end())
}

fn yaml(value: &Value) -> Result<String, Failure> {
    serde_saphyr::to_string(value).map_err(|error| Failure::other(format!("cannot be written as YAML: {error}")))
}

/// Prints to stdout.
///
/// # Errors
/// Where stdout cannot be written; where its reader went away, with exit code 0.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}").map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => error.into(),
    })
}

/// Ends when nobody reads stdout any more, though nothing is written; never where that cannot be known (a file).
pub(crate) async fn reader_gone() {
    let stdout = io::stdout().as_fd().try_clone_to_owned();
    // It is asked about and never written to, so it may stay as it is: others share it and expect it to block.
    match stdout.and_then(pipe::Sender::from_owned_fd_unchecked) {
        Ok(stdout) => drop(stdout.ready(Interest::ERROR).await),
        Err(_) => std::future::pending().await,
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

/// A number; 64-bit ones are strings in JSON.
#[must_use]
pub(crate) fn number(value: Option<&Value>) -> Option<u64> {
    let value = value?;
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// One value in one line, cut to what fits beside others.
#[must_use]
pub(crate) fn cell(value: Option<&Value>) -> String {
    cut(line(value))
}

fn cut(text: String) -> String {
    if text.chars().count() <= WIDTH {
        text
    } else {
        text.chars().take(WIDTH - 1).chain(['…']).collect()
    }
}

/// One value in one line. Control characters are replaced: a tenant's text must not steer the terminal.
pub(crate) fn line(value: Option<&Value>) -> String {
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
        let steering = json!({"name": "x\u{1b}[2J"});
        assert_eq!(name_of(&steering, None), "x [2J");
        assert!(!yaml(&steering).unwrap().contains('\u{1b}'));
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

    #[test]
    fn a_column_shows_states_times_and_sizes_for_people() {
        let item = json!({"state": "TENANT_STATE_ACTIVE", "at": "2026-11-23T21:45:03.123456Z", "size": "2048", "ms": 62.59398496240601, "none": "TENANT_STATE_UNSPECIFIED"});
        let shown = [
            word("S", "/state", "TENANT_STATE_"),
            word("S", "/none", "TENANT_STATE_"),
            word("S", "/state", "OTHER_"),
            time("T", "/at"),
            bytes("B", "/size"),
            measure("M", "/ms"),
            measure("M", "/missing"),
            text("X", "/missing"),
        ]
        .map(|column| column.show(&item));
        assert_eq!(
            shown,
            [
                "active",
                "",
                "TENANT_STATE_ACTIVE",
                "2026-11-23T21:45:03Z",
                "2.00 KiB",
                "62.6",
                "",
                ""
            ]
        );
    }

    #[test]
    fn a_name_is_found_in_a_wrapped_resource_too() {
        assert_eq!(name_of(&json!({"name": "plans/free"}), None), "plans/free");
        assert_eq!(
            name_of(&json!({"user": {"name": "users/1"}, "inviteUri": "x"}), None),
            "users/1"
        );
        assert_eq!(name_of(&json!({"slug": "acme"}), Some("/slug")), "acme");
    }

    #[test]
    fn yaml_keeps_texts_apart_from_numbers_and_booleans() {
        let item = json!({"text": "no", "digits": "12", "flag": false, "count": 3, "list": ["a"], "empty": {}, "many": "a\nb"});
        let text = yaml(&item).unwrap();
        assert!(text.contains("flag: false") && text.contains("count: 3"), "{text}");
        assert!(!text.contains("text: no\n") && !text.contains("digits: 12\n"), "{text}");
    }
}

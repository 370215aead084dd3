//! `tenantctl export`: all records of a type as CSV, NDJSON or JSON, page by page, to a file or stdout.

use crate::{Exit, Failure, args::Globals, http::Call, operations, output, resource::Session, types::TYPES};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

/// The API's largest page.
const PAGE: usize = 500;

/// See the help text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenantctl --tenant acme export tickets --file tickets.csv
  tenantctl --tenant acme export tickets --format ndjson | gzip > tickets.ndjson.gz
  tenantctl --tenant acme export tickets --filter 'status = \"open\"' --order-by 'opened_at desc' --file open.json

A CSV file has a column for each field of the type and can be imported again; ndjson and json have the records as the API
answers. Pages are read one after the other: what changes meanwhile may be in or not. A snapshot (`tenantctl backups
create`) is of one moment.")]
pub(crate) struct ExportArgs {
    /// Id of the type
    object_type: String,
    /// Write to this file instead of stdout; it appears when it is complete
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "file")]
    force: bool,
    /// As the file's name ends, else csv
    #[arg(long, value_enum)]
    format: Option<Kind>,
    /// Comparisons joined by AND
    #[arg(long, default_value = "")]
    filter: String,
    /// Fields in order, each with an optional `desc`
    #[arg(long, default_value = "")]
    order_by: String,
}

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A header line, then a line for each record.
    Csv,
    /// A JSON object a line.
    Ndjson,
    /// One JSON array.
    Json,
}

impl Kind {
    fn of(file: Option<&Path>) -> Self {
        match file.and_then(Path::extension).and_then(|end| end.to_str()) {
            Some("ndjson" | "jsonl") => Self::Ndjson,
            Some("json") => Self::Json,
            _ => Self::Csv,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// What the server said; a file that is there already or cannot be written.
pub(crate) async fn run(globals: &Globals, args: ExportArgs) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    let kind = args.format.unwrap_or_else(|| Kind::of(args.file.as_deref()));
    let object_type = session.api.send(Call::get(&TYPES.at(&args.object_type, ""))).await?;
    let count = match &args.file {
        None => {
            let mut sink = Sink::new(kind, &object_type, Box::new(io::stdout().lock()));
            match write(&session, &args, &mut sink).await {
                // A reader that went away (`| head`) has what it wanted.
                Err(Stop::Gone) => return Ok(()),
                Err(Stop::Failed(failure)) => return Err(failure),
                Ok(count) => count,
            }
        }
        Some(file) => to_file(&session, &args, kind, &object_type, file).await?,
    };
    let to = args
        .file
        .map(|file| format!(" to {}", file.display()))
        .unwrap_or_default();
    output::say(&format!("{count} records of {} exported{to}.", args.object_type));
    Ok(())
}

async fn to_file(
    session: &Session,
    args: &ExportArgs,
    kind: Kind,
    object_type: &Value,
    file: &Path,
) -> Result<usize, Failure> {
    if file.exists() && !args.force {
        let message = format!("{} is there already; --force replaces it", file.display());
        return Err(Failure::new(Exit::Conflict, message));
    }
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let failed = |error: io::Error| Failure::other(format!("{}: {error}", part.display()));
    let opened = OpenOptions::new().write(true).create(true).truncate(true).open(&part);
    let mut sink = Sink::new(kind, object_type, Box::new(opened.map_err(failed)?));
    match write(session, args, &mut sink).await {
        Ok(count) => fs::rename(&part, file).map_err(failed).map(|()| count),
        Err(stop) => {
            // Half a file must not be taken for a whole one.
            drop(fs::remove_file(&part));
            Err(match stop {
                Stop::Failed(failure) => failure,
                Stop::Gone => Failure::other(format!("{}: cannot be written", part.display())),
            })
        }
    }
}

async fn write(session: &Session, args: &ExportArgs, sink: &mut Sink<'_>) -> Result<usize, Stop> {
    let path = TYPES.at(&args.object_type, "/records");
    let query = [("filter", args.filter.clone()), ("orderBy", args.order_by.clone())];
    let bar = operations::progress();
    let (mut token, mut count) = (String::new(), 0);
    sink.begin()?;
    loop {
        let page = session.api.page(&path, "records", &query, PAGE, token).await;
        let (records, next) = page.map_err(Stop::Failed)?;
        for record in &records {
            sink.record(record, count == 0)?;
            count += 1;
        }
        bar.set_message(format!("{count} records"));
        bar.tick();
        token = next;
        if token.is_empty() {
            bar.finish_and_clear();
            sink.end(count == 0)?;
            return Ok(count);
        }
    }
}

/// Why nothing more is written.
enum Stop {
    /// The reader went away.
    Gone,
    /// For another reason.
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::Gone
        } else {
            Self::Failed(error.into())
        }
    }
}

impl From<csv::Error> for Stop {
    fn from(error: csv::Error) -> Self {
        match error.into_kind() {
            csv::ErrorKind::Io(error) => error.into(),
            other => Self::Failed(Failure::other(format!("cannot be written as CSV: {other:?}"))),
        }
    }
}

impl From<serde_json::Error> for Stop {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() {
            io::Error::from(error).into()
        } else {
            Self::Failed(error.into())
        }
    }
}

/// One kind of file.
enum Sink<'a> {
    Csv(Vec<String>, Box<csv::Writer<Box<dyn Write + 'a>>>),
    Lines(BufWriter<Box<dyn Write + 'a>>),
    Array(BufWriter<Box<dyn Write + 'a>>),
}

impl<'a> Sink<'a> {
    fn new(kind: Kind, object_type: &Value, to: Box<dyn Write + 'a>) -> Self {
        let fields = object_type["fields"].as_array().into_iter().flatten();
        match kind {
            Kind::Csv => Self::Csv(
                fields
                    .filter_map(|field| field["fieldId"].as_str().map(str::to_owned))
                    .collect(),
                Box::new(csv::Writer::from_writer(to)),
            ),
            Kind::Ndjson => Self::Lines(BufWriter::new(to)),
            Kind::Json => Self::Array(BufWriter::new(to)),
        }
    }

    fn begin(&mut self) -> Result<(), Stop> {
        match self {
            Self::Csv(fields, to) => to.write_record(fields)?,
            Self::Lines(_) => {}
            Self::Array(to) => to.write_all(b"[")?,
        }
        Ok(())
    }

    fn record(&mut self, record: &Value, first: bool) -> Result<(), Stop> {
        match self {
            Self::Csv(fields, to) => to.write_record(fields.iter().map(|field| text(record["fields"].get(field))))?,
            Self::Lines(to) => {
                serde_json::to_writer(&mut *to, record)?;
                to.write_all(b"\n")?;
            }
            Self::Array(to) => {
                to.write_all(if first { b"\n" } else { b",\n" })?;
                serde_json::to_writer(&mut *to, record)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, empty: bool) -> Result<(), Stop> {
        match self {
            Self::Csv(_, to) => to.flush()?,
            Self::Lines(to) => to.flush()?,
            Self::Array(to) => {
                to.write_all(if empty { b"]\n" } else { b"\n]\n" })?;
                to.flush()?;
            }
        }
        Ok(())
    }
}

/// A value as it is imported again: nothing for null, JSON for lists and objects.
fn text(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(kind: Kind, records: &[Value]) -> String {
        let object_type = json!({"fields": [{"fieldId": "a"}, {"fieldId": "b"}]});
        let mut buffer = Vec::new();
        let mut sink = Sink::new(kind, &object_type, Box::new(&mut buffer));
        let done = |result: Result<(), Stop>| assert!(result.is_ok());
        done(sink.begin());
        for (index, record) in records.iter().enumerate() {
            done(sink.record(record, index == 0));
        }
        done(sink.end(records.is_empty()));
        drop(sink);
        String::from_utf8(buffer).unwrap()
    }

    #[test]
    fn each_format_is_whole() {
        let records = [
            json!({"fields": {"b": "x,\"y\"\nz", "a": 1}}),
            json!({"fields": {"a": null, "b": [true]}}),
        ];
        assert_eq!(written(Kind::Csv, &records), "a,b\n1,\"x,\"\"y\"\"\nz\"\n,[true]\n");
        assert_eq!(written(Kind::Csv, &[]), "a,b\n");
        assert_eq!(written(Kind::Ndjson, &records).lines().count(), 2);
        let back: Value = serde_json::from_str(&written(Kind::Json, &records)).unwrap();
        assert_eq!(back, json!(records));
        assert_eq!(written(Kind::Json, &[]), "[]\n");
    }

    #[test]
    fn a_files_name_says_its_format() {
        let of = |name: &str| Kind::of(Some(Path::new(name)));
        assert_eq!(
            [of("a.csv"), of("a.ndjson"), of("a.json"), of("a")],
            [Kind::Csv, Kind::Ndjson, Kind::Json, Kind::Csv]
        );
        assert_eq!(Kind::of(None), Kind::Csv);
    }
}

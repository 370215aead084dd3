//! `tenantctl export`: all records of a type as CSV, NDJSON or JSON, page by page, to a file or stdout.

use crate::{
    Exit, Failure,
    args::Globals,
    files::Fresh,
    http::Call,
    interrupt::{self, Todo},
    operations, output,
    resource::Session,
    types::TYPES,
};
use clap::{Args, ValueEnum};
use serde_json::Value;
use std::{
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
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
    /// Write to this file instead of stdout (`-`); it appears when it is complete, a pipe or device is written as it goes
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
    let object_type = session.api.send(Call::get(&TYPES.at(&args.object_type, "")?)).await?;
    let file = args.file.as_deref().filter(|file| *file != Path::new("-"));
    let count = match file {
        None => {
            stream(
                &session,
                &args,
                Sink::new(kind, &object_type, Box::new(io::stdout().lock())),
            )
            .await?
        }
        Some(file) => match Target::of(file, args.force)? {
            Target::InPlace(opened) => stream(&session, &args, Sink::new(kind, &object_type, Box::new(opened))).await?,
            Target::Whole(path, before) => {
                let failed = |error: io::Error| failed(file, &error);
                let fresh = Fresh::beside(&path, if before.is_some() { 0o600 } else { 0o666 }).map_err(failed)?;
                let _armed = interrupt::arm(Todo::Remove(fresh.path().to_owned()))?;
                let count = stream(&session, &args, Sink::new(kind, &object_type, Box::new(fresh.file()))).await?;
                finish(fresh, &path, before.as_ref(), args.force).map_err(failed)?;
                count
            }
        },
    };
    // A reader that went away (`| head`) has what it wanted.
    let Some(count) = count else { return Ok(()) };
    let to = file.map(|file| format!(" to {}", file.display())).unwrap_or_default();
    output::say(&format!("{count} records of {} exported{to}.", args.object_type));
    Ok(())
}

/// Where an export goes that does not go to stdout.
#[derive(Debug)]
enum Target {
    /// A pipe or a device: what is written there is gone.
    InPlace(File),
    /// A file that appears when it is complete, and what it takes the place of.
    Whole(PathBuf, Option<Metadata>),
}

impl Target {
    fn of(file: &Path, force: bool) -> Result<Self, Failure> {
        let failed = |error: io::Error| failed(file, &error);
        let before = match fs::metadata(file) {
            Ok(before) => before,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return if file.is_symlink() {
                    Err(Failure::usage(format!("{} is a link to nothing", file.display())))
                } else {
                    Ok(Self::Whole(file.to_owned(), None))
                };
            }
            Err(error) => return Err(failed(error)),
        };
        if before.is_dir() {
            return Err(Failure::usage(format!("{} is a folder", file.display())));
        }
        if !before.is_file() {
            let opened = OpenOptions::new().write(true).open(file).map_err(failed)?;
            return Ok(Self::InPlace(opened));
        }
        if !force {
            return Err(taken(file));
        }
        // A link stays; the file that it means is replaced.
        Ok(Self::Whole(fs::canonicalize(file).map_err(failed)?, Some(before)))
    }
}

fn taken(file: &Path) -> Failure {
    let message = format!("{} is there already; --force replaces it", file.display());
    Failure::new(Exit::Conflict, message)
}

fn failed(file: &Path, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AlreadyExists => taken(file),
        _ => Failure::other(format!("{}: {error}", file.display())),
    }
}

/// Gives the file its name, and the owner and mode of the one that it replaces.
fn finish(fresh: Fresh, path: &Path, before: Option<&Metadata>, force: bool) -> io::Result<()> {
    if let Some(before) = before {
        // Who may not give the file away keeps it for themselves: it must not open to another group.
        let given = std::os::unix::fs::fchown(fresh.file(), Some(before.uid()), Some(before.gid()));
        let mode = before.mode() & if given.is_ok() { 0o777 } else { 0o700 };
        fresh.file().set_permissions(Permissions::from_mode(mode))?;
    }
    if force { fresh.replace(path) } else { fresh.place(path) }
}

/// Writes all records; how many, or nothing where the reader went away.
async fn stream(session: &Session, args: &ExportArgs, mut sink: Sink<'_>) -> Result<Option<usize>, Failure> {
    match write(session, args, &mut sink).await {
        Ok(count) => Ok(Some(count)),
        Err(Stop::Gone) => Ok(None),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

async fn write(session: &Session, args: &ExportArgs, sink: &mut Sink<'_>) -> Result<usize, Stop> {
    let path = TYPES.at(&args.object_type, "/records").map_err(Stop::Failed)?;
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

//! Imports: a CSV file goes up piece by piece, what was understood is shown, and only then anything is written.

use super::{
    console::{Chrome, Console, Form, Outcome, Trouble, bytes, id_of, number},
    fields,
    fields::Choice,
    mapping,
    mapping::Mapping,
    operations,
    operations::Progress,
    remedies,
    remedies::Named,
    types,
};
use crate::{
    app::guard::Violation,
    edge::{
        frames::Answer,
        respond,
        upload::{self as file, MAX_FILE},
    },
    error,
};
use askama::Template;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tenantry_api::{
    auth::Role,
    business::{
        GetImportRequest, GetImportResponse, Import, ImportState, ObjectType, StartImportRequest, StartImportResponse,
        UploadImportResponse,
    },
};
use tenantry_kernel::{Error, Reason};
use tonic::{Status, body::Body};

const SERVICE: &str = "/tenantry.business.v1.ImportService/";

#[derive(Template)]
#[template(path = "imports.html")]
struct UploadPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    most: String,
    into: String,
}

fn upload_page(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let page = UploadPage {
        chrome: console.chrome(),
        most: bytes(i64::try_from(MAX_FILE).unwrap_or(i64::MAX)),
        into: fields::slug(console.parameter("type")),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn ask(console: &Console) -> Outcome {
    console.needs_feature("import")?;
    upload_page(console, None)
}

pub(super) async fn upload(console: &Console, request: Request<Body>) -> Outcome {
    match send(console, request).await {
        Ok(import) => {
            let into = fields::slug(console.parameter("type"));
            let path = format!("/imports/{}", id_of(&import.name));
            Ok(respond::see_other(&super::console::address(&path, &[("type", &into)])))
        }
        Err(status) => {
            let trouble = console.trouble(&status).named(|path, text| {
                (path == "file" || path == "filename").then(|| Named {
                    label: "File".to_owned(),
                    input: "file".to_owned(),
                    text: text.to_owned(),
                })
            });
            upload_page(console, Some(trouble))
        }
    }
}

/// The file of the form, as it comes in, to the service.
async fn send(console: &Console, request: Request<Body>) -> Result<Import, Status> {
    let refused = |error: &Error| console.status(error);
    let method = console.edge.methods.get(&format!("{SERVICE}UploadImport"));
    let method = method.ok_or_else(|| refused(&error::unimplemented()))?;
    let pass = console
        .edge
        .gate
        .admit(&console.visitor, None, method)
        .await
        .map_err(|error| refused(&error))?;
    let (parts, body) = request.into_parts();
    let boundary = boundary(&parts.headers).map_err(|error| refused(&error))?;
    let bounds =
        multer::Constraints::new().size_limit(multer::SizeLimit::new().whole_stream(MAX_FILE as u64 + (64 << 10)));
    let mut form = multer::Multipart::with_constraints(body.into_data_stream(), boundary, bounds);
    let broken = |_: multer::Error| {
        refused(&Error::new(
            Reason::MalformedRequest,
            "The form is not whole multipart/form-data.",
        ))
    };
    let file = loop {
        match form.next_field().await.map_err(broken)? {
            Some(field) if field.name() == Some("file") => break field,
            Some(_) => {}
            None => return Err(refused(&Error::invalid_field("file", "is missing: choose a CSV file"))),
        }
    };
    let name = file_name(file.file_name().unwrap_or_default());
    let frames = file.map(|piece| {
        piece
            .map(Frame::data)
            .map_err(|error| Status::cancelled(error.to_string()))
    });
    let violation = Violation::default();
    let body = file::body(
        Body::new(StreamBody::new(Box::pin(frames))),
        &HeaderMap::new(),
        name,
        violation.clone(),
    )
    .map_err(|error| refused(&error))?;
    let answer = console.edge.gate.forward(&console.visitor, pass, body, violation).await;
    let bytes = Answer::new(answer).unary().await?;
    let answer = UploadImportResponse::decode(bytes).map_err(|error| refused(&Error::internal(error)))?;
    Ok(answer.import.unwrap_or_default())
}

/// What parts the parts of the form.
fn boundary(headers: &HeaderMap) -> Result<String, Error> {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    multer::parse_boundary(media.and_then(Result::ok).unwrap_or_default())
        .map_err(|_| Error::new(Reason::UnsupportedMediaType, "Send the file as multipart/form-data."))
}

/// The last part of what the browser calls the file, without what a name must not have.
fn file_name(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last.chars().filter(|c| !c.is_control()).take(60).collect();
    if plain.is_empty() {
        "upload.csv".to_owned()
    } else {
        plain
    }
}

#[derive(Template)]
#[template(path = "import.html")]
struct ImportPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    id: String,
    filename: String,
    size: String,
    rows: String,
    mapping: Mapping,
    /// The whole header is one column, but has what parts columns elsewhere.
    is_whole_line: bool,
    may_start: bool,
    progress: Option<Progress>,
    /// Where the records are, once they are written.
    records: String,
    types: Vec<Choice>,
    /// The type that the rows go to; empty for a new one.
    into: String,
    into_label: String,
    new_type: String,
    may_make: bool,
    request_id: String,
}

impl ImportPage {
    fn wrong(&self, input: &str) -> &str {
        remedies::wrong(self.trouble.as_ref(), input)
    }
}

async fn get(console: &Console) -> Result<Import, Status> {
    let question = GetImportRequest { name: name(console) };
    let answer: GetImportResponse = console.ask(&format!("{SERVICE}GetImport"), &question).await?;
    Ok(answer.import.unwrap_or_default())
}

/// The type the rows are to go to: what the form says, what the address says, where they went before. One who cannot make
/// types has the first.
fn into<'a>(
    console: &Console,
    form: &Form,
    before: Option<&Progress>,
    types: &'a [ObjectType],
) -> Option<&'a ObjectType> {
    let named = |id: &str| types.iter().find(|of| !id.is_empty() && id_of(&of.name) == id);
    if form.has("into") {
        return named(form.text("into"));
    }
    let is_asked = console.query.iter().any(|(name, _)| name == "type");
    named(console.parameter("type"))
        .or_else(|| {
            before
                .filter(|_| !is_asked)
                .and_then(|progress| named(id_of(&progress.target)))
        })
        .or_else(|| types.first().filter(|_| !console.is_at_least(Role::Admin)))
}

async fn one(console: &Console, import: Import, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let progress = if import.operation.is_empty() {
        None
    } else {
        let operation = operations::get(console, &import.operation).await?;
        Some(operations::progress(console, &operation))
    };
    let types = types::all(console).await?;
    let of = into(console, form, progress.as_ref(), &types);
    let chosen = of.map_or("", |of| id_of(&of.name));
    // What failed was checked before it was written: the same file can be tried again in another way. Once some of it was
    // written, it cannot.
    let has_failed = progress
        .as_ref()
        .is_some_and(|progress| progress.trouble.is_some() && !progress.applied);
    let is_open = has_failed || (import.state() == ImportState::Uploaded && progress.is_none());
    let page = ImportPage {
        chrome: console.chrome(),
        id: id_of(&import.name).to_owned(),
        size: bytes(import.size_bytes),
        rows: number(import.row_count),
        mapping: Mapping::of(&import, of, form, trouble.as_ref()),
        is_whole_line: is_whole_line(&import),
        records: progress.as_ref().map_or_else(String::new, |progress| {
            format!("/types/{}/records", id_of(&progress.target))
        }),
        progress,
        types: types
            .iter()
            .map(|of| Choice::of(id_of(&of.name), &types::label(of), chosen))
            .collect(),
        into: chosen.to_owned(),
        into_label: of.map_or_else(String::new, types::label),
        new_type: match form.trimmed("new_type") {
            "" => new_type(&import.filename, console.edge.clock.now()),
            typed => typed.to_owned(),
        },
        filename: import.filename,
        may_start: is_open && console.is_at_least(Role::Member),
        may_make: console.is_at_least(Role::Admin) && console.has_feature("custom_types"),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

/// The id of the type that a file makes, if nobody says another one.
fn new_type(filename: &str, now: DateTime<Utc>) -> String {
    let stem = filename.rsplit_once('.').map_or(filename, |(stem, _)| stem);
    match fields::slug(stem) {
        slug if slug.is_empty() => now.format("import_%Y%m%d").to_string(),
        slug => slug,
    }
}

/// A file whose cells are parted by something else looks like one column.
fn is_whole_line(import: &Import) -> bool {
    matches!(import.columns.as_slice(), [one] if one.header.contains([';', '\t']))
}

fn name(console: &Console) -> String {
    format!("imports/{}", console.binding("import"))
}

pub(super) async fn show(console: &Console) -> Outcome {
    // Behind a start the address holds the form, for one that fails.
    let form = Form(console.query.clone());
    let form = if form.has("mapped") { form } else { Form::default() };
    one(console, get(console).await?, &form, None).await
}

pub(super) async fn start(console: &Console, form: Form) -> Outcome {
    let import = get(console).await?;
    let is_new = form.text("into").is_empty();
    let of = match form.text("into") {
        "" => None,
        id => types::all(console).await?.into_iter().find(|of| id_of(&of.name) == id),
    };
    let into = if is_new {
        form.trimmed("new_type")
    } else {
        form.text("into")
    };
    let question = StartImportRequest {
        name: name(console),
        object_type: format!("objectTypes/{into}"),
        create_type: is_new,
        request_id: form.request_id(),
        ..mapping::request(&import, of.as_ref(), &form)
    };
    let answer: Result<StartImportResponse, Status> = console.ask(&format!("{SERVICE}StartImport"), &question).await;
    match answer {
        Ok(_) => Ok(respond::see_other(&started(console, &form))),
        Err(status) => {
            let trouble = console.trouble(&status);
            let trouble = trouble.named(|path, text| mapping::named(&question, path, text));
            one(console, import, &form, Some(trouble)).await
        }
    }
}

/// The page that follows a start. What was chosen stays in its address, as far as one may be long.
fn started(console: &Console, form: &Form) -> String {
    const LONGEST: usize = 4000;
    let chosen = form.0.iter().filter(|(name, _)| name != "request_id");
    let pairs: Vec<(&str, &str)> = chosen.map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let whole = super::console::address(&console.path, &pairs);
    if form.has("mapped") && whole.len() <= LONGEST {
        whole
    } else {
        console.path.clone()
    }
}

/// A file with `text` in everything that people wrote into it, for tests of templates.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let import = Import {
        columns: vec![tenantry_api::business::ImportColumn {
            header: text.to_owned(),
            field_id: text.to_owned(),
            samples: vec![text.to_owned()],
            ..tenantry_api::business::ImportColumn::default()
        }],
        ..Import::default()
    };
    let page = ImportPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        id: "1".to_owned(),
        filename: text.to_owned(),
        size: String::new(),
        rows: String::new(),
        mapping: Mapping::of(&import, None, &Form::default(), None),
        is_whole_line: true,
        may_start: true,
        progress: None,
        records: text.to_owned(),
        types: vec![Choice::of(text, text, text)],
        into: String::new(),
        into_label: text.to_owned(),
        new_type: text.to_owned(),
        may_make: true,
        request_id: "r-2".to_owned(),
    };
    page.render().expect("a page")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenantry_api::business::ImportColumn;

    #[test]
    fn a_browsers_file_name_becomes_a_plain_one() {
        assert_eq!(file_name("C:\\fakepath\\a b.csv"), "a b.csv");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name(""), "upload.csv");
        assert_eq!(file_name("a\r\nb.csv"), "ab.csv");
    }

    #[test]
    fn every_file_names_a_type() {
        let now = DateTime::from_timestamp(1_795_824_000, 0).expect("a time");
        assert_eq!(new_type("Big list.csv", now), "big_list");
        assert_eq!(new_type("2026 list.csv", now), "n_2026_list");
        assert_eq!(new_type("氏名.csv", now), "import_20261128");
        assert_eq!(new_type("", now), "import_20261128");
    }

    #[test]
    fn one_column_with_semicolons_is_told_from_a_real_one() {
        let file = |headers: &[&str]| Import {
            columns: headers
                .iter()
                .map(|header| ImportColumn {
                    header: (*header).to_owned(),
                    ..ImportColumn::default()
                })
                .collect(),
            ..Import::default()
        };
        assert!(is_whole_line(&file(&["a;b;c"])) && is_whole_line(&file(&["a\tb"])));
        assert!(!is_whole_line(&file(&["a"])) && !is_whole_line(&file(&["a;b", "c"])));
    }
}

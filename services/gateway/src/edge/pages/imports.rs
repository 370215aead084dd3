//! Imports: a CSV file goes up piece by piece, what was understood is shown, and only then anything is written.

use super::{
    console::{Chrome, Console, Form, Outcome, Trouble, bytes, id_of, number},
    fields, operations,
    operations::Progress,
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
use futures::StreamExt;
use http::{HeaderMap, HeaderValue, Request, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use prost::Message;
use tenantry_api::{
    auth::Role,
    business::{
        GetImportRequest, GetImportResponse, Import, ImportColumn, ImportState, StartImportRequest,
        StartImportResponse, UploadImportResponse,
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
    upload_page(console, None)
}

pub(super) async fn upload(console: &Console, request: Request<Body>) -> Outcome {
    match send(console, request).await {
        Ok(import) => {
            let into = fields::slug(console.parameter("type"));
            let path = format!("/imports/{}", id_of(&import.name));
            Ok(respond::see_other(&super::console::address(&path, &[("type", &into)])))
        }
        Err(status) => upload_page(console, Some(console.trouble(&status))),
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
    let media = parts.headers.get(header::CONTENT_TYPE).map(HeaderValue::to_str);
    let boundary = multer::parse_boundary(media.and_then(Result::ok).unwrap_or_default()).map_err(|_| {
        refused(&Error::new(
            Reason::UnsupportedMediaType,
            "Send the file as multipart/form-data.",
        ))
    })?;
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

struct ColumnView {
    header: String,
    field: String,
    kind: String,
    samples: String,
}

fn column(column: &ImportColumn) -> ColumnView {
    ColumnView {
        header: column.header.clone(),
        field: column.field_id.clone(),
        kind: column
            .r#type()
            .as_str_name()
            .trim_start_matches("FIELD_TYPE_")
            .to_ascii_lowercase(),
        samples: column.samples.iter().take(3).cloned().collect::<Vec<_>>().join(" · "),
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
    columns: Vec<ColumnView>,
    is_uploaded: bool,
    progress: Option<Progress>,
    /// Where the records are, once they are written.
    records: String,
    types: Vec<(String, String, bool)>,
    new_type: String,
    may_start: bool,
    may_make: bool,
    request_id: String,
}

async fn one(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let question = GetImportRequest { name: name(console) };
    let answer: GetImportResponse = console.ask(&format!("{SERVICE}GetImport"), &question).await?;
    let import = answer.import.unwrap_or_default();
    let progress = if import.operation.is_empty() {
        None
    } else {
        let operation = operations::get(console, &import.operation).await?;
        Some(operations::progress(console, &operation))
    };
    let into = match form.trimmed("into") {
        "" => console.parameter("type"),
        chosen => chosen,
    };
    let types = types::all(console).await?;
    let guess = fields::slug(
        import
            .filename
            .rsplit_once('.')
            .map_or(import.filename.as_str(), |(stem, _)| stem),
    );
    let page = ImportPage {
        chrome: console.chrome(),
        id: id_of(&import.name).to_owned(),
        size: bytes(import.size_bytes),
        rows: number(import.row_count),
        columns: import.columns.iter().map(column).collect(),
        is_uploaded: import.state() == ImportState::Uploaded && progress.is_none(),
        records: progress.as_ref().map_or_else(String::new, |progress| {
            format!("/types/{}/records", id_of(&progress.target))
        }),
        progress,
        types: types
            .iter()
            .map(|of| {
                let id = id_of(&of.name).to_owned();
                let chosen = id == into;
                (id, types::label(of), chosen)
            })
            .collect(),
        new_type: match form.trimmed("new_type") {
            "" => guess,
            typed => typed.to_owned(),
        },
        filename: import.filename,
        may_start: console.is_at_least(Role::Member),
        may_make: console.is_at_least(Role::Admin),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

fn name(console: &Console) -> String {
    format!("imports/{}", console.binding("import"))
}

pub(super) async fn show(console: &Console) -> Outcome {
    one(console, &Form::default(), None).await
}

pub(super) async fn start(console: &Console, form: Form) -> Outcome {
    let is_new = form.text("into").is_empty();
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
        ..StartImportRequest::default()
    };
    let answer: Result<StartImportResponse, Status> = console.ask(&format!("{SERVICE}StartImport"), &question).await;
    match answer {
        Ok(_) => Ok(respond::see_other(&console.path)),
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browsers_file_name_becomes_a_plain_one() {
        assert_eq!(file_name("C:\\fakepath\\a b.csv"), "a b.csv");
        assert_eq!(file_name("../../etc/passwd"), "passwd");
        assert_eq!(file_name(""), "upload.csv");
        assert_eq!(file_name("a\r\nb.csv"), "ab.csv");
    }
}

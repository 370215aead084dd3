//! Records of a type: the grid with filter, order and paging, and one record's form.

use super::{
    console::{Chrome, Console, Form, Outcome, Question, Trouble, address, id_of, time},
    fields::{self, Input},
    types, values,
};
use crate::edge::respond;
use askama::Template;
use http::StatusCode;
use tenantry_api::{
    auth::Role,
    business::{
        CreateRecordRequest, CreateRecordResponse, DeleteRecordRequest, DeleteRecordResponse, GetRecordRequest,
        GetRecordResponse, ListRecordsRequest, ListRecordsResponse, ObjectType, Record, UpdateRecordRequest,
        UpdateRecordResponse,
    },
};
use tenantry_kernel::Reason;
use tonic::Status;

const SERVICE: &str = "/tenantry.business.v1.RecordService/";
/// Columns of the grid; a record's page has all.
const COLUMNS: usize = 10;

struct Column {
    id: String,
    label: String,
    /// Orders by it; empty where that cannot be.
    order: String,
    /// `ascending`, `descending` or `none`.
    sort: &'static str,
    mark: &'static str,
}

struct RowView {
    id: String,
    caption: String,
    cells: Vec<String>,
    changed: String,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    id: String,
    label: String,
    columns: Vec<Column>,
    more_columns: usize,
    rows: Vec<RowView>,
    filter: &'a str,
    order: &'a str,
    next: String,
    first: String,
    is_first: bool,
    may_write: bool,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let of = types::get(console).await?;
    // The simple form writes a comparison; the address that stays holds the filter itself.
    if !console.parameter("field").is_empty() {
        return Ok(respond::see_other(&simple(console, &of)));
    }
    let (filter, order) = (console.parameter("filter"), console.parameter("order"));
    let question = ListRecordsRequest {
        parent: of.name.clone(),
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
        filter: filter.to_owned(),
        order_by: order.to_owned(),
    };
    let answer: Result<ListRecordsResponse, Status> = console.ask(&format!("{SERVICE}ListRecords"), &question).await;
    let (answer, trouble) = match answer {
        Ok(answer) => (answer, None),
        Err(status) => {
            let trouble = console.trouble(&status);
            if trouble.status != 400 {
                return Err(status);
            }
            (ListRecordsResponse::default(), Some(trouble))
        }
    };
    let path = format!("{}/records", types::at(console));
    let shown: Vec<_> = of.fields.iter().take(COLUMNS).collect();
    let rows = answer.records.iter().map(|record| RowView {
        id: id_of(&record.name).to_owned(),
        caption: fields::caption(record),
        cells: shown
            .iter()
            .map(|field| clipped(&values::shown(fields::value(record, &field.field_id))))
            .collect(),
        changed: time(record.update_time),
    });
    let page = RecordsPage {
        chrome: console.chrome(),
        id: id_of(&of.name).to_owned(),
        label: types::label(&of),
        columns: shown.iter().map(|field| column(field, &path, filter, order)).collect(),
        more_columns: of.fields.len().saturating_sub(COLUMNS),
        rows: rows.collect(),
        filter,
        order,
        next: address(
            &path,
            &[("filter", filter), ("order", order), ("page", &answer.next_page_token)],
        ),
        first: address(&path, &[("filter", filter), ("order", order)]),
        is_first: console.parameter("page").is_empty(),
        may_write: console.is_at_least(Role::Member),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

fn simple(console: &Console, of: &ObjectType) -> String {
    let name = console.parameter("field");
    let field = of.fields.iter().find(|field| field.field_id == name);
    let op = ["=", "!=", "<", "<=", ">", ">="]
        .into_iter()
        .find(|op| *op == console.parameter("op"));
    let text = console.parameter("value").trim();
    // A bare time of the browser's gets its offset; what does not read is left for the service to explain.
    let text = field
        .filter(|field| field.r#type() == tenantry_api::business::FieldType::Timestamp)
        .and_then(|field| values::parse(field, text).ok())
        .map_or_else(|| text.to_owned(), |value| values::raw(Some(&value)));
    let word = if text.is_empty() { "null" } else { &text };
    let comparison = format!("{name} {} {}", op.unwrap_or("="), fields::literal(field, word));
    let filter = match console.parameter("filter").trim() {
        "" => comparison,
        present => format!("{present} AND {comparison}"),
    };
    let order = console.parameter("order");
    address(
        &format!("{}/records", types::at(console)),
        &[("filter", &filter), ("order", order)],
    )
}

fn column(field: &tenantry_api::business::Field, path: &str, filter: &str, order: &str) -> Column {
    let id = field.field_id.as_str();
    let down = format!("{id} desc");
    let (next, sort, mark) = if order == id {
        (down.as_str(), "ascending", "▲")
    } else if order == down {
        ("", "descending", "▼")
    } else {
        (id, "none", "")
    };
    Column {
        id: id.to_owned(),
        label: fields::label(field).to_owned(),
        order: if fields::is_comparable(field) {
            address(path, &[("filter", filter), ("order", next)])
        } else {
            String::new()
        },
        sort,
        mark,
    }
}

fn clipped(text: &str) -> String {
    const MOST: usize = 80;
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    text.chars().take(MOST).chain(['…']).collect()
}

/// A value that somebody else changed meanwhile.
struct Difference {
    label: String,
    yours: String,
    theirs: String,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    type_id: String,
    type_label: String,
    is_new: bool,
    id: String,
    caption: String,
    etag: String,
    created: String,
    changed: String,
    inputs: Vec<Input>,
    differences: Vec<Difference>,
    may_write: bool,
    request_id: String,
}

async fn page_of(
    console: &Console,
    of: &ObjectType,
    record: Option<&Record>,
    form: Option<&Form>,
    trouble: Option<Trouble>,
) -> Outcome {
    let status = trouble
        .as_ref()
        .map_or(StatusCode::OK, |trouble| super::look::code(trouble.status));
    let page = RecordPage {
        chrome: console.chrome(),
        type_id: id_of(&of.name).to_owned(),
        type_label: types::label(of),
        is_new: record.is_none(),
        id: record.map_or_else(String::new, |record| id_of(&record.name).to_owned()),
        caption: record.map_or_else(String::new, fields::caption),
        etag: record.map_or_else(String::new, |record| record.etag.clone()),
        created: time(record.and_then(|record| record.create_time)),
        changed: time(record.and_then(|record| record.update_time)),
        differences: match (&trouble, record, form) {
            (Some(trouble), Some(record), Some(form)) if is_conflict(trouble) => differences(of, record, form),
            _ => Vec::new(),
        },
        inputs: fields::inputs(console, of, record, form).await,
        may_write: console.is_at_least(Role::Member),
        request_id: console.fresh_id(),
        trouble,
    };
    Ok(super::look::html(status, &page))
}

fn is_conflict(trouble: &Trouble) -> bool {
    trouble.reason == Reason::EtagMismatch.as_str()
}

/// What was typed, beside what is there now, where the two differ.
fn differences(of: &ObjectType, record: &Record, form: &Form) -> Vec<Difference> {
    of.fields
        .iter()
        .filter(|field| !fields::is_untouched(field, form))
        .filter_map(|field| {
            let theirs = values::input(field, fields::value(record, &field.field_id));
            let yours = form.text(&format!("f.{}", field.field_id)).to_owned();
            (values::parse(field, &yours) != values::parse(field, &theirs)).then(|| Difference {
                label: fields::label(field).to_owned(),
                yours,
                theirs,
            })
        })
        .collect()
}

pub(super) async fn new(console: &Console) -> Outcome {
    let of = types::get(console).await?;
    page_of(console, &of, None, None, None).await
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    let of = types::get(console).await?;
    let values = match fields::record(console, &of, &form, false) {
        Ok((values, _)) => values,
        Err(trouble) => return page_of(console, &of, None, Some(&form), Some(*trouble)).await,
    };
    let question = CreateRecordRequest {
        parent: of.name.clone(),
        record: Some(Record {
            fields: Some(values),
            ..Record::default()
        }),
        request_id: form.request_id(),
    };
    let answer: Result<CreateRecordResponse, Status> = console.ask(&format!("{SERVICE}CreateRecord"), &question).await;
    match answer {
        Ok(answer) => {
            let record = answer.record.unwrap_or_default();
            console.done(
                &format!("{}/records/{}", types::at(console), id_of(&record.name)),
                "created",
            )
        }
        Err(status) => page_of(console, &of, None, Some(&form), Some(console.trouble(&status))).await,
    }
}

fn name(console: &Console) -> String {
    format!("{}/records/{}", types::name(console), console.binding("record"))
}

async fn get(console: &Console) -> Result<Record, Status> {
    let question = GetRecordRequest { name: name(console) };
    let answer: GetRecordResponse = console.ask(&format!("{SERVICE}GetRecord"), &question).await?;
    Ok(answer.record.unwrap_or_default())
}

pub(super) async fn show(console: &Console) -> Outcome {
    let (of, record) = (types::get(console).await?, get(console).await?);
    page_of(console, &of, Some(&record), None, None).await
}

pub(super) async fn update(console: &Console, form: Form) -> Outcome {
    let of = types::get(console).await?;
    let (values, mask) = match fields::record(console, &of, &form, true) {
        Ok(found) => found,
        Err(trouble) => {
            let record = get(console).await?;
            return page_of(console, &of, Some(&record), Some(&form), Some(*trouble)).await;
        }
    };
    let at = format!("{}/records/{}", types::at(console), console.binding("record"));
    if mask.is_empty() {
        return console.done(&at, "saved");
    }
    let question = UpdateRecordRequest {
        record: Some(Record {
            name: name(console),
            fields: Some(values),
            etag: form.text("etag").to_owned(),
            ..Record::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths: mask }),
        request_id: form.request_id(),
    };
    let answer: Result<UpdateRecordResponse, Status> = console.ask(&format!("{SERVICE}UpdateRecord"), &question).await;
    match answer {
        Ok(_) => console.done(&at, "saved"),
        Err(status) => {
            // The form then compares with what is there now: saving again says it knows.
            let record = get(console).await?;
            page_of(console, &of, Some(&record), Some(&form), Some(console.trouble(&status))).await
        }
    }
}

async fn question(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let record = get(console).await?;
    let question = Question {
        title: "Delete a record",
        text: &format!(
            "“{}” is removed. Only a backup brings it back.",
            fields::caption(&record)
        ),
        word: "",
        button: "Delete the record",
        back: &format!("{}/records/{}", types::at(console), id_of(&record.name)),
        hidden: &[("etag", &record.etag)],
    };
    console.confirm(&question, trouble)
}

pub(super) async fn ask_delete(console: &Console) -> Outcome {
    question(console, None).await
}

pub(super) async fn delete(console: &Console, form: Form) -> Outcome {
    let request = DeleteRecordRequest {
        name: name(console),
        etag: form.text("etag").to_owned(),
        request_id: form.request_id(),
    };
    let answer: Result<DeleteRecordResponse, Status> = console.ask(&format!("{SERVICE}DeleteRecord"), &request).await;
    match answer {
        Ok(_) => console.done(&format!("{}/records", types::at(console)), "deleted"),
        Err(status) => question(console, Some(console.trouble(&status))).await,
    }
}

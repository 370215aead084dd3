//! Records of a type: the grid with filter, order and paging, and one record's form.

use super::{
    console::{Chrome, Console, Form, Outcome, Question, Trouble, address, id_of, time},
    fields::{self, Input},
    filter,
    filter::SimpleFilter,
    references,
    references::Captions,
    remedies::Named,
    types, values,
};
use crate::edge::respond;
use askama::Template;
use http::StatusCode;
use tenantry_api::{
    auth::Role,
    business::{
        CreateRecordRequest, CreateRecordResponse, DeleteRecordRequest, DeleteRecordResponse, Field, FieldType,
        GetRecordRequest, GetRecordResponse, ListRecordsRequest, ListRecordsResponse, ObjectType, Record,
        UpdateRecordRequest, UpdateRecordResponse,
    },
};
use tenantry_kernel::Reason;
use tonic::Status;

const SERVICE: &str = "/tenantry.business.v1.RecordService/";
/// Columns of the grid; a record's page has all.
const COLUMNS: usize = 10;

struct Column {
    label: String,
    /// Orders by it; empty where that cannot be.
    order: String,
    /// `ascending`, `descending` or `none`.
    sort: &'static str,
    mark: &'static str,
}

/// What stands in a cell; with an address it is a link.
struct Cell {
    text: String,
    href: String,
}

impl Cell {
    /// Whether it wants a wide column.
    fn is_long(&self) -> bool {
        self.text.len() > 30
    }
}

struct RowView {
    href: String,
    caption: String,
    cells: Vec<Cell>,
    changed: String,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    id: String,
    label: String,
    simple: Option<SimpleFilter>,
    columns: Vec<Column>,
    changed: Column,
    more_columns: usize,
    rows: Vec<RowView>,
    filter: &'a str,
    /// What the simple form adds to: nothing where the filter cannot be read.
    added_to: &'a str,
    order: &'a str,
    next: String,
    first: String,
    is_first: bool,
    may_write: bool,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let of = types::get(console).await?;
    // The simple form writes a comparison; the address that stays holds the filter itself.
    let mut wrong = String::new();
    if filter::is_sent(console) {
        match filter::added(console, &of).await {
            Ok(address) => return Ok(respond::see_other(&address)),
            Err(text) => wrong = text,
        }
    }
    let question = ListRecordsRequest {
        parent: of.name.clone(),
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
        filter: console.parameter("filter").to_owned(),
        order_by: console.parameter("order").to_owned(),
    };
    let answer: Result<ListRecordsResponse, Status> = console.ask(&format!("{SERVICE}ListRecords"), &question).await;
    let (answer, trouble) = match answer {
        Ok(answer) => (answer, None),
        Err(status) => {
            let trouble = console.trouble(&status).named(of_list);
            if trouble.status != 400 {
                return Err(status);
            }
            (ListRecordsResponse::default(), Some(trouble))
        }
    };
    let is_wrong = !wrong.is_empty();
    let page = grid(console, &of, &answer, trouble, wrong).await;
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None if is_wrong => Ok(super::look::html(StatusCode::BAD_REQUEST, &page)),
        None => console.page(&page),
    }
}

async fn grid<'a>(
    console: &'a Console,
    of: &ObjectType,
    answer: &ListRecordsResponse,
    trouble: Option<Trouble>,
    wrong: String,
) -> RecordsPage<'a> {
    let (filter, order) = (console.parameter("filter"), console.parameter("order"));
    let path = format!("{}/records", types::at(console));
    let shown: Vec<_> = of.fields.iter().take(COLUMNS).collect();
    let names = references::names(shown.iter().copied(), &answer.records);
    let captions = Captions::of(console, names).await;
    let rows = answer.records.iter().map(|record| RowView {
        href: address(&format!("{path}/{}", id_of(&record.name)), &place(console)),
        caption: fields::caption(Some(of), record),
        cells: shown.iter().map(|field| cell(field, record, &captions)).collect(),
        changed: time(record.update_time),
    });
    let is_readable = trouble.as_ref().is_none_or(|trouble| trouble.at("filter").is_empty());
    RecordsPage {
        chrome: console.chrome(),
        id: id_of(&of.name).to_owned(),
        label: types::label(of),
        simple: SimpleFilter::of(console, of, wrong),
        columns: columns(&shown, &path, filter, order),
        changed: column("update_time", "Changed (UTC)", &path, filter, order),
        more_columns: of.fields.len().saturating_sub(COLUMNS),
        rows: rows.collect(),
        filter,
        added_to: if is_readable { filter } else { "" },
        order,
        next: address(
            &path,
            &[("filter", filter), ("order", order), ("page", &answer.next_page_token)],
        ),
        first: address(&path, &[("filter", filter), ("order", order)]),
        is_first: console.parameter("page").is_empty(),
        may_write: console.is_at_least(Role::Member),
        trouble,
    }
}

/// Where in the list a record was opened, so that one gets back there.
fn place(console: &Console) -> [(&'static str, &str); 3] {
    ["filter", "order", "page"].map(|name| (name, console.parameter(name)))
}

/// The list, as the record was opened from it.
fn back(console: &Console) -> String {
    address(&format!("{}/records", types::at(console)), &place(console))
}

fn of_list(path: &str, text: &str) -> Option<Named> {
    let (label, input) = match path {
        "filter" => ("Filter", "filter"),
        "order_by" => ("Order", "order"),
        _ => return None,
    };
    Some(Named {
        label: label.to_owned(),
        input: input.to_owned(),
        text: text.to_owned(),
    })
}

fn cell(field: &Field, record: &Record, captions: &Captions) -> Cell {
    let value = fields::value(record, &field.field_id);
    let name = values::text(value).filter(|_| field.r#type() == FieldType::Reference);
    let shown = || values::shown(field, value);
    Cell {
        text: fields::clipped(
            &name
                .and_then(|name| captions.get(name))
                .map_or_else(shown, str::to_owned),
        ),
        href: name.and_then(references::href).unwrap_or_default(),
    }
}

fn columns(shown: &[&Field], path: &str, filter: &str, order: &str) -> Vec<Column> {
    let one = |field: &&Field| {
        let id = if fields::is_comparable(field) {
            field.field_id.as_str()
        } else {
            ""
        };
        column(id, fields::label(field), path, filter, order)
    };
    shown.iter().map(one).collect()
}

fn column(id: &str, label: &str, path: &str, filter: &str, order: &str) -> Column {
    let down = format!("{id} desc");
    let (next, sort, mark) = match id {
        "" => ("", "none", ""),
        _ if order == id => (down.as_str(), "ascending", "▲"),
        _ if order == down => ("", "descending", "▼"),
        _ => (id, "none", ""),
    };
    Column {
        label: label.to_owned(),
        order: if id.is_empty() {
            String::new()
        } else {
            address(path, &[("filter", filter), ("order", next)])
        },
        sort,
        mark,
    }
}

/// A value that somebody else changed meanwhile.
struct Difference {
    label: String,
    yours: String,
    theirs: String,
}

/// A field and what it holds.
struct Shown {
    label: String,
    cell: Cell,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    type_label: String,
    is_new: bool,
    id: String,
    caption: String,
    etag: String,
    created: String,
    changed: String,
    /// For those who change it.
    inputs: Vec<Input>,
    /// For those who only read it.
    shown: Vec<Shown>,
    /// The form's own address, the question's before a deletion, and the list's.
    action: String,
    delete: String,
    back: String,
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
    let trouble = trouble.map(|trouble| trouble.named(|path, text| fields::named(of, path, text)));
    let status = trouble
        .as_ref()
        .map_or(StatusCode::OK, |trouble| super::look::code(trouble.status));
    let may_write = console.is_at_least(Role::Member);
    let page = RecordPage {
        chrome: console.chrome(),
        type_label: types::label(of),
        is_new: record.is_none(),
        id: record.map_or_else(String::new, |record| id_of(&record.name).to_owned()),
        caption: record.map_or_else(String::new, |record| fields::caption(Some(of), record)),
        etag: record.map_or_else(String::new, |record| record.etag.clone()),
        created: time(record.and_then(|record| record.create_time)),
        changed: time(record.and_then(|record| record.update_time)),
        differences: match (&trouble, record, form) {
            (Some(trouble), Some(record), Some(form)) if is_conflict(trouble) => {
                differences(console, of, record, form).await
            }
            _ => Vec::new(),
        },
        inputs: if may_write {
            fields::inputs(console, of, record, form, trouble.as_ref()).await
        } else {
            Vec::new()
        },
        shown: match record {
            Some(record) if !may_write => shown(console, of, record).await,
            _ => Vec::new(),
        },
        action: address(&console.path, &place(console)),
        delete: address(&format!("{}/delete", console.path), &place(console)),
        back: back(console),
        may_write,
        request_id: console.fresh_id(),
        trouble,
    };
    Ok(super::look::html(status, &page))
}

async fn shown(console: &Console, of: &ObjectType, record: &Record) -> Vec<Shown> {
    let names = references::names(of.fields.iter(), std::slice::from_ref(record));
    let captions = Captions::of(console, names).await;
    let one = |field: &Field| {
        let mut cell = cell(field, record, &captions);
        if cell.href.is_empty() {
            // Here there is room for all of it.
            cell.text = values::shown(field, fields::value(record, &field.field_id));
        }
        Shown {
            label: fields::label(field).to_owned(),
            cell,
        }
    };
    of.fields.iter().map(one).collect()
}

fn is_conflict(trouble: &Trouble) -> bool {
    trouble.reason == Reason::EtagMismatch.as_str()
}

/// What was typed, beside what is there now, where the two differ.
async fn differences(console: &Console, of: &ObjectType, record: &Record, form: &Form) -> Vec<Difference> {
    let touched = of.fields.iter().filter(|field| !fields::is_untouched(field, form));
    let pairs = touched.map(|field| {
        let theirs = values::input(field, fields::value(record, &field.field_id));
        (field, fields::sent(field, form).to_owned(), theirs)
    });
    let pairs: Vec<_> = pairs
        .filter(|(field, yours, theirs)| values::parse(field, yours) != values::parse(field, theirs))
        .collect();
    let references = pairs
        .iter()
        .filter(|(field, ..)| field.r#type() == FieldType::Reference);
    let names = references.flat_map(|(_, yours, theirs)| [yours.as_str(), theirs.as_str()]);
    let captions = Captions::of(console, names.filter(|name| references::href(name).is_some()).collect()).await;
    let called = |text: &str| captions.get(text).unwrap_or(text).to_owned();
    let line = |(field, yours, theirs): &(&Field, String, String)| Difference {
        label: fields::label(field).to_owned(),
        yours: called(yours),
        theirs: called(theirs),
    };
    pairs.iter().map(line).collect()
}

pub(super) async fn new(console: &Console) -> Outcome {
    let of = types::get(console).await?;
    page_of(console, &of, None, None, None).await
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    let of = types::get(console).await?;
    let values = match fields::record(console, &of, &form, false).await {
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
            let path = format!("{}/records/{}", types::at(console), id_of(&record.name));
            console.done(&address(&path, &place(console)), "created")
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
    let (values, mask) = match fields::record(console, &of, &form, true).await {
        Ok(found) => found,
        Err(trouble) => {
            let record = get(console).await?;
            return page_of(console, &of, Some(&record), Some(&form), Some(*trouble)).await;
        }
    };
    let at = address(&console.path, &place(console));
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

async fn question(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let (of, record) = (types::get(console).await?, get(console).await?);
    let path = format!("{}/records/{}", types::at(console), id_of(&record.name));
    let [filter, order, page] = kept(console, form);
    let question = Question {
        title: "Delete a record",
        text: &format!(
            "“{}” is removed. Only a backup brings it back.",
            fields::caption(Some(&of), &record)
        ),
        word: "",
        button: "Delete the record",
        back: &address(&path, &[filter, order, page]),
        hidden: &[("etag", &record.etag), filter, order, page],
    };
    console.confirm(&question, trouble)
}

/// The place in the list, which the question's form carries along.
fn kept<'a>(console: &'a Console, form: &'a Form) -> [(&'static str, &'a str); 3] {
    place(console).map(|(name, asked)| (name, if form.has(name) { form.text(name) } else { asked }))
}

pub(super) async fn ask_delete(console: &Console) -> Outcome {
    question(console, &Form::default(), None).await
}

pub(super) async fn delete(console: &Console, form: Form) -> Outcome {
    let request = DeleteRecordRequest {
        name: name(console),
        etag: form.text("etag").to_owned(),
        request_id: form.request_id(),
    };
    let answer: Result<DeleteRecordResponse, Status> = console.ask(&format!("{SERVICE}DeleteRecord"), &request).await;
    let list = address(&format!("{}/records", types::at(console)), &kept(console, &form));
    match answer {
        Ok(_) => console.done(&list, "deleted"),
        Err(status) => question(console, &form, Some(console.trouble(&status))).await,
    }
}

#[cfg(test)]
#[path = "records_sample.rs"]
pub(super) mod sample;

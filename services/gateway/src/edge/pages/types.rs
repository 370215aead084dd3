//! Object types: what an organisation keeps records of. Fields are added here and never removed or retyped.

use super::{
    console::{Chrome, Console, Form, Outcome, Question, Trouble, id_of, machine_time, time},
    fields::{self, KINDS, Row},
};
use askama::Template;
use tenantry_api::{
    auth::Role,
    business::{
        CreateObjectTypeRequest, CreateObjectTypeResponse, DeleteObjectTypeRequest, DeleteObjectTypeResponse, Field,
        FieldType, GetObjectTypeRequest, GetObjectTypeResponse, ListObjectTypesRequest, ListObjectTypesResponse,
        ObjectType, UpdateObjectTypeRequest, UpdateObjectTypeResponse,
    },
};
use tonic::Status;

const SERVICE: &str = "/tenantry.business.v1.ObjectTypeService/";
/// Rows a new form has, and how many more a press on "more" adds.
const ROWS: usize = 4;

/// All types, by id.
pub(super) async fn all(console: &Console) -> Result<Vec<ObjectType>, Status> {
    let question = ListObjectTypesRequest {
        page_size: 500,
        ..ListObjectTypesRequest::default()
    };
    let answer: ListObjectTypesResponse = console.ask(&format!("{SERVICE}ListObjectTypes"), &question).await?;
    Ok(answer.object_types)
}

/// The type in the path.
pub(super) async fn get(console: &Console) -> Result<ObjectType, Status> {
    let question = GetObjectTypeRequest { name: name(console) };
    let answer: GetObjectTypeResponse = console.ask(&format!("{SERVICE}GetObjectType"), &question).await?;
    Ok(answer.object_type.unwrap_or_default())
}

/// Its resource name.
pub(super) fn name(console: &Console) -> String {
    format!("objectTypes/{}", console.binding("type"))
}

/// Its page.
pub(super) fn at(console: &Console) -> String {
    format!("/types/{}", console.binding("type"))
}

/// A type's name for people.
pub(super) fn label(of: &ObjectType) -> String {
    if of.display_name.is_empty() {
        id_of(&of.name).to_owned()
    } else {
        of.display_name.clone()
    }
}

struct Summary {
    id: String,
    label: String,
    description: String,
    fields: usize,
    changed: String,
    changed_machine: String,
}

#[derive(Template)]
#[template(path = "types.html")]
struct TypesPage {
    chrome: Chrome,
    types: Vec<Summary>,
    may_make: bool,
    may_import: bool,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let types = all(console).await?;
    let types = types.iter().map(|of| Summary {
        id: id_of(&of.name).to_owned(),
        label: label(of),
        description: of.description.clone(),
        fields: of.fields.len(),
        changed: time(of.update_time),
        changed_machine: machine_time(of.update_time),
    });
    console.page(&TypesPage {
        chrome: console.chrome(),
        types: types.collect(),
        may_make: console.is_at_least(Role::Admin),
        may_import: console.is_at_least(Role::Member),
    })
}

#[derive(Template)]
#[template(path = "type_form.html")]
struct TypeForm<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    is_new: bool,
    heading: String,
    action: &'a str,
    back: &'a str,
    id: &'a str,
    name: &'a str,
    description: &'a str,
    etag: &'a str,
    rows: Vec<Row>,
    kinds: &'static [(&'static str, &'static str)],
    types: Vec<String>,
    request_id: String,
}

async fn form_page(console: &Console, form: &Form, of: Option<&ObjectType>, trouble: Option<Trouble>) -> Outcome {
    let least = if form.has("more") {
        form.text("rows").parse::<usize>().unwrap_or_default() + ROWS
    } else {
        ROWS
    };
    let types = all(console).await.unwrap_or_default();
    let page = TypeForm {
        chrome: console.chrome(),
        is_new: of.is_none(),
        heading: of.map_or_else(|| "New type".to_owned(), |of| format!("Add fields to {}", label(of))),
        action: &console.path,
        back: &of.map_or_else(|| "/types".to_owned(), |_| at(console)),
        id: form.trimmed("id"),
        name: form.trimmed("name"),
        description: form.trimmed("description"),
        etag: of.map_or("", |of| &of.etag),
        rows: fields::rows(form, least),
        kinds: KINDS,
        types: types.iter().map(|of| id_of(&of.name).to_owned()).collect(),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn new(console: &Console) -> Outcome {
    form_page(console, &Form::default(), None, None).await
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    if form.has("more") {
        return form_page(console, &form, None, None).await;
    }
    let id = match form.trimmed("id") {
        "" => fields::slug(form.trimmed("name")),
        id => id.to_owned(),
    };
    let of = ObjectType {
        name: format!("objectTypes/{id}"),
        display_name: form.trimmed("name").to_owned(),
        description: form.trimmed("description").to_owned(),
        fields: fields::rows(&form, 0).iter().filter_map(Row::field).collect(),
        ..ObjectType::default()
    };
    let question = CreateObjectTypeRequest {
        object_type: Some(of),
        request_id: form.request_id(),
    };
    let answer: Result<CreateObjectTypeResponse, Status> =
        console.ask(&format!("{SERVICE}CreateObjectType"), &question).await;
    match answer {
        Ok(answer) => {
            let of = answer.object_type.unwrap_or_default();
            console.done(&format!("/types/{}", id_of(&of.name)), "created")
        }
        Err(status) => form_page(console, &form, None, Some(console.trouble(&status))).await,
    }
}

struct Shown {
    id: String,
    label: String,
    kind: String,
    rules: String,
    description: String,
}

fn shown(field: &Field) -> Shown {
    let kind = field
        .r#type()
        .as_str_name()
        .trim_start_matches("FIELD_TYPE_")
        .to_ascii_lowercase();
    let mut rules = Vec::new();
    for (holds, text) in [
        (field.required, "required"),
        (field.unique, "unique"),
        (field.indexed, "indexed"),
    ] {
        if holds {
            rules.push(text.to_owned());
        }
    }
    match field.r#type() {
        FieldType::Enum => rules.push(format!("one of {}", field.enum_values.join(", "))),
        FieldType::Reference => rules.push(format!("of {}", id_of(&field.reference_type))),
        FieldType::Decimal => rules.push(format!("{} digits after the point", field.scale)),
        _ if field.max_length > 0 => rules.push(format!("at most {} characters", field.max_length)),
        _ => {}
    }
    Shown {
        id: field.field_id.clone(),
        label: fields::label(field).to_owned(),
        kind: KINDS
            .iter()
            .find(|(name, _)| *name == kind)
            .map_or(kind.clone(), |(_, label)| (*label).to_owned()),
        rules: rules.join("; "),
        description: field.description.clone(),
    }
}

#[derive(Template)]
#[template(path = "type.html")]
struct TypePage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    id: String,
    label: String,
    name: String,
    description: String,
    etag: String,
    fields: Vec<Shown>,
    may_change: bool,
    request_id: String,
}

async fn one(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let of = get(console).await?;
    let page = TypePage {
        chrome: console.chrome(),
        id: id_of(&of.name).to_owned(),
        label: label(&of),
        name: of.display_name.clone(),
        description: of.description.clone(),
        etag: of.etag.clone(),
        fields: of.fields.iter().map(shown).collect(),
        may_change: console.is_at_least(Role::Admin),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn show(console: &Console) -> Outcome {
    one(console, None).await
}

async fn update(console: &Console, of: ObjectType, mask: &[&str], form: &Form) -> Result<(), Status> {
    let question = UpdateObjectTypeRequest {
        object_type: Some(ObjectType {
            name: name(console),
            etag: form.text("etag").to_owned(),
            ..of
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: mask.iter().map(|path| (*path).to_owned()).collect(),
        }),
        request_id: form.request_id(),
    };
    let _: UpdateObjectTypeResponse = console.ask(&format!("{SERVICE}UpdateObjectType"), &question).await?;
    Ok(())
}

pub(super) async fn rename(console: &Console, form: Form) -> Outcome {
    let of = ObjectType {
        display_name: form.trimmed("name").to_owned(),
        description: form.trimmed("description").to_owned(),
        ..ObjectType::default()
    };
    match update(console, of, &["display_name", "description"], &form).await {
        Ok(()) => console.done(&at(console), "saved"),
        Err(status) => one(console, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn ask_fields(console: &Console) -> Outcome {
    let of = get(console).await?;
    form_page(console, &Form::default(), Some(&of), None).await
}

pub(super) async fn add_fields(console: &Console, form: Form) -> Outcome {
    let present = get(console).await?;
    if form.has("more") {
        return form_page(console, &form, Some(&present), None).await;
    }
    let added: Vec<Field> = fields::rows(&form, 0).iter().filter_map(Row::field).collect();
    if added.is_empty() {
        let trouble = console.wrong("fields", "need at least one row with a name");
        return form_page(console, &form, Some(&present), Some(trouble)).await;
    }
    let of = ObjectType {
        fields: present.fields.iter().cloned().chain(added).collect(),
        ..ObjectType::default()
    };
    match update(console, of, &["fields"], &form).await {
        Ok(()) => console.done(&at(console), "saved"),
        Err(status) => form_page(console, &form, Some(&present), Some(console.trouble(&status))).await,
    }
}

async fn question(console: &Console, trouble: Option<Trouble>) -> Outcome {
    let of = get(console).await?;
    let id = id_of(&of.name);
    let question = Question {
        title: &format!("Delete {}", label(&of)),
        text: "The type, all its records and its table are removed. Only a backup brings them back.",
        word: id,
        button: "Delete the type and its records",
        back: &at(console),
        hidden: &[("etag", &of.etag)],
    };
    console.confirm(&question, trouble)
}

pub(super) async fn ask_delete(console: &Console) -> Outcome {
    question(console, None).await
}

pub(super) async fn delete(console: &Console, form: Form) -> Outcome {
    if form.trimmed("confirm") != console.binding("type") {
        let trouble = console.wrong("confirm", "is not the id of the type; nothing was deleted");
        return question(console, Some(trouble)).await;
    }
    let request = DeleteObjectTypeRequest {
        name: name(console),
        etag: form.text("etag").to_owned(),
        force: true,
        request_id: form.request_id(),
    };
    let answer: Result<DeleteObjectTypeResponse, Status> =
        console.ask(&format!("{SERVICE}DeleteObjectType"), &request).await;
    match answer {
        Ok(_) => console.done("/types", "deleted"),
        Err(status) => question(console, Some(console.trouble(&status))).await,
    }
}

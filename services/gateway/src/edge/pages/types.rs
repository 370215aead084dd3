//! Object types: what an organisation keeps records of. Fields are added here and never removed or retyped.

use super::{
    console::{Chrome, Console, Form, Outcome, Question, Trouble, id_of, machine_time, time},
    definition,
    definition::{Added, KINDS, Row},
    fields, remedies,
    remedies::Named,
    values,
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
    /// What the role allows and the plan does not include.
    missing: Vec<&'static str>,
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
        may_make: console.is_at_least(Role::Admin) && console.has_feature("custom_types"),
        may_import: console.is_at_least(Role::Member) && console.has_feature("import"),
        missing: [
            (Role::Admin, "custom_types", "new types"),
            (Role::Member, "import", "imports"),
        ]
        .into_iter()
        .filter(|(least, feature, _)| console.is_at_least(*least) && !console.has_feature(feature))
        .map(|(_, _, what)| what)
        .collect(),
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
    /// Ids and names of what a reference can be to.
    types: Vec<(String, String)>,
    request_id: String,
}

impl TypeForm<'_> {
    fn wrong(&self, input: &str) -> &str {
        remedies::wrong(self.trouble.as_ref(), input)
    }
}

/// What the service says about a type, in the form's words; `added` are the fields that were sent.
fn named(added: &Added, path: &str, text: &str) -> Option<Named> {
    let (label, input) = match path {
        "object_type.name" => ("Id", "id"),
        "object_type.display_name" => ("Name", "name"),
        "object_type.description" => ("Description", "description"),
        "object_type.fields" => ("Fields", "0.name"),
        _ => return added.named(path, text),
    };
    let text = match text.split_once("where the type ") {
        Some((_, shape)) if path == "object_type.name" => shape,
        _ => text,
    };
    Some(Named {
        label: label.to_owned(),
        input: input.to_owned(),
        text: text.to_owned(),
    })
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
        rows: definition::rows(form, least, trouble.as_ref()),
        kinds: KINDS,
        types: types.iter().map(|of| (id_of(&of.name).to_owned(), label(of))).collect(),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn new(console: &Console) -> Outcome {
    console.needs_feature("custom_types")?;
    form_page(console, &Form::default(), None, None).await
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    if form.has("more") {
        return form_page(console, &form, None, None).await;
    }
    let added = match definition::added(console, &form, &[]) {
        Ok(added) => added,
        Err(trouble) => return form_page(console, &form, None, Some(*trouble)).await,
    };
    let of = ObjectType {
        name: format!("objectTypes/{}", new_id(console, &form).await),
        display_name: form.trimmed("name").to_owned(),
        description: form.trimmed("description").to_owned(),
        fields: added.fields.clone(),
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
        Err(status) => {
            let trouble = console.trouble(&status).named(|path, text| named(&added, path, text));
            form_page(console, &form, None, Some(trouble)).await
        }
    }
}

/// What was typed, or what the name makes; a name that makes none gets a number.
async fn new_id(console: &Console, form: &Form) -> String {
    match (form.trimmed("id"), fields::slug(form.trimmed("name"))) {
        ("", slug) if slug.is_empty() => {
            let present = all(console).await.unwrap_or_default();
            fields::numbered("type", |id| present.iter().any(|of| id_of(&of.name) == id))
        }
        ("", slug) => slug,
        (id, _) => id.to_owned(),
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
    if let Some(value) = &field.default_value {
        rules.push(format!("otherwise {}", values::shown(field, Some(value))));
    }
    Shown {
        id: field.field_id.clone(),
        label: fields::label(field).to_owned(),
        kind: definition::kind_label(&definition::kind_name(field.r#type())).to_owned(),
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
    description: String,
    /// As they stand in the form.
    name: String,
    new_description: String,
    etag: String,
    fields: Vec<Shown>,
    may_change: bool,
    request_id: String,
}

impl TypePage {
    fn wrong(&self, input: &str) -> &str {
        remedies::wrong(self.trouble.as_ref(), input)
    }
}

/// The page; `form` is what was typed before, if anything.
async fn one(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let of = get(console).await?;
    let trouble = trouble.map(|trouble| trouble.named(|path, text| named(&Added::default(), path, text)));
    let typed = |name: &str, present: &str| {
        let text = if form.has(name) { form.text(name) } else { present };
        text.to_owned()
    };
    let page = TypePage {
        chrome: console.chrome(),
        id: id_of(&of.name).to_owned(),
        label: label(&of),
        name: typed("name", &of.display_name),
        new_description: typed("description", &of.description),
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
    one(console, &Form::default(), None).await
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
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn ask_fields(console: &Console) -> Outcome {
    console.needs_feature("custom_types")?;
    let of = get(console).await?;
    form_page(console, &Form::default(), Some(&of), None).await
}

pub(super) async fn add_fields(console: &Console, form: Form) -> Outcome {
    let present = get(console).await?;
    if form.has("more") {
        return form_page(console, &form, Some(&present), None).await;
    }
    let added = match definition::added(console, &form, &present.fields) {
        Ok(added) => added,
        Err(trouble) => return form_page(console, &form, Some(&present), Some(*trouble)).await,
    };
    if added.fields.is_empty() {
        let trouble = console.wrong("object_type.fields", "need at least one row with a name");
        let trouble = trouble.named(|path, text| named(&added, path, text));
        return form_page(console, &form, Some(&present), Some(trouble)).await;
    }
    let of = ObjectType {
        fields: present.fields.iter().chain(&added.fields).cloned().collect(),
        ..ObjectType::default()
    };
    match update(console, of, &["fields"], &form).await {
        Ok(()) => console.done(&at(console), "saved"),
        Err(status) => {
            let trouble = console.trouble(&status).named(|path, text| named(&added, path, text));
            form_page(console, &form, Some(&present), Some(trouble)).await
        }
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
        let trouble = trouble.named(|path, text| {
            (path == "confirm").then(|| Named {
                label: "Confirmation".to_owned(),
                input: "confirm".to_owned(),
                text: text.to_owned(),
            })
        });
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

/// The form with `text` in everything that people type, for tests of templates.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let parts = ["name", "id", "values", "target", "digits", "length", "default"];
    let typed = parts.iter().map(|part| (format!("0.{part}"), text.to_owned()));
    let page = TypeForm {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        is_new: true,
        heading: text.to_owned(),
        action: text,
        back: text,
        id: text,
        name: text,
        description: text,
        etag: text,
        rows: definition::rows(&Form(typed.collect()), 1, None),
        kinds: KINDS,
        types: vec![(text.to_owned(), text.to_owned())],
        request_id: "r-2".to_owned(),
    };
    page.render().expect("a page")
}

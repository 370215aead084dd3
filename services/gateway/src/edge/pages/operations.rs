//! Long-running work: one page that shows how far it is, why it failed, or what came of it. Without script the reader
//! asks again; the script asks by itself.

use super::console::{Chrome, Console, Form, Outcome, Trouble, id_of, number, time};
use askama::Template;
use prost::Message;
use prost_types::Any;
use tenantry_api::{
    auth::Role,
    backup::{RestoreResult, Snapshot},
    business::{
        CancelOperationRequest, CancelOperationResponse, GetOperationRequest, GetOperationResponse, ImportResult,
    },
    common::OperationMetadata,
    google::longrunning::{Operation, operation::Result as Ended},
};
use tenantry_kernel::Error;
use tonic::{Code, Status};

/// How far an operation is.
pub(super) struct Progress {
    pub(super) name: String,
    pub(super) verb: String,
    pub(super) target: String,
    pub(super) step: String,
    pub(super) last_error: String,
    pub(super) percent: i32,
    pub(super) units: String,
    pub(super) begun: String,
    pub(super) done: bool,
    pub(super) trouble: Option<Trouble>,
    pub(super) may_cancel: bool,
    /// For the form that asks it to stop.
    pub(super) request_id: String,
}

impl Progress {
    pub(super) fn id(&self) -> &str {
        id_of(&self.name)
    }
}

/// One operation, by its resource name. The service is in the name.
pub(super) async fn get(console: &Console, name: &str) -> Result<Operation, Status> {
    // The three services declare the same messages in their own packages: on the wire they are one.
    let question = GetOperationRequest { name: name.to_owned() };
    let answer: GetOperationResponse = console.ask(&method(console, name, "GetOperation")?, &question).await?;
    Ok(answer.operation.unwrap_or_default())
}

fn method(console: &Console, name: &str, verb: &str) -> Result<String, Status> {
    let service = id_of(name).split('-').next().unwrap_or_default();
    match service {
        "business" | "backup" | "registry" => Ok(format!("/tenantry.{service}.v1.OperationService/{verb}")),
        _ => Err(console.status(&Error::not_found())),
    }
}

/// What an operation's metadata and end say.
pub(super) fn progress(console: &Console, operation: &Operation) -> Progress {
    let metadata = operation.metadata.as_ref();
    let metadata = metadata
        .and_then(|any| OperationMetadata::decode(any.value.as_slice()).ok())
        .unwrap_or_default();
    let trouble = match &operation.result {
        Some(Ended::Error(error)) => {
            let status = Status::with_details(
                Code::from(error.code),
                error.message.clone(),
                error.encode_to_vec().into(),
            );
            Some(console.told(&status))
        }
        _ => None,
    };
    let units = match (metadata.done_units, metadata.total_units) {
        (0, 0) => String::new(),
        (done, 0) => number(done),
        (done, total) => format!("{} of {}", number(done), number(total)),
    };
    Progress {
        name: operation.name.clone(),
        verb: sentence(&metadata.verb),
        target: metadata.target,
        step: metadata.step.replace('_', " "),
        last_error: metadata.last_error,
        percent: if operation.done && trouble.is_none() {
            100
        } else {
            metadata.progress_percent.clamp(0, 100)
        },
        units,
        begun: time(metadata.create_time),
        done: operation.done,
        may_cancel: !operation.done && console.is_at_least(Role::Member) && !operation.name.contains("/registry-"),
        request_id: console.fresh_id(),
        trouble,
    }
}

/// `restore_snapshot` as `Restore snapshot`.
fn sentence(verb: &str) -> String {
    let mut text = verb.replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if text.is_empty() { "Operation".to_owned() } else { text }
}

/// What came of it, in a sentence, with where to go next and a link that works once.
#[derive(Default)]
struct Came {
    text: String,
    href: String,
    label: &'static str,
    invite: String,
}

fn came(operation: &Operation, console: &Console) -> Came {
    let Some(Ended::Response(any)) = &operation.result else {
        return Came::default();
    };
    if let Some(result) = unpack::<ImportResult>(any, "ImportResult") {
        return Came {
            text: format!("{} records were written.", number(result.imported_count)),
            href: "/types".to_owned(),
            label: "Data",
            ..Came::default()
        };
    }
    if let Some(result) = unpack::<RestoreResult>(any, "RestoreResult") {
        let place = if result.slug.is_empty() {
            "The data of this organisation is as in the snapshot".to_owned()
        } else {
            format!("The new organisation {} is made", result.slug)
        };
        return Came {
            text: format!("{place}: {} records.", number(result.records)),
            href: "/backups".to_owned(),
            label: "Backups",
            // The link makes its reader an owner: nobody else is shown it, whatever the service sends.
            invite: if console.is_at_least(Role::Owner) {
                result.invite_uri
            } else {
                String::new()
            },
        };
    }
    if let Some(snapshot) = unpack::<Snapshot>(any, "Snapshot") {
        return Came {
            text: format!("{} records are in the snapshot.", number(snapshot.records)),
            href: format!("/backups/{}", id_of(&snapshot.name)),
            label: "The snapshot",
            ..Came::default()
        };
    }
    Came::default()
}

fn unpack<M: Message + Default>(any: &Any, name: &str) -> Option<M> {
    let is_it = any.type_url.rsplit('.').next() == Some(name);
    is_it.then(|| M::decode(any.value.as_slice()).ok()).flatten()
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage {
    chrome: Chrome,
    progress: Progress,
    came: Came,
}

pub(super) async fn show(console: &Console) -> Outcome {
    let operation = get(console, &name(console)).await?;
    console.page(&OperationPage {
        chrome: console.chrome(),
        progress: progress(console, &operation),
        came: came(&operation, console),
    })
}

fn name(console: &Console) -> String {
    format!("operations/{}", console.binding("operation"))
}

pub(super) async fn cancel(console: &Console, form: Form) -> Outcome {
    let question = CancelOperationRequest {
        name: name(console),
        request_id: form.request_id(),
    };
    let method = method(console, &question.name, "CancelOperation")?;
    let _: CancelOperationResponse = console.ask(&method, &question).await?;
    console.done(&format!("/operations/{}", console.binding("operation")), "cancelling")
}

//! Long-running work: the list of it, and one page that shows how far it is, why it failed, or what came of it. Without
//! script the reader asks again; the script asks by itself.

use super::console::{Chrome, Console, Form, Outcome, Trouble, address, id_of, machine_time, number, time};
use crate::domain::text;
use askama::Template;
use prost::Message;
use prost_types::Any;
use tenantry_api::{
    auth::Role,
    backup::{RestoreResult, Snapshot, SnapshotState},
    business::{
        CancelOperationRequest, CancelOperationResponse, GetOperationRequest, GetOperationResponse, ImportResult,
        ListOperationsRequest, ListOperationsResponse,
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
    /// It had written some rows of an import when it ended.
    pub(super) applied: bool,
    /// Somebody asked it to stop, and it did.
    pub(super) stopped: bool,
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

fn metadata(operation: &Operation) -> OperationMetadata {
    let metadata = operation.metadata.as_ref();
    metadata
        .and_then(|any| OperationMetadata::decode(any.value.as_slice()).ok())
        .unwrap_or_default()
}

/// Why it failed. What to quote is the operation: this request, which only asks about it, did not fail.
fn failure(console: &Console, operation: &Operation) -> Option<Trouble> {
    let Some(Ended::Error(error)) = &operation.result else {
        return None;
    };
    let details = error.encode_to_vec().into();
    let status = Status::with_details(Code::from(error.code), error.message.clone(), details);
    Some(console.told(&status).of_operation(&operation.name))
}

fn is_stopped(operation: &Operation) -> bool {
    matches!(&operation.result, Some(Ended::Error(error)) if Code::from(error.code) == Code::Cancelled)
}

/// What an operation's metadata and end say.
pub(super) fn progress(console: &Console, operation: &Operation) -> Progress {
    let metadata = metadata(operation);
    let trouble = failure(console, operation);
    let is_whole = operation.done && trouble.is_none();
    // What has succeeded has done all of it, whenever it last said how far it was.
    let done_units = if is_whole {
        metadata.done_units.max(metadata.total_units)
    } else {
        metadata.done_units
    };
    let units = match (done_units, metadata.total_units) {
        (0, 0) => String::new(),
        (done, 0) => number(done),
        (done, total) => format!("{} of {}", number(done), number(total)),
    };
    // Whether it can be stopped, and by whom, is in the method's own policy; operations of the registry cannot.
    let stop = method(console, &operation.name, "CancelOperation");
    let may_cancel = !operation.done && stop.is_ok_and(|stop| console.may_call(&stop));
    let applied = metadata.step == "apply" && metadata.done_units > 0;
    Progress {
        name: operation.name.clone(),
        verb: sentence(&metadata.verb),
        target: metadata.target,
        // The last step of what is over says nothing any more; of what failed it says where.
        step: if is_whole {
            String::new()
        } else {
            metadata.step.replace('_', " ")
        },
        last_error: metadata.last_error,
        percent: if is_whole {
            100
        } else {
            metadata.progress_percent.clamp(0, 100)
        },
        units,
        begun: time(metadata.create_time),
        done: operation.done,
        stopped: is_stopped(operation),
        applied,
        may_cancel,
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
    unpack::<Snapshot>(any, "Snapshot").map_or_else(Came::default, |snapshot| of_snapshot(operation, &snapshot))
}

/// What came of taking or verifying a snapshot, which may have been removed since: then the service knows no more than its
/// name.
fn of_snapshot(operation: &Operation, snapshot: &Snapshot) -> Came {
    let is_gone = snapshot.state() == SnapshotState::Unspecified;
    let text = match (metadata(operation).verb == "verify_snapshot", is_gone) {
        (true, false) => "Every record was read and matches.".to_owned(),
        (true, true) => "Every record was read and matched. The snapshot has been removed since.".to_owned(),
        (false, false) => format!("{} records are in the snapshot.", number(snapshot.records)),
        (false, true) => "The snapshot was taken, and has been removed since.".to_owned(),
    };
    let page = if is_gone {
        "/backups".to_owned()
    } else {
        format!("/backups/{}", id_of(&snapshot.name))
    };
    Came {
        text,
        href: page,
        label: if is_gone { "Backups" } else { "The snapshot" },
        ..Came::default()
    }
}

fn unpack<M: Message + Default>(any: &Any, name: &str) -> Option<M> {
    let is_it = any.type_url.rsplit('.').next() == Some(name);
    is_it.then(|| M::decode(any.value.as_slice()).ok()).flatten()
}

/// A resource for people: its name where people gave it one, otherwise what it is; and its page.
fn thing(name: &str) -> (String, String) {
    let id = id_of(name);
    match name.split('/').next() {
        Some("objectTypes") => (id.to_owned(), format!("/types/{}/records", text::percent_encode(id))),
        Some("snapshots") => (
            "the snapshot".to_owned(),
            format!("/backups/{}", text::percent_encode(id)),
        ),
        Some("imports") => ("the file".to_owned(), format!("/imports/{}", text::percent_encode(id))),
        _ => (name.to_owned(), String::new()),
    }
}

/// An operation in a list.
pub(super) struct Line {
    pub(super) id: String,
    pub(super) verb: String,
    /// What it is done to, and its page, if it has one.
    pub(super) thing: String,
    pub(super) href: String,
    /// `running`, `done`, `stopped` or `failed`.
    pub(super) state: &'static str,
    /// How far it is, or why it failed.
    pub(super) said: String,
    /// There is a link in it with which the reader becomes an owner.
    pub(super) has_link: bool,
    pub(super) at: String,
    pub(super) at_machine: String,
    /// For the order.
    since: (i64, i32),
}

impl Line {
    fn of(console: &Console, operation: &Operation) -> Self {
        let about = metadata(operation);
        let (state, said) = match (&operation.result, operation.done) {
            (_, false) => ("running", format!("{} %", about.progress_percent.clamp(0, 100))),
            (Some(Ended::Error(error)), true) => {
                let state = if is_stopped(operation) { "stopped" } else { "failed" };
                (state, error.message.clone())
            }
            (_, true) => ("done", String::new()),
        };
        let (thing, href) = thing(&about.target);
        Self {
            id: id_of(&operation.name).to_owned(),
            verb: sentence(&about.verb),
            thing,
            href,
            state,
            said,
            has_link: !came(operation, console).invite.is_empty(),
            at: time(about.create_time),
            at_machine: machine_time(about.create_time),
            since: about.create_time.map_or((0, 0), |at| (at.seconds, at.nanos)),
        }
    }
}

/// Operations of some services as one list. What cannot be shown of one service does not hide the others'.
#[derive(Default)]
pub(super) struct Listed {
    pub(super) lines: Vec<Line>,
    pub(super) troubles: Vec<Trouble>,
}

/// The services whose operations are a tenant's.
const SERVICES: [&str; 2] = ["business", "backup"];
/// As many of each service stand on one page of the list.
const PAGE: i32 = 25;
/// As many stand on pages about something else.
const RECENT: usize = 5;

/// A page of one service's operations, newest first.
async fn page_of(console: &Console, service: &str, size: i32, token: &str) -> Result<ListOperationsResponse, Status> {
    // One message on the wire, whichever service is asked.
    let question = ListOperationsRequest {
        page_size: size,
        page_token: token.to_owned(),
    };
    let method = format!("/tenantry.{service}.v1.OperationService/ListOperations");
    console.ask(&method, &question).await
}

fn merged<'a>(
    console: &Console,
    answers: impl IntoIterator<Item = &'a Result<ListOperationsResponse, Status>>,
) -> Listed {
    let (mut lines, mut troubles) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            Ok(answer) => lines.extend(answer.operations.iter().map(|one| Line::of(console, one))),
            Err(status) => troubles.push(console.trouble(status)),
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.since));
    Listed { lines, troubles }
}

/// What runs and what ran last, what runs first.
pub(super) async fn recent(console: &Console, services: &[&str]) -> Listed {
    let asked = services.iter().map(|service| page_of(console, service, PAGE, ""));
    let answers = futures::future::join_all(asked).await;
    let mut listed = merged(console, &answers);
    listed.lines.sort_by_key(|line| line.state != "running");
    listed.lines.truncate(RECENT);
    listed
}

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    chrome: Chrome,
    operations: Listed,
    next: String,
    is_first: bool,
}

/// Every page of the list is the next page of each service; one that has come to its end is not asked again.
pub(super) async fn list(console: &Console) -> Outcome {
    let is_first = SERVICES.iter().all(|service| console.parameter(service).is_empty());
    let asked = SERVICES.iter().filter_map(|service| {
        let token = console.parameter(service);
        (is_first || !token.is_empty())
            .then_some(async move { (*service, page_of(console, service, PAGE, token).await) })
    });
    let (services, answers): (Vec<_>, Vec<_>) = futures::future::join_all(asked).await.into_iter().unzip();
    let tokens: Vec<(&str, &str)> = services
        .iter()
        .zip(&answers)
        .filter_map(|(service, answer)| Some((*service, answer.as_ref().ok()?.next_page_token.as_str())))
        .collect();
    console.page(&OperationsPage {
        chrome: console.chrome(),
        operations: merged(console, &answers),
        next: address("/operations", &tokens),
        is_first,
    })
}

/// The list with `text` in everything that a service says, for tests.
#[cfg(test)]
pub(super) fn sample_list(text: &str) -> String {
    let page = OperationsPage {
        chrome: Chrome::saying(text),
        operations: sample_recent(text),
        next: String::new(),
        is_first: true,
    };
    page.render().expect("a page")
}

/// The same as a part of another page.
#[cfg(test)]
pub(super) fn sample_recent(text: &str) -> Listed {
    let line = Line {
        id: "1".to_owned(),
        verb: text.to_owned(),
        thing: text.to_owned(),
        href: thing(&format!("objectTypes/{text}")).1,
        state: "failed",
        said: text.to_owned(),
        has_link: true,
        at: String::new(),
        at_machine: String::new(),
        since: (0, 0),
    };
    Listed {
        lines: vec![line],
        troubles: vec![Trouble::saying(text)],
    }
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

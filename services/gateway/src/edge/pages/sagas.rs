//! Operations on tenants, watched live: which step, which try, what went wrong, and at the end of an onboarding the link
//! of the first owner.

use super::{
    console::{Chrome, Console, Outcome, address, id_of, machine_time, time},
    tenants::Slugs,
};
use askama::Template;
use prost::Message;
use tenantry_api::{
    common::OperationMetadata,
    google::longrunning::{Operation, operation::Result as End},
    registry::{
        CreateTenantResult, GetOperationRequest, GetOperationResponse, ListOperationsRequest, ListOperationsResponse,
    },
};

const SERVICE: &str = "/tenantry.registry.v1.OperationService/";

struct Saga {
    id: String,
    title: &'static str,
    tenant: String,
    /// Its slug; its id once nothing leads to it any more.
    slug: String,
    /// `running`, `done` or `failed`.
    state: &'static str,
    step: String,
    attempt: i32,
    last_error: String,
    done: i64,
    total: i64,
    percent: i32,
    since: String,
    since_machine: String,
    moved: String,
}

impl Saga {
    fn of(operation: &Operation, slugs: &Slugs) -> Self {
        let about = about(operation);
        let state = match (&operation.result, operation.done) {
            (_, false) => "running",
            (Some(End::Error(_)), true) => "failed",
            (_, true) => "done",
        };
        Self {
            id: id_of(&operation.name).to_owned(),
            title: match about.verb.as_str() {
                "create_tenant" => "Onboarding",
                "suspend_tenant" => "Suspension",
                "resume_tenant" => "Resumption",
                "delete_tenant" => "Deletion",
                "undelete_tenant" => "Undeletion",
                "purge_tenant" => "Purge",
                _ => "Operation",
            },
            slug: slugs.of(id_of(&about.target)).to_owned(),
            tenant: id_of(&about.target).to_owned(),
            state,
            step: about.step.replace('_', " "),
            attempt: about.attempt,
            last_error: about.last_error,
            done: about.done_units,
            total: about.total_units,
            percent: about.progress_percent,
            since: time(about.create_time),
            since_machine: machine_time(about.create_time),
            moved: time(about.update_time),
        }
    }
}

fn about(operation: &Operation) -> OperationMetadata {
    let metadata = operation.metadata.as_ref();
    metadata
        .and_then(|any| OperationMetadata::decode(any.value.as_slice()).ok())
        .unwrap_or_default()
}

/// The slugs of the tenants that the operations are about.
async fn slugs(console: &Console, operations: &[Operation]) -> Slugs {
    let targets: Vec<String> = operations.iter().map(|one| about(one).target).collect();
    Slugs::of_all(console, targets.iter().map(|target| id_of(target))).await
}

#[derive(Template)]
#[template(path = "sagas.html")]
struct SagasPage {
    chrome: Chrome,
    sagas: Vec<Saga>,
    next: String,
    is_first: bool,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let question = ListOperationsRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListOperationsResponse = console.ask(&format!("{SERVICE}ListOperations"), &question).await?;
    let slugs = slugs(console, &answer.operations).await;
    let page = SagasPage {
        chrome: console.chrome(),
        sagas: answer.operations.iter().map(|one| Saga::of(one, &slugs)).collect(),
        next: address("/sagas", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
    };
    console.page(&page)
}

#[derive(Template)]
#[template(path = "saga.html")]
struct SagaPage {
    chrome: Chrome,
    saga: Saga,
    failure: String,
    invite: String,
    /// Whether the tenant is still there to be shown.
    has_tenant: bool,
}

pub(super) async fn show(console: &Console) -> Outcome {
    let question = GetOperationRequest {
        name: format!("operations/{}", console.binding("operation")),
    };
    let answer: GetOperationResponse = console.ask(&format!("{SERVICE}GetOperation"), &question).await?;
    let operation = answer.operation.unwrap_or_default();
    let (mut failure, mut invite) = (String::new(), String::new());
    match &operation.result {
        Some(End::Error(status)) => failure.clone_from(&status.message),
        Some(End::Response(any)) if any.type_url.ends_with("CreateTenantResult") => {
            let result = CreateTenantResult::decode(any.value.as_slice()).unwrap_or_default();
            invite = result.invite_uri;
        }
        _ => {}
    }
    let slugs = slugs(console, std::slice::from_ref(&operation)).await;
    let saga = Saga::of(&operation, &slugs);
    let gone = saga.title == "Purge" && saga.state == "done" || saga.title == "Onboarding" && saga.state == "failed";
    let page = SagaPage {
        chrome: console.chrome(),
        failure,
        invite,
        has_tenant: !gone,
        saga,
    };
    console.page(&page)
}

/// A running operation with `text` in everything that a service says, for tests.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let saga = Saga {
        id: "1".to_owned(),
        title: "Onboarding",
        tenant: text.to_owned(),
        slug: text.to_owned(),
        state: "running",
        step: text.to_owned(),
        attempt: 1,
        last_error: text.to_owned(),
        done: 1,
        total: 3,
        percent: 33,
        since: String::new(),
        since_machine: String::new(),
        moved: String::new(),
    };
    let page = SagaPage {
        chrome: Chrome::saying(text),
        saga,
        failure: text.to_owned(),
        invite: text.to_owned(),
        has_tenant: false,
    };
    page.render().expect("a page")
}

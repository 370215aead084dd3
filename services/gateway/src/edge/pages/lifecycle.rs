//! Locking, unlocking, deleting a tenant and bringing it back: each behind its typed slug, each watched until it is over.

use super::{
    console::{Chrome, Console, Form, Outcome, Trouble},
    onboarding::watch,
    tenants,
};
use crate::edge::respond;
use askama::Template;
use tenantry_api::{
    google::longrunning::Operation,
    registry::{
        DeleteTenantRequest, DeleteTenantResponse, ResumeTenantRequest, ResumeTenantResponse, SuspendTenantRequest,
        SuspendTenantResponse, UndeleteTenantRequest, UndeleteTenantResponse,
    },
};
use tonic::Status;

/// What is asked before it is done.
struct Verb {
    title: &'static str,
    text: &'static str,
    button: &'static str,
    reason: bool,
    destroys: bool,
}

const SUSPEND: Verb = Verb {
    title: "Suspend",
    text: "Everybody is locked out within two seconds and sessions end. Data is kept. Resume brings it back.",
    button: "Suspend the tenant",
    reason: true,
    destroys: true,
};
const RESUME: Verb = Verb {
    title: "Resume",
    text: "The tenant is served again. People sign in anew.",
    button: "Resume the tenant",
    reason: false,
    destroys: false,
};
const DELETE: Verb = Verb {
    title: "Delete",
    text: "Nobody can use the tenant any more. Until the day of its purge it can be undeleted; then data, users and keys are destroyed for ever.",
    button: "Delete the tenant",
    reason: false,
    destroys: true,
};
const UNDELETE: Verb = Verb {
    title: "Undelete",
    text: "The tenant is served again with everything it had. People sign in anew.",
    button: "Undelete the tenant",
    reason: false,
    destroys: false,
};

#[derive(Template)]
#[template(path = "lifecycle.html")]
struct AskPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    verb: &'a Verb,
    slug: &'a str,
    reason: &'a str,
    etag: &'a str,
    action: &'a str,
    back: &'a str,
    request_id: String,
}

async fn ask(console: &Console, verb: &Verb, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let tenant = tenants::get(console).await?;
    let page = AskPage {
        chrome: console.chrome(),
        verb,
        slug: &tenant.slug,
        reason: form.trimmed("reason"),
        etag: &tenant.etag,
        action: &console.path,
        back: &tenants::at(console),
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

/// What was typed, or the question again.
async fn confirmed(console: &Console, verb: &Verb, form: &Form) -> Result<(), Outcome> {
    let tenant = tenants::get(console).await.map_err(Err)?;
    if form.trimmed("confirm") == tenant.slug {
        return Ok(());
    }
    let trouble = console.wrong("confirm", "is not the slug of the tenant; nothing was done");
    Err(ask(console, verb, form, Some(trouble)).await)
}

async fn started(console: &Console, verb: &Verb, form: &Form, answer: Result<Option<Operation>, Status>) -> Outcome {
    match answer {
        Ok(operation) => Ok(respond::see_other(&watch(&operation.unwrap_or_default().name))),
        Err(status) => ask(console, verb, form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn ask_suspend(console: &Console) -> Outcome {
    ask(console, &SUSPEND, &Form::default(), None).await
}

pub(super) async fn suspend(console: &Console, form: Form) -> Outcome {
    if let Err(outcome) = confirmed(console, &SUSPEND, &form).await {
        return outcome;
    }
    let question = SuspendTenantRequest {
        name: tenants::name(console),
        reason: form.trimmed("reason").to_owned(),
        request_id: form.request_id(),
    };
    let method = format!("{}SuspendTenant", tenants::SERVICE);
    let answer: Result<SuspendTenantResponse, Status> = console.ask(&method, &question).await;
    started(console, &SUSPEND, &form, answer.map(|answer| answer.operation)).await
}

pub(super) async fn ask_resume(console: &Console) -> Outcome {
    ask(console, &RESUME, &Form::default(), None).await
}

pub(super) async fn resume(console: &Console, form: Form) -> Outcome {
    if let Err(outcome) = confirmed(console, &RESUME, &form).await {
        return outcome;
    }
    let question = ResumeTenantRequest {
        name: tenants::name(console),
        request_id: form.request_id(),
    };
    let method = format!("{}ResumeTenant", tenants::SERVICE);
    let answer: Result<ResumeTenantResponse, Status> = console.ask(&method, &question).await;
    started(console, &RESUME, &form, answer.map(|answer| answer.operation)).await
}

pub(super) async fn ask_delete(console: &Console) -> Outcome {
    ask(console, &DELETE, &Form::default(), None).await
}

pub(super) async fn delete(console: &Console, form: Form) -> Outcome {
    if let Err(outcome) = confirmed(console, &DELETE, &form).await {
        return outcome;
    }
    let question = DeleteTenantRequest {
        name: tenants::name(console),
        etag: form.text("etag").to_owned(),
        purge: false,
        request_id: form.request_id(),
    };
    let method = format!("{}DeleteTenant", tenants::SERVICE);
    let answer: Result<DeleteTenantResponse, Status> = console.ask(&method, &question).await;
    started(console, &DELETE, &form, answer.map(|answer| answer.operation)).await
}

pub(super) async fn ask_undelete(console: &Console) -> Outcome {
    ask(console, &UNDELETE, &Form::default(), None).await
}

pub(super) async fn undelete(console: &Console, form: Form) -> Outcome {
    if let Err(outcome) = confirmed(console, &UNDELETE, &form).await {
        return outcome;
    }
    let question = UndeleteTenantRequest {
        name: tenants::name(console),
        request_id: form.request_id(),
    };
    let method = format!("{}UndeleteTenant", tenants::SERVICE);
    let answer: Result<UndeleteTenantResponse, Status> = console.ask(&method, &question).await;
    started(console, &UNDELETE, &form, answer.map(|answer| answer.operation)).await
}

/// The question with `text` in everything that is typed, for tests.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let page = AskPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        verb: &SUSPEND,
        slug: text,
        reason: text,
        etag: text,
        action: text,
        back: "/",
        request_id: "r-1".to_owned(),
    };
    page.render().expect("a page")
}

//! A new tenant: the form, and the way to watch it come to be.

use super::{
    console::{Chrome, Console, Form, Outcome, Trouble, id_of},
    tenants,
};
use crate::edge::respond;
use askama::Template;
use tenantry_api::registry::{CreateTenantRequest, CreateTenantResponse, Tenant};
use tonic::Status;

#[derive(Template)]
#[template(path = "tenant_new.html")]
struct NewPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    slug: &'a str,
    name: &'a str,
    email: &'a str,
    person: &'a str,
    host: String,
    plans: Vec<(String, String, bool)>,
    request_id: String,
}

async fn page(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let chosen = if form.has("plan") { form.text("plan") } else { "free" };
    let page = NewPage {
        chrome: console.chrome(),
        slug: form.trimmed("slug"),
        name: form.trimmed("name"),
        email: form.trimmed("email"),
        person: form.trimmed("person"),
        host: tenants::host_of(console, "slug"),
        plans: tenants::plans(console, chosen).await?,
        request_id: console.fresh_id(),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

pub(super) async fn ask(console: &Console) -> Outcome {
    page(console, &Form::default(), None).await
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    let tenant = Tenant {
        slug: form.trimmed("slug").to_owned(),
        display_name: form.trimmed("name").to_owned(),
        plan: format!("plans/{}", form.text("plan")),
        ..Tenant::default()
    };
    let question = CreateTenantRequest {
        tenant: Some(tenant),
        admin_email: form.trimmed("email").to_owned(),
        admin_display_name: form.trimmed("person").to_owned(),
        request_id: form.request_id(),
    };
    let method = format!("{}CreateTenant", tenants::SERVICE);
    let answer: Result<CreateTenantResponse, Status> = console.ask(&method, &question).await;
    match answer {
        Ok(answer) => Ok(respond::see_other(&watch(&answer.operation.unwrap_or_default().name))),
        Err(status) => page(console, &form, Some(console.trouble(&status))).await,
    }
}

/// Where an operation is watched.
pub(super) fn watch(operation: &str) -> String {
    format!("/sagas/{}", id_of(operation))
}

//! Tenants as operators see them: the list, one tenant, its name, plan and domains.

use super::console::{Chrome, Console, Form, Outcome, Trouble, address, id_of, machine_time, time};
use askama::Template;
use std::collections::{BTreeMap, BTreeSet};
use tenantry_api::{
    auth::Role,
    registry::{
        Domain, DomainState, GetTenantRequest, GetTenantResponse, ListPlansRequest, ListPlansResponse,
        ListTenantDomainsRequest, ListTenantDomainsResponse, ListTenantsRequest, ListTenantsResponse, Tenant,
        TenantState, UpdateTenantRequest, UpdateTenantResponse, VerifyDomainRequest, VerifyDomainResponse,
    },
};
use tenantry_kernel::TenantId;
use tonic::Status;

pub(super) const SERVICE: &str = "/tenantry.registry.v1.TenantService/";

/// A tenant in a list or on its page.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) slug: String,
    pub(super) name: String,
    pub(super) plan: String,
    pub(super) state: &'static str,
    pub(super) since: String,
    pub(super) since_machine: String,
}

impl Row {
    pub(super) fn of(tenant: &Tenant) -> Self {
        Self {
            id: tenant.tenant_id.clone(),
            slug: tenant.slug.clone(),
            name: tenant.display_name.clone(),
            plan: id_of(&tenant.plan).to_owned(),
            state: match tenant.state() {
                TenantState::Creating => "creating",
                TenantState::Active => "active",
                TenantState::Suspended => "suspended",
                TenantState::Deleted => "deleted",
                TenantState::Purging => "purging",
                TenantState::Unspecified => "unknown",
            },
            since: time(tenant.create_time),
            since_machine: machine_time(tenant.create_time),
        }
    }
}

#[derive(Template)]
#[template(path = "tenants.html")]
struct TenantsPage<'a> {
    chrome: Chrome,
    trouble: Option<Trouble>,
    tenants: Vec<Row>,
    query: &'a str,
    deleted: bool,
    first: String,
    next: String,
    is_first: bool,
    may_create: bool,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let (query, deleted) = (console.parameter("query").trim(), console.parameter("deleted") == "1");
    let question = ListTenantsRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
        show_deleted: deleted,
        query: query.to_owned(),
        ..ListTenantsRequest::default()
    };
    let answer: Result<ListTenantsResponse, Status> = console.ask(&format!("{SERVICE}ListTenants"), &question).await;
    let (answer, trouble) = match answer {
        Ok(answer) => (answer, None),
        // What was typed into the filter stays, so that it can be corrected.
        Err(status) if status.code() == tonic::Code::InvalidArgument => {
            (ListTenantsResponse::default(), Some(console.trouble(&status)))
        }
        Err(status) => return Err(status),
    };
    let at = |page: &str| {
        let deleted = if deleted { "1" } else { "" };
        address("/", &[("query", query), ("deleted", deleted), ("page", page)])
    };
    let page = TenantsPage {
        chrome: console.chrome(),
        tenants: answer.tenants.iter().map(Row::of).collect(),
        query,
        deleted,
        first: at(""),
        next: at(&answer.next_page_token),
        is_first: console.parameter("page").is_empty(),
        may_create: console.is_at_least(Role::Admin),
        trouble,
    };
    match &page.trouble {
        Some(trouble) => console.again(&trouble.clone(), &page),
        None => console.page(&page),
    }
}

/// What can be done to a tenant in its state.
struct Can {
    suspend: bool,
    resume: bool,
    delete: bool,
    undelete: bool,
}

/// A custom domain that a tenant has claimed.
struct Claim {
    name: String,
    verified: bool,
    token: String,
    since: String,
    since_machine: String,
}

impl Claim {
    fn of(domain: &Domain) -> Self {
        Self {
            name: id_of(&domain.name).to_owned(),
            verified: domain.state() == DomainState::Verified,
            token: domain.verification_token.clone(),
            since: time(domain.create_time),
            since_machine: machine_time(domain.create_time),
        }
    }
}

#[derive(Template)]
#[template(path = "tenant.html")]
struct TenantPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    tenant: Row,
    /// What is in the form: the present name, or what was typed.
    name: String,
    suspend_reason: String,
    etag: String,
    deleted: String,
    purged: String,
    placement: String,
    host: String,
    domains: Vec<Claim>,
    domain: String,
    plans: Vec<(String, String, bool)>,
    may_change: bool,
    can: Can,
    request_id: String,
}

/// The tenant of the path.
pub(super) async fn get(console: &Console) -> Result<Tenant, Status> {
    let question = GetTenantRequest { name: name(console) };
    let answer: GetTenantResponse = console.ask(&format!("{SERVICE}GetTenant"), &question).await?;
    Ok(answer.tenant.unwrap_or_default())
}

pub(super) fn name(console: &Console) -> String {
    format!("tenants/{}", console.binding("tenant"))
}

pub(super) fn at(console: &Console) -> String {
    format!("/tenants/{}", console.binding("tenant"))
}

/// Ids of tenants to their slugs, for pages about many. The gateway's own table of routes knows both: no service is asked
/// for a tenant that is there.
#[derive(Default)]
pub(super) struct Slugs(BTreeMap<String, String>);

impl Slugs {
    pub(super) async fn of_all<'a>(console: &Console, ids: impl Iterator<Item = &'a str>) -> Self {
        let ids: BTreeSet<&str> = ids.collect();
        let asked = ids.into_iter().filter_map(|id| {
            let tenant: TenantId = id.parse().ok()?;
            let resolver = &console.edge.gate.resolver;
            Some(async move { Some((id.to_owned(), resolver.by_id(tenant).await.ok()?.slug.clone())) })
        });
        let found = futures::future::join_all(asked).await;
        Self(found.into_iter().flatten().collect())
    }

    /// The slug, or the id itself for one that is gone.
    pub(super) fn of<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, String::as_str)
    }
}

/// Where a tenant's pages are.
pub(super) fn host_of(console: &Console, slug: &str) -> String {
    format!("{slug}.{}", console.edge.gate.hosts.base_domain)
}

/// `(id, name for people, chosen)` of every plan a tenant can have.
pub(super) async fn plans(console: &Console, chosen: &str) -> Result<Vec<(String, String, bool)>, Status> {
    let question = ListPlansRequest {
        page_size: 500,
        page_token: String::new(),
    };
    let answer: ListPlansResponse = console
        .ask("/tenantry.registry.v1.PlanService/ListPlans", &question)
        .await?;
    let plans = answer.plans.into_iter().map(|plan| {
        let id = id_of(&plan.name).to_owned();
        let label = if plan.display_name.is_empty() {
            id.clone()
        } else {
            plan.display_name
        };
        let chosen = id == chosen;
        (id, label, chosen)
    });
    // Operators' own plan is nobody else's.
    Ok(plans.filter(|(id, ..)| id != "platform").collect())
}

async fn one(console: &Console, form: &Form, trouble: Option<Trouble>) -> Outcome {
    let tenant = get(console).await?;
    let row = Row::of(&tenant);
    let question = ListTenantDomainsRequest {
        parent: tenant.name.clone(),
        // More than a tenant can claim.
        page_size: 500,
        page_token: String::new(),
    };
    let claims: ListTenantDomainsResponse = console
        .ask("/tenantry.registry.v1.DomainService/ListTenantDomains", &question)
        .await?;
    let (state, admin, owner) = (
        tenant.state(),
        console.is_at_least(Role::Admin),
        console.is_at_least(Role::Owner),
    );
    let page = TenantPage {
        chrome: console.chrome(),
        plans: plans(console, if form.has("plan") { form.text("plan") } else { &row.plan }).await?,
        name: if form.has("name") {
            form.trimmed("name").to_owned()
        } else {
            row.name.clone()
        },
        suspend_reason: tenant.suspend_reason.clone(),
        etag: tenant.etag.clone(),
        deleted: time(tenant.delete_time),
        purged: time(tenant.purge_time),
        placement: format!("{} in {}", tenant.placement, tenant.cell),
        host: host_of(console, &row.slug),
        domains: claims.domains.iter().map(Claim::of).collect(),
        domain: form.trimmed("domain").to_owned(),
        may_change: admin
            && matches!(
                state,
                TenantState::Creating | TenantState::Active | TenantState::Suspended
            ),
        can: Can {
            suspend: admin && state == TenantState::Active,
            resume: admin && state == TenantState::Suspended,
            delete: owner && matches!(state, TenantState::Active | TenantState::Suspended),
            undelete: owner && state == TenantState::Deleted,
        },
        request_id: console.fresh_id(),
        tenant: row,
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

pub(super) async fn update(console: &Console, form: Form) -> Outcome {
    let tenant = Tenant {
        name: name(console),
        display_name: form.trimmed("name").to_owned(),
        plan: format!("plans/{}", form.text("plan")),
        etag: form.text("etag").to_owned(),
        ..Tenant::default()
    };
    let question = UpdateTenantRequest {
        tenant: Some(tenant),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["display_name".to_owned(), "plan".to_owned()],
        }),
        request_id: form.request_id(),
    };
    let answer: Result<UpdateTenantResponse, Status> = console.ask(&format!("{SERVICE}UpdateTenant"), &question).await;
    match answer {
        Ok(_) => console.done(&at(console), "saved"),
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

pub(super) async fn verify_domain(console: &Console, form: Form) -> Outcome {
    let domain = form.trimmed("domain");
    let question = VerifyDomainRequest {
        name: format!("{}/domains/{domain}", name(console)),
        request_id: form.request_id(),
    };
    let answer: Result<VerifyDomainResponse, Status> = console
        .ask("/tenantry.registry.v1.DomainService/VerifyDomain", &question)
        .await;
    match answer {
        Ok(_) => console.done(&at(console), "verified"),
        Err(status) if status.code() == tonic::Code::NotFound => {
            let trouble = console.wrong(
                "domain",
                "is not claimed by this tenant; an admin of it claims it first",
            );
            one(console, &form, Some(trouble)).await
        }
        Err(status) => one(console, &form, Some(console.trouble(&status))).await,
    }
}

#[cfg(test)]
fn sample_row(text: &str) -> Row {
    Row {
        id: "1".to_owned(),
        slug: text.to_owned(),
        name: text.to_owned(),
        plan: text.to_owned(),
        state: "active",
        since: String::new(),
        since_machine: String::new(),
    }
}

/// The list with `text` in everything that is typed, for tests.
#[cfg(test)]
pub(super) fn sample_list(text: &str) -> String {
    let page = TenantsPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        tenants: vec![sample_row(text)],
        query: text,
        deleted: true,
        first: address("/", &[("query", text)]),
        next: String::new(),
        is_first: false,
        may_create: true,
    };
    page.render().expect("a page")
}

/// The same of one tenant.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let page = TenantPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        tenant: sample_row(text),
        name: text.to_owned(),
        suspend_reason: text.to_owned(),
        etag: text.to_owned(),
        deleted: String::new(),
        purged: String::new(),
        placement: String::new(),
        host: text.to_owned(),
        domains: vec![Claim {
            name: text.to_owned(),
            verified: false,
            token: text.to_owned(),
            since: String::new(),
            since_machine: String::new(),
        }],
        domain: text.to_owned(),
        plans: vec![(text.to_owned(), text.to_owned(), true)],
        may_change: true,
        can: Can {
            suspend: true,
            resume: true,
            delete: true,
            undelete: true,
        },
        request_id: "r-1".to_owned(),
    };
    page.render().expect("a page")
}

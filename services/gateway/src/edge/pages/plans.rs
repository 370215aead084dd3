//! Plans: what tenants may use. A change reaches every tenant of the plan within two seconds.

use super::console::{Chrome, Console, Form, Outcome, Trouble, address, id_of, number};
use askama::Template;
use tenantry_api::{
    auth::Role,
    registry::{
        CreatePlanRequest, CreatePlanResponse, GetPlanRequest, GetPlanResponse, ListPlansRequest, ListPlansResponse,
        Plan, PlanLimits, UpdatePlanRequest, UpdatePlanResponse,
    },
};
use tonic::Status;

const SERVICE: &str = "/tenantry.registry.v1.PlanService/";
/// What a plan can include, with words for people.
const FEATURES: [(&str, &str); 4] = [
    ("custom_domain", "Custom domains"),
    ("import", "Imports"),
    ("custom_types", "Own object types"),
    ("watch", "Change stream"),
];

struct Row {
    id: String,
    name: String,
    rate: String,
    month: String,
    records: String,
    users: String,
    features: String,
}

fn count(value: u64) -> String {
    number(i64::try_from(value).unwrap_or(i64::MAX))
}

impl Row {
    fn of(plan: &Plan) -> Self {
        let limits = plan.limits.unwrap_or_default();
        Self {
            id: id_of(&plan.name).to_owned(),
            name: plan.display_name.clone(),
            rate: count(limits.requests_per_second.into()),
            month: if limits.requests_per_month == 0 {
                "no limit".to_owned()
            } else {
                count(limits.requests_per_month)
            },
            records: count(limits.records),
            users: count(limits.users.into()),
            features: plan.features.join(", "),
        }
    }
}

#[derive(Template)]
#[template(path = "plans.html")]
struct PlansPage {
    chrome: Chrome,
    plans: Vec<Row>,
    next: String,
    is_first: bool,
    may_change: bool,
}

pub(super) async fn list(console: &Console) -> Outcome {
    let question = ListPlansRequest {
        page_size: 50,
        page_token: console.parameter("page").to_owned(),
    };
    let answer: ListPlansResponse = console.ask(&format!("{SERVICE}ListPlans"), &question).await?;
    let page = PlansPage {
        chrome: console.chrome(),
        plans: answer.plans.iter().map(Row::of).collect(),
        next: address("/plans", &[("page", &answer.next_page_token)]),
        is_first: console.parameter("page").is_empty(),
        may_change: console.is_at_least(Role::Admin),
    };
    console.page(&page)
}

/// One limit in the form.
struct Limit {
    name: &'static str,
    label: &'static str,
    value: String,
}

struct Feature {
    name: &'static str,
    label: &'static str,
    chosen: bool,
}

#[derive(Template)]
#[template(path = "plan.html")]
struct PlanPage {
    chrome: Chrome,
    trouble: Option<Trouble>,
    is_new: bool,
    id: String,
    name: String,
    limits: Vec<Limit>,
    features: Vec<Feature>,
    etag: String,
    action: String,
    may_change: bool,
    request_id: String,
}

/// The fields of the form, with what `value` knows of them.
fn limits(value: impl Fn(&str) -> String) -> Vec<Limit> {
    let all = [
        ("requests_per_second", "Requests a second at each gateway"),
        ("burst", "Requests at once above that"),
        ("requests_per_month", "Requests in a month (0 = no limit)"),
        ("users", "Members"),
        ("object_types", "Object types"),
        ("records", "Records"),
        ("api_keys", "API keys"),
    ];
    all.map(|(name, label)| Limit {
        name,
        label,
        value: value(name),
    })
    .into()
}

fn features(chosen: impl Fn(&str) -> bool) -> Vec<Feature> {
    FEATURES
        .map(|(name, label)| Feature {
            name,
            label,
            chosen: chosen(name),
        })
        .into()
}

fn limit_of(limits: &PlanLimits, name: &str) -> u64 {
    match name {
        "requests_per_second" => limits.requests_per_second.into(),
        "burst" => limits.burst.into(),
        "requests_per_month" => limits.requests_per_month,
        "users" => limits.users.into(),
        "object_types" => limits.object_types.into(),
        "records" => limits.records,
        "api_keys" => limits.api_keys.into(),
        _ => 0,
    }
}

fn page_of(console: &Console, plan: &Plan, is_new: bool) -> PlanPage {
    let stored = plan.limits.unwrap_or_default();
    PlanPage {
        chrome: console.chrome(),
        trouble: None,
        is_new,
        id: id_of(&plan.name).to_owned(),
        name: plan.display_name.clone(),
        limits: limits(|name| limit_of(&stored, name).to_string()),
        features: features(|name| plan.features.iter().any(|one| one == name)),
        etag: plan.etag.clone(),
        action: console.path.clone(),
        may_change: console.is_at_least(Role::Admin),
        request_id: console.fresh_id(),
    }
}

/// The form as it was sent, with what was wrong.
fn again(console: &Console, form: &Form, is_new: bool, trouble: &Trouble) -> Outcome {
    let page = PlanPage {
        chrome: console.chrome(),
        is_new,
        id: if is_new {
            form.trimmed("id").to_owned()
        } else {
            console.binding("plan").to_owned()
        },
        name: form.trimmed("name").to_owned(),
        limits: limits(|name| form.trimmed(name).to_owned()),
        features: features(|name| form.all("feature").any(|one| one == name)),
        etag: form.text("etag").to_owned(),
        action: console.path.clone(),
        may_change: true,
        request_id: console.fresh_id(),
        trouble: None,
    };
    let page = PlanPage {
        trouble: Some(trouble.clone()),
        ..page
    };
    console.again(trouble, &page)
}

/// The plan that a form describes; the field that is no number otherwise.
fn read(form: &Form, id: &str) -> Result<Plan, &'static str> {
    let small = |name: &'static str| form.trimmed(name).parse::<u32>().map_err(|_| name);
    let large = |name: &'static str| form.trimmed(name).parse::<u64>().map_err(|_| name);
    Ok(Plan {
        name: format!("plans/{id}"),
        display_name: form.trimmed("name").to_owned(),
        limits: Some(PlanLimits {
            requests_per_second: small("requests_per_second")?,
            burst: small("burst")?,
            users: small("users")?,
            object_types: small("object_types")?,
            records: large("records")?,
            api_keys: small("api_keys")?,
            requests_per_month: large("requests_per_month")?,
        }),
        features: form.all("feature").map(str::to_owned).collect(),
        etag: form.text("etag").to_owned(),
    })
}

pub(super) async fn new(console: &Console) -> Outcome {
    let start = Plan {
        limits: Some(PlanLimits {
            requests_per_second: 50,
            burst: 100,
            users: 10,
            object_types: 10,
            records: 10_000,
            api_keys: 10,
            requests_per_month: 0,
        }),
        ..Plan::default()
    };
    console.page(&page_of(console, &start, true))
}

pub(super) async fn create(console: &Console, form: Form) -> Outcome {
    let plan = match read(&form, form.trimmed("id")) {
        Ok(plan) => plan,
        Err(field) => return again(console, &form, true, &console.wrong(field, "must be a whole number")),
    };
    let question = CreatePlanRequest {
        plan: Some(plan),
        request_id: form.request_id(),
    };
    let answer: Result<CreatePlanResponse, Status> = console.ask(&format!("{SERVICE}CreatePlan"), &question).await;
    match answer {
        Ok(_) => console.done("/plans", "created"),
        Err(status) => again(console, &form, true, &console.trouble(&status)),
    }
}

pub(super) async fn show(console: &Console) -> Outcome {
    let question = GetPlanRequest {
        name: format!("plans/{}", console.binding("plan")),
    };
    let answer: GetPlanResponse = console.ask(&format!("{SERVICE}GetPlan"), &question).await?;
    console.page(&page_of(console, &answer.plan.unwrap_or_default(), false))
}

pub(super) async fn update(console: &Console, form: Form) -> Outcome {
    let plan = match read(&form, console.binding("plan")) {
        Ok(plan) => plan,
        Err(field) => return again(console, &form, false, &console.wrong(field, "must be a whole number")),
    };
    let question = UpdatePlanRequest {
        plan: Some(plan),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["display_name".to_owned(), "limits".to_owned(), "features".to_owned()],
        }),
        request_id: form.request_id(),
    };
    let answer: Result<UpdatePlanResponse, Status> = console.ask(&format!("{SERVICE}UpdatePlan"), &question).await;
    match answer {
        Ok(_) => console.done(&console.path, "saved"),
        Err(status) => again(console, &form, false, &console.trouble(&status)),
    }
}

/// The form with `text` in everything that is typed, for tests.
#[cfg(test)]
pub(super) fn sample(text: &str) -> String {
    let page = PlanPage {
        chrome: Chrome::saying(text),
        trouble: Some(Trouble::saying(text)),
        is_new: true,
        id: text.to_owned(),
        name: text.to_owned(),
        limits: limits(|_| text.to_owned()),
        features: features(|_| true),
        etag: text.to_owned(),
        action: "/plans/new".to_owned(),
        may_change: true,
        request_id: "r-1".to_owned(),
    };
    page.render().expect("a page")
}

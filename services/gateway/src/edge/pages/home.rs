//! Home: what the organisation has, what it uses, and what is left to set up. One part that cannot be shown does not hide
//! the others.

use super::{
    backups,
    backups::View,
    console::{Chrome, Console, Outcome, Trouble, id_of, number},
    operations,
    operations::Listed,
    types, usage,
    usage::Level,
};
use askama::Template;
use tenantry_api::{
    auth::{ListApiKeysRequest, ListApiKeysResponse, ListUsersRequest, ListUsersResponse, Role},
    backup::{ListSnapshotsResponse, SnapshotState},
    monitoring::GetUsageResponse,
    registry::{ListBrandingRevisionsRequest, ListBrandingRevisionsResponse},
};
use tonic::Status;

/// Lists are counted up to here.
const COUNTED: i32 = 500;
/// The newest snapshot that is whole is looked for among so many.
const SNAPSHOTS: i32 = 20;

struct TypeLine {
    id: String,
    label: String,
    fields: usize,
    /// In the newest snapshot; counting them now would read them all.
    records: String,
}

/// One step of setting up.
struct Step {
    label: &'static str,
    href: &'static str,
    done: bool,
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomePage {
    chrome: Chrome,
    name: String,
    email: String,
    role: &'static str,
    tenant: String,
    slug: String,
    plan: String,
    is_operator: bool,
    members: String,
    members_trouble: Option<Trouble>,
    types: Vec<TypeLine>,
    types_trouble: Option<Trouble>,
    /// The newest that is whole.
    snapshot: Option<View>,
    /// One that is being taken.
    running: Option<View>,
    backup_trouble: Option<Trouble>,
    requests: String,
    errors: String,
    levels: Vec<Level>,
    usage_trouble: Option<Trouble>,
    operations: Listed,
    steps: Vec<Step>,
}

fn split<T>(console: &Console, answer: Result<T, Status>) -> (Option<T>, Option<Trouble>) {
    match answer {
        Ok(answer) => (Some(answer), None),
        Err(status) => (None, Some(console.trouble(&status))),
    }
}

async fn users(console: &Console) -> Result<ListUsersResponse, Status> {
    let question = ListUsersRequest {
        page_size: COUNTED,
        ..ListUsersRequest::default()
    };
    console.ask("/tenantry.auth.v1.UserService/ListUsers", &question).await
}

async fn keys(console: &Console) -> Option<ListApiKeysResponse> {
    let question = ListApiKeysRequest {
        page_size: 1,
        ..ListApiKeysRequest::default()
    };
    if !console.is_at_least(Role::Admin) {
        return None;
    }
    console
        .ask("/tenantry.auth.v1.ApiKeyService/ListApiKeys", &question)
        .await
        .ok()
}

pub(super) async fn show(console: &Console) -> Outcome {
    let (users, members_trouble) = split(console, users(console).await);
    let (count, is_all) = users.map_or((0, true), |users| (users.users.len(), users.next_page_token.is_empty()));
    let members = if is_all {
        count.to_string()
    } else {
        format!("more than {COUNTED}")
    };
    let mut page = HomePage {
        chrome: console.chrome(),
        name: if console.user.display_name.is_empty() {
            console.user.email.clone()
        } else {
            console.user.display_name.clone()
        },
        email: console.user.email.clone(),
        role: super::console::role_label(console.user.role()),
        tenant: console.route.display_name.clone(),
        slug: console.route.slug.clone(),
        plan: console.route.plan.clone(),
        is_operator: console.is_operator(),
        members,
        members_trouble,
        types: Vec::new(),
        types_trouble: None,
        snapshot: None,
        running: None,
        backup_trouble: None,
        requests: String::new(),
        errors: String::new(),
        levels: Vec::new(),
        usage_trouble: None,
        operations: Listed::default(),
        steps: Vec::new(),
    };
    if !console.is_operator() {
        fill(console, &mut page, count).await;
    }
    console.page(&page)
}

/// Whether a look of the organisation's own was ever published.
async fn is_branded(console: &Console) -> bool {
    if !console.is_at_least(Role::Admin) {
        return false;
    }
    let question = ListBrandingRevisionsRequest {
        page_size: 1,
        ..ListBrandingRevisionsRequest::default()
    };
    let method = "/tenantry.registry.v1.BrandingService/ListBrandingRevisions";
    let answer: Result<ListBrandingRevisionsResponse, Status> = console.ask(method, &question).await;
    answer.is_ok_and(|answer| !answer.branding_revisions.is_empty())
}

/// What an admin has to do in a new organisation.
fn steps(console: &Console, done: [bool; 5]) -> Vec<Step> {
    let all = [
        ("Make a type for your records", "/types/new"),
        ("Invite somebody", "/members"),
        ("Choose your colour", "/branding"),
        ("Make an API key", "/keys"),
        ("Take a first snapshot", "/backups"),
    ];
    all.into_iter()
        .zip(done)
        // What the plan does not include cannot be done.
        .filter(|((_, href), done)| *done || *href != "/types/new" || console.has_feature("custom_types"))
        .map(|((label, href), done)| Step { label, href, done })
        .collect()
}

async fn fill(console: &Console, page: &mut HomePage, members: usize) {
    let (types, snapshots, used, keys, is_branded, operations) = futures::join!(
        types::all(console),
        backups::snapshots(console, SNAPSHOTS, ""),
        usage::of_month(console),
        keys(console),
        is_branded(console),
        operations::recent(console, &["business", "backup"])
    );
    page.operations = operations;
    let (types, types_trouble) = split(console, types);
    let (snapshots, backup_trouble) = split::<ListSnapshotsResponse>(console, snapshots);
    let (used, usage_trouble) = split::<GetUsageResponse>(console, used);
    let types = types.unwrap_or_default();
    let snapshots = snapshots.map(|answer| answer.snapshots).unwrap_or_default();
    let newest = |state| snapshots.iter().find(|snapshot| snapshot.state() == state);
    page.running = newest(SnapshotState::Running).map(View::of);
    let newest = newest(SnapshotState::Ready);
    let counted = |id: &str| {
        let of = newest
            .iter()
            .flat_map(|snapshot| &snapshot.types)
            .find(|of| of.object_type == id);
        of.map_or_else(String::new, |of| number(of.records))
    };
    page.types = types
        .iter()
        .map(|of| TypeLine {
            id: id_of(&of.name).to_owned(),
            label: types::label(of),
            fields: of.fields.len(),
            records: counted(id_of(&of.name)),
        })
        .collect();
    if console.is_at_least(Role::Admin) {
        let done = [
            !types.is_empty(),
            members > 1,
            is_branded,
            keys.is_some_and(|keys| !keys.api_keys.is_empty()),
            newest.is_some(),
        ];
        page.steps = steps(console, done);
    }
    page.snapshot = newest.map(View::of);
    if let Some(used) = used {
        let total = used.total.unwrap_or_default();
        page.requests = number(total.requests);
        page.errors = number(total.errors);
        page.levels = used.quotas.iter().map(usage::level).collect();
    }
    (page.types_trouble, page.backup_trouble, page.usage_trouble) = (types_trouble, backup_trouble, usage_trouble);
}

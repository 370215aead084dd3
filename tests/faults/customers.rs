//! Customers at work while something breaks: writers that count what was acknowledged, onboardings, imports; and the
//! reckoning afterwards.

use crate::{
    lab::{RECOVERY, request_id},
    patient::Patient,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    sync::Arc,
};
use tenantry_testkit::{World, eventually_within};
use tenantry_tests::{Member, Tenant, unique};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// For single steps of recovery.
pub(crate) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
pub(crate) const PARENT: &str = "/v1/objectTypes/tickets/records";

/// A light, steady writer.
pub(crate) struct Writer {
    stop: CancellationToken,
    work: JoinHandle<Acknowledged>,
}

/// What the server said it has done.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// Title by record name.
    pub(crate) records: BTreeMap<String, String>,
    /// Requests that had to be repeated.
    pub(crate) repeats: usize,
}

pub(crate) fn owner(tenant: &Tenant) -> Patient {
    Patient::new(&tenant.world, &tenant.host, &tenant.owner.email, &tenant.owner.password)
}

impl Writer {
    /// Creates records, and updates every third, until it is told to stop.
    pub(crate) fn start(tenant: &Tenant) -> Self {
        let stop = CancellationToken::new();
        let (token, client) = (stop.clone(), owner(tenant));
        let work = tokio::spawn(async move {
            let mut done = Acknowledged::default();
            let mut number = 0_u32;
            while !token.is_cancelled() {
                write_one(&client, number, &mut done).await;
                number += 1;
            }
            done.repeats = client.troubles.lock().expect("not poisoned").len();
            done
        });
        Self { stop, work }
    }
    /// Waits until it has written some more: proof that the instance serves again.
    pub(crate) async fn finish(self) -> Acknowledged {
        self.stop.cancel();
        self.work.await.expect("the writer did not panic")
    }
}

async fn write_one(client: &Patient, number: u32, done: &mut Acknowledged) {
    let title = format!("w{number}");
    let path = format!("{PARENT}?requestId={}", request_id());
    let body = json!({"fields": {"title": title, "status": "open", "priority": number}});
    let record = client.call("POST", &path, Some(body)).await;
    let name = record["name"].as_str().unwrap_or_else(|| panic!("{record}")).to_owned();
    let mut title = title;
    if number.is_multiple_of(3) {
        title.push_str(" changed");
        let path = format!("/v1/{name}?updateMask=fields.title&requestId={}", request_id());
        client
            .call("PATCH", &path, Some(json!({"fields": {"title": title}})))
            .await;
    }
    done.records.insert(name, title);
}

/// Every record of a type, page by page: title by name.
pub(crate) async fn all_records(client: &Patient, object_type: &str, field: &str) -> Vec<(String, String)> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/objectTypes/{object_type}/records?pageSize=500&pageToken={token}");
        let page = client.get(&path).await;
        for record in page["records"].as_array().into_iter().flatten() {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            all.push((text(&record["name"]), text(&record["fields"][field])));
        }
        match page["nextPageToken"].as_str() {
            Some(next) if !next.is_empty() => next.clone_into(&mut token),
            _ => return all,
        }
    }
}

/// Every acknowledged write is there, once, as acknowledged, and nothing else is.
pub(crate) async fn reckon(tenant: &Tenant, acknowledged: &Acknowledged) {
    let found = all_records(&owner(tenant), "tickets", "title").await;
    let by_name: BTreeMap<_, _> = found.iter().cloned().collect();
    assert_eq!(by_name.len(), found.len(), "a record came twice in the list");
    let lost: Vec<_> = acknowledged
        .records
        .iter()
        .filter(|(name, title)| by_name.get(*name) != Some(*title))
        .collect();
    assert!(lost.is_empty(), "acknowledged, but not there as acknowledged: {lost:?}");
    let titles: BTreeSet<_> = found.iter().map(|(_, title)| title.as_str()).collect();
    assert_eq!(titles.len(), found.len(), "a write took effect twice");
    let extra: Vec<_> = by_name
        .keys()
        .filter(|name| !acknowledged.records.contains_key(*name))
        .collect();
    assert!(
        extra.is_empty(),
        "never acknowledged, though repeated until it was: {extra:?}"
    );
}

/// Asks for a tenant until the answer comes and returns operation and slug.
pub(crate) async fn ask_for_tenant(operator: &Patient, slug: &str) -> String {
    let path = format!(
        "/v1/tenants?adminEmail=owner@{slug}.example&adminDisplayName=Olga&requestId={}",
        request_id()
    );
    let body = json!({"slug": slug, "displayName": format!("Test {slug}"), "plan": "plans/team"});
    let operation = operator.call("POST", &path, Some(body)).await;
    operation["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{operation}"))
        .to_owned()
}

/// Polls an operation until it is done.
pub(crate) async fn done(client: &Patient, operation: &str) -> Value {
    eventually_within(RECOVERY, operation, || async {
        let now = client.get(&format!("/v1/{operation}")).await;
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}

/// A finished onboarding is a tenant whose owner can work.
pub(crate) async fn moves_in(world: &World, slug: &str, operation: &Value) -> Tenant {
    let response = &operation["response"];
    assert!(response.is_object(), "onboarding did not succeed: {operation}");
    assert_eq!(response["tenant"]["state"], json!("TENANT_STATE_ACTIVE"), "{operation}");
    let metadata = &operation["metadata"];
    assert_eq!(metadata["verb"], json!("create_tenant"), "{operation}");
    assert!(
        metadata["step"].is_string() && metadata["attempt"].is_number(),
        "{operation}"
    );
    let (host, email) = (world.host(slug), format!("owner@{slug}.example"));
    let link = response["inviteUri"].as_str().expect("an invite link");
    let tenant = Tenant {
        world: world.clone(),
        id: response["tenant"]["tenantId"].as_str().expect("an id").to_owned(),
        slug: slug.to_owned(),
        owner: Member::accept(world, &host, &email, link).await,
        host,
    };
    tenant.help_desk().await;
    let record = tenant.ticket("the first").await;
    let read = tenant
        .rest()
        .get(&format!("/v1/{}", record["name"].as_str().expect("a name")))
        .await;
    assert_eq!(read.ok()["fields"]["title"], json!("the first"));
    tenant
}

/// A CSV file with this many rows.
pub(crate) fn csv(rows: usize) -> Vec<u8> {
    let mut text = String::from("code,count,day\n");
    for row in 0..rows {
        writeln!(text, "c{row},{},2026-01-{:02}", row * 7, row % 28 + 1).expect("a String takes it");
    }
    text.into_bytes()
}

/// Uploads and starts an import into a new type and returns the operation.
pub(crate) async fn start_import(client: &Patient, object_type: &str, rows: usize) -> String {
    let path = "/v1/imports:upload?filename=fault.csv";
    let uploaded = client.send("POST", path, Some(("text/csv", csv(rows)))).await.ok();
    let name = uploaded["import"]["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{uploaded}"));
    let body =
        json!({"objectType": format!("objectTypes/{object_type}"), "createType": true, "requestId": request_id()});
    let operation = client.call("POST", &format!("/v1/{name}:start"), Some(body)).await;
    operation["name"]
        .as_str()
        .unwrap_or_else(|| panic!("{operation}"))
        .to_owned()
}

/// The import has exactly its rows, once.
pub(crate) async fn imported(client: &Patient, object_type: &str, operation: &str, rows: usize) {
    let operation = done(client, operation).await;
    let count = &operation["response"]["importedCount"];
    assert_eq!(count, &json!(rows.to_string()), "{operation}");
    let found = all_records(client, object_type, "code").await;
    let codes: BTreeSet<_> = found.iter().map(|(_, code)| code.as_str()).collect();
    assert_eq!(
        (found.len(), codes.len()),
        (rows, rows),
        "rows in all, and different ones"
    );
}

/// A tenant with the help desk's types.
pub(crate) async fn tenant(operator: &tenantry_tests::Operator) -> Tenant {
    let tenant = operator.tenant("flt").await;
    tenant.help_desk().await;
    tenant
}

/// Several onboardings at once.
pub(crate) struct Onboardings {
    operator: Arc<Patient>,
    world: World,
    asked: Vec<(String, JoinHandle<String>)>,
}

impl Onboardings {
    pub(crate) fn start(world: &World, count: usize) -> Self {
        let operator = Arc::new(Patient::operator(world));
        let asked = (0..count)
            .map(|_| {
                let slug = unique("onb");
                let (client, name) = (operator.clone(), slug.clone());
                (slug, tokio::spawn(async move { ask_for_tenant(&client, &name).await }))
            })
            .collect();
        Self {
            operator,
            world: world.clone(),
            asked,
        }
    }
    /// Each is done, or has failed and left its slug free.
    pub(crate) async fn finish(self) {
        for (slug, asked) in self.asked {
            let operation = done(&self.operator, &asked.await.expect("asking did not panic")).await;
            if operation["error"].is_object() {
                let again = done(&self.operator, &ask_for_tenant(&self.operator, &slug).await).await;
                moves_in(&self.world, &slug, &again).await;
            } else {
                moves_in(&self.world, &slug, &operation).await;
            }
        }
    }
}

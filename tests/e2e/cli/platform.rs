//! Branding drafts, backups, usage, services, alerts, events.

use super::{Machine, names};
use serde_json::{Value, json};
use tenantry_testkit::eventually;
use tenantry_tests::{Member, unique};

#[tokio::test(flavor = "multi_thread")]
async fn a_brand_is_drafted_discarded_published_and_rolled_back() {
    let (_, _, tenant, machine) = Machine::of_owner("ctlg").await;
    let set = machine.json(&["branding", "set", "--primary-color", "#0b6e4f", "--theme-mode", "dark"]);
    assert_eq!(set, tenant.rest().get("/v1/branding").await.ok());
    let first = machine.json(&["branding", "history"]);
    machine.json(&["branding", "set", "--draft", "--display-name", "Regretted"]);
    let published = machine.json(&["branding", "get"]);
    let shown = machine.json(&["branding", "discard"]);
    assert_eq!(shown["displayName"], published["displayName"]);
    assert_eq!(machine.json(&["branding", "draft"]), shown);
    assert_eq!(machine.json(&["branding", "get"]), published);
    assert_eq!(machine.json(&["branding", "history"]), first, "nothing was published");
    let stale = json!({"etag": published["etag"]});
    let refused = tenant.rest().post("/v1/branding:discardDraft", stale).await;
    refused.refused(412, "ETAG_MISMATCH");
    let draft = machine.json(&["branding", "set", "--draft", "--display-name", "Drafted"]);
    assert_eq!(machine.json(&["branding", "draft"]), draft);
    assert_eq!(machine.json(&["branding", "get", "--draft"]), draft);
    assert_ne!(machine.json(&["branding", "get"])["displayName"], "Drafted");
    assert_eq!(machine.json(&["branding", "publish"])["displayName"], "Drafted");
    let history = machine.json(&["branding", "history"]);
    assert!(
        history.as_array().map(Vec::len) > first.as_array().map(Vec::len),
        "{history}"
    );
    let before = history[1]["revision"].as_str().expect("a revision").to_owned();
    let back = machine.json(&["branding", "rollback", &before]);
    assert_eq!(back["primaryColor"], history[1]["branding"]["primaryColor"]);
    assert_ne!(back["displayName"], "Drafted");
    machine.run(&["branding", "rollback", "99999"]).failed(3, "");
    machine
        .run(&["branding", "set", "--primary-color", "green"])
        .failed(1, "primary");
    machine.run(&["branding", "set"]).failed(2, "nothing to change");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_taken_verified_and_restored() {
    let (world, _, tenant, machine) = Machine::of_owner("ctlz").await;
    tenant.help_desk().await;
    tenant.ticket("kept").await;
    let made = machine.json(&["backups", "create", "--description", "before", "--wait"]);
    let name = made["name"].as_str().expect("a snapshot").to_owned();
    assert_eq!(
        (&made["state"], &made["records"]),
        (&json!("SNAPSHOT_STATE_READY"), &json!("1"))
    );
    assert_eq!(
        machine.json(&["backups", "get", &name]),
        tenant.rest().get(&format!("/v1/{name}")).await.ok()
    );
    assert_eq!(names(&machine.json(&["snapshots", "list"]), "name"), [name.as_str()]);
    assert!(machine.json(&["backups", "verify", &name])["verifyTime"].is_string());

    tenant.ticket("lost").await;
    machine
        .run(&["backups", "restore", &name, "--in-place"])
        .failed(2, "--yes");
    let restored = machine.json(&["backups", "restore", &name, "--in-place", "--yes"]);
    assert_eq!(
        (&restored["records"], &restored["snapshot"]),
        (&json!("1"), &json!(name))
    );
    let tickets = machine.json(&["records", "list", "tickets"]);
    assert_eq!(tickets.as_array().map(Vec::len), Some(1), "{tickets}");

    let slug = unique("ctlcopy");
    let copied = machine.json(&["backups", "restore", &name, "--new-tenant", &slug, "--timeout", "120"]);
    let link = copied["inviteUri"].as_str().expect("a link");
    let owner = Member::accept(&world, &world.host(&slug), &tenant.owner.email, link).await;
    let mut theirs = Machine::new(&world);
    theirs.login(&slug, &owner.email, &owner.password);
    assert_eq!(
        theirs.json(&["records", "list", "tickets"])[0]["fields"]["title"],
        "kept"
    );

    let listed = machine.json(&["operations", "list"]);
    assert!(
        names(&listed, "name")
            .iter()
            .any(|name| name.starts_with("operations/backup-")),
        "{listed}"
    );
    let policy = machine.json(&[
        "backups",
        "policy",
        "set",
        "--schedule",
        "0 3 * * *",
        "--keep-last",
        "3",
    ]);
    assert_eq!(policy, tenant.rest().get("/v1/backupPolicy").await.ok());
    assert_eq!(machine.json(&["backups", "policy", "get"])["keepLast"], 3);
    machine.run(&["backups", "delete", &name]).failed(2, "--yes");
    machine.run(&["backups", "delete", &name, "--yes"]).ok();
    let fleet = Machine::of_operator(&world).json(&["backups", "fleet", "--limit", "0"]);
    assert!(names(&fleet, "slug").contains(&tenant.slug), "{fleet}");
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_quotas_are_shown() {
    let (world, _, tenant, machine) = Machine::of_owner("ctlu").await;
    let used = |usage: &Value| usage["total"]["requests"].as_str().and_then(|n| n.parse::<u64>().ok());
    eventually("requests are counted", || async {
        let usage = machine.json(&["usage", "get", "--last", "1h", "--step", "minute"]);
        if used(&usage) > Some(0) { Ok(()) } else { Err(usage) }
    })
    .await;
    let table = machine.run(&["usage", "get"]).ok();
    assert!(
        table.starts_with("FROM") && table.contains("plan: plans/enterprise"),
        "{table}"
    );
    machine.run(&["usage", "get", "--last", "soon"]).failed(2, "30m");
    let operator = Machine::of_operator(&world);
    let busiest = operator.json(&["usage", "tenants", "--last", "1h", "--limit", "0"]);
    assert!(names(&busiest, "slug").contains(&tenant.slug), "{busiest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_services_alerts_and_events() {
    let (world, operator, tenant, machine) = Machine::of_owner("ctlf").await;
    let fleet = Machine::of_operator(&world);
    let services = fleet.json(&["services", "list"]);
    let rest = operator.rest.get("/v1/platform/services").await.ok();
    assert_eq!(names(&services, "service"), names(&rest["services"], "service"));
    assert!(
        names(&services, "service").contains(&"business".to_owned()),
        "{services}"
    );
    assert!(fleet.json(&["alerts", "list"]).is_array());
    eventually("the tenant's events arrive", || async {
        let events = fleet.json(&["events", "list", "--of", &tenant.id]);
        if events.as_array().is_some_and(|events| !events.is_empty()) {
            Ok(())
        } else {
            Err(events)
        }
    })
    .await;
    for args in [
        &["services", "list"][..],
        &["alerts", "list"],
        &["events", "list"],
        &["backups", "fleet"],
        &["usage", "tenants"],
    ] {
        machine.run(args).failed(4, "");
    }
}

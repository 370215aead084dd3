//! Lists: whole for programs, cut for people, who are told.

use super::{
    Desk,
    stub::{Answer, Asked, Stub},
};
use serde_json::{Value, json};

/// A server with so many of everything, in pages as they are asked for.
fn with(count: usize) -> Desk {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok());
    Desk::new(Stub::new(move |asked: &Asked, _| {
        let from = number(asked.query("pageToken")).unwrap_or_default();
        let to = count.min(from + number(asked.query("pageSize")).unwrap_or(50).min(100));
        let items: Vec<Value> = (from..to).map(|n| json!({"name": format!("things/{n}")})).collect();
        let next = if to < count { to.to_string() } else { String::new() };
        let key = asked.path.rsplit('/').next().unwrap_or_default();
        let key = match key {
            "revisions" => "brandingRevisions",
            "backups" => "tenantBackups",
            "usage" => "tenantUsages",
            "backupOperations" => "operations",
            "acme:listDomains" => "domains",
            other => other,
        };
        Answer::Json(200, json!({key: items, "nextPageToken": next}))
    }))
}

const LISTS: &[&[&str]] = &[
    &["tenants", "list"],
    &["members", "list"],
    &["records", "list", "tickets"],
    &["backups", "list"],
    &["backups", "fleet"],
    &["branding", "history"],
    &["alerts", "list"],
    &["events", "list"],
    &["usage", "tenants"],
    &["operations", "list", "--service", "business"],
];

#[test]
fn a_program_gets_every_item_and_a_person_is_told_of_more() {
    let desk = with(120);
    for list in LISTS {
        let json = desk.run(&[list, &["-o", "json"][..]].concat()).ok();
        let items: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(items.as_array().map(Vec::len), Some(120), "{list:?}");
        assert_eq!(
            desk.run(&[list, &["-o", "name"][..]].concat()).ok().lines().count(),
            120
        );
        assert!(
            desk.run(&[list, &["-o", "yaml"][..]].concat())
                .ok()
                .contains("things/119")
        );

        let table = desk.run(list);
        assert!(
            table.err.contains("More exist; use --limit 0"),
            "{list:?}: {}",
            table.err
        );
        assert_eq!(table.ok().lines().count(), 51, "{list:?}");
        let some = desk.run(&[list, &["--limit", "7"][..]].concat());
        assert_eq!((some.err.as_str(), some.out.lines().count()), ("", 8), "{list:?}");
        let all = desk.run(&[list, &["--limit", "0"][..]].concat());
        assert_eq!((all.err.as_str(), all.out.lines().count()), ("", 121), "{list:?}");
        let few = desk.run(&[list, &["-o", "json", "--limit", "7"][..]].concat()).ok();
        let few: Value = serde_json::from_str(&few).expect("JSON");
        assert_eq!(few.as_array().map(Vec::len), Some(7), "{list:?}");
    }
}

/// Lists that are never cut, and what a person sees above them.
const WHOLE: &[(&[&str], &str)] = &[
    (
        &["plans", "list"],
        "PLAN NAME REQUESTS/S MEMBERS TYPES RECORDS FEATURES",
    ),
    (&["domains", "list"], "DOMAIN STATE TXT VALUE CREATED"),
    (&["domains", "list", "acme"], "DOMAIN STATE TXT VALUE CREATED"),
    (&["keys", "list"], "KEY NAME SCOPES EXPIRES LAST USED"),
    (&["types", "list"], "TYPE NAME FIELDS CREATED"),
    (&["sessions", "list"], "SESSION CLIENT SINCE LAST USED ENDS"),
];

/// Every format shows so many items, the table under these titles. The YAML, to be looked at.
fn in_every_format(desk: &Desk, list: &[&str], titles: &str, count: usize) -> String {
    let in_format = |format: &str| desk.run(&[list, &["-o", format][..]].concat()).ok();
    let json: Value = serde_json::from_str(&in_format("json")).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(count), "{list:?}");
    assert_eq!(in_format("name").lines().count(), count, "{list:?}");
    let table = desk.run(list);
    assert_eq!(table.err, "", "{list:?}");
    let table = table.ok();
    let words: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!((words.join(" ").as_str(), table.lines().count()), (titles, count + 1));
    in_format("yaml")
}

#[test]
fn what_a_tenant_has_few_of_is_whole_in_every_format() {
    let things = |count: usize| -> String { (0..count).map(|n| format!("- name: things/{n}\n")).collect() };
    let desk = with(120);
    for (list, titles) in WHOLE {
        assert_eq!(in_every_format(&desk, list, titles, 120), things(120), "{list:?}");
        assert!(desk.run(list).out.contains("\nthings/119"), "{list:?}");
    }
    // Not in pages: there are six.
    let yaml = in_every_format(&with(6), &["services", "list"], "SERVICE READY SINCE PROBLEM", 6);
    assert_eq!(yaml, things(6));
}

#[test]
fn contexts_are_listed_in_every_format() {
    let desk = with(0);
    for name in ["day", "night"] {
        desk.run(&["context", "set", name]).ok();
    }
    let yaml = in_every_format(&desk, &["context", "list"], "NAME CURRENT SERVER TENANT EMAIL", 2);
    let (server, key) = (&desk.server.url, desk.path("api.key"));
    let context = |name: &str, current: bool, mark: &str| {
        format!(
            "- apiKeyFile: {}\n  current: {current}\n  email: \"\"\n  mark: \"{mark}\"\n  name: {name}\n  server: {server}\n  tenant: acme\n",
            key.display()
        )
    };
    assert_eq!(yaml, context("day", true, "*") + &context("night", false, ""));
    let table = desk.run(&["context", "list"]).ok();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        rows[1..],
        [vec!["day", "*", server, "acme"], vec!["night", server, "acme"]]
    );
}

#[test]
fn nobody_is_told_of_more_where_there_is_none() {
    let desk = with(50);
    let table = desk.run(&["members", "list"]);
    assert_eq!((table.err.as_str(), table.out.lines().count()), ("", 51));
}

#[test]
fn an_alert_is_shown_with_its_runbook_and_a_latency_to_one_place() {
    let alert = json!({"alert": "TenantryMemoryHigh", "runbookUri": "docs/runbooks/TenantryMemoryHigh.md"});
    let usage = json!({"slug": "acme", "usage": {"latencyP50Ms": 62.593_984_962_406_01}});
    let answer = json!({"alerts": [alert], "tenantUsages": [usage]});
    let desk = Desk::new(Stub::new(move |_, _| Answer::Json(200, answer.clone())));
    let table = desk.run(&["alerts", "list"]).ok();
    assert!(table.contains("docs/runbooks/TenantryMemoryHigh.md"), "{table}");
    let table = desk.run(&["usage", "tenants"]).ok();
    assert!(table.contains("62.6") && !table.contains("62.59"), "{table}");
}

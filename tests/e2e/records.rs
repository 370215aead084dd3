//! Object types, records, lists, watch and imports.

use serde_json::{Value, json};
use tenantry_testkit::World;
use tenantry_tests::{Operator, Tenant};

pub(crate) const TICKETS: &str = "/v1/objectTypes/tickets/records";

pub(crate) async fn desk(prefix: &str) -> Tenant {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant(prefix).await;
    tenant.help_desk().await;
    tenant
}

pub(crate) fn name(value: &Value) -> String {
    value["name"]
        .as_str()
        .unwrap_or_else(|| panic!("no name: {value}"))
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_type_comes_back_as_it_went_in() {
    let tenant = desk("types").await;
    let person = tenant
        .rest()
        .post(
            "/v1/objectTypes/people/records",
            json!({"fields": {"email": "p@x.example", "born": "1990-02-28"}}),
        )
        .await
        .ok();
    let fields = json!({"title": "Ünïcode ✓", "status": "closed", "priority": -5, "cost": "12.30", "ratio": 0.5, "urgent": true,
        "due": "2026-11-23T10:00:00Z", "extra": {"a": [1, null, "x"]}, "requester": name(&person)});
    let made = tenant.rest().post(TICKETS, json!({"fields": fields})).await.ok();
    let got = tenant.rest().get(&format!("/v1/{}", name(&made))).await.ok();
    assert_eq!(got["fields"], fields);
    assert_eq!(got, made);
    let big = tenant
        .rest()
        .post(
            TICKETS,
            json!({"fields": {"title": "big", "priority": "9007199254740993"}}),
        )
        .await
        .ok();
    assert_eq!(
        big["fields"]["priority"], "9007199254740993",
        "beyond 2^53 an integer stays exact"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_needs_the_current_etag_and_is_seen_by_the_next_get() {
    let tenant = desk("upd").await;
    let made = tenant.ticket("old").await;
    let path = format!("/v1/{}", name(&made));
    for _ in 0..3 {
        let read = tenant.rest().get(&path).await;
        assert_eq!(made["etag"], read.header("etag"));
        assert_eq!(read.ok()["fields"]["title"], "old");
    }
    let change = json!({"fields": {"title": "new"}, "etag": made["etag"]});
    let changed = tenant
        .rest()
        .patch(&format!("{path}?updateMask=fields.title"), change.clone())
        .await
        .ok();
    assert_eq!(tenant.rest().get(&path).await.ok(), changed);
    assert_eq!(
        (
            changed["fields"]["title"].as_str(),
            changed["fields"]["status"].as_str()
        ),
        (Some("new"), Some("open"))
    );
    tenant
        .rest()
        .patch(&format!("{path}?updateMask=fields.title"), change)
        .await
        .refused(412, "ETAG_MISMATCH");
    let stale = tenant
        .rest()
        .header("if-match", made["etag"].as_str().expect("an etag"));
    stale
        .patch(
            &format!("{path}?updateMask=fields.title"),
            json!({"fields": {"title": "lost"}}),
        )
        .await
        .refused(412, "ETAG_MISMATCH");
    stale.delete(&path).await.refused(412, "ETAG_MISMATCH");
    tenant
        .rest()
        .header("if-match", changed["etag"].as_str().expect("an etag"))
        .delete(&path)
        .await
        .ok();
    tenant.rest().get(&path).await.refused(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn validation_names_the_field_and_nothing_is_written() {
    let tenant = desk("val").await;
    for (fields, field, reason) in [
        (json!({"status": "open"}), "title", "INVALID_ARGUMENT"),
        (json!({"title": "x", "status": "later"}), "status", "INVALID_ARGUMENT"),
        (json!({"title": "x".repeat(101)}), "title", "INVALID_ARGUMENT"),
        (json!({"title": "x", "priority": 1.5}), "priority", "INVALID_ARGUMENT"),
        (json!({"title": "x", "cost": "1.234"}), "cost", "INVALID_ARGUMENT"),
        (json!({"title": "x", "due": "tomorrow"}), "due", "INVALID_ARGUMENT"),
        (json!({"title": "x", "colour": "red"}), "colour", "UNKNOWN_FIELD"),
    ] {
        let refused = tenant.rest().post(TICKETS, json!({"fields": fields})).await;
        refused.refused(400, reason);
        assert!(
            refused.json()["violations"][0]["field"]
                .as_str()
                .unwrap_or_default()
                .ends_with(field),
            "{}",
            refused.text
        );
    }
    let missing = json!({"title": "x", "requester": "objectTypes/people/records/0192b0a0-0000-7000-8000-000000000001"});
    tenant
        .rest()
        .post(TICKETS, json!({"fields": missing}))
        .await
        .refused(422, "REFERENCE_NOT_FOUND");
    assert_eq!(
        tenant.rest().get(TICKETS).await.ok()["records"]
            .as_array()
            .map_or(0, Vec::len),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn unique_values_and_references_hold() {
    let tenant = desk("uniq").await;
    let people = "/v1/objectTypes/people/records";
    let ann = tenant
        .rest()
        .post(people, json!({"fields": {"email": "ann@x.example"}}))
        .await
        .ok();
    let twin = tenant
        .rest()
        .post(people, json!({"fields": {"email": "ann@x.example"}}))
        .await;
    twin.refused(409, "UNIQUE_VIOLATION");
    assert!(twin.text.contains("email"), "{}", twin.text);
    tenant
        .rest()
        .post(TICKETS, json!({"fields": {"title": "of ann", "requester": name(&ann)}}))
        .await
        .ok();
    tenant
        .rest()
        .delete(&format!("/v1/{}", name(&ann)))
        .await
        .refused(409, "STILL_REFERENCED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idempotency_key_writes_once() {
    let tenant = desk("idem").await;
    let keyed = tenant
        .rest()
        .header("idempotency-key", "0192b0a0-0000-4000-8000-00000000000a");
    let body = json!({"fields": {"title": "once"}});
    let (one, two) = tokio::join!(keyed.post(TICKETS, body.clone()), keyed.post(TICKETS, body.clone()));
    let mut told = [&one, &two].map(|answer| answer.header("idempotency-replayed").to_owned());
    told.sort_unstable();
    assert_eq!(name(&one.ok()), name(&two.ok()));
    assert_eq!(
        told,
        ["", "true"],
        "the later one says that it is the first one's answer"
    );
    keyed
        .post(TICKETS, json!({"fields": {"title": "twice"}}))
        .await
        .refused(422, "IDEMPOTENCY_KEY_REUSED");
    assert_eq!(
        tenant.rest().get(TICKETS).await.ok()["records"]
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_all_or_nothing() {
    let tenant = desk("batch").await;
    let good = |n: i32| json!({"record": {"fields": {"title": format!("t{n}")}}});
    let made = tenant
        .rest()
        .post(
            &format!("{TICKETS}:batchCreate"),
            json!({"requests": [good(1), good(2)]}),
        )
        .await
        .ok();
    assert_eq!(made["records"].as_array().map(Vec::len), Some(2));
    let bad = tenant
        .rest()
        .post(
            &format!("{TICKETS}:batchCreate"),
            json!({"requests": [good(3), {"record": {"fields": {}}}]}),
        )
        .await;
    assert_eq!(bad.status, 400, "{}", bad.text);
    assert!(
        bad.json()["violations"][0]["field"]
            .as_str()
            .unwrap_or_default()
            .contains("[1]"),
        "{}",
        bad.text
    );
    let many: Vec<Value> = (0..101).map(good).collect();
    assert_eq!(
        tenant
            .rest()
            .post(&format!("{TICKETS}:batchCreate"), json!({"requests": many}))
            .await
            .status,
        400
    );
    assert_eq!(
        tenant.rest().get(TICKETS).await.ok()["records"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    let names: Vec<String> = made["records"].as_array().unwrap().iter().map(name).collect();
    tenant
        .rest()
        .post(&format!("{TICKETS}:batchDelete"), json!({"names": names}))
        .await
        .ok();
    assert_eq!(
        tenant.rest().get(TICKETS).await.ok()["records"]
            .as_array()
            .map_or(0, Vec::len),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_filter_order_and_page() {
    let tenant = desk("list").await;
    for n in 0..7 {
        let fields =
            json!({"title": format!("t{n}"), "priority": n % 3, "status": if n % 2 == 0 { "open" } else { "closed" }});
        tenant.rest().post(TICKETS, json!({"fields": fields})).await.ok();
    }
    tenant
        .rest()
        .post(TICKETS, json!({"fields": {"title": "no priority"}}))
        .await
        .ok();
    let list = |query: &'static str| {
        let rest = tenant.rest();
        async move { rest.get(&format!("{TICKETS}?{query}")).await }
    };
    let titles = |answer: &Value| -> Vec<String> {
        answer["records"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|r| r["fields"]["title"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        titles(
            &list("filter=status%3D%22open%22%20AND%20priority%20%3E%3D%201")
                .await
                .ok()
        )
        .len(),
        2
    );
    assert_eq!(titles(&list("filter=title%3D%22t3%22").await.ok()), ["t3"]);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = tenant
            .rest()
            .get(&format!(
                "{TICKETS}?pageSize=3&orderBy=priority%20desc,title&pageToken={token}"
            ))
            .await
            .ok();
        seen.extend(titles(&page));
        token = page["nextPageToken"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), 8, "{seen:?}");
    let known: Vec<&String> = seen.iter().filter(|title| *title != "no priority").collect();
    assert_eq!(known, ["t2", "t5", "t1", "t4", "t0", "t3", "t6"]);
    for bad in [
        "filter=status%3D",
        "filter=nothing%3D1",
        "filter=extra%3D1",
        "filter=title%20OR%20x",
        "orderBy=extra",
        "pageSize=-1",
        "pageToken=xyz",
    ] {
        let refused = tenant.rest().get(&format!("{TICKETS}?{bad}")).await;
        assert_eq!(refused.status, 400, "{bad}: {}", refused.text);
    }
}

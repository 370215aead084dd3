//! Object types, records, lists, watch and imports.

use serde_json::{Value, json};
use tenantry_api::Methods;
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Operator, RawCodec, Tenant, channel_for, unique};

const TICKETS: &str = "/v1/objectTypes/tickets/records";

async fn desk(prefix: &str) -> Tenant {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant(prefix).await;
    tenant.help_desk().await;
    tenant
}

fn name(value: &Value) -> String {
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
        assert_eq!(tenant.rest().get(&path).await.ok()["fields"]["title"], "old");
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
    tenant.rest().delete(&path).await.ok();
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
    assert_eq!(name(&one.ok()), name(&two.ok()));
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

async fn next(stream: &mut tonic::Streaming<bytes::Bytes>) -> tenantry_api::business::WatchRecordsResponse {
    use prost::Message;
    let message = stream.message().await.expect("no error").expect("the stream goes on");
    tenantry_api::business::WatchRecordsResponse::decode(message).expect("an event")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_sees_every_change_in_order_and_resumes() {
    let tenant = desk("watch").await;
    let method = Methods::load()
        .get("/tenantry.business.v1.RecordService/WatchRecords")
        .unwrap()
        .descriptor
        .clone();
    let open = |token: String| {
        let (world, host, bearer) = (tenant.world.clone(), tenant.host.clone(), tenant.owner.token.clone());
        let method = method.clone();
        async move {
            use prost::Message;
            let mut request = tonic::Request::new(bytes::Bytes::from(
                tenantry_api::business::WatchRecordsRequest {
                    resume_token: token,
                    parent: String::new(),
                }
                .encode_to_vec(),
            ));
            request
                .metadata_mut()
                .insert("authorization", format!("Bearer {bearer}").parse().unwrap());
            let mut grpc = tonic::client::Grpc::new(channel_for(&world, &host));
            grpc.ready().await.unwrap();
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            grpc.server_streaming(request, path.parse().unwrap(), RawCodec)
                .await
                .unwrap()
                .into_inner()
        }
    };
    let mut stream = open(String::new()).await;
    let mut token = next(&mut stream).await.resume_token;
    drop(stream);
    let mut expected = Vec::new();
    for round in 0..3 {
        for n in 0..4 {
            let made = tenant.ticket(&format!("{round}.{n}")).await;
            expected.push(name(&made));
        }
        let mut stream = open(token.clone()).await;
        let mut seen = Vec::new();
        while seen.len() < 4 {
            let message = next(&mut stream).await;
            seen.extend(
                message
                    .changes
                    .iter()
                    .map(|change| change.record.as_ref().unwrap().name.clone()),
            );
            token = message.resume_token;
        }
        assert_eq!(seen, expected[round * 4..], "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_csv_is_looked_at_first_then_imported_whole_or_not_at_all() {
    let tenant = desk("csv").await;
    let upload = |csv: &'static str| {
        let rest = tenant.rest();
        async move {
            rest.try_send(
                "POST",
                "/v1/imports:upload?filename=x.csv",
                Some(("text/csv", csv.as_bytes().to_vec())),
            )
            .await
            .unwrap()
            .ok()["import"]
                .clone()
        }
    };
    let finish = |operation: Value| {
        let rest = tenant.rest();
        async move {
            let path = format!("/v1/{}", name(&operation));
            eventually("the import ends", || async {
                let now = rest.get(&path).await.ok();
                if now["done"] == json!(true) { Ok(now) } else { Err(now) }
            })
            .await
        }
    };
    let import = upload("code,size,opened,big\nA,1,2020-01-31,1.5\nB,,2021-02-28,2\n").await;
    let types: Vec<&str> = import["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        types,
        [
            "FIELD_TYPE_STRING",
            "FIELD_TYPE_INT64",
            "FIELD_TYPE_DATE",
            "FIELD_TYPE_DOUBLE"
        ]
    );
    let type_name = format!("objectTypes/{}", unique("c"));
    let start = json!({"objectType": type_name, "createType": true});
    let done = finish(
        tenant
            .rest()
            .post(&format!("/v1/{}:start", name(&import)), start)
            .await
            .ok(),
    )
    .await;
    assert_eq!(done["response"]["importedCount"], "2", "{done}");
    assert_eq!(done["metadata"]["progressPercent"], 100);
    let list = tenant
        .rest()
        .get(&format!("/v1/{type_name}/records?orderBy=code"))
        .await
        .ok();
    assert_eq!(
        list["records"][1]["fields"],
        json!({"code": "B", "opened": "2021-02-28", "big": 2})
    );
    let bad = upload("title,priority\nok,1\nbad,x\n,3\n").await;
    let failed = finish(
        tenant
            .rest()
            .post(
                &format!("/v1/{}:start", name(&bad)),
                json!({"objectType": "objectTypes/tickets"}),
            )
            .await
            .ok(),
    )
    .await;
    let text = failed["error"].to_string();
    assert!(
        text.contains("line 3") && text.contains("priority") && text.contains("line 4") && text.contains("title"),
        "{failed}"
    );
    assert_eq!(
        tenant.rest().get(TICKETS).await.ok()["records"]
            .as_array()
            .map_or(0, Vec::len),
        0,
        "nothing half-applied"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_limits_on_types_and_records_name_the_plan() {
    let tenant = desk("quota").await;
    let operator = Operator::sign_in(&tenant.world).await;
    let plan = unique("small");
    let limits =
        json!({"requestsPerSecond": 1000, "burst": 1000, "users": 5, "objectTypes": 2, "records": 1, "apiKeys": 5});
    operator
        .rest
        .post(
            "/v1/plans",
            json!({"name": format!("plans/{plan}"), "displayName": "Small", "limits": limits}),
        )
        .await
        .ok();
    operator
        .rest
        .patch(
            &format!("/v1/tenants/{}?updateMask=plan", tenant.id),
            json!({"plan": format!("plans/{plan}")}),
        )
        .await
        .ok();
    let refused = eventually("the record limit is in force", || async {
        let answer = tenant
            .rest()
            .post(TICKETS, json!({"fields": {"title": "one more"}}))
            .await;
        if answer.status == 429 {
            Ok(answer)
        } else {
            Err(answer.status)
        }
    })
    .await;
    refused.refused(429, "QUOTA_EXCEEDED");
    assert!(refused.text.contains(&plan), "{}", refused.text);
    let types = tenant
        .rest()
        .post(
            "/v1/objectTypes",
            json!({"name": "objectTypes/third", "fields": [{"fieldId": "x", "type": "FIELD_TYPE_STRING"}]}),
        )
        .await;
    types.refused(429, "QUOTA_EXCEEDED");
}

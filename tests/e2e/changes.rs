//! The change stream, imports and plan limits of records.

use crate::records::{TICKETS, desk, name};
use serde_json::{Value, json};
use tenantry_api::Methods;
use tenantry_testkit::eventually;
use tenantry_tests::{Operator, RawCodec, channel_for, unique};

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
            json!({"name": format!("plans/{plan}"), "displayName": "Small", "limits": limits, "features": ["custom_types"]}),
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

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_a_feature_says_so() {
    let tenant = desk("feat").await;
    let operator = Operator::sign_in(&tenant.world).await;
    let plan = unique("bare");
    let limits =
        json!({"requestsPerSecond": 1000, "burst": 1000, "users": 5, "objectTypes": 9, "records": 9, "apiKeys": 5});
    let body = json!({"name": format!("plans/{plan}"), "displayName": "Bare", "limits": limits});
    operator.rest.post("/v1/plans", body).await.ok();
    let path = format!("/v1/tenants/{}?updateMask=plan", tenant.id);
    operator
        .rest
        .patch(&path, json!({"plan": format!("plans/{plan}")}))
        .await
        .ok();
    let refused = eventually("the plan is in force", || async {
        let fields = json!([{"fieldId": "x", "type": "FIELD_TYPE_STRING"}]);
        let body = json!({"name": format!("objectTypes/{}", unique("t")), "fields": fields});
        let answer = tenant.rest().post("/v1/objectTypes", body).await;
        if answer.status == 403 {
            Ok(answer)
        } else {
            Err(answer.text)
        }
    })
    .await;
    refused.refused(403, "FEATURE_NOT_IN_PLAN");
    assert!(
        refused.text.contains(&plan) && refused.text.contains("custom_types"),
        "{}",
        refused.text
    );
    let csv = Some(("text/csv", b"x\n1\n".to_vec()));
    let upload = tenant
        .rest()
        .try_send("POST", "/v1/imports:upload?filename=a.csv", csv)
        .await
        .expect("an answer");
    upload.refused(403, "FEATURE_NOT_IN_PLAN");
    tenant
        .rest()
        .get("/v1/records:watch")
        .await
        .refused(403, "FEATURE_NOT_IN_PLAN");
    tenant.ticket("records go on").await;
}

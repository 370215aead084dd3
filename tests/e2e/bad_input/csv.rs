//! CSV files that are none, or do not fit: the refusal names lines, and not one row is written.

use super::{Judge, count, desk};
use serde_json::{Value, json};
use std::fmt::Write;
use tenantry_testkit::eventually;
use tenantry_tests::{Answer, Tenant};

async fn upload(tenant: &Tenant, body: Vec<u8>) -> Answer {
    let path = "/v1/imports:upload?filename=bad.csv";
    let sent = tenant.rest().try_send("POST", path, Some(("text/csv", body))).await;
    sent.unwrap_or_else(|error| panic!("no answer: {error:?}"))
}

/// Starts an import and returns its end, or the refusal to start it.
async fn import(tenant: &Tenant, uploaded: &Value, object_type: &str, create_type: bool) -> Result<Value, Answer> {
    let name = uploaded["import"]["name"].as_str().expect("a name");
    let rest = tenant.rest();
    let body = json!({"objectType": format!("objectTypes/{object_type}"), "createType": create_type});
    let started = rest.post(&format!("/v1/{name}:start"), body).await;
    if started.status != 200 {
        return Err(started);
    }
    let operation = started.json()["name"].as_str().expect("a name").to_owned();
    Ok(eventually("the import ends", || async {
        let now = rest.get(&format!("/v1/{operation}")).await.ok();
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_csv_are_refused() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let wide = vec!["h"; 1_000]
        .iter()
        .enumerate()
        .map(|(n, h)| format!("{h}{n}"))
        .collect::<Vec<_>>()
        .join(",");
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("an open quote", b"a,b\n1,\"2\n3,4\n".to_vec()),
        ("a ragged row", b"a,b\n1,2\n3\n".to_vec()),
        ("a row too wide", b"a,b\n1,2\n3,4,5\n".to_vec()),
        ("invalid UTF-8", b"a,b\n1,\xff\xfe\n".to_vec()),
        ("NUL", b"a,b\n1,x\0y\n".to_vec()),
        ("UTF-16", b"\xff\xfea\0,\0b\0\n\0".to_vec()),
        ("1,000 columns", format!("{wide}\n").into_bytes()),
        ("a PNG", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec()),
        ("twice the same header", b"a,a\n1,2\n".to_vec()),
        (
            "a cell of 2 MB",
            format!("a,b\n1,{}\n", "x".repeat(2 << 20)).into_bytes(),
        ),
    ];
    let before = tenant.rest().get("/v1/objectTypes").await.ok();
    for (what, file) in files {
        let answer = upload(&tenant, file).await;
        if answer.status != 200 {
            judge.refusal(&format!("upload: {what}"), &answer, &[400, 413, 422]);
            continue;
        }
        // What was accepted on upload must fail, or work completely, on import.
        match import(&tenant, &answer.json(), "from_file", true).await {
            Err(refusal) => judge.refusal(&format!("start: {what}"), &refusal, &[400, 409, 422]),
            Ok(operation) if operation["error"].is_object() => {
                judge.holds(what, reason(&operation) == "IMPORT_INVALID", &operation);
                // The type that was made for it goes with it.
                let left = tenant.rest().get("/v1/objectTypes/from_file").await;
                judge.holds(what, left.status == 404, &operation);
            }
            Ok(operation) => {
                judge.holds(
                    what,
                    operation["response"].is_object() && what == "twice the same header",
                    &operation,
                );
                tenant.rest().delete("/v1/objectTypes/from_file?force=true").await.ok();
            }
        }
    }
    let after = tenant.rest().get("/v1/objectTypes").await.ok();
    judge.holds("no type was left behind", before == after, &after);
    judge.finish();
}

fn reason(operation: &Value) -> String {
    let details = operation["error"]["details"].as_array().cloned().unwrap_or_default();
    let reason = details.iter().find_map(|detail| detail["reason"].as_str());
    reason.unwrap_or_default().to_owned()
}

/// The lines that an operation's error names.
fn names_lines(operation: &Value, lines: &[usize]) -> bool {
    let text = operation["error"].to_string().to_lowercase();
    lines.iter().all(|line| {
        [
            format!("line {line}"),
            format!("lines[{line}]"),
            format!("line[{line}]"),
            format!("\"line\":{line}"),
            format!("row {line}"),
            format!("line:{line}"),
        ]
        .iter()
        .any(|form| text.contains(form))
    })
}

/// Fails with these lines named, and writes nothing.
async fn fails(judge: &mut Judge, tenant: &Tenant, what: &str, object_type: &str, file: String, lines: &[usize]) {
    let before = count(tenant, object_type).await;
    let uploaded = upload(tenant, file.into_bytes()).await;
    if uploaded.status != 200 {
        judge.found(what, &format!("well-formed, but refused on upload: {}", uploaded.text));
        return;
    }
    match import(tenant, &uploaded.json(), object_type, false).await {
        // Some of it can be seen at once, from the columns.
        Err(refusal) => judge.refusal(what, &refusal, &[400, 422]),
        Ok(operation) => {
            judge.holds(
                &format!("{what}: a reason"),
                reason(&operation) == "IMPORT_INVALID",
                &operation,
            );
            judge.holds(
                &format!("{what}: lines {lines:?}"),
                names_lines(&operation, lines),
                &operation,
            );
        }
    }
    let after = count(tenant, object_type).await;
    judge.holds(
        &format!("{what}: nothing half-applied"),
        before == after,
        &json!([before, after]),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_do_not_fit_are_named_by_line_and_nothing_is_written() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    tenant.ticket("here before").await;
    let person = json!({"fields": {"email": "taken@x.example"}});
    tenant.rest().post("/v1/objectTypes/people/records", person).await.ok();

    let mixed = "title,priority,due\na,1,2026-01-01T00:00:00Z\nb,abc,2026-01-01T00:00:00Z\nc,3,2026-01-01T00:00:00Z\nd,4,someday\n";
    fails(&mut judge, &tenant, "wrong types", "tickets", mixed.into(), &[3, 5]).await;
    let required = "title,priority\na,1\n,2\n";
    fails(
        &mut judge,
        &tenant,
        "a required value is missing",
        "tickets",
        required.into(),
        &[3],
    )
    .await;
    let choice = "title,status\na,open\nb,nope\n";
    fails(
        &mut judge,
        &tenant,
        "not one of the values",
        "tickets",
        choice.into(),
        &[3],
    )
    .await;
    let long = format!("title,priority\n{},1\n", "x".repeat(101));
    fails(&mut judge, &tenant, "too long", "tickets", long, &[2]).await;
    let reference = "title,requester\na,objectTypes/people/records/7f6f1c0e-6a55-7a6e-9b5e-2f1d3c4b5a69\n";
    fails(
        &mut judge,
        &tenant,
        "a person who is not there",
        "tickets",
        reference.into(),
        &[2],
    )
    .await;
    let twice = "email,born\na@x.example,2000-01-01\nb@x.example,2000-01-01\na@x.example,2001-01-01\n";
    fails(&mut judge, &tenant, "twice in the file", "people", twice.into(), &[4]).await;
    let taken = "email,born\nnew@x.example,2000-01-01\ntaken@x.example,2001-01-01\n";
    fails(&mut judge, &tenant, "taken before", "people", taken.into(), &[3]).await;
    let mut late = String::from("title,priority\n");
    for row in 0..3_000 {
        writeln!(late, "t{row},{row}").expect("a String takes it");
    }
    late.push_str("the last,not a number\n");
    fails(&mut judge, &tenant, "the last of 3,001 rows", "tickets", late, &[3_002]).await;
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_cannot_start_says_why() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let rest = tenant.rest();
    let uploaded = upload(&tenant, b"title,priority\na,1\n".to_vec()).await.ok();
    let name = uploaded["import"]["name"].as_str().expect("a name").to_owned();
    for body in [
        json!({}),
        json!({"objectType": "nope"}),
        json!({"objectType": "objectTypes/nope"}),
        json!({"objectType": "objectTypes/Bad Name", "createType": true}),
        json!({"objectType": "objectTypes/tickets", "columns": [{"header": "nope", "fieldId": "title"}]}),
        json!({"objectType": "objectTypes/tickets", "columns": [{"header": "title", "fieldId": "nope"}]}),
        json!({"objectType": "objectTypes/tickets", "timezoneOffset": "yesterday"}),
        json!({"objectType": "objectTypes/tickets", "dateFormats": ["%Q%"]}),
        json!({"objectType": "objectTypes/tickets", "nullValues": ["a\u{0}"]}),
        json!({"objectType": "objectTypes/tickets", "requestId": "a\u{0}"}),
    ] {
        let answer = rest.post(&format!("/v1/{name}:start"), body.clone()).await;
        judge.refusal(&format!("start {body}"), &answer, &[400, 404, 409, 422]);
    }
    let body = json!({"objectType": "objectTypes/tickets"});
    judge.refusal(
        "a missing import",
        &rest.post("/v1/imports/nope:start", body).await,
        &[404, 400],
    );
    judge.holds(
        "nothing was written",
        count(&tenant, "tickets").await == 0,
        &Value::Null,
    );
    judge.finish();
}

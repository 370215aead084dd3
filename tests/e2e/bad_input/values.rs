//! Wrong values for every type of field, on create and on update, alone and in a batch.

use super::{Judge, count};
use serde_json::{Value, json};
use tenantry_tests::{Operator, Tenant};

const NUL: &str = "a\u{0}b";

fn fields() -> Value {
    json!([
        {"fieldId": "req", "type": "FIELD_TYPE_STRING", "required": true, "maxLength": 10},
        {"fieldId": "text", "type": "FIELD_TYPE_TEXT"},
        {"fieldId": "int", "type": "FIELD_TYPE_INT64"},
        {"fieldId": "double", "type": "FIELD_TYPE_DOUBLE"},
        {"fieldId": "decimal", "type": "FIELD_TYPE_DECIMAL", "scale": 2},
        {"fieldId": "bool", "type": "FIELD_TYPE_BOOL"},
        {"fieldId": "date", "type": "FIELD_TYPE_DATE"},
        {"fieldId": "ts", "type": "FIELD_TYPE_TIMESTAMP"},
        {"fieldId": "uuid", "type": "FIELD_TYPE_UUID"},
        {"fieldId": "enum", "type": "FIELD_TYPE_ENUM", "enumValues": ["open", "closed"]},
        {"fieldId": "ref", "type": "FIELD_TYPE_REFERENCE", "referenceType": "objectTypes/people"},
        {"fieldId": "json", "type": "FIELD_TYPE_JSON"}])
}

fn right() -> Value {
    json!({"req": "ok", "text": "t", "int": 1, "double": 1.5, "decimal": "1.25", "bool": true, "date": "2026-02-28",
        "ts": "2026-02-28T10:00:00+02:00", "uuid": "7f6f1c0e-6a55-4a6e-9b5e-2f1d3c4b5a69", "enum": "open", "json": {"a": [1]}})
}

fn wrong() -> Vec<(&'static str, Value)> {
    let (long, longer) = ("x".repeat(11), "x".repeat(100_001));
    let missing = "objectTypes/people/records/7f6f1c0e-6a55-7a6e-9b5e-2f1d3c4b5a69";
    let mut all = vec![
        ("nope", json!(1)),
        ("req\u{0}", json!("x")),
        ("tenant_id", json!("00000000-0000-7000-8000-000000000001")),
        ("req\"; DROP TABLE x; --", json!("x")),
        ("ref", json!(missing)),
    ];
    let mut add = |field, values: Vec<Value>| all.extend(values.into_iter().map(|value| (field, value)));
    add(
        "req",
        vec![
            json!(null),
            json!(1),
            json!(true),
            json!({}),
            json!([]),
            json!(long),
            json!(NUL),
        ],
    );
    add("text", vec![json!(1), json!(["a"]), json!(longer), json!(NUL)]);
    add(
        "int",
        vec![
            json!("abc"),
            json!(1.5),
            json!(1e30),
            json!("9223372036854775808"),
            json!("-9223372036854775809"),
        ],
    );
    add(
        "int",
        vec![
            json!(true),
            json!(""),
            json!([1]),
            json!("1e3"),
            json!(" 1"),
            json!("0x10"),
        ],
    );
    add("double", vec![json!("abc"), json!(true), json!({}), json!("1e999")]);
    add(
        "decimal",
        vec![
            json!("1.234"),
            json!("abc"),
            json!(""),
            json!(true),
            json!("9".repeat(200)),
            json!("NaN"),
            json!("1,5"),
        ],
    );
    add("bool", vec![json!("yes"), json!(1), json!("")]);
    add(
        "date",
        vec![
            json!("2026-13-01"),
            json!("2026-02-30"),
            json!("20260101x"),
            json!(5),
            json!("0000-00-00"),
            json!("999999-01-01"),
        ],
    );
    add(
        "ts",
        vec![
            json!("2026-01-01"),
            json!("2026-01-01T00:00:00"),
            json!("yesterday"),
            json!("999999-01-01T00:00:00Z"),
            json!(0),
        ],
    );
    add(
        "uuid",
        vec![json!("nope"), json!(1), json!("7f6f1c0e-6a55-4a6e-9b5e-2f1d3c4b5a6")],
    );
    add("enum", vec![json!("nope"), json!(1), json!("OPEN"), json!(NUL)]);
    add(
        "ref",
        vec![
            json!("nope"),
            json!(5),
            json!("objectTypes/every/records/x"),
            json!(NUL),
            json!(""),
        ],
    );
    add("json", vec![json!({"a": NUL}), json!({NUL: 1}), json!([[[NUL]]])]);
    all
}

async fn every(judge: &Judge) -> Tenant {
    let tenant = Operator::sign_in(&judge.world).await.tenant("bad").await;
    tenant.help_desk().await;
    let object_type = json!({"name": "objectTypes/every", "fields": fields()});
    tenant.rest().post("/v1/objectTypes", object_type).await.ok();
    tenant
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_are_refused_field_by_field() {
    let mut judge = Judge::new();
    let tenant = every(&judge).await;
    let rest = tenant.rest();
    let parent = "/v1/objectTypes/every/records";
    let made = rest.post(parent, json!({"fields": right()})).await.ok();
    let path = format!("/v1/{}", made["name"].as_str().expect("a name"));
    for (field, value) in wrong() {
        let mut values = right();
        values[field] = value.clone();
        let what = format!("{field} = {value}");
        let answer = rest.post(parent, json!({"fields": values})).await;
        judge.refusal(&format!("create {what}"), &answer, &[400, 422]);
        let named = answer.text.contains(field.split('\u{0}').next().unwrap_or_default()) || field.contains('"');
        judge.holds(&format!("create {what}: the field is named"), named, &answer.json());
        let change = format!("{path}?updateMask=fields.{}", percent(field));
        let answer = rest.patch(&change, json!({"fields": {field: value}})).await;
        judge.refusal(&format!("update {what}"), &answer, &[400, 422]);
        let batch = json!({"requests": [{"record": {"fields": right()}}, {"record": {"fields": values}}]});
        let answer = rest.post(&format!("{parent}:batchCreate"), batch).await;
        judge.refusal(&format!("batch {what}"), &answer, &[400, 422]);
    }
    judge.holds("nothing was added", count(&tenant, "every").await == 1, &Value::Null);
    let now = rest.get(&path).await.ok();
    judge.holds("nothing was changed", now == made, &now);
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_masks_etags_and_references_change_nothing() {
    let mut judge = Judge::new();
    let tenant = every(&judge).await;
    let rest = tenant.rest();
    let made = rest
        .post("/v1/objectTypes/every/records", json!({"fields": right()}))
        .await
        .ok();
    let path = format!("/v1/{}", made["name"].as_str().expect("a name"));
    for mask in [
        "fields.nope",
        "name",
        "nope",
        "fields.",
        "fields.req.x",
        "createTime",
        "..",
        "%00",
        "%C3%28",
    ] {
        let answer = rest
            .patch(&format!("{path}?updateMask={mask}"), json!({"fields": {"req": "new"}}))
            .await;
        judge.refusal(&format!("mask {mask}"), &answer, &[400]);
    }
    let stale = json!({"etag": "\"nope\"", "fields": {"req": "new"}});
    let answer = rest.patch(&format!("{path}?updateMask=fields.req"), stale).await;
    judge.refusal("a wrong etag", &answer, &[412, 400]);
    for parent in ["nope", "EVERY", "every%00", "every%2f..", "'--", &"x".repeat(5000)] {
        let answer = rest
            .post(
                &format!("/v1/objectTypes/{parent}/records"),
                json!({"fields": {"req": "x"}}),
            )
            .await;
        judge.refusal(&format!("parent {parent}"), &answer, &[404, 400]);
    }
    for id in [
        "nope",
        "%00",
        "%ff",
        "..",
        "%2e%2e",
        "x%2fy",
        "-",
        "7f6f1c0e-6a55-7a6e-9b5e-2f1d3c4b5a69",
        &"y".repeat(9000),
    ] {
        let answer = rest.get(&format!("/v1/objectTypes/every/records/{id}")).await;
        judge.refusal(&format!("record {id}"), &answer, &[404, 400]);
    }
    let requests: Vec<_> = (0..101).map(|_| json!({"record": {"fields": right()}})).collect();
    let answer = rest
        .post(
            "/v1/objectTypes/every/records:batchCreate",
            json!({"requests": requests}),
        )
        .await;
    judge.refusal("101 in a batch", &answer, &[400]);
    let names = json!({"names": [made["name"], "objectTypes/every/records/nope"]});
    let answer = rest.post("/v1/objectTypes/every/records:batchDelete", names).await;
    judge.refusal("one missing in a batch", &answer, &[400, 404]);
    judge.holds("nothing was changed", rest.get(&path).await.ok() == made, &Value::Null);
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_types_are_refused_and_leave_no_table() {
    let mut judge = Judge::new();
    let tenant = every(&judge).await;
    let rest = tenant.rest();
    let before = rest.get("/v1/objectTypes").await.ok();
    let ids = [
        "",
        "Bad",
        "1abc",
        "a b",
        "ä",
        "a-b",
        "x\"; DROP SCHEMA public; --",
        "a\u{0}",
        "../x",
    ];
    for id in ids.iter().map(|id| (*id).to_owned()).chain(["x".repeat(41)]) {
        let with = |name: &str, field: &str| json!({"name": format!("objectTypes/{name}"), "fields": [{"fieldId": field, "type": "FIELD_TYPE_STRING"}]});
        let answer = rest.post("/v1/objectTypes", with(&id, "x")).await;
        judge.refusal(&format!("type id {id:?}"), &answer, &[400]);
        let answer = rest.post("/v1/objectTypes", with("fresh", &id)).await;
        judge.refusal(&format!("field id {id:?}"), &answer, &[400]);
    }
    let many: Vec<_> = (0..101)
        .map(|n| json!({"fieldId": format!("f{n}"), "type": "FIELD_TYPE_STRING"}))
        .collect();
    let string = |extra: Value| {
        let mut field = json!({"fieldId": "x", "type": "FIELD_TYPE_STRING"});
        for (key, value) in extra.as_object().expect("an object") {
            field[key] = value.clone();
        }
        json!([field])
    };
    for fields in [
        json!(many),
        json!([{"fieldId": "x", "type": "FIELD_TYPE_STRING"}, {"fieldId": "x", "type": "FIELD_TYPE_BOOL"}]),
        string(json!({"type": "FIELD_TYPE_NOPE"})),
        string(json!({"type": "FIELD_TYPE_UNSPECIFIED"})),
        string(json!({"type": 99})),
        string(json!({"type": "FIELD_TYPE_ENUM"})),
        string(json!({"type": "FIELD_TYPE_ENUM", "enumValues": ["a", "a"]})),
        string(json!({"type": "FIELD_TYPE_ENUM", "enumValues": [NUL]})),
        string(json!({"type": "FIELD_TYPE_REFERENCE"})),
        string(json!({"type": "FIELD_TYPE_REFERENCE", "referenceType": "objectTypes/nope"})),
        string(json!({"type": "FIELD_TYPE_DECIMAL", "scale": 10})),
        string(json!({"type": "FIELD_TYPE_DECIMAL", "scale": -1})),
        string(json!({"maxLength": -1})),
        string(json!({"maxLength": 2_147_483_648_i64})),
        string(json!({"description": NUL})),
        string(json!({"defaultValue": 5})),
        string(json!({"nope": 5})),
    ] {
        let answer = rest
            .post(
                "/v1/objectTypes",
                json!({"name": "objectTypes/fresh", "fields": fields}),
            )
            .await;
        judge.refusal(&format!("fields {fields}"), &answer, &[400, 404, 422]);
    }
    // Words of SQL and of PostgreSQL are as good as any other.
    let words = [
        "select",
        "user",
        "ctid",
        "xmin",
        "id",
        "name",
        "etag",
        "create_time",
        "tenant_id",
        "table",
    ];
    for word in words {
        let name = format!("objectTypes/w_{word}");
        let fields = json!([{"fieldId": word, "type": "FIELD_TYPE_STRING", "indexed": true, "unique": true}]);
        let answer = rest
            .post("/v1/objectTypes", json!({"name": name, "fields": fields}))
            .await;
        judge.no_failure(&format!("field {word}"), &answer);
        if answer.status == 200 {
            let made = rest
                .post(&format!("/v1/{name}/records"), json!({"fields": {word: "v"}}))
                .await;
            judge.holds(
                &format!("a record with {word}"),
                made.json()["fields"][word] == json!("v"),
                &made.json(),
            );
            rest.delete(&format!("/v1/{name}?force=true")).await.ok();
        }
    }
    let after = rest.get("/v1/objectTypes").await.ok();
    judge.holds("the types are as before", before == after, &after);
    judge.finish();
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

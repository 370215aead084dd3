use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;
use tenantry_api::Methods;

static METHODS: LazyLock<Methods> = LazyLock::new(Methods::load);

fn kind(name: &str) -> MessageDescriptor {
    METHODS.pool().get_message_by_name(name).expect("a message")
}
fn made(name: &str, json: &Json) -> Result<DynamicMessage, Error> {
    message(&kind(name), json, "")
}
fn refused(name: &str, json: &Json) -> (Reason, String) {
    let error = made(name, json).expect_err("must be refused");
    (
        error.reason(),
        error
            .fields()
            .first()
            .map(|field| field.field.clone())
            .unwrap_or_default(),
    )
}

#[test]
fn both_spellings_of_a_name_work_but_not_together() {
    for name in ["pageSize", "page_size"] {
        let message = made("tenantry.business.v1.ListRecordsRequest", &json!({ name: 7 })).expect("a message");
        assert_eq!(
            message.get_field_by_name("page_size").expect("a field").as_i32(),
            Some(7)
        );
    }
    let both = json!({"pageSize": 7, "page_size": 8});
    assert_eq!(
        refused("tenantry.business.v1.ListRecordsRequest", &both).0,
        Reason::InvalidArgument
    );
}

#[test]
fn an_unknown_field_is_named_by_its_path() {
    let body = json!({"requests": [{"record": {"fields": {"any": 1}}}, {"record": {"colour": 1}}]});
    assert_eq!(
        refused("tenantry.business.v1.BatchCreateRecordsRequest", &body),
        (Reason::UnknownField, "requests[1].record.colour".into())
    );
}

#[test]
fn wrong_types_are_named_by_their_path() {
    for (body, path) in [
        (json!({"pageSize": "many"}), "pageSize"),
        (json!({"pageSize": 1.5}), "pageSize"),
        (json!({"pageSize": 3_000_000_000_i64}), "pageSize"),
        (json!({"filter": 7}), "filter"),
        (json!({"filter": ["a"]}), "filter"),
    ] {
        assert_eq!(
            refused("tenantry.business.v1.ListRecordsRequest", &body),
            (Reason::InvalidArgument, path.into()),
            "{body}"
        );
    }
    assert_eq!(
        refused("tenantry.business.v1.ListRecordsRequest", &json!([1])).0,
        Reason::InvalidArgument
    );
    let body = json!({"fields": [{"fieldId": "a", "type": "FIELD_TYPE_NONSENSE"}]});
    assert_eq!(
        refused("tenantry.business.v1.ObjectType", &body),
        (Reason::InvalidArgument, "fields[0].type".into())
    );
    let body = json!({"timeout": "soon"});
    assert_eq!(
        refused("tenantry.business.v1.WaitOperationRequest", &body),
        (Reason::InvalidArgument, "timeout".into())
    );
}

#[test]
fn well_known_types_follow_the_json_mapping() {
    let record = made(
        "tenantry.business.v1.Record",
        &json!({"fields": {"a": null, "b": [1, {"c": true}]}, "createTime": "2026-11-23T10:00:00Z"}),
    )
    .expect("a record");
    assert_eq!(
        serde_json::to_value(&record).expect("json"),
        json!({"fields": {"a": null, "b": [1.0, {"c": true}]}, "createTime": "2026-11-23T10:00:00Z"})
    );
    let field = made(
        "tenantry.business.v1.Field",
        &json!({"defaultValue": null, "type": 3, "displayName": null}),
    )
    .expect("a field");
    assert!(field.has_field_by_name("default_value"), "null is a Value");
    assert!(!field.has_field_by_name("display_name"), "null is no text");
    let wait = made("tenantry.business.v1.WaitOperationRequest", &json!({"timeout": "1.5s"})).expect("a message");
    assert_eq!(serde_json::to_value(&wait).expect("json"), json!({"timeout": "1.500s"}));
}

#[test]
fn field_masks_accept_json_names_and_the_ids_of_a_tenants_own_fields() {
    let body = json!({"updateMask": "displayName, fields.first_name,fields.line_2"});
    let message = made("tenantry.business.v1.UpdateRecordRequest", &body).expect("a message");
    let mask = message.get_field_by_name("update_mask").expect("a mask").into_owned();
    let paths: Vec<String> = mask
        .as_message()
        .expect("a message")
        .get_field_by_name("paths")
        .expect("paths")
        .as_list()
        .expect("a list")
        .iter()
        .filter_map(|v| v.as_str().map(str::to_owned))
        .collect();
    assert_eq!(paths, ["display_name", "fields.first_name", "fields.line_2"]);
}

#[test]
fn bytes_come_in_either_alphabet_with_or_without_padding() {
    for text in ["+/8=", "-_8", "+/8", "-_8="] {
        let message = made("tenantry.business.v1.UploadImportRequest", &json!({"chunk": text})).expect("a message");
        assert_eq!(
            message
                .get_field_by_name("chunk")
                .expect("a field")
                .as_bytes()
                .map(|b| b.to_vec()),
            Some(vec![0xfb, 0xff]),
            "{text}"
        );
    }
    assert_eq!(
        refused("tenantry.business.v1.UploadImportRequest", &json!({"chunk": "?"})).1,
        "chunk"
    );
}

#[test]
fn deep_broken_and_foreign_bytes_are_malformed() {
    let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    assert!(parse(deep(MAX_DEPTH).as_bytes()).is_ok());
    for body in [
        deep(MAX_DEPTH + 1).into_bytes(),
        deep(200_000).into_bytes(),
        b"{".to_vec(),
        b"{\"a\":\xff}".to_vec(),
        b"{} {}".to_vec(),
        Vec::new(),
        b"NaN".to_vec(),
    ] {
        assert_eq!(
            parse(&body).expect_err("must be refused").reason(),
            Reason::MalformedRequest
        );
    }
    assert!(parse(b"\"[[[[ \\\" [[[[\"").is_ok(), "brackets in strings do not count");
}

#[test]
fn a_member_that_is_named_twice_is_malformed() {
    for body in [
        r#"{"a": 1, "a": 1}"#,
        r#"[{"x": {"b": 1, "c": 2, "b": null}}]"#,
        r#"{"a": 1, "\u0061": 2}"#,
    ] {
        let error = parse(body.as_bytes()).expect_err(body);
        assert_eq!(error.reason(), Reason::MalformedRequest);
        assert!(error.public().contains("twice"), "{error}");
    }
    assert!(parse(br#"{"a": {"a": 1}, "b": {"a": 1}}"#).is_ok());
}

#[test]
fn a_whole_number_that_no_double_can_be_is_refused_where_it_would_become_one() {
    let kind = kind("google.protobuf.Struct");
    for (body, at) in [
        (r#"{"id": 9007199254740993}"#, "fields.id"),
        (r#"{"a": [1, {"b": -9007199254740992}]}"#, "fields.a[1].b"),
        (r#"{"big": 12345678901234567890}"#, "fields.big"),
    ] {
        let json = parse(body.as_bytes()).expect("json");
        let error = message(&kind, &json, "fields").expect_err(body);
        assert_eq!(error.fields()[0].field, at, "{error:?}");
    }
    let fine = parse(br#"{"a": 9007199254740991, "b": 1e300, "c": 0.1, "d": "9007199254740993"}"#).expect("json");
    assert!(message(&kind, &fine, "fields").is_ok());
}

proptest! {
    #[test]
    fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9.eE+-]{0,200}") {
        for bytes in [body.as_slice(), text.as_bytes()] {
            if let Ok(json) = parse(bytes) {
                for name in ["tenantry.business.v1.BatchUpdateRecordsRequest", "tenantry.business.v1.StartImportRequest", "google.protobuf.Struct"] {
                    let _ = message(&kind(name), &json, "");
                }
            }
        }
    }
    #[test]
    fn no_shape_panics(n in any::<f64>(), i in any::<i64>(), s in "\\PC{0,20}", name in "(pageSize|filter|requests|record|fields|updateMask|type|columns|nullValues|createType)") {
        for leaf in [json!(n), json!(i), json!(s), json!([s]), json!({ &s: i }), json!(null), json!([[i]])] {
            for kind_name in ["tenantry.business.v1.ListRecordsRequest", "tenantry.business.v1.BatchUpdateRecordsRequest", "tenantry.business.v1.Field", "tenantry.business.v1.StartImportRequest"] {
                let _ = message(&kind(kind_name), &json!({ &name: leaf }), "");
            }
        }
    }
}

use super::super::table::{Found, Route, Table, Target};
use super::super::template::Path;
use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;
use tenantry_api::Methods;

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::load(&Methods::load(), &[]));

fn make(http: &str, target: &str, body: &str) -> Result<Json, Error> {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = Path::parse(path).expect("a path");
    let Found::Route(
        Route {
            target: Target::Call(binding),
            ..
        },
        bindings,
    ) = TABLE.find(&http.parse().expect("a method"), &path)
    else {
        panic!("{http} {target} has no route")
    };
    let parts = Parts {
        path: &bindings,
        query,
        body: body.as_bytes(),
        idempotency_key: Some("key-1"),
        if_match: None,
        last_event_id: None,
    };
    request(binding, &parts).map(|message| serde_json::to_value(&message).expect("json"))
}

/// What becomes of the two headers of a request that has a field for one of them.
fn headers(http: &str, target: &str, key: Option<&str>, last_event_id: Option<&str>) -> Result<Json, Error> {
    let path = Path::parse(target).expect("a path");
    let found = TABLE.find(&http.parse().expect("a method"), &path);
    let Found::Route(
        Route {
            target: Target::Call(binding),
            ..
        },
        bindings,
    ) = found
    else {
        panic!("{http} {target} has no route")
    };
    let parts = Parts {
        path: &bindings,
        query: "",
        body: b"",
        idempotency_key: key,
        if_match: None,
        last_event_id,
    };
    request(binding, &parts).map(|message| serde_json::to_value(&message).expect("json"))
}

#[test]
fn a_key_is_as_long_as_services_keep_it_and_a_token_may_be_longer() {
    let (most, more) = ("k".repeat(128), "k".repeat(129));
    let kept = headers("DELETE", "/v1/tenants/t", Some(&most), None).expect("a message");
    assert_eq!(kept["requestId"], json!(most));
    for wrong in [more.as_str(), "", "two words"] {
        let refused = headers("DELETE", "/v1/tenants/t", Some(wrong), None).expect_err(wrong);
        assert_eq!(refused.reason(), Reason::InvalidArgument, "{wrong}");
    }
    let resumed = headers("GET", "/v1/records:watch", None, Some(&more)).expect("a message");
    assert_eq!(resumed["resumeToken"], json!(more));
}

/// What becomes of the header.
fn if_match(http: &str, target: &str, etag: &str) -> Result<Json, Error> {
    let path = Path::parse(target).expect("a path");
    let found = TABLE.find(&http.parse().expect("a method"), &path);
    let Found::Route(
        Route {
            target: Target::Call(binding),
            ..
        },
        bindings,
    ) = found
    else {
        panic!("{http} {target} has no route")
    };
    let parts = Parts {
        path: &bindings,
        query: "",
        body: if http == "DELETE" { b"" } else { b"{}" },
        idempotency_key: None,
        if_match: Some(etag),
        last_event_id: None,
    };
    request(binding, &parts).map(|message| serde_json::to_value(&message).expect("json"))
}

#[test]
fn a_header_and_the_field_it_stands_for_say_the_same() {
    let call =
        |http: &str, target: &str, query: &'static str, body: &'static [u8], header: [Option<&'static str>; 3]| {
            let path = Path::parse(target).expect("a path");
            let Found::Route(route, bindings) = TABLE.find(&http.parse().expect("a method"), &path) else {
                panic!("{http} {target} has no route")
            };
            let Target::Call(binding) = &route.target else {
                panic!("{target} is no call")
            };
            let [idempotency_key, if_match, last_event_id] = header;
            let parts = Parts {
                path: &bindings,
                query,
                body,
                idempotency_key,
                if_match,
                last_event_id,
            };
            request(binding, &parts).map(|message| serde_json::to_value(&message).expect("json"))
        };
    let record = "/v1/objectTypes/t/records/1";
    let etag = |header| call("PATCH", record, "", br#"{"etag": "\"2\""}"#, [None, Some(header), None]);
    assert_eq!(etag("\"2\"").expect("the same")["record"]["etag"], json!("\"2\""));
    assert_eq!(etag("\"1\"").expect_err("stale").reason(), Reason::InvalidArgument);
    let once = |header| {
        call(
            "POST",
            "/v1/snapshots",
            "requestId=a",
            b"{}",
            [Some(header), None, None],
        )
    };
    assert_eq!(once("a").expect("the same")["requestId"], json!("a"));
    assert_eq!(once("b").expect_err("another").reason(), Reason::InvalidArgument);
    let watch = call(
        "GET",
        "/v1/records:watch",
        "resumeToken=old",
        b"",
        [None, None, Some("new")],
    );
    assert_eq!(watch.expect("it goes on")["resumeToken"], json!("new"));
}

#[test]
fn if_match_becomes_the_etag_or_is_refused() {
    let record = "/v1/objectTypes/t/records/1";
    let deleted = if_match("DELETE", record, "\"7\"").expect("a message");
    assert_eq!(deleted, json!({"name": "objectTypes/t/records/1", "etag": "\"7\""}));
    let changed = if_match("PATCH", record, "\"7\"").expect("a message");
    assert_eq!(changed["record"]["etag"], json!("\"7\""));
    assert!(if_match("DELETE", record, "*").expect("any").get("etag").is_none());
    for weak in ["7", "W/\"7\"", "\"7\", \"8\"", "\""] {
        let refused = if_match("DELETE", record, weak).expect_err(weak);
        assert_eq!(refused.reason(), Reason::InvalidArgument, "{weak}");
    }
    // A method without an etag would ignore the condition and lose somebody's update.
    for (http, without) in [
        ("POST", "/v1/auth:signOut"),
        ("POST", "/v1/objectTypes/t/records"),
        ("POST", "/v1/users"),
        ("POST", "/v1/tenants"),
    ] {
        let refused = if_match(http, without, "\"7\"").expect_err(without);
        let fields: Vec<&str> = refused.fields().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["If-Match"], "{without}");
    }
}

#[test]
fn the_etag_of_an_answer_is_that_of_what_it_shows() {
    let pool = Methods::load().pool().clone();
    let make = |kind: &str, json: Json| {
        let kind = pool.get_message_by_name(kind).expect("a message");
        DynamicMessage::deserialize(kind, json).expect("a message")
    };
    let user = make(
        "tenantry.auth.v1.UpdateUserResponse",
        json!({"user": {"etag": "\"3\""}}),
    );
    assert_eq!(etag(&user, Some("user")), Some("\"3\"".to_owned()));
    assert_eq!(etag(&user, None), None, "the message itself has none");
    assert!(versioned(&user.descriptor_of(), Some("user")) && !versioned(&user.descriptor_of(), None));
    let bare = make("tenantry.auth.v1.UpdateUserResponse", json!({"user": {}}));
    assert_eq!(etag(&bare, Some("user")), None);
    let record = make("tenantry.business.v1.Record", json!({"etag": "\"7\""}));
    assert_eq!(etag(&record, None), Some("\"7\"".to_owned()));
}

fn refused(http: &str, target: &str, body: &str) -> Reason {
    make(http, target, body).expect_err("must be refused").reason()
}

#[test]
fn path_body_and_query_each_fill_their_fields() {
    assert_eq!(
        make(
            "GET",
            "/v1/objectTypes/t/records?pageSize=7&filter=a%20%3D%20%22b%22&order_by=x+desc",
            ""
        )
        .expect("a message"),
        json!({"parent": "objectTypes/t", "pageSize": 7, "filter": "a = \"b\"", "orderBy": "x desc"})
    );
    assert_eq!(
        make(
            "PATCH",
            "/v1/objectTypes/t/records/1?updateMask=fields.first_name",
            r#"{"fields": {"first_name": "A"}, "etag": "e"}"#
        )
        .expect("a message"),
        json!({"record": {"name": "objectTypes/t/records/1", "fields": {"first_name": "A"}, "etag": "e"}, "updateMask": "fields.firstName", "requestId": "key-1"})
    );
    assert_eq!(
        make(
            "POST",
            "/v1/tenants?adminEmail=a%40b.test&request_id=key-1",
            r#"{"slug": "acme"}"#
        )
        .expect("a message"),
        json!({"tenant": {"slug": "acme"}, "adminEmail": "a@b.test", "requestId": "key-1"})
    );
    assert_eq!(
        make("DELETE", "/v1/tenants/t?purge=true", "").expect("a message"),
        json!({"name": "tenants/t", "purge": true, "requestId": "key-1"})
    );
    assert_eq!(
        make("POST", "/v1/operations/business-1:wait", r#"{"timeout": "3s"}"#).expect("a message"),
        json!({"name": "operations/business-1", "timeout": "3s"})
    );
}

#[test]
fn what_two_places_say_differently_is_refused() {
    assert_eq!(
        refused(
            "PATCH",
            "/v1/objectTypes/t/records/1",
            r#"{"name": "objectTypes/t/records/2"}"#
        ),
        Reason::InvalidArgument
    );
    assert!(
        make(
            "PATCH",
            "/v1/objectTypes/t/records/1",
            r#"{"name": "objectTypes/t/records/1"}"#
        )
        .is_ok()
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?parent=objectTypes/u", ""),
        Reason::InvalidArgument
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?pageSize=1&page_size=2", ""),
        Reason::InvalidArgument
    );
    assert_eq!(
        refused("PATCH", "/v1/objectTypes/t/records/1?record.etag=x", "{}"),
        Reason::InvalidArgument
    );
    assert_eq!(
        refused("POST", "/v1/auth:signIn?email=a", "{}"),
        Reason::InvalidArgument
    );
}

#[test]
fn unknown_parameters_and_wrong_values_are_refused() {
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?colour=1", ""),
        Reason::UnknownField
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?access_token=x", ""),
        Reason::UnknownField
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?page_size.x=1", ""),
        Reason::UnknownField
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?pageSize=many", ""),
        Reason::InvalidArgument
    );
    assert_eq!(
        refused("DELETE", "/v1/tenants/t?purge=yes", ""),
        Reason::InvalidArgument
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records?filter=%ff", ""),
        Reason::MalformedRequest
    );
    assert_eq!(
        refused("GET", "/v1/objectTypes/t/records", "{}"),
        Reason::MalformedRequest
    );
    assert_eq!(
        refused("POST", "/v1/auth:signIn", r#"{"email": 1}"#),
        Reason::InvalidArgument
    );
    assert_eq!(
        refused("POST", "/v1/auth:signIn", r#"{"tenant_id": "x"}"#),
        Reason::UnknownField
    );
}

#[test]
fn a_response_body_is_the_bare_resource() {
    let pool = Methods::load();
    let kind = pool
        .pool()
        .get_message_by_name("tenantry.business.v1.GetRecordResponse")
        .expect("a message");
    let message = json::message(&kind, &json!({"record": {"name": "n"}}), "").expect("a message");
    assert_eq!(response(&message, Some("record")).expect("json"), br#"{"name":"n"}"#);
    assert_eq!(response(&message, None).expect("json"), br#"{"record":{"name":"n"}}"#);
    assert_eq!(
        response(&DynamicMessage::new(kind), Some("record")).expect("json"),
        b"{}"
    );
}

#[test]
fn an_operation_shows_what_is_inside_of_its_any() {
    let pool = Methods::load();
    let kind = pool
        .pool()
        .get_message_by_name("google.longrunning.Operation")
        .expect("a message");
    let body = json!({"name": "operations/business-1", "metadata": {"@type": "type.googleapis.com/tenantry.common.v1.OperationMetadata", "doneUnits": "7"},
        "error": {"code": 3, "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "IMPORT_INVALID"}]}});
    let message = json::message(&kind, &body, "").expect("an operation");
    assert_eq!(
        serde_json::from_slice::<Json>(&response(&message, None).expect("json")).expect("json"),
        body
    );
}

proptest! {
    #[test]
    fn no_request_panics(query in "[a-zA-Z_.=&%0-9+]{0,60}", body in "\\PC{0,80}", id in "[a-z0-9%.:-]{1,20}", n in 0_usize..80) {
        let route = &TABLE.routes()[n % TABLE.routes().len()];
        if let (Target::Call(binding), Some(path)) = (&route.target, Path::parse(&format!("/v1/objectTypes/{id}/records/{id}"))) {
            let bindings = route.template.matches(&path).unwrap_or_default();
            let parts = Parts { path: &bindings, query: &query, body: body.as_bytes(), idempotency_key: Some(&id), if_match: Some(&id), last_event_id: Some(&id) };
            let _ = request(binding, &parts);
        }
    }
}

//! REST and pages from end to end.

use crate::{
    settings::config,
    world::{ACME, start, start_with, token},
};
use tenantry_kernel::Reason;

const GET: &str = "/v1/objectTypes/t/records/1";

#[tokio::test]
async fn a_rest_call_is_a_grpc_call_with_our_words_only() {
    let gateway = start().await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let answer = gateway
        .send(
            &format!("GET {GET}"),
            "acme.localhost",
            &[
                &bearer,
                "x-request-id: my-id",
                "x-tenantry-service: registry",
                "x-tenantry-service-secret: s",
                "X-Tenant-Id: globex",
                "x-forwarded-for: 6.6.6.6",
                "x-forwarded-host: globex.localhost",
                "baggage: a=b",
                "Cookie: __Host-sid=other",
                "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ],
            "",
        )
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.json(),
        serde_json::json!({"name": "objectTypes/t/records/1", "etag": "e1"})
    );
    assert_eq!(answer.header("x-request-id"), Some("my-id"));
    assert!(
        answer
            .header("ratelimit")
            .is_some_and(|text| text.starts_with("\"tenant\";r="))
    );
    assert!(
        answer
            .header("ratelimit-policy")
            .is_some_and(|text| text.starts_with("\"tenant\";q=4000;w=2;pk=:"))
    );
    assert!(
        !answer.head.contains("x-tenantry")
            && answer.head.contains("content-security-policy")
            && answer.header("cache-control") == Some("no-store")
    );
    let seen = gateway.saw("get");
    let text = |name: &str| {
        seen.get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    assert_eq!(text("authorization"), format!("Bearer txn-{ACME}-business"));
    assert_eq!(text("x-request-id"), "my-id");
    assert_eq!(text("x-tenantry-client-ip"), "127.0.0.1");
    assert_eq!(text("grpc-timeout"), "10250m");
    for absent in [
        "x-tenantry-service",
        "x-tenantry-service-secret",
        "x-tenant-id",
        "x-forwarded-for",
        "x-forwarded-host",
        "baggage",
        "cookie",
    ] {
        assert!(!seen.contains_key(absent), "{absent}");
    }
}

#[tokio::test]
async fn errors_are_problems_with_the_services_own_reason() {
    let gateway = start().await;
    let missing = gateway
        .get("/v1/objectTypes/t/records/missing", "acme.localhost", ACME)
        .await;
    assert_eq!(
        (
            missing.status,
            missing.header("content-type"),
            missing.reason().as_str()
        ),
        (404, Some("application/problem+json"), "NOT_FOUND")
    );
    assert_eq!(missing.json()["request_id"].as_str(), missing.header("x-request-id"));
    let stale = gateway
        .get("/v1/objectTypes/t/records/stale", "acme.localhost", ACME)
        .await;
    assert_eq!((stale.status, stale.reason().as_str()), (412, "ETAG_MISMATCH"));
    let plain = gateway
        .get("/v1/objectTypes/t/records/plain", "acme.localhost", ACME)
        .await;
    assert_eq!((plain.status, plain.reason().as_str()), (500, "INTERNAL"));
    let negative = gateway
        .get("/v1/objectTypes/t/records?pageSize=-1", "acme.localhost", ACME)
        .await;
    assert_eq!(
        (negative.status, negative.json()["violations"][0]["field"].as_str()),
        (400, Some("page_size"))
    );
    let page = gateway
        .send("GET /errors/ETAG_MISMATCH", "acme.localhost", &[], "")
        .await;
    assert!(page.status == 200 && page.body.contains("ETAG_MISMATCH") && page.body.contains("HTTP 412"));
    assert_eq!(
        gateway
            .send("GET /errors/NONSENSE", "acme.localhost", &[], "")
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn bad_input_is_named_before_any_service_sees_it() {
    let gateway = start().await;
    let (bearer, json) = (
        format!("Authorization: Bearer {}", token(ACME)),
        "Content-Type: application/json",
    );
    let create = "POST /v1/objectTypes/t/records";
    let deep = format!("{{\"fields\":{{\"a\":{}1{}}}}}", "[".repeat(100), "]".repeat(100));
    let large = format!("{{\"etag\":\"{}\"}}", "x".repeat(5 << 20));
    for (line, headers, body, status, reason) in [
        (
            create,
            vec![bearer.as_str(), json],
            "{\"colour\":1}",
            400,
            Reason::UnknownField,
        ),
        (
            create,
            vec![bearer.as_str(), json],
            "{\"etag\":1}",
            400,
            Reason::InvalidArgument,
        ),
        (create, vec![bearer.as_str(), json], "{", 400, Reason::MalformedRequest),
        (
            create,
            vec![bearer.as_str(), json],
            deep.as_str(),
            400,
            Reason::MalformedRequest,
        ),
        (
            create,
            vec![bearer.as_str(), json],
            large.as_str(),
            413,
            Reason::RequestTooLarge,
        ),
        (
            create,
            vec![bearer.as_str(), "Content-Type: text/plain"],
            "{}",
            415,
            Reason::UnsupportedMediaType,
        ),
        (create, vec![bearer.as_str()], "{}", 415, Reason::UnsupportedMediaType),
        (
            create,
            vec![bearer.as_str(), json, "Content-Encoding: gzip"],
            "{}",
            415,
            Reason::UnsupportedMediaType,
        ),
        (create, vec![bearer.as_str(), json], "", 400, Reason::InvalidArgument),
        (create, vec![json], "{\"colour\":1}", 401, Reason::CredentialsMissing),
        (
            create,
            vec!["Authorization: Bearer nonsense", json],
            "{}",
            401,
            Reason::CredentialsInvalid,
        ),
        (
            "PUT /v1/objectTypes/t/records/1",
            vec![bearer.as_str()],
            "",
            405,
            Reason::MethodNotAllowed,
        ),
        (
            "GET /v1/objectTypes/t/records?colour=1",
            vec![bearer.as_str()],
            "",
            400,
            Reason::UnknownField,
        ),
        ("GET /v1/nothing", vec![bearer.as_str()], "", 404, Reason::NotFound),
        (
            "GET /v1/objectTypes/t%2Frecords/1",
            vec![bearer.as_str()],
            "",
            404,
            Reason::NotFound,
        ),
    ] {
        let answer = gateway.send(line, "acme.localhost", &headers, body).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (status, reason.as_str()),
            "{line} {headers:?}"
        );
        if status == 405 {
            assert_eq!(answer.header("allow"), Some("DELETE, GET, PATCH, HEAD"));
        }
    }
    assert!(gateway.untouched());
}

#[tokio::test]
async fn streams_are_lines_or_events() {
    let gateway = start().await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let lines = gateway
        .send("GET /v1/records:watch?resumeToken=r", "acme.localhost", &[&bearer], "")
        .await;
    assert_eq!(lines.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(
        lines.body,
        "{\"resumeToken\":\"r0\"}\n{\"resumeToken\":\"r1\"}\n{\"resumeToken\":\"r2\"}\n"
    );
    let events = gateway
        .send(
            "GET /v1/records:watch?parent=objectTypes/broken",
            "acme.localhost",
            &[&bearer, "Accept: text/event-stream", "Last-Event-ID: s"],
            "",
        )
        .await;
    assert_eq!(events.header("content-type"), Some("text/event-stream"));
    assert!(
        events.body.starts_with("id: s0\ndata: {\"resumeToken\":\"s0\"}\n\n"),
        "{}",
        events.body
    );
    assert!(
        events
            .body
            .contains("event: error\ndata: {\"type\":\"/errors/RESUME_TOKEN_EXPIRED\""),
        "{}",
        events.body
    );
    let none = gateway
        .send(
            "GET /v1/records:watch?parent=objectTypes/none",
            "acme.localhost",
            &[&bearer],
            "",
        )
        .await;
    assert_eq!((none.status, none.reason().as_str()), (404, "NOT_FOUND"));
}

#[tokio::test]
async fn a_file_is_streamed_to_the_import() {
    let gateway = start().await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let file = "a,b\n1,2\n".repeat(300_000);
    let answer = gateway
        .send(
            "POST /v1/imports:upload?filename=my.csv",
            "acme.localhost",
            &[&bearer, "Content-Type: text/csv"],
            &file,
        )
        .await;
    assert_eq!(
        answer.json(),
        serde_json::json!({"import": {"filename": "my.csv", "sizeBytes": file.len().to_string()}})
    );
    let wrong = gateway
        .send(
            "POST /v1/imports:upload",
            "acme.localhost",
            &[&bearer, "Content-Type: application/json"],
            "{}",
        )
        .await;
    assert_eq!(wrong.status, 415);
    let head = format!(
        "POST /v1/imports:upload HTTP/1.1\r\nHost: acme.localhost\r\nConnection: close\r\n{bearer}\r\nContent-Type: text/csv\r\nContent-Length: 200000000\r\n\r\n"
    );
    let large = gateway.raw(head.as_bytes()).await;
    assert_eq!((large.status, large.reason().as_str()), (413, "REQUEST_TOO_LARGE"));
}

#[tokio::test]
async fn a_person_signs_in_sees_home_and_signs_out() {
    let gateway = start().await;
    let (host, own, form) = (
        "acme.localhost:8080",
        "Origin: http://acme.localhost:8080",
        "Content-Type: application/x-www-form-urlencoded",
    );
    let page = gateway
        .send("GET /sign-in?return_to=//evil.test", host, &["Accept: text/html"], "")
        .await;
    assert!(
        page.status == 200 && page.body.contains("acme Help") && page.body.contains("name=\"return_to\" value=\"/\""),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<script") && !page.body.contains("style="));
    let theme = gateway.send("GET /theme.css", host, &[], "").await;
    assert!(theme.body.contains("--brand:#ffcc00;"), "{}", theme.body);

    let wrong = gateway
        .send(
            "POST /sign-in",
            host,
            &[own, form],
            "email=ann%40acme.example&password=wrong",
        )
        .await;
    assert!(
        wrong.status == 401
            && wrong.body.contains("E-mail or password is wrong.")
            && wrong.body.contains("value=\"ann@acme.example\""),
        "{wrong:?}"
    );
    assert!(wrong.body.contains(wrong.header("x-request-id").expect("an id")) && wrong.header("set-cookie").is_none());

    let right = gateway
        .send(
            "POST /sign-in",
            host,
            &["Sec-Fetch-Site: same-origin", "Origin: null", form],
            "email=ann%40acme.example&password=right&return_to=%2F",
        )
        .await;
    assert_eq!((right.status, right.header("location")), (303, Some("/")));
    let cookie = right.header("set-cookie").expect("a cookie");
    assert!(
        cookie.starts_with("__Host-sid=e30.")
            && cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600"),
        "{cookie}"
    );
    let cookie = format!("Cookie: {}", cookie.split(';').next().expect("a pair"));

    let home = gateway.send("GET /", host, &[&cookie], "").await;
    assert!(
        home.status == 200
            && home.body.contains("admin")
            && home.body.contains("Ann &#60;b&#62;")
            && home.body.contains("acme Inc."),
        "{}",
        home.body
    );
    let call = gateway.send(&format!("GET {GET}"), host, &[&cookie], "").await;
    assert_eq!(call.status, 200, "the cookie works for the API of its own host");

    gateway.forget();
    for line in ["POST /sign-out", "POST /v1/auth:signOut"] {
        let forged = gateway
            .send(line, host, &[&cookie, "Origin: http://globex.localhost:8080", form], "")
            .await;
        assert_eq!(forged.status, 403, "{line}: {forged:?}");
    }
    assert!(gateway.untouched());
    let out = gateway.send("POST /sign-out", host, &[&cookie, own], "").await;
    assert_eq!(
        (out.status, out.header("location")),
        (303, Some("/sign-in?notice=signed-out"))
    );
    assert!(
        out.header("set-cookie")
            .is_some_and(|cookie| cookie.starts_with("__Host-sid=; ") && cookie.ends_with("Max-Age=0"))
    );
    gateway.saw("sign_out");
    assert_eq!(
        gateway.send("GET /", host, &[], "").await.header("location"),
        Some("/sign-in")
    );
}

#[tokio::test]
async fn a_sign_in_form_of_another_site_is_refused() {
    let gateway = start().await;
    let (host, form) = ("acme.localhost", "Content-Type: application/x-www-form-urlencoded");
    let body = "email=a&password=right";
    for headers in [
        vec![form],
        vec![form, "Origin: null"],
        vec![form, "Origin: http://globex.localhost"],
        vec![form, "Sec-Fetch-Site: cross-site"],
    ] {
        let answer = gateway.send("POST /sign-in", host, &headers, body).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (403, None), "{headers:?}");
    }
    assert!(gateway.untouched());
    assert_eq!(
        gateway
            .send("POST /sign-in", host, &[form, "Origin: http://acme.localhost"], body)
            .await
            .status,
        303
    );
}

#[tokio::test]
async fn sign_in_attempts_are_limited_by_address() {
    let mut config = config();
    config.limits.sign_in_burst = std::num::NonZeroU32::new(2).expect("not zero");
    config.limits.sign_in_per_minute = std::num::NonZeroU32::new(1).expect("not zero");
    let gateway = start_with(config).await;
    let attempt = async |host: &'static str| {
        gateway
            .send(
                "POST /v1/auth:signIn",
                host,
                &["Content-Type: application/json"],
                "{\"password\":\"x\"}",
            )
            .await
    };
    assert_eq!(attempt("acme.localhost").await.reason(), "SIGN_IN_FAILED");
    assert_eq!(attempt("acme.localhost").await.reason(), "SIGN_IN_FAILED");
    let third = attempt("acme.localhost").await;
    assert_eq!((third.status, third.reason().as_str()), (429, "SIGN_IN_THROTTLED"));
    assert!(
        third
            .header("retry-after")
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|wait| (1..=60).contains(&wait))
    );
    assert_eq!(
        attempt("globex.localhost").await.reason(),
        "SIGN_IN_FAILED",
        "another tenant counts by itself"
    );
}

#[tokio::test]
async fn system_routes_answer_everywhere_and_keys_belong_to_their_tenant() {
    let gateway = start().await;
    assert_eq!(gateway.send("GET /healthz", "nobody.test", &[], "").await.body, "ok\n");
    assert_eq!(
        gateway.send("GET /openapi.json", "127.0.0.1", &[], "").await.json()["openapi"],
        "3.1.0"
    );
    let keys = gateway
        .send("GET /.well-known/jwks.json", "acme.localhost", &[], "")
        .await;
    assert_eq!(
        (keys.json()["keys"][0]["kid"].as_str(), keys.header("cache-control")),
        (Some("k1"), Some("public, max-age=300"))
    );
    let seen = gateway.saw("jwks");
    assert_eq!(
        seen.get("authorization").and_then(|v| v.to_str().ok()),
        Some(format!("Bearer svc-{ACME}-auth").as_str())
    );
    assert_eq!(
        gateway
            .send("GET /.well-known/jwks.json", "127.0.0.1", &[], "")
            .await
            .status,
        404
    );
    let head = gateway.send("HEAD /healthz", "acme.localhost", &[], "").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

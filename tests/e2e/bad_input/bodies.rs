//! Bodies, headers, methods and paths that are no request.

use super::{Judge, count, desk};
use serde_json::{Value, json};
use tenantry_tests::{Answer, Rest};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const RECORDS: &str = "/v1/objectTypes/tickets/records";

async fn post(rest: &Rest, content_type: &str, body: Vec<u8>) -> Answer {
    let sent = rest.try_send("POST", RECORDS, Some((content_type, body))).await;
    sent.unwrap_or_else(|error| panic!("no answer: {error:?}"))
}

fn deep(levels: usize) -> Vec<u8> {
    let (open, close) = ("{\"a\":".repeat(levels), "}".repeat(levels));
    format!("{{\"fields\":{{\"title\":\"t\",\"extra\":{open}1{close}}}}}").into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_bodies_are_refused() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let rest = tenant.rest();
    let bodies: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("an array", b"[]".to_vec()),
        ("a number", b"1".to_vec()),
        ("a string", b"\"x\"".to_vec()),
        ("cut off", br#"{"fields":{"title":"x"#.to_vec()),
        (
            "something behind",
            br#"{"fields":{"title":"x"}} {"fields":{}}"#.to_vec(),
        ),
        ("no JSON", b"fields=title".to_vec()),
        ("invalid UTF-8", b"{\"fields\":{\"title\":\"\xff\xfe\"}}".to_vec()),
        ("a lone surrogate", br#"{"fields":{"title":"\ud800"}}"#.to_vec()),
        ("a single quote", b"{'fields':{}}".to_vec()),
        ("NaN", br#"{"fields":{"title":"x","ratio":NaN}}"#.to_vec()),
        ("a huge exponent", br#"{"fields":{"title":"x","ratio":1e999}}"#.to_vec()),
        ("an unknown field", br#"{"fields":{"title":"x"},"nope":1}"#.to_vec()),
        ("the wrong type for an object", br#"{"fields":5}"#.to_vec()),
        ("10,000 levels", deep(10_000)),
        (
            "10,000 levels of arrays",
            [vec![b'['; 10_000], vec![b']'; 10_000]].concat(),
        ),
        ("200,000 opening brackets", vec![b'['; 200_000]),
        ("100 levels", deep(100)),
    ];
    for (what, body) in bodies {
        let answer = post(&rest, "application/json", body).await;
        judge.refusal(what, &answer, &[400]);
    }
    for content_type in [
        "text/plain",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/x-www-form-urlencoded",
        "nonsense",
    ] {
        let answer = post(&rest, content_type, br#"{"fields":{"title":"x"}}"#.to_vec()).await;
        judge.refusal(content_type, &answer, &[415]);
    }
    let zipped = rest.clone().header("content-encoding", "gzip");
    let answer = post(&zipped, "application/json", br#"{"fields":{"title":"x"}}"#.to_vec()).await;
    judge.refusal("not gzip", &answer, &[400, 415]);
    judge.holds("nothing was added", count(&tenant, "tickets").await == 0, &Value::Null);
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_by_their_size() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let mut body = br#"{"fields":{"title":""#.to_vec();
    body.resize(10 << 20, b'x');
    body.extend_from_slice(br#""}}"#);
    // The gateway may hang up while the client is still sending: an answer, or a closed connection, but no success.
    match tenant
        .rest()
        .try_send("POST", RECORDS, Some(("application/json", body.clone())))
        .await
    {
        Ok(answer) => judge.refusal("10 MB", &answer, &[413]),
        Err(error) => judge.found("10 MB", &format!("no answer: {error:?}")),
    }
    let stranger = Rest::new(&judge.world, &tenant.host);
    match stranger
        .try_send("POST", "/v1/auth:signIn", Some(("application/json", body)))
        .await
    {
        Ok(answer) => judge.refusal("10 MB from a stranger", &answer, &[413]),
        Err(error) => judge.found("10 MB from a stranger", &format!("no answer: {error:?}")),
    }
    let password = json!({"email": "a@b.example", "password": "x".repeat(100_000)});
    judge.refusal(
        "a huge password",
        &stranger.post("/v1/auth:signIn", password).await,
        &[400, 401],
    );
    judge.holds("nothing was added", count(&tenant, "tickets").await == 0, &Value::Null);
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_methods_and_paths_are_refused() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let rest = tenant.rest();
    for (method, path) in [
        ("PUT", RECORDS),
        ("DELETE", RECORDS),
        ("PATCH", "/v1/objectTypes"),
        ("GET", "/v1/auth:signIn"),
        ("NONSENSE", RECORDS),
    ] {
        let answer = rest.send(method, path, None).await;
        judge.refusal(&format!("{method} {path}"), &answer, &[405]);
        let allow = answer.header("allow").to_owned();
        judge.holds(
            &format!("{method} {path} names what is allowed"),
            !allow.is_empty(),
            &json!(allow),
        );
    }
    let paths = [
        "/v1/nope",
        "/v2/objectTypes",
        "//v1/objectTypes",
        "/v1/objectTypes/",
        "/v1/objectTypes/x:nope",
        "/v1/%2e%2e/objectTypes",
        "/v1/objectTypes/tickets/records:nope",
        "/%00",
    ];
    for path in paths {
        judge.refusal(path, &rest.get(path).await, &[404, 405, 400]);
    }
    for query in [
        "nope=1",
        "pageSize=-1",
        "pageSize=abc",
        "pageSize=99999999999",
        "pageSize=1.5",
        "pageSize=1&pageSize=2",
        "pageToken=nope",
        "pageToken=%00",
        "orderBy=nope",
        "orderBy=title%20sideways",
        "orderBy=title,status,priority,cost",
        "orderBy=extra",
        "filter=%ff",
    ] {
        judge.refusal(query, &rest.get(&format!("{RECORDS}?{query}")).await, &[400]);
    }
    judge.no_failure("pageSize=501", &rest.get(&format!("{RECORDS}?pageSize=501")).await);
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_filters_are_refused() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let rest = tenant.rest();
    let many = vec!["priority = 1"; 21].join(" AND ");
    let (open, long) = ("(".repeat(10_000), format!("title = \"{}\"", "x".repeat(5_000)));
    let filters = [
        "title =",
        "= 1",
        "nope = 1",
        "title = \"open",
        "priority = \"x\"",
        "priority = 1.5",
        "priority = 99999999999999999999",
        "urgent = \"yes\"",
        "due > \"yesterday\"",
        "extra = 1",
        "priority = 1 OR priority = 2",
        "NOT priority = 1",
        "title LIKE \"x\"",
        "title = \"a\u{0}\"",
        "title = 'x'; DROP TABLE tickets",
        "status = \"nope\"",
        "AND",
        "priority = 1 AND",
        "requester = \"nope\"",
        "cost = \"1.2345\"",
        "\u{202e}",
        &many,
        &open,
    ];
    for filter in filters {
        let path = format!("{RECORDS}?filter={}", percent(filter));
        judge.refusal(&format!("filter {filter}"), &rest.get(&path).await, &[400, 414, 431]);
    }
    judge.no_failure(
        "a long string",
        &rest.get(&format!("{RECORDS}?filter={}", percent(&long))).await,
    );
    judge.finish();
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Sends bytes as they are and reads what comes.
async fn raw(judge: &Judge, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", judge.world.ports.gateway))
        .await
        .expect("the gateway listens");
    // It may hang up while this is still being sent.
    drop(stream.write_all(bytes).await);
    drop(stream.shutdown().await);
    let mut answer = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(20), stream.read_to_end(&mut answer)).await;
    if read.is_err() {
        answer.extend_from_slice(b"(the connection stays open)");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_http_get_a_refusal_or_nothing() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let host = &tenant.host;
    let big = "x".repeat(200_000);
    let requests: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", vec![0xff; 4096]),
        ("zeros", vec![0; 4096]),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        ("half a request", format!("GET /v1/objectTypes HTTP/1.1\r\nHost: {host}\r\n").into_bytes()),
        ("a huge header", format!("GET / HTTP/1.1\r\nHost: {host}\r\nx-big: {big}\r\nconnection: close\r\n\r\n").into_bytes()),
        ("a huge path", format!("GET /{big} HTTP/1.1\r\nHost: {host}\r\nconnection: close\r\n\r\n").into_bytes()),
        ("many headers", format!("GET / HTTP/1.1\r\nHost: {host}\r\n{}\r\n", "a: b\r\n".repeat(5_000)).into_bytes()),
        ("two hosts", format!("GET /v1/objectTypes HTTP/1.1\r\nHost: {host}\r\nHost: x.localhost\r\nconnection: close\r\n\r\n").into_bytes()),
        ("no host", b"GET /v1/objectTypes HTTP/1.1\r\nconnection: close\r\n\r\n".to_vec()),
        ("a strange host", b"GET /v1/objectTypes HTTP/1.1\r\nHost: a b@c/d\r\nconnection: close\r\n\r\n".to_vec()),
        ("a header with a line break", format!("GET / HTTP/1.1\r\nHost: {host}\r\nx: a\nb: c\r\n d\r\nconnection: close\r\n\r\n").into_bytes()),
        ("two lengths", format!("POST /v1/auth:signIn HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}x").into_bytes()),
        ("length and chunks", format!("POST /v1/auth:signIn HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX").into_bytes()),
        ("a broken chunk", format!("POST /v1/auth:signIn HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n{{}}\r\n").into_bytes()),
        ("a body that is cut off", format!("POST /v1/auth:signIn HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{{").into_bytes()),
    ];
    for (what, bytes) in requests {
        let answer = raw(&judge, &bytes).await;
        let status = answer
            .strip_prefix("HTTP/1.1 ")
            .or_else(|| answer.strip_prefix("HTTP/1.0 "))
            .unwrap_or_default();
        // "a header with a line break" reaches a page if the parser unfolds it; that is no failure.
        let fine = answer.is_empty()
            || status.starts_with('4')
            || (status.starts_with(['2', '3']) && what.contains("line break"));
        judge.holds(what, fine, &json!(answer));
    }
    tenant.ticket("it still works").await;
    judge.finish();
}

//! Callers that wait too long, not long enough, or not at all.

use crate::world::{ACME, start, token};
use tokio::io::AsyncWriteExt;

#[tokio::test]
async fn a_deadline_ends_a_call_that_hangs() {
    let gateway = start().await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let answer = gateway
        .send(
            "GET /v1/objectTypes/t/records/slow",
            "acme.localhost",
            &[&bearer, "grpc-timeout: 100m"],
            "",
        )
        .await;
    assert_eq!((answer.status, answer.reason().as_str()), (504, "DEADLINE_EXCEEDED"));
}

/// Requests for the slow record that ended with a code, as a scrape shows them.
fn ended(code: &str) -> u64 {
    let route = r#"method="GET /v1/{name=objectTypes/*/records/*}""#;
    let text = tenantry_telemetry::metrics_text();
    let line = text.lines().find(|line| {
        line.starts_with("tenantry_requests_total{")
            && line.contains(&format!("code=\"{code}\""))
            && line.contains(route)
    });
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test]
async fn giving_up_is_counted_and_is_no_failure_of_ours() {
    let gateway = start().await;
    let line = "GET /v1/objectTypes/t/records/slow";
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let impatient = gateway
        .send(line, "acme.localhost", &[&bearer, "grpc-timeout: 100m"], "")
        .await;
    assert_eq!(impatient.status, 504);
    assert_eq!((ended("499"), ended("504")), (1, 0));

    gateway.forget();
    let mut socket = tokio::net::TcpStream::connect(gateway.address)
        .await
        .expect("a connection");
    let request = format!("{line} HTTP/1.1\r\nHost: acme.localhost\r\n{bearer}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.expect("sent");
    while gateway.untouched() {
        tokio::task::yield_now().await;
    }
    drop(socket);
    while ended("499") < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ended("504"), 0);
}

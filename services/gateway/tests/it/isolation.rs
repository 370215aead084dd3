//! Tenant confusion at the edge (auth design, A9 1-9): each refusal is preceded by the rightful owner's success.

use crate::world::{ACME, GLOBEX, Gateway, start, token};

const GET: &str = "/v1/objectTypes/t/records/1";

async fn owner_succeeds(gateway: &Gateway) {
    for (host, path) in [
        ("acme.localhost", GET),
        ("help.acme.example", GET),
        ("127.0.0.1:8080", GET),
        ("localhost", "/v1/tenants/acme/objectTypes/t/records/1"),
    ] {
        let answer = gateway.get(path, host, ACME).await;
        assert_eq!(answer.status, 200, "{host} {path}: {answer:?}");
    }
    gateway.forget();
}

#[tokio::test]
async fn a_token_works_for_its_own_tenant_only_and_every_refusal_is_one_body() {
    let gateway = start().await;
    owner_succeeds(&gateway).await;
    let unknown = gateway.get(GET, "nobody.localhost", ACME).await;
    assert_eq!((unknown.status, unknown.reason().as_str()), (404, "NOT_FOUND"));
    for (host, path) in [
        ("globex.localhost", GET.to_owned()),
        ("gone.localhost", GET.to_owned()),
        ("other.example", GET.to_owned()),
        ("acme.localhost.localhost", GET.to_owned()),
        ("127.0.0.1", format!("/v1/tenants/{GLOBEX}/objectTypes/t/records/1")),
        ("127.0.0.1", "/v1/tenants/globex/objectTypes/t/records/1".to_owned()),
        ("127.0.0.1", "/v1/tenants/nobody/objectTypes/t/records/1".to_owned()),
        ("127.0.0.1", "/v1/tenants/gone/objectTypes/t/records/1".to_owned()),
        (
            "acme.localhost",
            "/v1/tenants/globex/objectTypes/t/records/1".to_owned(),
        ),
        (
            "acme.localhost",
            "/v1/tenants/nobody/objectTypes/t/records/1".to_owned(),
        ),
        ("xn--acm-dma.localhost", GET.to_owned()),
    ] {
        let answer = gateway.get(&path, host, ACME).await;
        assert_eq!(answer.masked(), unknown.masked(), "{host} {path}");
    }
    assert!(gateway.untouched());
}

#[tokio::test]
async fn two_hosts_in_one_request_are_refused() {
    let gateway = start().await;
    owner_succeeds(&gateway).await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    for head in [
        format!("GET {GET} HTTP/1.1\r\nHost: acme.localhost\r\nHost: globex.localhost\r\n"),
        format!("GET {GET} HTTP/1.1\r\nHost: globex.localhost\r\nHost: acme.localhost\r\n"),
        format!("GET http://acme.localhost{GET} HTTP/1.1\r\nHost: globex.localhost\r\n"),
        format!("GET http://globex.localhost{GET} HTTP/1.1\r\nHost: acme.localhost\r\n"),
        format!("GET {GET} HTTP/1.1\r\nHost: acme.localhost.\r\n"),
        format!("GET {GET} HTTP/1.1\r\nHost: x@acme.localhost\r\n"),
        format!("GET {GET} HTTP/1.1\r\nHost: acme.localhost, globex.localhost\r\n"),
        format!("GET {GET} HTTP/1.1\r\n"),
    ] {
        let answer = gateway
            .raw(format!("{head}{bearer}\r\nConnection: close\r\n\r\n").as_bytes())
            .await;
        assert_eq!(answer.status, 400, "{head}: {answer:?}");
    }
    assert!(gateway.untouched());
    let agreeing = format!(
        "GET http://acme.localhost:80{GET} HTTP/1.1\r\nHost: ACME.localhost:80\r\n{bearer}\r\nConnection: close\r\n\r\n"
    );
    assert_eq!(
        gateway.raw(agreeing.as_bytes()).await.status,
        200,
        "the same host twice, once in the line"
    );
}

#[tokio::test]
async fn a_cookie_of_one_tenant_is_nobody_at_another() {
    let gateway = start().await;
    let cookie = format!("Cookie: __Host-sid={}", token(ACME));
    assert_eq!(
        gateway
            .send(&format!("GET {GET}"), "acme.localhost", &[&cookie], "")
            .await
            .status,
        200
    );
    gateway.forget();
    assert_eq!(
        gateway
            .send(&format!("GET {GET}"), "globex.localhost", &[&cookie], "")
            .await
            .reason(),
        "NOT_FOUND"
    );
    assert_eq!(
        gateway
            .send("GET /", "globex.localhost", &[&cookie], "")
            .await
            .header("location"),
        Some("/sign-in?notice=ended")
    );
    assert_eq!(
        gateway
            .send(&format!("GET {GET}"), "127.0.0.1", &[&cookie], "")
            .await
            .reason(),
        "CREDENTIALS_MISSING",
        "never on a shared host"
    );
    let tossed = format!("{cookie}; __Host-sid={}", token(GLOBEX));
    assert_eq!(
        gateway
            .send(&format!("GET {GET}"), "acme.localhost", &[&tossed], "")
            .await
            .reason(),
        "CREDENTIALS_INVALID"
    );
    assert!(gateway.untouched());
}

#[tokio::test]
async fn a_suspended_tenant_is_told_so_and_nothing_is_called() {
    let gateway = start().await;
    owner_succeeds(&gateway).await;
    let frozen = "0192b0a0-0000-7000-8000-0000000000cc";
    for (host, path) in [
        ("frozen.localhost", GET),
        ("127.0.0.1", GET),
        ("127.0.0.1", "/v1/tenants/frozen/objectTypes/t/records/1"),
    ] {
        let answer = gateway.get(path, host, frozen).await;
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (403, "TENANT_SUSPENDED"),
            "{host} {path}"
        );
    }
    let sign_in = gateway
        .send(
            "POST /v1/auth:signIn",
            "frozen.localhost",
            &["Content-Type: application/json"],
            "{}",
        )
        .await;
    assert_eq!(sign_in.reason(), "TENANT_SUSPENDED");
    assert!(gateway.untouched());
}

#[tokio::test]
async fn pages_of_unknown_hosts_are_neutral() {
    let gateway = start().await;
    let mut pages = Vec::new();
    for host in ["nobody.localhost", "gone.localhost", "other.example"] {
        let page = gateway.send("GET /sign-in", host, &["Accept: text/html"], "").await;
        assert!(
            page.status == 404 && page.body.contains("There is nothing at this address") && !page.body.contains("gone"),
            "{page:?}"
        );
        pages.push(page.masked());
    }
    pages.dedup();
    assert_eq!(pages.len(), 1);
    assert_eq!(
        gateway
            .send("GET /sign-in", "127.0.0.1", &["Accept: text/html"], "")
            .await
            .status,
        404,
        "the shared host has no pages"
    );
}

#[tokio::test]
async fn a_public_call_without_a_tenant_says_how_to_name_one() {
    let gateway = start().await;
    let json = "Content-Type: application/json";
    assert_eq!(
        gateway
            .send(
                "POST /v1/tenants/acme/auth:signIn",
                "127.0.0.1",
                &[json],
                "{\"password\":\"right\"}"
            )
            .await
            .status,
        200
    );
    let none = gateway.send("POST /v1/auth:signIn", "127.0.0.1", &[json], "{}").await;
    assert_eq!((none.status, none.reason().as_str()), (404, "TENANT_NOT_FOUND"));
}

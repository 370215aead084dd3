//! gRPC and gRPC-Web through the proxy.

use crate::world::{ACME, GLOBEX, Gateway, RecordServiceClient, start, token};
use base64::Engine;
use prost::Message;
use tenantry_api::{
    auth::{ExchangeCredentialRequest, token_service_client::TokenServiceClient},
    business::{
        DeleteRecordRequest, GetRecordRequest, GetRecordResponse, ListRecordsRequest, UploadImportRequest,
        WatchRecordsRequest, import_service_client::ImportServiceClient,
    },
};
use tonic::{
    Code, Request,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

async fn channel(gateway: &Gateway, host: &str) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{}", gateway.address))
        .expect("a uri")
        .origin(format!("http://{host}").parse().expect("a uri"));
    endpoint.connect().await.expect("connected")
}

fn with<T>(message: T, tenant: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", token(tenant)).parse().expect("ascii"),
    );
    request
        .metadata_mut()
        .insert("x-tenantry-service", "registry".parse().expect("ascii"));
    request
}

fn get(id: &str) -> GetRecordRequest {
    GetRecordRequest {
        name: format!("objectTypes/t/records/{id}"),
    }
}

#[tokio::test]
async fn unary_calls_pass_and_metadata_is_ours() {
    let gateway = start().await;
    let mut client = RecordServiceClient::new(channel(&gateway, "acme.localhost").await);
    let answer = client.get_record(with(get("1"), ACME)).await.expect("a record");
    assert!(answer.metadata().contains_key("x-request-id") && answer.metadata().contains_key("ratelimit"));
    assert!(
        !answer.metadata().contains_key("x-tenantry-secret") && !answer.metadata().contains_key("x-tenantry-reason")
    );
    assert_eq!(answer.into_inner().record.expect("a record").etag, "e1");
    assert!(!gateway.saw("get").contains_key("x-tenantry-service"));
}

#[tokio::test]
async fn errors_pass_untouched_and_refusals_look_like_missing_things() {
    let gateway = start().await;
    let mut acme = RecordServiceClient::new(channel(&gateway, "acme.localhost").await);
    let missing = acme.get_record(with(get("missing"), ACME)).await.expect_err("missing");
    assert_eq!(
        (
            missing.code(),
            missing.get_error_details().error_info().map(|info| info.reason.clone())
        ),
        (Code::NotFound, Some("NOT_FOUND".to_owned()))
    );
    gateway.forget();
    let foreign = acme.get_record(with(get("1"), GLOBEX)).await.expect_err("foreign");
    assert_eq!((foreign.code(), foreign.message()), (missing.code(), missing.message()));
    let mut nobody = RecordServiceClient::new(channel(&gateway, "nobody.localhost").await);
    let unknown = nobody.get_record(with(get("1"), ACME)).await.expect_err("unknown");
    assert_eq!((unknown.code(), unknown.message()), (missing.code(), missing.message()));
    assert!(foreign.metadata().get("x-tenantry-reason").is_none());
    assert_eq!(
        acme.get_record(Request::new(get("1")))
            .await
            .expect_err("no token")
            .code(),
        Code::Unauthenticated
    );
    assert!(gateway.untouched());
}

#[tokio::test]
async fn streams_pass_in_both_directions_with_their_trailers() {
    let gateway = start().await;
    let channel = channel(&gateway, "acme.localhost").await;
    let mut stream = RecordServiceClient::new(channel.clone())
        .watch_records(with(
            WatchRecordsRequest {
                resume_token: "r".into(),
                parent: "objectTypes/broken".into(),
            },
            ACME,
        ))
        .await
        .expect("a stream")
        .into_inner();
    let mut tokens = Vec::new();
    let end = loop {
        match stream.message().await {
            Ok(Some(message)) => tokens.push(message.resume_token),
            Ok(None) => panic!("must end with its error"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (tokens.join(","), end.code()),
        ("r0,r1,r2".to_owned(), Code::FailedPrecondition)
    );
    assert!(end.metadata().contains_key("x-request-id"), "also in trailers");
    let chunks = tokio_stream::iter((0..50).map(|n| UploadImportRequest {
        filename: if n == 0 { "f".into() } else { String::new() },
        chunk: vec![b'x'; 100_000],
    }));
    let import = ImportServiceClient::new(channel)
        .upload_import(with(chunks, ACME))
        .await
        .expect("an import")
        .into_inner()
        .import
        .expect("an import");
    assert_eq!((import.filename.as_str(), import.size_bytes), ("f", 5_000_000));
}

#[tokio::test]
async fn internal_methods_and_unknown_ones_are_not_offered() {
    let gateway = start().await;
    let channel = channel(&gateway, "acme.localhost").await;
    let refused = TokenServiceClient::new(channel)
        .exchange_credential(with(ExchangeCredentialRequest::default(), ACME))
        .await
        .expect_err("internal");
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(gateway.untouched());
}

/// The services of this world implement few methods: the rest is what a gateway meets that is newer than a service.
#[tokio::test]
async fn a_method_that_the_service_does_not_have_is_unimplemented_for_every_client() {
    let gateway = start().await;
    let mut client = RecordServiceClient::new(channel(&gateway, "acme.localhost").await);
    let request = DeleteRecordRequest {
        name: "objectTypes/t/records/1".into(),
        ..DeleteRecordRequest::default()
    };
    let refused = client.delete_record(with(request, ACME)).await.expect_err("missing");
    let reason = refused.get_error_details().error_info().map(|info| info.reason.clone());
    assert_eq!(
        (refused.code(), reason.as_deref()),
        (Code::Unimplemented, Some("UNIMPLEMENTED"))
    );
    assert!(refused.message().contains("No such method is offered"), "{refused:?}");
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let rest = gateway
        .send("DELETE /v1/objectTypes/t/records/1", "acme.localhost", &[&bearer], "")
        .await;
    assert_eq!(
        (rest.status, rest.reason()),
        (501, "UNIMPLEMENTED".to_owned()),
        "{rest:?}"
    );
    assert_eq!(rest.json()["detail"], refused.message(), "{rest:?}");
    for path in ["DeleteRecord", "MadeUp"] {
        let line = format!("POST /tenantry.business.v1.RecordService/{path}");
        let web = ["Content-Type: application/grpc-web+proto", &bearer];
        let answer = gateway.send(&line, "acme.localhost", &web, "\0\0\0\0\0").await;
        assert_eq!(answer.header("grpc-status"), Some("12"), "{answer:?}");
        assert!(answer.head.contains("grpc-status-details-bin"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_message_too_large_has_a_reason() {
    let gateway = start().await;
    let mut client = RecordServiceClient::new(channel(&gateway, "acme.localhost").await);
    let large = ListRecordsRequest {
        filter: "x".repeat(10 << 20),
        ..ListRecordsRequest::default()
    };
    let refused = client.list_records(with(large, ACME)).await.expect_err("too large");
    assert_eq!(
        refused.get_error_details().error_info().map(|info| info.reason.clone()),
        Some("REQUEST_TOO_LARGE".to_owned()),
        "{refused:?}"
    );
}

#[tokio::test]
async fn health_and_reflection_are_the_gateways_own() {
    let gateway = start().await;
    let channel = channel(&gateway, "nobody.localhost").await;
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel.clone());
    let request = |service: &str| tonic_health::pb::HealthCheckRequest {
        service: service.to_owned(),
    };
    assert_eq!(health.check(request("")).await.expect("healthy").into_inner().status, 1);
    assert_eq!(
        health
            .check(request("tenantry.business.v1.RecordService"))
            .await
            .expect("healthy")
            .into_inner()
            .status,
        1
    );
    use tonic_reflection::pb::v1::{
        ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
        server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
    };
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::once(ask))
        .await
        .expect("reflection")
        .into_inner();
    let Some(MessageResponse::ListServicesResponse(list)) = answers
        .message()
        .await
        .expect("an answer")
        .and_then(|answer| answer.message_response)
    else {
        panic!("no list")
    };
    let names: Vec<String> = list.service.into_iter().map(|service| service.name).collect();
    assert!(
        names.contains(&"tenantry.business.v1.RecordService".to_owned())
            && !names
                .iter()
                .any(|name| name.contains("TokenService") || name.contains("RouteService")),
        "{names:?}"
    );
}

#[tokio::test]
async fn grpc_web_works_over_http_1() {
    let gateway = start().await;
    let message = get("1").encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).expect("small").to_be_bytes());
    frame.extend(message);
    let body = String::from_utf8(frame).expect("small ascii");
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let path = "POST /tenantry.business.v1.RecordService/GetRecord";
    let answer = gateway
        .send(
            path,
            "acme.localhost",
            &[&bearer, "Content-Type: application/grpc-web+proto"],
            &body,
        )
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/grpc-web+proto")),
        "{answer:?}"
    );
    assert!(
        answer.body.contains("grpc-status:0") && !answer.body.contains("x-tenantry"),
        "{answer:?}"
    );
    let length = usize::from(answer.body.as_bytes()[4]);
    let record = GetRecordResponse::decode(&answer.body.as_bytes()[5..5 + length])
        .expect("a record")
        .record
        .expect("a record");
    assert_eq!(record.name, "objectTypes/t/records/1");
    let slow = b"\0\0\0\0\x1c\x0a\x1aobjectTypes/t/records/slow";
    let slow = std::str::from_utf8(slow).expect("ascii");
    let late = gateway
        .send(
            path,
            "acme.localhost",
            &[
                &bearer,
                "Content-Type: application/grpc-web+proto",
                "grpc-timeout: 100m",
            ],
            slow,
        )
        .await;
    assert_eq!(late.header("grpc-status"), Some("4"), "{late:?}");
    let foreign = gateway
        .send(
            path,
            "globex.localhost",
            &[&bearer, "Content-Type: application/grpc-web+proto"],
            &body,
        )
        .await;
    assert_eq!(
        (foreign.status, foreign.header("grpc-status")),
        (200, Some("5")),
        "{foreign:?}"
    );
}

/// Requests of the watching method that ended with `code`, as a scrape sees them.
fn ended(code: &str) -> u64 {
    let series = format!(
        "tenantry_requests_total{{code=\"{code}\",method=\"tenantry.business.v1.RecordService/WatchRecords\"}} "
    );
    let text = tenantry_telemetry::metrics_text();
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(&series).map(str::to_owned));
    found.map_or(0, |count| count.parse().expect("a count"))
}

/// A status behind the head is a trailer for gRPC, a last frame for gRPC-Web and an event for REST.
#[tokio::test]
async fn an_end_behind_the_head_is_counted_as_what_it_is() {
    let gateway = start().await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let path = "POST /tenantry.business.v1.RecordService/WatchRecords";
    for (parent, code, number) in [
        ("objectTypes/dying", "INTERNAL", "13"),
        ("objectTypes/broken", "FAILED_PRECONDITION", "9"),
        ("objectTypes/fine", "OK", "0"),
    ] {
        let request = WatchRecordsRequest {
            resume_token: "r".into(),
            parent: parent.into(),
        };
        let (others, before) = (ended("200"), ended(code));
        let message = request.encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).expect("small").to_be_bytes());
        frame.extend(message);
        let body = String::from_utf8(frame).expect("small ascii");
        for media in ["application/grpc-web+proto", "application/grpc-web-text"] {
            let body = if media.ends_with("text") {
                base64::engine::general_purpose::STANDARD.encode(&body)
            } else {
                body.clone()
            };
            let headers = [&*bearer, &*format!("Content-Type: {media}")];
            let answer = gateway.send(path, "acme.localhost", &headers, &body).await;
            assert_eq!((answer.status, answer.header("grpc-status")), (200, None), "{answer:?}");
            let plain = answer.body.contains(&format!("grpc-status:{number}"));
            assert!(plain || media.ends_with("text"), "{answer:?}");
        }
        assert_eq!(ended(code), before + 2, "gRPC-Web: {code}");
        let mut stream = RecordServiceClient::new(channel(&gateway, "acme.localhost").await)
            .watch_records(with(request, ACME))
            .await
            .expect("a stream")
            .into_inner();
        while let Ok(Some(_)) = stream.message().await {}
        assert_eq!(ended(code), before + 3, "gRPC: {code}");
        assert_eq!(ended("200"), others, "nothing else: {code}");
    }
}

#[tokio::test]
async fn what_does_not_decode_is_the_clients_mistake() {
    let gateway = start().await;
    let bearer = format!("Authorization: Bearer {}", token(ACME));
    let path = "POST /tenantry.business.v1.RecordService/GetRecord";
    for (body, status) in [
        ("\0\0\0\0\x02\x0a\x7f", "3"),
        ("\0\0\0\0\x02\x08\x01", "3"),
        ("", "3"),
        ("\0\0\0\0\0\0\0\0\0\0", "3"),
        ("\x01\0\0\0\0", "3"),
        ("\0\0\0\0\0", "0"),
    ] {
        let answer = gateway
            .send(
                path,
                "acme.localhost",
                &[&bearer, "Content-Type: application/grpc-web+proto"],
                body,
            )
            .await;
        let inside = answer.body.contains(&format!("grpc-status:{status}"));
        assert!(
            answer.header("grpc-status") == Some(status) || inside,
            "{body:?}: {answer:?}"
        );
        assert!(
            status == "0"
                || answer.head.contains("grpc-status-details-bin")
                || answer.body.contains("grpc-status-details-bin")
        );
    }
    let text = gateway
        .send(
            path,
            "acme.localhost",
            &[&bearer, "Content-Type: application/grpc-web-text"],
            "no base64!",
        )
        .await;
    assert_eq!(text.header("grpc-status"), Some("3"), "{text:?}");
}

//! gRPC frames that are cut off, too long, or garbage: at the gateway, and at a service that is reached directly.

use super::{Judge, calls::send, desk};
use prost::Message;
use serde_json::json;
use std::net::SocketAddr;
use tenantry_api::business::GetRecordRequest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const GET: &str = "/tenantry.business.v1.RecordService/GetRecord";
const CREATE: &str = "/tenantry.business.v1.RecordService/CreateRecord";
const UPLOAD: &str = "/tenantry.business.v1.ImportService/UploadImport";
const WATCH: &str = "/tenantry.business.v1.RecordService/WatchRecords";

fn frame(flag: u8, length: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flag];
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

fn frame_of(message: &[u8]) -> Vec<u8> {
    frame(0, u32::try_from(message.len()).expect("short"), message)
}

fn good() -> Vec<u8> {
    let name = "objectTypes/tickets/records/7f6f1c0e-6a55-7a6e-9b5e-2f1d3c4b5a69".to_owned();
    GetRecordRequest { name }.encode_to_vec()
}

fn bad_frames() -> Vec<(&'static str, Vec<u8>)> {
    let message = good();
    let length = u32::try_from(message.len()).expect("short");
    let big = vec![b'x'; 5 << 20];
    vec![
        ("nothing", Vec::new()),
        ("half a frame header", vec![0, 0, 0]),
        ("a frame cut off", frame(0, 100, b"abc")),
        ("a length of 4 GB", frame(0, u32::MAX, b"abc")),
        ("compressed, but not said how", frame(1, length, &message)),
        ("an unknown flag", frame(0xff, length, &message)),
        ("no protobuf", frame(0, 4, &[0xff, 0xff, 0xff, 0xff])),
        ("a field of the wrong type", frame(0, 2, &[0x08, 0x01])),
        ("a string cut off", frame(0, 2, &[0x0a, 0x7f])),
        ("a string that is not UTF-8", frame(0, 4, &[0x0a, 0x02, 0xff, 0xfe])),
        (
            "two messages",
            [frame(0, length, &message), frame(0, length, &message)].concat(),
        ),
        ("a message of 5 MB", frame(0, 5 << 20, &big)),
        ("HTTP in HTTP/2", b"GET / HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_frames_are_refused_with_a_status_and_a_reason() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let gateway = SocketAddr::from(([127, 0, 0, 1], judge.world.ports.gateway));
    let bearer = format!("Bearer {}", tenant.owner.token);
    let headers = [("authorization", bearer.as_str())];
    // The same call with good bytes reaches the method: it says that there is no such record.
    let right = send(gateway, &tenant.host, GET, &headers, frame_of(&good())).await;
    judge.holds("a good frame", right.code == Some(5), &json!(right.seen));
    for path in [GET, CREATE, UPLOAD, WATCH] {
        for (what, body) in bad_frames() {
            if path == UPLOAD && matches!(what, "two messages" | "a field of the wrong type") {
                continue;
            }
            let ending = send(gateway, &tenant.host, path, &headers, body).await;
            let what = format!("{path}: {what}");
            // 0 would be success, 2 and 13 a failure of ours, 14 a service that went away.
            let refused = matches!(ending.code, Some(code) if ![0, 2, 13, 14].contains(&code));
            judge.holds(&what, ending.http == 200 && refused, &json!(ending.seen));
            judge.holds(
                &format!("{what}: reason and request id"),
                ending.reason && ending.request_id,
                &json!(ending.seen),
            );
        }
    }
    tenant.ticket("it still works").await;
    judge.finish();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_nothing_are_refused() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let gateway = SocketAddr::from(([127, 0, 0, 1], judge.world.ports.gateway));
    let bearer = format!("Bearer {}", tenant.owner.token);
    let body = frame_of(&good());
    for path in [
        "/nope",
        "/nope/nope",
        "/tenantry.business.v1.RecordService/Nope",
        "/tenantry.business.v1.RecordService/",
        "/a/b/c",
        "/%2e%2e/x",
    ] {
        let headers = [("authorization", bearer.as_str())];
        let ending = send(gateway, &tenant.host, path, &headers, body.clone()).await;
        judge.holds(path, matches!(ending.code, Some(5 | 12)), &json!(ending.seen));
    }
    for (name, value) in [
        ("content-type", "application/grpc+nonsense"),
        ("content-type", "application/grpc-web-text"),
        ("grpc-timeout", "yesterday"),
        ("grpc-timeout", "99999999999H"),
        ("grpc-encoding", "nonsense"),
        ("x-request-id", "\"><script>"),
        ("traceparent", "nonsense"),
        ("authorization", "Bearer"),
        ("authorization", "Bearer a.b.c"),
        ("authorization", "Basic Og=="),
    ] {
        let mut headers = vec![(name, value)];
        if name != "authorization" {
            headers.push(("authorization", bearer.as_str()));
        }
        let ending = send(gateway, &tenant.host, GET, &headers, body.clone()).await;
        let fine = ending.code.map_or((400..500).contains(&ending.http), |code| {
            ![0, 2, 13, 14].contains(&code)
        });
        judge.holds(&format!("{name}: {value}"), fine, &json!(ending.seen));
        judge.holds(
            &format!("{name}: {value} is not echoed"),
            !ending.seen.contains("<script>"),
            &json!(ending.seen),
        );
    }
    judge.finish();
}

/// Bytes that are no HTTP/2, at every port that speaks gRPC.
#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_the_grpc_ports_is_survived() {
    let mut judge = Judge::new();
    let tenant = desk(&judge).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let with = |more: &[u8]| [preface.as_slice(), &settings, more].concat();
    let garbage: Vec<(&str, Vec<u8>)> = vec![
        (
            "random bytes",
            (0..8192_u32)
                .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
                .collect(),
        ),
        ("half a preface", preface[..10].to_vec()),
        ("a preface and garbage", with(&[0xff; 1024])),
        ("a frame of 16 MB", with(&[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1])),
        (
            "headers that do not decode",
            with(&[0, 0, 4, 1, 5, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff]),
        ),
        (
            "data on a stream that is not open",
            with(&[0, 0, 1, 0, 1, 0, 0, 0, 7, 0]),
        ),
        ("a wrong window", with(&[0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
    ];
    let mut ports = vec![judge.world.ports.gateway];
    for service in ["registry", "auth", "business"] {
        let url = &judge.world.grpc_urls[service];
        ports.push(
            url.rsplit(':')
                .next()
                .and_then(|port| port.parse().ok())
                .expect("a port"),
        );
    }
    for port in ports {
        for (what, bytes) in &garbage {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
            drop(stream.write_all(bytes).await);
            drop(stream.shutdown().await);
            let mut answer = Vec::new();
            let closed =
                tokio::time::timeout(std::time::Duration::from_secs(30), stream.read_to_end(&mut answer)).await;
            judge.holds(
                &format!("port {port}: {what}: the connection is closed"),
                closed.is_ok(),
                &json!(null),
            );
        }
    }
    tenant.ticket("it still works").await;
    judge.finish();
}

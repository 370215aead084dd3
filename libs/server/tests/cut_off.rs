//! A peer that dies under a call: whatever it had said by then, the caller hears that it is away.

use std::time::Duration;
use tenantry_kernel::Reason;
use tenantry_server::error_of;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

/// Frames of HTTP/2 (RFC 9113): an empty SETTINGS; HEADERS of stream 1 (`:status: 200`, `content-type: application/grpc`); DATA
/// that breaks off; RST_STREAM and GOAWAY with INTERNAL_ERROR.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
const HEADERS: &[u8] = b"\x00\x00\x13\x01\x04\x00\x00\x00\x01\x88\x5f\x10application/grpc";
const DATA: &[u8] = &[0, 0, 100, 0, 0, 0, 0, 0, 1, 0, 0, 0];
const RST_STREAM: &[u8] = &[0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 2];
const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// Reads the client's frames until its request has come as a whole.
async fn requested(socket: &mut TcpStream) {
    socket.read_exact(&mut [0; 24]).await.expect("the preface");
    loop {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.expect("a frame");
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        socket.read_exact(&mut vec![0; length]).await.expect("its payload");
        let (kind, flags) = (head[3], head[4]);
        if kind == 0 && flags & 1 == 1 {
            return;
        }
    }
}

/// What a call ends with whose server says this much and is gone, with a reset or without.
async fn ends(said: &'static [&'static [u8]], reset: bool) -> (Code, Reason) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("a client");
        socket.write_all(SETTINGS).await.expect("settings");
        requested(&mut socket).await;
        for frame in said {
            socket.write_all(frame).await.expect("a frame");
        }
        if reset {
            socket.set_zero_linger().expect("an option");
        }
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    let mut client = HealthClient::new(endpoint.connect_lazy());
    let asked = client.check(HealthCheckRequest::default());
    let status = tokio::time::timeout(Duration::from_secs(60), asked).await;
    let status = status.expect("it ends").expect_err("it fails");
    server.await.expect("the server");
    (status.code(), error_of(&status).reason())
}

#[tokio::test]
async fn whoever_is_cut_off_hears_that_the_peer_is_away() {
    let endings: [&[&[u8]]; 5] = [&[], &[HEADERS], &[HEADERS, DATA], &[RST_STREAM], &[GOAWAY]];
    for said in endings {
        for reset in [false, true] {
            let (code, reason) = ends(said, reset).await;
            assert_eq!(reason, Reason::Unavailable, "{code:?} after {said:?}, reset: {reset}");
        }
    }
}

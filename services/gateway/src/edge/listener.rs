//! The socket: HTTP/1.1 and h2c on one port, with bounds on connections, headers and slowness, and an orderly end.

use super::Edge;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};
use tenantry_server::Shutdown;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};

/// The head of a request must have arrived after this long (slowloris).
const HEAD_TIME: Duration = Duration::from_secs(10);
/// Largest head of a request.
const HEAD_SIZE: usize = 32 << 10;
const MOST_HEADERS: usize = 100;
/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 256;
/// Silent HTTP/2 peers are asked, and dropped if they do not answer.
const PING: Duration = Duration::from_secs(20);

/// Serves until the shutdown token, then lets requests end for as long as the shutdown allows.
pub async fn serve(listener: TcpListener, edge: Arc<Edge>, connections: usize, shutdown: Shutdown) {
    let stop = shutdown.token();
    let slots = Arc::new(Semaphore::new(connections));
    let server = Arc::new(builder());
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors: waiting is better than spinning.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // A full house closes at the door; clients see a reset and try elsewhere.
        let Ok(slot) = slots.clone().try_acquire_owned() else {
            continue;
        };
        let watcher = graceful.watcher();
        let (edge, server) = (edge.clone(), server.clone());
        tokio::spawn(async move {
            let _slot = slot;
            connection(socket, peer, edge, &server, watcher).await;
        });
    }
    drop(listener);
    if tokio::time::timeout(shutdown.limit(), graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("drain limit reached; open streams are cut");
    }
}

async fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    edge: Arc<Edge>,
    server: &auto::Builder<TokioExecutor>,
    watcher: hyper_util::server::graceful::Watcher,
) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "nodelay");
    }
    let service = hyper_util::service::TowerToHyperService::new(tower::service_fn(move |request| {
        let edge = edge.clone();
        async move { Ok::<_, Infallible>(edge.handle(request, peer).await) }
    }));
    let serving = server.serve_connection(TokioIo::new(socket), service).into_owned();
    if let Err(error) = watcher.watch(serving).await {
        tracing::debug!(%peer, %error, "connection ended");
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_SIZE)
        .max_headers(MOST_HEADERS)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(Duration::from_secs(10))
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(32 << 10)
        .initial_stream_window_size(256 << 10)
        .initial_connection_window_size(1 << 20)
        .max_pending_accept_reset_streams(50);
    builder
}

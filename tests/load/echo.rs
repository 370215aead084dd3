//! The other floor: what a unary gRPC call costs when the server does nothing. It runs in this process.

use crate::{
    args::Args,
    engine::Target,
    plan::{Job, Kind},
};
use anyhow::{Result, ensure};
use bytes::Bytes;
use futures::future::BoxFuture;
use http::uri::PathAndQuery;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};
use tenantry_tests::RawCodec;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{
    Request, Response, Status,
    body::Body,
    server::{NamedService, UnaryService},
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

const PATH: &str = "/tenantry.load.Echo/Echo";
/// About what the real answers weigh.
const RECORD: usize = 300;
const PAGE: usize = 20 * RECORD;

/// A server that answers with what it was sent, and connections to it.
pub(crate) struct Echo {
    channels: Vec<Channel>,
    next: AtomicUsize,
    server: JoinHandle<()>,
}

impl Echo {
    /// On a free port of the loopback interface.
    pub(crate) async fn start(args: &Args) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = Endpoint::from_shared(format!("http://{}", listener.local_addr()?))?;
        let server = tokio::spawn(async move {
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            // A server that ends shows as failed requests.
            drop(
                Server::builder()
                    .add_service(EchoService)
                    .serve_with_incoming(incoming)
                    .await,
            );
        });
        Ok(Self {
            channels: (0..args.connections).map(|_| endpoint.connect_lazy()).collect(),
            next: AtomicUsize::new(0),
            server,
        })
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Target for Echo {
    fn ask(&self, job: Job) -> BoxFuture<'static, Result<()>> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.channels.len();
        let mut grpc = tonic::client::Grpc::new(self.channels[turn].clone());
        Box::pin(async move {
            let weight = if job.kind == Kind::List { PAGE } else { RECORD };
            grpc.ready().await?;
            let request = Request::new(Bytes::from(vec![b'x'; weight]));
            let answer = grpc.unary(request, PathAndQuery::from_static(PATH), RawCodec).await?;
            ensure!(answer.into_inner().len() == weight, "the echo is not what was sent");
            Ok(())
        })
    }
}

#[derive(Clone)]
struct EchoService;

impl NamedService for EchoService {
    const NAME: &'static str = "tenantry.load.Echo";
}

impl tower::Service<http::Request<Body>> for EchoService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(async move { Ok(tonic::server::Grpc::new(RawCodec).unary(Reply, request).await) })
    }
}

struct Reply;

impl UnaryService<Bytes> for Reply {
    type Response = Bytes;
    type Future = Ready<Result<Response<Bytes>, Status>>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        ready(Ok(Response::new(request.into_inner())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[tokio::test]
    async fn the_echo_answers_what_it_was_sent() {
        let echo = Echo::start(&Args::parse_from(["load", "--world", "w"]))
            .await
            .expect("started");
        for kind in Kind::ALL {
            let job = Job {
                kind,
                tenant: 0,
                record: 0,
                priority: 0,
            };
            echo.ask(job).await.expect("answered");
        }
    }
}

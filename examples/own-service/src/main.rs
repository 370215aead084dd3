//! A service of your own on Tenantry's stack: tokens, tenant status, roles, deadlines, logs, metrics and shutdown come
//! with `libs/server`; what is left is the handler. It must never look for the tenant anywhere but in `ctx`.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::{io::Write, path::Path, sync::Arc};
use tenantry_config::{Endpoint, Identity, Listen, Telemetry};
use tenantry_kernel::{Role, SystemClock};
use tenantry_server::{Peers, Readiness, Server, Shutdown, channel, unary};
use tenantry_tenancy::{TenantRouter, TokenSource};
use tonic::{Request, Response, Status};

#[allow(unreachable_pub, clippy::all, clippy::restriction, reason = "generated code")]
mod proto {
    tonic::include_proto!("example.greeting.v1");
}
use proto::{
    GreetRequest, GreetResponse,
    greeting_service_server::{GreetingService, GreetingServiceServer},
};

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.binpb"));

/// The name that auth knows: the identity of this process and the audience of its tokens.
const SERVICE: &str = "greeting";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    dev: bool,
    listen: Listen,
    auth: Endpoint,
    registry: Endpoint,
    identity: Identity,
    #[serde(default)]
    telemetry: Telemetry,
}

struct Greeter;

#[tonic::async_trait]
impl GreetingService for Greeter {
    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<GreetResponse>, Status> {
        unary(request, async |ctx, message| {
            let tenant_display_name = ctx.route()?.display_name.clone();
            let role = ctx.principal().role.map_or("nobody", Role::as_str);
            let text = format!("Hello {}, {role} of {tenant_display_name}!", message.nickname);
            Ok(GreetResponse {
                text,
                tenant_display_name,
                role: role.to_owned(),
            })
        })
        .await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args()
        .nth(1)
        .context("usage: own-service CONFIG.toml | descriptors")?;
    if file == "descriptors" {
        return Ok(std::io::stdout().write_all(DESCRIPTORS)?); // for the gateway
    }
    let config: Config = tenantry_config::load("", Some(Path::new(&file)))?;
    config.listen.validate("listen", config.dev)?;
    config.auth.validate("auth", config.dev)?;
    config.registry.validate("registry", config.dev)?;
    config.identity.validate("identity", config.dev)?;
    let telemetry = tenantry_telemetry::init(SERVICE, &config.telemetry)?;
    let shutdown = Shutdown::install(config.listen.shutdown_delay());
    let readiness = Readiness::until(&shutdown);

    let peers = Peers::connect(&config.auth.endpoint, &config.identity, Arc::new(SystemClock))?;
    peers.watch_revocations(readiness.latch("revocations"), shutdown.token());
    let issuer = peers.clone();
    let token: TokenSource = Arc::new(move || {
        let issuer = issuer.clone();
        Box::pin(async move { issuer.service_token("registry", None).await })
    });
    let router = TenantRouter::new(channel(&config.registry.endpoint)?, token);
    let routes = readiness.latch("routes");
    router.watch(shutdown.token(), || routes.release());

    let server = Server::new(SERVICE, &config.listen)
        .descriptors(DESCRIPTORS)
        .authenticator(peers.authenticator(SERVICE))
        .resolver(router)
        .revocations(peers.revocations())
        .readiness(readiness)
        .add_service(GreetingServiceServer::new(Greeter));
    let served = server.serve(&shutdown).await;
    telemetry.shutdown().await;
    Ok(served?)
}

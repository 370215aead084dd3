//! The real stack over a real socket: every station refuses what it is there for, and lets the rightful call through.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test may fail by panic, and one handler panics on purpose"
)]

use bytes::Bytes;
use chrono::{DateTime, Duration as Span};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioExecutor;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex},
    time::Duration,
};
use tenantry_api::registry::{
    GetBrandingDraftRequest, GetBrandingRequest, GetBrandingResponse, UpdateBrandingRequest, UpdateBrandingResponse,
    branding_service_client::BrandingServiceClient,
    branding_service_server::{BrandingService, BrandingServiceServer},
};
use tenantry_config::Listen;
use tenantry_kernel::{
    BoxFuture, Brand, Clock, Error, Limits, ManualClock, Placement, Reason, Resolve, Role, TenantId, TenantRoute,
    TenantStatus, TransactionClaims,
};
use tenantry_server::{
    Authenticate, REASON_HEADER, Readiness, Revocation, Revocations, Revoked, Server, Shutdown, error_of, unary,
};
use tonic::{Code, Request, Response, Status, transport::Channel};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
};
use uuid::Uuid;

const ACME: u128 = 1;
const SUSPENDED: u128 = 2;
const CREATING: u128 = 3;
const DELETED: u128 = 4;
/// Between being asked to stop and draining.
const DELAY: Duration = Duration::from_secs(1);

fn tenant(n: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(n))
}

/// Answers with whatever claims the test wants next; `None` = no credentials.
struct Claims(Mutex<Option<TransactionClaims>>);

impl Authenticate for Claims {
    fn authenticate<'a>(&'a self, _: &'a HeaderMap) -> BoxFuture<'a, Result<TransactionClaims, Error>> {
        let claims = self.0.lock().unwrap().clone();
        Box::pin(
            async move { claims.ok_or_else(|| Error::new(Reason::CredentialsMissing, "Credentials are required.")) },
        )
    }
}

struct Routes;

impl Resolve for Routes {
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>, Error>> {
        let status = match tenant.uuid().as_u128() {
            SUSPENDED => TenantStatus::Suspended,
            CREATING => TenantStatus::Creating,
            DELETED => TenantStatus::Deleted,
            _ => TenantStatus::Active,
        };
        let limits = Limits {
            requests_per_second: 1,
            burst: 1,
            users: 1,
            object_types: 1,
            records: 1,
            api_keys: 1,
            requests_per_month: 0,
        };
        let route = TenantRoute {
            tenant,
            slug: "acme".to_owned(),
            display_name: String::new(),
            domains: Vec::new(),
            status,
            epoch: 1,
            placement: Placement::Schema,
            cell: String::new(),
            plan: String::new(),
            limits,
            features: Default::default(),
            brand: Brand::default(),
        };
        Box::pin(async move { Ok(Arc::new(route)) })
    }
    fn by_slug<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>, Error>> {
        Box::pin(async { Err(Error::not_found()) })
    }
    fn by_domain<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>, Error>> {
        Box::pin(async { Err(Error::not_found()) })
    }
}

/// Does what the metadata `x-test` says, and counts how often it was reached.
#[derive(Clone, Default)]
struct Handler(Arc<Mutex<Vec<TenantId>>>);

#[tonic::async_trait]
impl BrandingService for Handler {
    async fn get_branding(
        &self,
        request: Request<GetBrandingRequest>,
    ) -> Result<Response<GetBrandingResponse>, Status> {
        let wish = request
            .metadata()
            .get("x-test")
            .map(|wish| wish.to_str().unwrap().to_owned());
        unary(request, async |ctx, _| {
            self.0.lock().unwrap().push(ctx.tenant()?);
            match wish.as_deref() {
                Some("panic") => panic!("on purpose"),
                Some("hang") => tokio::time::sleep(Duration::from_secs(60)).await,
                _ => {}
            }
            Ok(GetBrandingResponse::default())
        })
        .await
    }
    async fn update_branding(
        &self,
        request: Request<UpdateBrandingRequest>,
    ) -> Result<Response<UpdateBrandingResponse>, Status> {
        unary(request, async |ctx, _| {
            self.0.lock().unwrap().push(ctx.tenant()?);
            Ok(UpdateBrandingResponse::default())
        })
        .await
    }
}

struct World {
    address: SocketAddr,
    admin: SocketAddr,
    client: BrandingServiceClient<Channel>,
    claims: Arc<Claims>,
    revocations: Arc<Revocations>,
    clock: ManualClock,
    handler: Handler,
    shutdown: Shutdown,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.token().cancel();
    }
}

fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn user(n: u128, role: Role, iat_ms: i64) -> TransactionClaims {
    TransactionClaims {
        iss: String::new(),
        aud: String::new(),
        sub: format!("user:{}", Uuid::from_u128(70)),
        tid: Some(tenant(n)),
        sid: Some(Uuid::from_u128(71).to_string().parse().unwrap()),
        act: None,
        role: Some(role),
        scopes: Vec::new(),
        dbc: None,
        iat: iat_ms / 1000,
        iat_ms,
        exp: 0,
        jti: String::new(),
    }
}

async fn start() -> World {
    let clock = ManualClock::new(DateTime::from_timestamp(1_800_000_000, 0).unwrap());
    let claims = Arc::new(Claims(Mutex::new(None)));
    let (revocations, handler, shutdown) = (
        Arc::new(Revocations::default()),
        Handler::default(),
        Shutdown::after(DELAY),
    );
    revocations.apply(&[], clock.now());
    let listen = Listen {
        shutdown_delay_seconds: 0,
        grpc: free(),
        admin: free(),
    };
    let server = Server::new("registry", &listen)
        .authenticator(claims.clone())
        .resolver(Arc::new(Routes))
        .revocations(revocations.clone())
        .clock(Arc::new(clock.clone()))
        .readiness(Readiness::until(&shutdown))
        .add_service(BrandingServiceServer::new(handler.clone()));
    let stop = shutdown.clone();
    tokio::spawn(async move { server.serve(&stop).await.unwrap() });
    let endpoint = Channel::from_shared(format!("http://{}", listen.grpc)).unwrap();
    let mut channel = endpoint.connect().await;
    for _ in 0..200 {
        if channel.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        channel = endpoint.connect().await;
    }
    World {
        address: listen.grpc,
        admin: listen.admin,
        client: BrandingServiceClient::new(channel.unwrap()),
        claims,
        revocations,
        clock,
        handler,
        shutdown,
    }
}

impl World {
    fn now(&self) -> i64 {
        self.clock.now().timestamp_millis()
    }
    fn calls_as(&self, claims: Option<TransactionClaims>) {
        *self.claims.0.lock().unwrap() = claims;
    }
    async fn get(&self, wish: &'static str) -> Result<(), Status> {
        let mut request = Request::new(GetBrandingRequest::default());
        request.metadata_mut().insert("x-test", wish.parse().unwrap());
        self.client.clone().get_branding(request).await.map(|_| ())
    }
    async fn update(&self) -> Result<(), Status> {
        let request = UpdateBrandingRequest::default();
        self.client.clone().update_branding(request).await.map(|_| ())
    }
    /// What a probe of the kubelet sees.
    async fn ready(&self) -> (u16, String) {
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let answer = client.get(format!("http://{}/readyz", self.admin).parse().unwrap());
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&text).into_owned())
    }
    /// The service's health over gRPC.
    async fn health(&self) -> i32 {
        let channel = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        let request = HealthCheckRequest {
            service: "tenantry.registry.v1.BrandingService".to_owned(),
        };
        let mut client = HealthClient::new(channel.connect().await.unwrap());
        client.check(request).await.unwrap().into_inner().status
    }
    /// A call by hand: the head of its answer.
    async fn by_hand(&self, method: &str, headers: &[(&str, &str)], body: &'static [u8]) -> HeaderMap {
        let mut request = http::Request::post(format!("http://{}/{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build_http();
        let request = request.body(Full::new(Bytes::from_static(body))).unwrap();
        client.request(request).await.unwrap().headers().clone()
    }
    /// A call that does not end at its own `grpc-timeout` as the generated client does: code and reason.
    async fn hang(&self, grpc_timeout: &str) -> (String, String) {
        let headers = [("x-test", "hang"), ("grpc-timeout", grpc_timeout)];
        let method = "tenantry.registry.v1.BrandingService/GetBranding";
        let headers = self.by_hand(method, &headers, &[0; 5]).await;
        let text = |name: &str| headers[name].to_str().unwrap().to_owned();
        (text("grpc-status"), text(REASON_HEADER))
    }
    /// The reason of a refusal, which must not have reached the handler.
    async fn refused(&self, call: impl Future<Output = Result<(), Status>>) -> Reason {
        let before = self.handler.0.lock().unwrap().len();
        let status = call.await.unwrap_err();
        assert_eq!(
            self.handler.0.lock().unwrap().len(),
            before,
            "the handler ran: {status}"
        );
        error_of(&status).reason()
    }
}

#[tokio::test]
async fn the_rightful_caller_passes_and_the_handler_gets_its_tenant() {
    let world = start().await;
    assert_eq!(world.refused(world.get("")).await, Reason::CredentialsMissing);
    world.calls_as(Some(user(ACME, Role::Admin, world.now())));
    world.get("").await.unwrap();
    world.update().await.unwrap();
    assert_eq!(*world.handler.0.lock().unwrap(), [tenant(ACME); 2]);
    world.calls_as(Some(user(ACME, Role::Viewer, world.now())));
    world.get("").await.unwrap();
    assert_eq!(world.refused(world.update()).await, Reason::PermissionDenied);
}

#[tokio::test]
async fn what_was_revoked_is_refused_and_a_newer_token_passes() {
    let world = start().await;
    for what in [
        Revoked::Tenant,
        Revoked::User(Uuid::from_u128(70)),
        Revoked::Session(Uuid::from_u128(71)),
    ] {
        world.calls_as(Some(user(ACME, Role::Admin, world.now())));
        world.get("").await.unwrap();
        let foreign = Revocation {
            tenant: tenant(9),
            what,
            not_before: world.clock.now(),
        };
        world.revocations.apply(&[foreign], world.clock.now());
        world.get("").await.unwrap();
        let own = Revocation {
            tenant: tenant(ACME),
            ..foreign
        };
        world.revocations.apply(&[own], world.clock.now());
        assert_eq!(
            world.refused(world.get("")).await,
            Reason::CredentialsInvalid,
            "{what:?}"
        );
        world.clock.advance(Span::milliseconds(1));
    }
}

#[tokio::test]
async fn a_tenant_that_is_not_active_is_not_served() {
    let world = start().await;
    for (n, reason) in [
        (SUSPENDED, Reason::TenantSuspended),
        (CREATING, Reason::TenantNotActive),
        (DELETED, Reason::TenantNotFound),
    ] {
        world.calls_as(Some(user(n, Role::Owner, world.now())));
        assert_eq!(world.refused(world.get("")).await, reason);
    }
    world.calls_as(Some(user(ACME, Role::Owner, world.now())));
    world.get("").await.unwrap();
}

#[tokio::test]
async fn without_news_of_revocations_reads_go_on_and_changes_stop() {
    let world = start().await;
    world.calls_as(Some(user(ACME, Role::Admin, world.now())));
    world.clock.advance(Span::seconds(29));
    world.update().await.unwrap();
    world.clock.advance(Span::seconds(2));
    assert_eq!(world.refused(world.update()).await, Reason::RevocationStale);
    world.get("").await.unwrap();
    world.revocations.apply(&[], world.clock.now());
    world.update().await.unwrap();
}

#[tokio::test]
async fn a_hanging_handler_ends_at_the_deadline_and_a_panic_harms_one_call_only() {
    let world = start().await;
    world.calls_as(Some(user(ACME, Role::Admin, world.now())));
    let ended = tokio::time::timeout(Duration::from_secs(9), world.hang("50m")).await;
    let (code, reason) = ended.expect("the server ends it");
    assert_eq!((code.as_str(), reason.as_str()), ("4", "DEADLINE_EXCEEDED"));

    let status = world.get("panic").await.unwrap_err();
    assert_eq!(
        (status.code(), error_of(&status).reason()),
        (Code::Internal, Reason::Internal)
    );
    assert!(!status.message().contains("on purpose"), "{status}");
    world.get("").await.unwrap();
}

#[tokio::test]
async fn a_method_that_nobody_implements_says_so() {
    let world = start().await;
    world.calls_as(Some(user(ACME, Role::Admin, world.now())));
    let request = Request::new(GetBrandingDraftRequest {});
    let known = world.client.clone().get_branding_draft(request).await.unwrap_err();
    let error = error_of(&known);
    assert_eq!(
        (known.code(), error.reason()),
        (Code::Unimplemented, Reason::Unimplemented)
    );
    assert!(error.public().contains("reflection"), "{known:?}");
    for path in [
        "tenantry.registry.v1.BrandingService/MadeUp",
        "tenantry.made_up.v1.MadeUpService/Get",
    ] {
        let headers = world.by_hand(path, &[], &[0; 5]).await;
        assert_eq!(
            (&headers["grpc-status"], &headers[REASON_HEADER]),
            (&"12".parse().unwrap(), &"UNIMPLEMENTED".parse().unwrap()),
            "{path}: {headers:?}"
        );
        assert!(headers.contains_key("grpc-status-details-bin"), "{path}: {headers:?}");
    }
    // A compression that is not spoken has the same code in the library, and is the caller's mistake.
    let squeezed = [("grpc-encoding", "gzip")];
    let headers = world
        .by_hand(
            "tenantry.registry.v1.BrandingService/GetBranding",
            &squeezed,
            &[1, 0, 0, 0, 0],
        )
        .await;
    assert_eq!(headers[REASON_HEADER], "MALFORMED_REQUEST", "{headers:?}");
}

#[tokio::test]
async fn a_process_that_was_asked_to_stop_is_unready_and_serves_until_it_drains() {
    let world = start().await;
    world.calls_as(Some(user(ACME, Role::Admin, world.now())));
    assert_eq!(world.ready().await, (200, "ready\n".to_owned()));
    assert_eq!(world.health().await, ServingStatus::Serving as i32);

    let asked = world.shutdown.clone();
    let draining = tokio::spawn(async move { asked.begin().await });
    world.shutdown.asked().cancelled().await;
    assert_eq!(world.ready().await, (503, "shutting down\n".to_owned()));
    while world.health().await != ServingStatus::NotServing as i32 {}
    world.get("").await.unwrap();
    assert!(
        !world.shutdown.token().is_cancelled(),
        "new connections were still taken"
    );

    draining.await.unwrap();
    let gone = Channel::from_shared(format!("http://{}", world.address)).unwrap();
    while gone.connect().await.is_ok() {}
}

#[tokio::test]
async fn a_call_whose_caller_has_gone_is_counted() {
    let world = start().await;
    world.calls_as(Some(user(ACME, Role::Admin, world.now())));
    let before = world.handler.0.lock().unwrap().len();
    tokio::select! {
        ended = world.get("hang") => panic!("{ended:?}"),
        () = async {
            while world.handler.0.lock().unwrap().len() == before {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    let counted = |text: &str| {
        let cancelled = |line: &&str| line.starts_with("tenantry_requests_total{") && line.contains("CANCELLED");
        text.lines().any(|line| cancelled(&line) && line.ends_with(" 1"))
    };
    while !counted(&tenantry_telemetry::metrics_text()) {
        tokio::task::yield_now().await;
    }
}

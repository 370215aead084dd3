//! Through the real request stack: what a client sees on the wire.

use crate::world::{World, operator};
use prost::Message;
use std::{net::TcpListener, sync::Arc, time::Duration};
use tenantry_api::{
    common::OperationMetadata,
    google::longrunning::{Operation, operation::Result as Outcome},
    registry::{
        CreateTenantRequest, CreateTenantResult, GetBrandingRequest, GetOperationRequest, GetTenantRequest,
        ListPlansRequest, LookupRouteRequest, SuspendTenantRequest, Tenant, TenantState, UpdateTenantRequest,
        WaitOperationRequest, WatchRoutesRequest, branding_service_server::BrandingServiceServer,
        clone_service_server::CloneServiceServer, lookup_route_request::By,
        operation_service_client::OperationServiceClient, operation_service_server::OperationServiceServer,
        plan_service_client::PlanServiceClient, plan_service_server::PlanServiceServer,
        route_service_client::RouteServiceClient, route_service_server::RouteServiceServer,
        tenant_service_client::TenantServiceClient, tenant_service_server::TenantServiceServer,
    },
};
use tenantry_config::Listen;
use tenantry_kernel::{BoxFuture, Clock, Error, Reason, Role, SystemClock, TenantId, TransactionClaims};
use tenantry_registry::{
    jobs,
    rpc::{BrandingRpc, CloneRpc, Links, OperationRpc, PlanRpc, RouteRpc, TenantRpc},
};
use tenantry_server::{Authenticate, Readiness, Revocations, Server, Shutdown, bearer, error_of};
use tonic::{Code, Request, transport::Channel};

/// Believes a caller who says "operator", "viewer", "service" (the gateway) or "backup".
struct Believer;

impl Authenticate for Believer {
    fn authenticate<'a>(&'a self, headers: &'a http::HeaderMap) -> BoxFuture<'a, Result<TransactionClaims, Error>> {
        Box::pin(async move {
            let who = bearer(headers)?;
            let id = "0192b0a0-0000-7000-8000-00000000000a";
            let user = !matches!(who, "service" | "backup");
            let role = match who {
                "operator" => Some(Role::Owner),
                "viewer" => Some(Role::Viewer),
                _ => None,
            };
            let now = SystemClock.now().timestamp();
            Ok(TransactionClaims {
                iss: String::new(),
                aud: "registry".to_owned(),
                sub: if user {
                    format!("user:{id}")
                } else if who == "backup" {
                    "service:backup".to_owned()
                } else {
                    "service:gateway".to_owned()
                },
                tid: user.then_some(TenantId::PLATFORM),
                sid: user.then(|| id.parse().expect("an id")),
                act: None,
                role,
                scopes: Vec::new(),
                dbc: None,
                iat: now,
                iat_ms: now * 1000,
                exp: now + 60,
                jti: String::new(),
            })
        })
    }
}

pub(crate) struct Wire {
    pub(crate) channel: Channel,
    pub(crate) shutdown: Shutdown,
}

impl Wire {
    pub(crate) async fn over(world: &World) -> Self {
        let free = || {
            TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .expect("a port")
        };
        let listen = Listen {
            shutdown_delay_seconds: 0,
            grpc: free(),
            admin: free(),
        };
        let shutdown = Shutdown::default();
        let links = Links {
            base_uri_template: "http://{slug}.localhost:8080".to_owned(),
        };
        let revocations = Arc::new(Revocations::default());
        revocations.apply(&[], SystemClock.now() + chrono::Duration::hours(1));
        let readiness = Readiness::default();
        tokio::spawn(jobs::routes::run(
            world.routes.clone(),
            readiness.latch("routes"),
            shutdown.token(),
        ));
        let server = Server::new("registry", &listen)
            .authenticator(Arc::new(Believer))
            .resolver(world.routes.clone())
            .revocations(revocations)
            .readiness(readiness)
            .add_service(CloneServiceServer::new(CloneRpc::new(
                world.tenants.clone(),
                world.operations.clone(),
                links.clone(),
            )))
            .add_service(TenantServiceServer::new(TenantRpc::new(
                world.tenants.clone(),
                links.clone(),
            )))
            .add_service(PlanServiceServer::new(PlanRpc::new(world.plans.clone())))
            .add_service(BrandingServiceServer::new(BrandingRpc::new(world.branding.clone())))
            .add_service(OperationServiceServer::new(OperationRpc::new(
                world.operations.clone(),
                links,
            )))
            .add_service(RouteServiceServer::new(RouteRpc::new(
                world.routes.clone(),
                shutdown.token(),
            )));
        let stop = shutdown.clone();
        tokio::spawn(async move { server.serve(&stop).await.expect("serves") });
        let channel = tenantry_server::channel(&format!("http://{}", listen.grpc)).expect("an endpoint");
        let wire = Self { channel, shutdown };
        tenantry_testkit::eventually("the server answers", || async {
            PlanServiceClient::new(wire.channel.clone())
                .list_plans(call("viewer", ListPlansRequest::default()))
                .await
                .map_err(|s| s.to_string())
        })
        .await;
        wire
    }
    fn tenants(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.channel.clone())
    }
    fn operations(&self) -> OperationServiceClient<Channel> {
        OperationServiceClient::new(self.channel.clone())
    }
    fn routes(&self) -> RouteServiceClient<Channel> {
        RouteServiceClient::new(self.channel.clone())
    }
}

pub(crate) fn call<T>(who: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {who}").parse().expect("ascii"));
    request
}

fn create(slug: &str, request_id: &str) -> CreateTenantRequest {
    CreateTenantRequest {
        tenant: Some(Tenant {
            slug: slug.to_owned(),
            plan: "plans/team".to_owned(),
            ..Tenant::default()
        }),
        admin_email: "ada@acme.example".to_owned(),
        admin_display_name: "Ada".to_owned(),
        request_id: request_id.to_owned(),
    }
}

fn metadata(operation: &Operation) -> OperationMetadata {
    let any = operation.metadata.as_ref().expect("metadata");
    assert_eq!(any.type_url, "type.googleapis.com/tenantry.common.v1.OperationMetadata");
    OperationMetadata::decode(any.value.as_slice()).expect("metadata")
}

#[tokio::test]
async fn onboarding_as_a_client_sees_it() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let started = wire
        .tenants()
        .create_tenant(call("operator", create("acme", "r-1")))
        .await
        .expect("started")
        .into_inner();
    let started = started.operation.expect("an operation");
    assert!(started.name.starts_with("operations/registry-") && !started.done && started.result.is_none());
    assert_eq!(
        (metadata(&started).verb.as_str(), metadata(&started).total_units),
        ("create_tenant", 3)
    );
    let again = wire
        .tenants()
        .create_tenant(call("operator", create("acme", "r-1")))
        .await
        .expect("replayed")
        .into_inner();
    assert_eq!(again.operation.expect("an operation").name, started.name);
    let reused = wire
        .tenants()
        .create_tenant(call("operator", create("globex", "r-1")))
        .await
        .expect_err("another payload");
    assert_eq!(error_of(&reused).reason(), Reason::IdempotencyKeyReused);

    let wait = WaitOperationRequest {
        name: started.name.clone(),
        timeout: None,
    };
    let mut operations = wire.operations();
    let (waited, ()) = tokio::join!(operations.wait_operation(call("operator", wait)), world.settle());
    let over = waited.expect("over").into_inner().operation.expect("an operation");
    assert!(over.done);
    let Some(Outcome::Response(any)) = &over.result else {
        panic!("{over:?}")
    };
    assert_eq!(
        any.type_url,
        "type.googleapis.com/tenantry.registry.v1.CreateTenantResult"
    );
    let result = CreateTenantResult::decode(any.value.as_slice()).expect("a result");
    assert_eq!(result.invite_uri, "http://acme.localhost:8080/accept?token=tlk_invite");
    let tenant = result.tenant.expect("a tenant");
    assert_eq!(
        (tenant.state(), tenant.plan.as_str()),
        (TenantState::Active, "plans/team")
    );
    assert_eq!(metadata(&over).progress_percent, 100);

    // A viewer sees the operation, but not the link that makes somebody owner; and may not change anything.
    let get = GetOperationRequest {
        name: started.name.clone(),
    };
    let seen = wire
        .operations()
        .get_operation(call("viewer", get))
        .await
        .expect("seen")
        .into_inner()
        .operation
        .expect("an operation");
    let Some(Outcome::Response(any)) = &seen.result else {
        panic!("{seen:?}")
    };
    assert_eq!(
        CreateTenantResult::decode(any.value.as_slice())
            .expect("a result")
            .invite_uri,
        ""
    );
    let denied = wire
        .tenants()
        .create_tenant(call("viewer", create("globex", "")))
        .await
        .expect_err("a viewer");
    assert_eq!(denied.code(), Code::PermissionDenied);

    let by_slug = GetTenantRequest {
        name: "tenants/acme".to_owned(),
    };
    assert_eq!(
        wire.tenants()
            .get_tenant(call("viewer", by_slug))
            .await
            .expect("found")
            .into_inner()
            .tenant,
        Some(tenant.clone())
    );
    for missing in [
        "tenants/nobody",
        "tenants/operator",
        "tenants/00000000-0000-7000-8000-000000000001",
    ] {
        let get = GetTenantRequest {
            name: missing.to_owned(),
        };
        assert_eq!(
            wire.tenants()
                .get_tenant(call("operator", get))
                .await
                .expect_err("missing")
                .code(),
            Code::NotFound
        );
    }
    let bad = wire
        .tenants()
        .create_tenant(call("operator", create("Not a slug", "")))
        .await
        .expect_err("bad");
    assert_eq!(
        error_of(&bad).fields().first().map(|field| field.field.as_str()),
        Some("tenant.slug")
    );
    let immutable = UpdateTenantRequest {
        tenant: Some(tenant),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["slug".to_owned()],
        }),
        request_id: String::new(),
    };
    let refused = wire
        .tenants()
        .update_tenant(call("operator", immutable))
        .await
        .expect_err("immutable");
    assert_eq!(error_of(&refused).reason(), Reason::UnknownField);
    wire.shutdown.token().cancel();
    world.drop().await;
}

#[tokio::test]
async fn a_failed_onboarding_says_what_failed() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    world.arm("registry.create_tenant.activate.before_send");
    let started = wire
        .tenants()
        .create_tenant(call("operator", create("acme", "")))
        .await
        .expect("started")
        .into_inner();
    world.settle().await;
    let get = GetOperationRequest {
        name: started.operation.expect("an operation").name,
    };
    let over = wire
        .operations()
        .get_operation(call("operator", get))
        .await
        .expect("seen")
        .into_inner()
        .operation
        .expect("an operation");
    let Some(Outcome::Error(status)) = &over.result else {
        panic!("{over:?}")
    };
    assert_eq!(status.code, i32::from(Code::FailedPrecondition));
    assert!(status.message.contains("activate"), "{}", status.message);
    assert!(
        status
            .details
            .iter()
            .any(|detail| detail.type_url.ends_with("google.rpc.ErrorInfo"))
    );
    assert!(over.done && metadata(&over).last_error.contains("FAILED_PRECONDITION"));
    wire.shutdown.token().cancel();
    world.drop().await;
}

#[tokio::test]
async fn routes_are_pushed_to_services_and_to_nobody_else() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let member = wire
        .routes()
        .watch_routes(call("operator", WatchRoutesRequest {}))
        .await;
    assert_eq!(member.map(drop).expect_err("not for members").code(), Code::NotFound);
    let mut stream = wire
        .routes()
        .watch_routes(call("service", WatchRoutesRequest {}))
        .await
        .expect("watches")
        .into_inner();
    let mut known = Vec::new();
    loop {
        let message = stream.message().await.expect("a message").expect("goes on");
        known.extend(message.routes);
        if message.snapshot_complete {
            break;
        }
    }
    assert_eq!(
        known.iter().map(|route| route.slug.as_str()).collect::<Vec<_>>(),
        ["operator"]
    );
    let id = world.active("acme").await;
    let suspend = SuspendTenantRequest {
        name: format!("tenants/{id}"),
        reason: "unpaid".to_owned(),
        request_id: String::new(),
    };
    wire.tenants()
        .suspend_tenant(call("operator", suspend))
        .await
        .expect("suspended");
    let mut states = Vec::new();
    while states.last() != Some(&TenantState::Suspended) {
        let message = tokio::time::timeout(Duration::from_secs(20), stream.message())
            .await
            .expect("pushed")
            .expect("a message");
        states.extend(
            message
                .expect("goes on")
                .routes
                .iter()
                .map(tenantry_api::registry::Route::state),
        );
    }
    let by = |by| LookupRouteRequest { by: Some(by) };
    let found = wire
        .routes()
        .lookup_route(call("service", by(By::Slug("acme".to_owned()))))
        .await
        .expect("found")
        .into_inner();
    assert_eq!(found.route.expect("a route").tenant_id, id.to_string());
    let missing = wire
        .routes()
        .lookup_route(call("service", by(By::Domain("nobody.example".to_owned()))))
        .await
        .expect_err("missing");
    assert_eq!(missing.code(), Code::NotFound);
    world.settle().await;
    let purge = world
        .tenants
        .delete(
            &operator(),
            &tenantry_registry::domain::TenantName::Id(id),
            "",
            true,
            &crate::world::no_key(),
        )
        .await;
    purge.expect("purges");
    world.settle().await;
    let removed = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            let message = stream.message().await.expect("a message").expect("goes on");
            if let Some(route) = message.routes.into_iter().find(|route| route.removed) {
                return route;
            }
        }
    });
    assert_eq!(removed.await.expect("pushed").tenant_id, id.to_string());
    // A draining process ends its streams at once.
    wire.shutdown.token().cancel();
    let end = tokio::time::timeout(Duration::from_secs(8), async {
        while let Ok(Some(_)) = stream.message().await {}
    });
    end.await.expect("ends");
    world.drop().await;
}

#[tokio::test]
async fn branding_without_a_database_context_is_refused() {
    use tenantry_api::registry::branding_service_client::BrandingServiceClient;
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let refused = BrandingServiceClient::new(wire.channel.clone())
        .get_branding(call("operator", GetBrandingRequest {}))
        .await;
    assert_eq!(refused.expect_err("no context").code(), Code::Internal);
    wire.shutdown.token().cancel();
    world.drop().await;
}

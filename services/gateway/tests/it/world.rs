//! Tenants acme, globex and initech, frozen (suspended) and gone (deleted); an auth that knows them by their tokens; services
//! that answer with what they saw.

use crate::answer::{Answer, unchunk};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tenantry_api::{
    auth::{
        self, GetCurrentSessionRequest, GetCurrentSessionResponse, GetJwksRequest, GetJwksResponse, Jwk, SignInRequest,
        SignInResponse, SignOutRequest, SignOutResponse, User,
        login_service_server::{LoginService, LoginServiceServer},
        session_service_server::{SessionService, SessionServiceServer},
        user_service_server::UserServiceServer,
    },
    backup::{operation_service_server as of_backup, snapshot_service_server::SnapshotServiceServer},
    business::{
        self, GetRecordRequest, GetRecordResponse, Import, ListRecordsRequest, ListRecordsResponse, Record,
        UploadImportRequest, UploadImportResponse, WatchRecordsRequest, WatchRecordsResponse,
        import_service_server::{ImportService, ImportServiceServer},
        object_type_service_server::ObjectTypeServiceServer,
        operation_service_server as of_business,
        record_service_server::{RecordService, RecordServiceServer},
    },
    registry::branding_service_server::BrandingServiceServer,
};
use tenantry_gateway::{
    Config,
    app::quotas::Quotas,
    clients::{Exchanged, Tokens, Upstreams},
    edge::listener,
    wiring::{self, World},
};
use tenantry_kernel::{
    BoxFuture, Clock, Error, Reason, RequestId, Resolve, Result, SystemClock, SystemIds, TenantId, TenantRoute,
    TenantStatus,
};
use tenantry_server::Shutdown;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_stream::{StreamExt, wrappers::TcpListenerStream};
use tonic::{Code, Request, Response, Status, Streaming, codegen::BoxStream, metadata::MetadataMap};

pub(crate) const ACME: &str = "0192b0a0-0000-7000-8000-0000000000aa";
pub(crate) const GLOBEX: &str = "0192b0a0-0000-7000-8000-0000000000bb";
const FROZEN: &str = "0192b0a0-0000-7000-8000-0000000000cc";
const GONE: &str = "0192b0a0-0000-7000-8000-0000000000dd";
pub(crate) const INITECH: &str = "0192b0a0-0000-7000-8000-0000000000ee";

pub(crate) fn id(text: &str) -> TenantId {
    text.parse().expect("an id")
}

/// A token of the shape of an access token that auth below accepts.
pub(crate) fn token(tenant: &str) -> String {
    use base64::Engine;
    let claims = format!("{{\"tid\":\"{tenant}\"}}");
    format!(
        "e30.{}.signed",
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims)
    )
}

struct Routes;

fn route(slug: &str) -> Result<Arc<TenantRoute>> {
    let (tenant, status) = match slug {
        "acme" => (ACME, TenantStatus::Active),
        "globex" => (GLOBEX, TenantStatus::Active),
        "frozen" => (FROZEN, TenantStatus::Suspended),
        "gone" => (GONE, TenantStatus::Deleted),
        "initech" => (INITECH, TenantStatus::Active),
        _ => {
            return Err(Error::new(
                Reason::TenantNotFound,
                Error::not_found().public().to_owned(),
            ));
        }
    };
    let mut route = tenantry_gateway::app::gate::platform_route();
    route.tenant = id(tenant);
    route.slug = slug.to_owned();
    route.display_name = format!("{slug} Inc.");
    route.status = status;
    // Initech's plan includes nothing.
    if slug != "initech" {
        route.features = ["custom_types", "import"].map(str::to_owned).into();
    }
    route.brand.display_name = format!("{slug} Help");
    route.brand.primary_color = if slug == "acme" {
        "#ffcc00".to_owned()
    } else {
        "#004488".to_owned()
    };
    Ok(Arc::new(route))
}

impl Resolve for Routes {
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>>> {
        Box::pin(async move {
            ["acme", "globex", "initech", "frozen", "gone"]
                .into_iter()
                .find_map(|slug| route(slug).ok().filter(|route| route.tenant == tenant))
                .map_or_else(|| route("?"), Ok)
        })
    }
    fn by_slug<'a>(&'a self, slug: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async move { route(slug) })
    }
    fn by_domain<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async move { route(if domain == "help.acme.example" { "acme" } else { "?" }) })
    }
}

struct Auth;

impl Tokens for Auth {
    fn exchange<'a>(
        &'a self,
        credential: &'a str,
        audience: &'static str,
        tenant: Option<TenantId>,
    ) -> BoxFuture<'a, Result<Exchanged>> {
        Box::pin(async move {
            let of = [ACME, GLOBEX, INITECH, FROZEN, GONE]
                .into_iter()
                .find(|tenant| credential == token(tenant));
            let own = id(of.ok_or_else(|| {
                Error::new(
                    Reason::CredentialsInvalid,
                    "The credentials are not valid. Sign in again.",
                )
            })?);
            if tenant.is_some_and(|tenant| tenant != own) {
                return Err(Error::new(Reason::TenantMismatch, "of another tenant"));
            }
            let expires = SystemClock.now().timestamp() + 60;
            let subject = "user:1".to_owned();
            Ok(Exchanged {
                token: format!("txn-{own}-{audience}").into(),
                tenant: own,
                subject,
                session: String::new(),
                user: String::new(),
                expires,
            })
        })
    }
    fn service(&self, audience: &'static str, tenant: TenantId) -> BoxFuture<'_, Result<Arc<str>>> {
        Box::pin(async move { Ok(format!("svc-{tenant}-{audience}").into()) })
    }
}

/// What reached a service, by method.
pub(crate) type Seen = Arc<Mutex<HashMap<&'static str, MetadataMap>>>;

#[derive(Clone, Default)]
pub(crate) struct Services(Seen);

impl Services {
    fn saw<T>(&self, method: &'static str, request: &Request<T>) {
        self.0
            .lock()
            .expect("not poisoned")
            .insert(method, request.metadata().clone());
    }
}

fn status(error: &Error) -> Status {
    tenantry_server::status_of(error, &RequestId::parse("upstream").expect("an id"))
}

#[tonic::async_trait]
impl RecordService for Services {
    async fn get_record(&self, request: Request<GetRecordRequest>) -> Result<Response<GetRecordResponse>, Status> {
        self.saw("get", &request);
        let name = request.into_inner().name;
        match name.rsplit('/').next() {
            Some("missing") => return Err(status(&Error::not_found())),
            Some("slow") => tokio::time::sleep(std::time::Duration::from_secs(3600)).await,
            Some("stale") => return Err(status(&Error::etag_mismatch())),
            Some("plain") => return Err(Status::new(Code::Internal, "")),
            _ => {}
        }
        let mut response = Response::new(GetRecordResponse {
            record: Some(Record {
                name,
                etag: "e1".into(),
                ..Record::default()
            }),
        });
        response
            .metadata_mut()
            .insert("x-tenantry-secret", "inside".parse().expect("ascii"));
        Ok(response)
    }
    async fn list_records(
        &self,
        request: Request<ListRecordsRequest>,
    ) -> Result<Response<ListRecordsResponse>, Status> {
        self.saw("list", &request);
        let request = request.into_inner();
        let is_first = request.page_token.is_empty();
        if request.page_size < 0 {
            return Err(status(&Error::invalid_field("page_size", "must not be negative")));
        }
        Ok(Response::new(ListRecordsResponse {
            records: vec![Record {
                name: request.filter,
                ..Record::default()
            }],
            next_page_token: if is_first { "n".into() } else { String::new() },
        }))
    }
    async fn watch_records(
        &self,
        request: Request<WatchRecordsRequest>,
    ) -> Result<Response<BoxStream<WatchRecordsResponse>>, Status> {
        self.saw("watch", &request);
        let request = request.into_inner();
        if request.parent == "objectTypes/none" {
            return Err(status(&Error::not_found()));
        }
        let from = request.resume_token;
        let good = (0..3).map(move |n| {
            Ok(WatchRecordsResponse {
                changes: vec![],
                resume_token: format!("{from}{n}"),
            })
        });
        let end = match request.parent.as_str() {
            "objectTypes/broken" => Some(Err(status(&Error::new(Reason::ResumeTokenExpired, "List again.")))),
            "objectTypes/dying" => Some(Err(status(&Error::internal("on purpose")))),
            _ => None,
        };
        Ok(Response::new(Box::pin(tokio_stream::iter(good.chain(end)))))
    }
}

#[tonic::async_trait]
impl ImportService for Services {
    async fn upload_import(
        &self,
        request: Request<Streaming<UploadImportRequest>>,
    ) -> Result<Response<UploadImportResponse>, Status> {
        self.saw("upload", &request);
        let mut stream = request.into_inner();
        let (mut filename, mut size) = (String::new(), 0_i64);
        while let Some(message) = stream.next().await {
            let message = message?;
            filename.push_str(&message.filename);
            size += i64::try_from(message.chunk.len()).expect("small");
        }
        Ok(Response::new(UploadImportResponse {
            import: Some(Import {
                filename,
                size_bytes: size,
                ..Import::default()
            }),
        }))
    }
}

#[tonic::async_trait]
impl LoginService for Services {
    async fn sign_in(&self, request: Request<SignInRequest>) -> Result<Response<SignInResponse>, Status> {
        self.saw("sign_in", &request);
        let tenant = if request
            .metadata()
            .get("authorization")
            .is_some_and(|v| v.to_str().is_ok_and(|t| t.contains(ACME)))
        {
            ACME
        } else {
            GLOBEX
        };
        let request = request.into_inner();
        if request.password != "right" {
            return Err(status(&Error::new(
                Reason::SignInFailed,
                "E-mail or password is wrong.",
            )));
        }
        let expires_in = Some(prost_types::Duration { seconds: 600, nanos: 0 });
        Ok(Response::new(SignInResponse {
            session_token: token(tenant),
            access_token: "at".into(),
            expires_in,
            ..SignInResponse::default()
        }))
    }
    async fn sign_out(&self, request: Request<SignOutRequest>) -> Result<Response<SignOutResponse>, Status> {
        self.saw("sign_out", &request);
        Ok(Response::new(SignOutResponse {}))
    }
    async fn get_jwks(&self, request: Request<GetJwksRequest>) -> Result<Response<GetJwksResponse>, Status> {
        self.saw("jwks", &request);
        Ok(Response::new(GetJwksResponse {
            keys: vec![Jwk {
                kid: "k1".into(),
                kty: "EC".into(),
                ..Jwk::default()
            }],
        }))
    }
}

#[tonic::async_trait]
impl SessionService for Services {
    async fn get_current_session(
        &self,
        request: Request<GetCurrentSessionRequest>,
    ) -> Result<Response<GetCurrentSessionResponse>, Status> {
        self.saw("current", &request);
        let bearer = request.metadata().get("authorization");
        let bearer = bearer.and_then(|value| value.to_str().ok()).unwrap_or_default();
        // Acme's is an admin, initech's a member, everybody else's a viewer.
        let role = match bearer {
            token if token.contains(ACME) => auth::Role::Admin,
            token if token.contains(INITECH) => auth::Role::Member,
            _ => auth::Role::Viewer,
        };
        let user = User {
            email: "ann@acme.example".into(),
            display_name: "Ann <b>".into(),
            role: role.into(),
            ..User::default()
        };
        Ok(Response::new(GetCurrentSessionResponse {
            user: Some(user),
            ..GetCurrentSessionResponse::default()
        }))
    }
}

/// A running gateway.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Seen,
    pub(crate) quotas: Arc<Quotas>,
    _stop: tokio_util::sync::DropGuard,
}

async fn upstream(services: Services) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tonic::transport::Server::builder()
        .add_service(RecordServiceServer::new(services.clone()))
        .add_service(ImportServiceServer::new(services.clone()))
        .add_service(ObjectTypeServiceServer::new(services.clone()))
        .add_service(LoginServiceServer::new(services.clone()))
        .add_service(UserServiceServer::new(services.clone()))
        .add_service(BrandingServiceServer::new(services.clone()))
        .add_service(SnapshotServiceServer::new(services.clone()))
        .add_service(of_business::OperationServiceServer::new(services.clone()))
        .add_service(of_backup::OperationServiceServer::new(services.clone()))
        .add_service(SessionServiceServer::new(services));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

pub(crate) async fn start() -> Gateway {
    start_with(crate::settings::config()).await
}

pub(crate) async fn start_with(config: Config) -> Gateway {
    let services = Services::default();
    let seen = services.0.clone();
    let address = upstream(services).await;
    let channel = tenantry_server::channel(&format!("http://{address}")).expect("a channel");
    let upstreams = Upstreams {
        auth: channel.clone(),
        registry: channel.clone(),
        business: channel.clone(),
        backup: channel.clone(),
        monitoring: channel,
        own: Default::default(),
    };
    let quotas = Arc::new(Quotas::new(Arc::new(SystemClock)));
    let world = World {
        resolver: Arc::new(Routes),
        tokens: Arc::new(Auth),
        upstreams,
        clock: Arc::new(SystemClock),
        ids: Arc::new(SystemIds),
        meter: Arc::new(tenantry_metering::Meter::new(Arc::new(SystemClock))),
        quotas: Arc::clone(&quotas),
    };
    let edge = Arc::new(wiring::edge(&config, world).await.expect("an edge"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let shutdown = Shutdown::default();
    tokio::spawn(listener::serve(listener, edge, 1000, shutdown.clone()));
    Gateway {
        address,
        seen,
        quotas,
        _stop: shutdown.token().drop_guard(),
    }
}

impl Gateway {
    /// Sends bytes as they are and reads until the end.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut socket = TcpStream::connect(self.address).await.expect("a connection");
        socket.write_all(request).await.expect("sent");
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.expect("an answer");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_default();
        let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        Answer {
            status,
            head: head.to_owned(),
            body: if chunked { unchunk(body) } else { body.to_owned() },
        }
    }
    /// One request with a host and header lines.
    pub(crate) async fn send(&self, line: &str, host: &str, headers: &[&str], body: &str) -> Answer {
        let mut text = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n",
            body.len()
        );
        for header in headers {
            text.push_str(header);
            text.push_str("\r\n");
        }
        self.raw(format!("{text}\r\n{body}").as_bytes()).await
    }
    /// A GET with a bearer token.
    pub(crate) async fn get(&self, path: &str, host: &str, tenant: &str) -> Answer {
        self.send(
            &format!("GET {path}"),
            host,
            &[&format!("Authorization: Bearer {}", token(tenant))],
            "",
        )
        .await
    }
    pub(crate) fn saw(&self, method: &str) -> MetadataMap {
        self.seen
            .lock()
            .expect("not poisoned")
            .get(method)
            .cloned()
            .unwrap_or_else(|| panic!("{method} was not called"))
    }
    pub(crate) fn forget(&self) {
        self.seen.lock().expect("not poisoned").clear();
    }
    pub(crate) fn untouched(&self) -> bool {
        self.seen.lock().expect("not poisoned").is_empty()
    }
}

pub(crate) use business::record_service_client::RecordServiceClient;

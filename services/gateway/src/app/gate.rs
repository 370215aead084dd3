//! The gate: [`Gate::admit`] decides whether a request may go to a service and as whom, [`Gate::forward`] sends it.
//!
//! Admission happens before a body is read (authorize before validating). The order is the tenant, its status, the
//! caller, the limits: what one step needs, the step before has proved. It must never guess a tenant.

use super::{
    credentials::{Credentials, claimed_tenant},
    guard::{self, Violation},
    limits::{Held, Limiters},
    quotas::Quotas,
    visitor::{Place, Visitor},
};
use crate::{
    clients::{CONNECT, Upstreams},
    domain::{
        deadline,
        host::{Host, HostRules, Site},
    },
    error,
};
use http::{HeaderName, HeaderValue, Request, Response, header};
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tenantry_api::{Access, Method};
use tenantry_kernel::{Brand, Error, Limits, Placement, Reason, Resolve, Result, TenantId, TenantRoute, TenantStatus};
use tokio::time::Instant;
use tonic::{body::Body, transport::Channel};
use tower::{Service, ServiceExt};
use tracing::Instrument;

/// For auth's own counters by address. Reserved: a client's own is never passed on.
const CLIENT_HEADER: &str = "x-tenantry-client-ip";
/// What a service gets on top of the deadline.
const GRACE: Duration = Duration::from_millis(250);

/// The permission of the method that ends the caller's own session.
const SIGN_OUT: &str = "auth.login.sign_out";

/// See the module.
pub struct Gate {
    /// Which host is which.
    pub hosts: HostRules,
    /// Names to tenants.
    pub resolver: Arc<dyn Resolve>,
    /// Credentials to tokens.
    pub credentials: Arc<Credentials>,
    /// Counters.
    pub limiters: Limiters,
    /// Who is over a quota.
    pub quotas: Arc<Quotas>,
    /// Connections.
    pub upstreams: Upstreams,
}

/// A request that may go on.
pub struct Pass {
    method: Arc<Method>,
    channel: Channel,
    token: Arc<str>,
    held: Held,
}

impl Gate {
    /// The place a host stands for.
    ///
    /// # Errors
    /// One NOT_FOUND for every host that is nobody's.
    pub async fn place(&self, host: &Host) -> Result<Place> {
        let route = match self.hosts.site(host) {
            None => return Err(Error::not_found()),
            Some(Site::Api) => return Ok(Place::Api),
            Some(Site::Operator) => self.platform().await?,
            Some(Site::Slug(slug)) => self.resolver.by_slug(&slug).await.map_err(neutral)?,
            Some(Site::Domain(domain)) => self.resolver.by_domain(&domain).await.map_err(neutral)?,
        };
        // The platform tenant has its own host and no other.
        if route.tenant == TenantId::PLATFORM && self.hosts.site(host) != Some(Site::Operator) {
            return Err(Error::not_found());
        }
        if route.status == TenantStatus::Deleted {
            Err(Error::not_found())
        } else {
            Ok(Place::Tenant(route))
        }
    }

    async fn platform(&self) -> Result<Arc<TenantRoute>> {
        match self.resolver.by_id(TenantId::PLATFORM).await {
            Err(error) if error.reason() == Reason::TenantNotFound => Ok(Arc::new(platform_route())),
            other => other,
        }
    }

    async fn by_id(&self, tenant: TenantId) -> Result<Arc<TenantRoute>> {
        if tenant == TenantId::PLATFORM {
            self.platform().await
        } else {
            self.resolver.by_id(tenant).await.map_err(neutral)
        }
    }

    /// The tenant of the path prefix `/v1/tenants/{tenant}/`: an id or a slug.
    async fn named(&self, name: &str) -> Result<Arc<TenantRoute>> {
        match name.parse::<TenantId>() {
            Ok(tenant) => self.by_id(tenant).await,
            Err(_) if name == self.hosts.operator_host.split('.').next().unwrap_or_default() => self.platform().await,
            Err(_) if tenantry_kernel::slug::check(name).is_ok() => self.resolver.by_slug(name).await.map_err(neutral),
            Err(_) => Err(Error::not_found()),
        }
    }

    /// Decides about a request for `method`; `path_tenant` is what a path prefix named.
    ///
    /// # Errors
    /// What the client is told, in one body for foreign and unknown tenants.
    pub async fn admit(&self, visitor: &Visitor, path_tenant: Option<&str>, method: &Arc<Method>) -> Result<Pass> {
        let found = self
            .upstreams
            .of(&method.service)
            .filter(|_| method.access != Access::Service);
        let (channel, audience) = found.ok_or_else(error::unimplemented)?;
        let expected = self.expected(visitor, path_tenant).await?;
        if let Some(route) = &expected {
            note(visitor, route);
            serving(route)?;
        }
        let (token, route) = match method.access {
            Access::Public => self.public(visitor, expected, method, audience).await?,
            _ => self.private(visitor, expected, audience).await?,
        };
        note(visitor, &route);
        if visitor.trail.page.get().is_none() {
            self.quotas.check(&route, method)?;
        }
        let (state, held) = self.limiters.tenant(&route).await;
        // Set once: the first call of a page counts.
        let _ = visitor.trail.rate.set(state);
        Ok(Pass {
            method: method.clone(),
            channel: channel.clone(),
            token,
            held: held?,
        })
    }

    async fn expected(&self, visitor: &Visitor, path_tenant: Option<&str>) -> Result<Option<Arc<TenantRoute>>> {
        let named = match path_tenant {
            Some(name) => Some(self.named(name).await?),
            None => None,
        };
        match (&visitor.place, named) {
            (Place::Tenant(host), Some(path)) if host.tenant != path.tenant => Err(Error::new(
                Reason::TenantMismatch,
                "the path names another tenant than the host",
            )),
            (Place::Tenant(host), _) => Ok(Some(host.clone())),
            (Place::Api, named) => Ok(named),
        }
    }

    async fn public(
        &self,
        visitor: &Visitor,
        expected: Option<Arc<TenantRoute>>,
        method: &Method,
        audience: &'static str,
    ) -> Result<(Arc<str>, Arc<TenantRoute>)> {
        let route = expected.ok_or_else(error::tenant_missing)?;
        if !method.read_only {
            self.limiters.sign_in(route.tenant, visitor.client).await?;
        }
        let _ = visitor.trail.principal.set("anonymous".to_owned());
        Ok((self.credentials.service(audience, route.tenant).await?, route))
    }

    async fn private(
        &self,
        visitor: &Visitor,
        expected: Option<Arc<TenantRoute>>,
        audience: &'static str,
    ) -> Result<(Arc<str>, Arc<TenantRoute>)> {
        let credential = visitor.credential.as_ref().ok_or_else(error::credentials_missing)?;
        let claimed = claimed_tenant(credential)?;
        let expected = match (expected, claimed) {
            // Only a claim, but one that cannot fit: the same answer as from auth, without asking.
            (Some(route), Some(tenant)) if route.tenant != tenant => {
                return Err(Error::new(
                    Reason::TenantMismatch,
                    "the credential is of another tenant than the host or path",
                ));
            }
            (None, Some(tenant)) => {
                let route = self.by_id(tenant).await?;
                serving(&route)?;
                Some(route)
            }
            (expected, _) => expected,
        };
        let exchanged = self
            .credentials
            .exchange(credential, audience, expected.as_ref().map(|route| route.tenant))
            .await?;
        let _ = visitor.trail.principal.set(exchanged.subject.clone());
        let route = match expected {
            Some(route) => route,
            None => self.by_id(exchanged.tenant).await?,
        };
        serving(&route)?;
        Ok((exchanged.token, route))
    }

    /// Sends an admitted request on. `violation` is what a wrapper of `body` reports about the client's bytes.
    ///
    /// The answer is a gRPC response as the service gave it, or one that says why there is none.
    pub async fn forward(&self, visitor: &Visitor, pass: Pass, body: Body, violation: Violation) -> Response<Body> {
        let time = deadline::of(&pass.method, visitor.wish);
        let until = guard::Until {
            at: time.and_then(|time| Instant::now().checked_add(time)),
            impatient: deadline::is_impatient(&pass.method, visitor.wish),
        };
        let span = client_span(visitor, &pass.method);
        let request = span.in_scope(|| outgoing(visitor, &pass, body, time));
        let sending = send(pass.channel, request).instrument(span.clone());
        let answer = match until.at {
            Some(at) => tokio::time::timeout_at(at, sending).await.unwrap_or_else(|_| {
                if until.impatient {
                    let _ = visitor.trail.given_up.set(());
                }
                Err(error::deadline_exceeded())
            }),
            None => sending.await,
        };
        if answer.is_err() {
            span.record("otel.status_code", "ERROR");
        }
        drop(span);
        if let (SIGN_OUT, Some(credential), Some(tenant)) = (
            pass.method.permission.as_str(),
            &visitor.credential,
            visitor.trail.tenant.get(),
        ) {
            self.credentials.forget_one(credential, *tenant).await;
        }
        match violation.take().map_or(answer, Err) {
            Ok(response) => guard::answer(response, until, pass.held, violation, visitor),
            Err(error) => refuse(visitor, &error),
        }
    }
}

/// The call to the service as the gateway sees it: the service's own span is its child.
fn client_span(visitor: &Visitor, method: &Method) -> tracing::Span {
    let (service, name) = method.full_name.rsplit_once('/').unwrap_or(("", &method.full_name));
    let span = tracing::info_span!(
        "call",
        otel.name = %method.full_name,
        otel.kind = "client",
        otel.status_code = tracing::field::Empty,
        rpc.system = "grpc",
        rpc.service = service,
        rpc.method = name,
        request.id = %visitor.request_id,
        tenant.id = tracing::field::Empty,
    );
    if let Some(tenant) = visitor.trail.tenant.get() {
        span.record("tenant.id", tracing::field::display(tenant));
    }
    span
}

async fn send(mut channel: Channel, request: Request<Body>) -> Result<Response<Body>> {
    let ready = tokio::time::timeout(CONNECT, channel.ready())
        .await
        .map_err(Error::unavailable)?
        .map_err(Error::unavailable)?;
    let response = ready.call(request).await.map_err(Error::unavailable)?;
    let grpc = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if grpc {
        Ok(response)
    } else {
        Err(Error::unavailable(format!(
            "the upstream answered {} without gRPC",
            response.status()
        )))
    }
}

fn outgoing(visitor: &Visitor, pass: &Pass, body: Body, time: Option<Duration>) -> Request<Body> {
    let mut request = Request::new(body);
    *request.method_mut() = http::Method::POST;
    *request.version_mut() = http::Version::HTTP_2;
    if let Ok(uri) = pass.method.path.parse() {
        *request.uri_mut() = uri;
    }
    let headers = request.headers_mut();
    headers.extend(visitor.headers.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    let mut put = |name: HeaderName, text: String, secret: bool| {
        if let Ok(mut value) = HeaderValue::try_from(text) {
            value.set_sensitive(secret);
            headers.insert(name, value);
        }
    };
    put(header::AUTHORIZATION, format!("Bearer {}", pass.token), true);
    put(
        HeaderName::from_static(tenantry_server::REQUEST_ID_HEADER),
        visitor.request_id.to_string(),
        false,
    );
    put(
        HeaderName::from_static(CLIENT_HEADER),
        visitor.client.to_string(),
        false,
    );
    if let Some(time) = time {
        // The gateway's own timer is to end the call first, with a reason; ending it cancels the service's work too.
        put(
            HeaderName::from_static("grpc-timeout"),
            deadline::format(time.saturating_add(GRACE)),
            false,
        );
    }
    tenantry_telemetry::inject_current(headers);
    request
}

/// A refusal as a gRPC response.
#[must_use]
pub fn refuse(visitor: &Visitor, error: &Error) -> Response<Body> {
    let _ = visitor.trail.reason.set(error.reason().as_str().to_owned());
    log(error, &visitor.request_id);
    tenantry_server::status_of(error, &visitor.request_id).into_http()
}

/// Logs what only the log may know.
pub fn log(error: &Error, request_id: &tenantry_kernel::RequestId) {
    let source = std::error::Error::source(error)
        .map(ToString::to_string)
        .unwrap_or_default();
    match error.reason() {
        Reason::Internal => tracing::error!(%request_id, %source, "internal error"),
        Reason::TenantMismatch => tracing::warn!(%request_id, detail = error.public(), "tenant mismatch refused"),
        Reason::Unavailable => tracing::warn!(%request_id, %source, "upstream unavailable"),
        _ => tracing::debug!(%request_id, reason = %error.reason(), "refused"),
    }
}

fn note(visitor: &Visitor, route: &TenantRoute) {
    let _ = visitor.trail.tenant.set(route.tenant);
    tracing::Span::current().record("tenant.id", tracing::field::display(route.tenant));
}

/// Unknown is one body, whoever found it out.
fn neutral(error: Error) -> Error {
    if error.reason() == Reason::TenantNotFound {
        Error::not_found().because(error)
    } else {
        error
    }
}

fn serving(route: &TenantRoute) -> Result<()> {
    match route.status {
        TenantStatus::Active => Ok(()),
        TenantStatus::Suspended => Err(Error::new(
            Reason::TenantSuspended,
            "This organisation is suspended. Its owner can contact the operator.",
        )),
        TenantStatus::Creating => Err(Error::new(
            Reason::TenantNotActive,
            "This organisation is still being set up. Try again in a moment.",
        )
        .retry_after(Duration::from_secs(2))),
        TenantStatus::Deleted => Err(Error::not_found()),
    }
}

/// Operators must be able to work before the registry lists their own tenant.
#[must_use]
pub fn platform_route() -> TenantRoute {
    TenantRoute {
        tenant: TenantId::PLATFORM,
        slug: "operator".to_owned(),
        display_name: "Operator".to_owned(),
        domains: Vec::new(),
        status: TenantStatus::Active,
        epoch: 0,
        placement: Placement::Schema,
        cell: String::new(),
        plan: "platform".to_owned(),
        limits: Limits {
            requests_per_second: 2_000,
            burst: 4_000,
            users: 0,
            object_types: 0,
            records: 0,
            api_keys: 0,
            requests_per_month: 0,
        },
        features: BTreeSet::new(),
        brand: Brand {
            display_name: "Operator".to_owned(),
            ..Brand::default()
        },
    }
}

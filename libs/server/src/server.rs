//! The gRPC server of one service: ports are bound first, then served until shutdown.

use crate::{
    Authenticate, Faults, Readiness, Revocations, Shutdown, admin,
    stack::{IN_FLIGHT, Stack, StackLayer},
};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tenantry_api::{DESCRIPTORS, Methods, Policies};
use tenantry_config::Listen;
use tenantry_kernel::{Clock, Error, Ids, Resolve, SystemClock, SystemIds, probe};
use tenantry_telemetry::RequestMetrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{body::Body, server::NamedService, service::Routes, transport::server::TcpIncoming};
use tonic_health::server::HealthReporter;

/// A service's server, put together in its `wiring.rs`.
pub struct Server {
    service: &'static str,
    listen: Listen,
    authenticator: Option<Arc<dyn Authenticate>>,
    resolver: Option<Arc<dyn Resolve>>,
    revocations: Option<Arc<Revocations>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    readiness: Readiness,
    faults: Faults,
    routes: Routes,
    names: Vec<&'static str>,
    descriptors: Vec<&'static [u8]>,
    hooks: Vec<(&'static str, admin::Hook)>,
}

impl Server {
    /// A server without services.
    #[must_use]
    pub fn new(service: &'static str, listen: &Listen) -> Self {
        Self {
            service,
            listen: listen.clone(),
            authenticator: None,
            resolver: None,
            revocations: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(SystemIds),
            readiness: Readiness::default(),
            faults: Faults::default(),
            routes: Routes::default(),
            names: Vec::new(),
            descriptors: Vec::new(),
            hooks: Vec::new(),
        }
    }
    /// Answers POST requests to `path` on the admin port.
    #[must_use]
    pub fn on_post(mut self, path: &'static str, hook: admin::Hook) -> Self {
        self.hooks.push((path, hook));
        self
    }
    /// Who calls.
    #[must_use]
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticate>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }
    /// For which tenant.
    #[must_use]
    pub fn resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = Some(resolver);
        self
    }
    /// What was revoked.
    #[must_use]
    pub fn revocations(mut self, revocations: Arc<Revocations>) -> Self {
        self.revocations = Some(revocations);
        self
    }
    /// Latches to wait for before `/readyz` says yes.
    #[must_use]
    pub fn readiness(mut self, readiness: Readiness) -> Self {
        self.readiness = readiness;
        self
    }
    /// Fault points.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }
    /// Replaces the clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
    /// Makes the methods of a service known that is not one of ours: its encoded `FileDescriptorSet` with imports.
    /// A method without a policy is refused at start; a service whose descriptors are missing would run without the stack.
    #[must_use]
    pub fn descriptors(mut self, encoded: &'static [u8]) -> Self {
        self.descriptors.push(encoded);
        self
    }
    /// Adds a gRPC service.
    #[must_use]
    pub fn add_service<S>(mut self, service: S) -> Self
    where
        S: tower::Service<http::Request<Body>, Error = Infallible> + NamedService + Clone + Send + Sync + 'static,
        S::Response: axum::response::IntoResponse,
        S::Future: Send + 'static,
    {
        self.names.push(S::NAME);
        self.routes = self.routes.add_service(service);
        self
    }

    /// Serves until the shutdown token, then drains for as long as the shutdown allows.
    ///
    /// # Errors
    /// INTERNAL where a port is taken or a part was not given.
    pub async fn serve(mut self, shutdown: &Shutdown) -> Result<(), Error> {
        let address = self.listen.grpc;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| Error::internal(format!("gRPC port {address}: {error}")))?;
        let stop = shutdown.token();
        // Admin and probes outlive the drain, so that a draining process can still be observed.
        admin::serve_admin_with(
            self.listen.admin,
            self.readiness.clone(),
            self.faults.clone(),
            std::mem::take(&mut self.hooks),
            Default::default(),
        )
        .await?;
        let (reporter, health) = tonic_health::server::health_reporter();
        for name in &self.names {
            reporter
                .set_service_status(*name, tonic_health::ServingStatus::Serving)
                .await;
        }
        tokio::spawn(not_serving_when(shutdown.asked(), reporter, self.names.clone()));
        let stack = Arc::new(self.stack()?);
        in_flight(&stack);
        let layer = StackLayer(stack);
        let mut routes = std::mem::take(&mut self.routes).add_service(health);
        for reflection in reflection(&self.names, &self.descriptors)? {
            routes = reflection(routes);
        }
        tracing::info!(service = self.service, %address, admin = %self.listen.admin, "serving");
        let draining = stop.clone();
        // The builder's own setting does not reach a listener that is given: without this every answer waits 40 ms for an
        // acknowledgement (Nagle).
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(20)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            // No max_connection_age: a client learns of the GOAWAY only by the request that it loses to it, because a
            // route or revocation stream holds the connection open. Clients follow DNS themselves (channel.rs).
            .layer(layer)
            .add_routes(routes.prepare())
            .serve_with_incoming_shutdown(incoming, draining.cancelled_owned());
        let limit = async {
            stop.cancelled().await;
            tokio::time::sleep(shutdown.limit()).await;
        };
        tokio::select! {
            served = serving => served.map_err(Error::internal),
            () = limit => {
                tracing::warn!("drain limit reached; open streams are cut");
                Ok(())
            }
        }
    }

    fn stack(&mut self) -> Result<Stack, Error> {
        let missing = |part: &'static str| Error::internal(format!("wiring: no {part}"));
        Ok(Stack {
            service: self.service,
            policies: self.policies()?,
            authenticator: self.authenticator.take().ok_or_else(|| missing("authenticator"))?,
            resolver: self.resolver.take().ok_or_else(|| missing("resolver"))?,
            revocations: self.revocations.take().ok_or_else(|| missing("revocations"))?,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            metrics: RequestMetrics::new(),
            in_flight: Stack::in_flight(),
        })
    }

    /// Every served service must be in the table: an unknown method would pass the stack without a policy.
    fn policies(&self) -> Result<Policies, Error> {
        let mut methods = Methods::load();
        for encoded in &self.descriptors {
            methods = methods.with_descriptors(encoded).map_err(Error::internal)?;
        }
        match self
            .names
            .iter()
            .find(|name| methods.pool().get_service_by_name(name).is_none())
        {
            Some(name) => Err(Error::internal(format!(
                "wiring: no descriptors of {name}; see Server::descriptors"
            ))),
            None => Ok(methods.policies()),
        }
    }
}

/// gRPC health says what `/readyz` says of a process that was asked to stop.
async fn not_serving_when(asked: CancellationToken, reporter: HealthReporter, names: Vec<&'static str>) {
    asked.cancelled().await;
    for name in names.into_iter().chain([""]) {
        reporter
            .set_service_status(name, tonic_health::ServingStatus::NotServing)
            .await;
    }
}

/// How full the house is.
fn in_flight(stack: &Arc<Stack>) {
    let seen = Arc::downgrade(stack);
    probe::gauge("tenantry_in_flight", "Requests in work", &[], move || {
        let stack = seen.upgrade()?;
        Some((IN_FLIGHT.saturating_sub(stack.in_flight.available_permits())) as f64)
    });
    probe::gauge(
        "tenantry_in_flight_max",
        "Requests in work before more are refused",
        &[],
        || Some(IN_FLIGHT as f64),
    );
}

type AddReflection = Box<dyn FnOnce(Routes) -> Routes + Send>;

/// Reflection in v1 and v1alpha (older clients ask only for v1alpha), limited to what this process serves.
fn reflection(names: &[&'static str], descriptors: &[&'static [u8]]) -> Result<Vec<AddReflection>, Error> {
    let builder = || {
        let mut builder =
            tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
        for encoded in descriptors {
            builder = builder.register_encoded_file_descriptor_set(encoded);
        }
        for name in names {
            builder = builder.with_service_name(*name);
        }
        builder
    };
    let v1 = builder().build_v1().map_err(Error::internal)?;
    let v1alpha = builder().build_v1alpha().map_err(Error::internal)?;
    Ok(vec![
        Box::new(move |routes| routes.add_service(v1)),
        Box::new(move |routes| routes.add_service(v1alpha)),
    ])
}

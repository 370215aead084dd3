//! The admin port: probes and metrics for the cluster, fault points for the fault tests (dev only).

use crate::{Faults, Readiness, faults::Arm};
use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use std::{net::SocketAddr, sync::Arc};
use tenantry_kernel::{BoxFuture, Error};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Takes the body of a POST on the admin port and answers with a status and a text.
pub type Hook = Arc<dyn Fn(HeaderMap, Bytes) -> BoxFuture<'static, (StatusCode, String)> + Send + Sync>;

/// Serves `/livez`, `/readyz`, `/metrics` (and `/faults` where fault points are enabled) until `stop`.
///
/// # Errors
/// INTERNAL where the port is taken.
pub async fn serve_admin(
    address: SocketAddr,
    readiness: Readiness,
    faults: Faults,
    stop: CancellationToken,
) -> Result<(), Error> {
    serve_admin_with(address, readiness, faults, Vec::new(), stop).await
}

/// As [`serve_admin`], with POST hooks of the service's own by path. Bodies are at most 2 MiB.
pub(crate) async fn serve_admin_with(
    address: SocketAddr,
    readiness: Readiness,
    faults: Faults,
    hooks: Vec<(&'static str, Hook)>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Error::internal(format!("admin port {address}: {error}")))?;
    let seen = readiness.clone();
    tenantry_kernel::probe::gauge("tenantry_ready", "1 when /readyz says yes", &[], move || {
        Some(f64::from(u8::from(seen.unready().is_none())))
    });
    let mut router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics));
    if faults.enabled() {
        router = router.route("/faults", post(arm).with_state(faults));
    }
    for (path, hook) in hooks {
        let answer = move |headers: HeaderMap, body: Bytes| hook(headers, body);
        router = router.route(path, post(answer));
    }
    tokio::spawn(async move {
        let serving = axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned());
        if let Err(error) = serving.await {
            tracing::error!(%error, "the admin port stopped");
        }
    });
    Ok(())
}

async fn ready(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness.unready() {
        None => (StatusCode::OK, "ready\n".to_owned()),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics() -> impl IntoResponse {
    (
        [("content-type", "text/plain; version=0.0.4")],
        tenantry_telemetry::metrics_text(),
    )
}

async fn arm(State(faults): State<Faults>, Json(arm): Json<Arm>) -> StatusCode {
    faults.arm(arm);
    StatusCode::NO_CONTENT
}

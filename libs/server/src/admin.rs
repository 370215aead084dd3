//! The admin port: probes and metrics for the cluster, fault points for the fault tests (dev only).

use crate::{Faults, Readiness, faults::Arm};
use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::IntoResponse,
    routing::{get, post},
};
use std::net::SocketAddr;
use tenantry_kernel::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

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
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Error::internal(format!("admin port {address}: {error}")))?;
    let mut router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(metrics));
    if faults.enabled() {
        router = router.route("/faults", post(arm).with_state(faults));
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
    let waiting = readiness.waiting_for();
    if waiting.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("waiting for {}\n", waiting.join(", ")),
        )
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

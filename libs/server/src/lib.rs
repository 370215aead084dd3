//! What every gRPC service of ours stands in: the request stack, errors on the wire, health and readiness, shutdown,
//! and clients for the other services.
//!
//! ```text
//! bytes -> stack.rs (trace, deadline, authenticate, revoked?, tenant, authorize) -> handler.rs -> rpc/R.rs of the service
//!       <- stack.rs (canonical line)                        <- status.rs (Error -> Status)
//! ```

mod access;
mod admin;
mod authenticate;
mod channel;
mod faults;
mod handler;
mod peers;
mod peers_keys;
mod process;
mod readiness;
mod revocation;
mod revocation_watch;
mod server;
mod shutdown;
mod stack;
mod status;

pub use admin::{Hook, serve_admin};
pub use authenticate::{Authenticate, BearerTokens, VerificationKeys, bearer};
pub use channel::channel;
pub use faults::Faults;
pub use handler::{context, status, unary};
pub use peers::{Peers, service_credentials};
pub use process::process;
pub use readiness::{Latch, Readiness};
pub use revocation::{Revocation, Revocations, Revoked};
pub use server::Server;
pub use shutdown::Shutdown;
pub use status::{REASON_HEADER, error_of, status_of, unimplemented};

/// Metadata that only our own services may send; the gateway strips it from outside requests.
pub const SERVICE_HEADER: &str = "x-tenantry-service";
/// See [`SERVICE_HEADER`].
pub const SERVICE_SECRET_HEADER: &str = "x-tenantry-service-secret";
/// The request id, in requests, responses and logs.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// `true` on an answer that was stored with its idempotency key by an earlier call, or by an earlier try within the service.
pub const REPLAYED_HEADER: &str = "idempotency-replayed";

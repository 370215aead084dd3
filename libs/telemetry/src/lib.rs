//! Logs, spans and metrics: one `init` at the start of main, one `shutdown` at its end, helpers to carry the W3C trace
//! context over gRPC, HTTP and messages.
//!
//! It must never log a credential, a header or a body, and never make a metric label out of a tenant, user or free text.

pub mod canonical;
mod export;
mod init;
mod metrics;
mod propagation;

pub use canonical::{CanonicalLine, canonical_line};
pub use init::{Guard, InitError, Result, init};
pub use metrics::{RequestMetrics, SERIES_BUDGET, meter, metrics_text};
pub use opentelemetry::{Context, KeyValue, metrics::Meter};
pub use propagation::{current_traceparent, extract, inject_current, rename, set_parent_from};

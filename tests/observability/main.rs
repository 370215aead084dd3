//! What an operator sees of a running instance: spans at a collector and the metrics of every service. Alerts,
//! dashboards and runbooks are checked by tests/alerts, against a real Prometheus.

mod metrics;
mod traces;

//! Rows of monitoring's methods.

use crate::rows::Kind;
use serde_json::{Value, json};

/// The kind of a method of monitoring.
pub(crate) fn kind(service: &str) -> Option<Kind> {
    match service {
        // No name in the request: a stranger gets its own counts.
        "UsageService" => Some(Kind::Own),
        "FleetService" => Some(Kind::Operator),
        "QuotaService" => Some(Kind::Internal),
        _ => None,
    }
}

/// A rightful request of a tenant.
pub(crate) fn request(name: &str) -> Value {
    match name {
        "GetUsage" => json!({"step": "USAGE_STEP_HOUR"}),
        other => panic!("no row for {other}"),
    }
}

/// A rightful request of the operator, if the method is one of monitoring's.
pub(crate) fn operator_request(name: &str) -> Option<Value> {
    match name {
        "ListTenantUsage" | "ListAlerts" | "ListEvents" => Some(json!({"pageSize": 1})),
        "ListServiceHealth" => Some(json!({})),
        _ => None,
    }
}

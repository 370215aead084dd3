//! Alerts as Alertmanager's webhook tells them (its format version 4).

use super::health::plain;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Alerts taken from one call.
const MOST: usize = 1_000;

/// One alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Identity of its labels.
    pub fingerprint: String,
    /// Name of the rule.
    pub name: String,
    /// `page` or `ticket`.
    pub severity: String,
    /// The service it is about.
    pub service: String,
    /// One sentence.
    pub summary: String,
    /// Where the runbook is.
    pub runbook_uri: String,
    /// Since when.
    pub start: DateTime<Utc>,
    /// When it ended, if it has.
    pub end: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct Call {
    version: String,
    alerts: Vec<Wire>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: DateTime<Utc>,
    #[serde(default)]
    ends_at: Option<DateTime<Utc>>,
    fingerprint: String,
}

/// Reads a call's body.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8]) -> Result<Vec<Alert>, String> {
    let call: Call = serde_json::from_slice(body).map_err(|error| format!("not an Alertmanager webhook: {error}"))?;
    if call.version != "4" {
        return Err("only version 4 of the webhook is understood".to_owned());
    }
    if call.alerts.len() > MOST {
        return Err(format!("more than {MOST} alerts in one call; set max_alerts"));
    }
    call.alerts.iter().map(one).collect()
}

fn one(wire: &Wire) -> Result<Alert, String> {
    let label = |name: &str| wire.labels.get(name).map(|text| plain(text)).unwrap_or_default();
    let note = |name: &str| wire.annotations.get(name).map(|text| plain(text)).unwrap_or_default();
    let fingerprint = wire.fingerprint.clone();
    if fingerprint.is_empty() || fingerprint.len() > 64 || !fingerprint.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Err("a fingerprint is not 1 to 64 letters and digits".to_owned());
    }
    let end = match wire.status.as_str() {
        "firing" => None,
        "resolved" => Some(wire.ends_at.unwrap_or(wire.starts_at)),
        _ => return Err("status is neither firing nor resolved".to_owned()),
    };
    let runbook = note("runbook_url");
    Ok(Alert {
        fingerprint,
        name: label("alertname"),
        severity: label("severity"),
        service: label("service"),
        summary: note("summary"),
        runbook_uri: if is_web(&runbook) || is_ours(&runbook) {
            runbook
        } else {
            String::new()
        },
        start: wire.starts_at,
        end,
    })
}

/// A link that a page may show.
fn is_web(runbook: &str) -> bool {
    runbook.starts_with("https://") || runbook.starts_with("http://")
}

/// The rules that come with Tenantry name a file of this repository.
fn is_ours(runbook: &str) -> bool {
    let name = runbook
        .strip_prefix("docs/runbooks/")
        .and_then(|rest| rest.strip_suffix(".md"));
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn body(change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut call = json!({"version": "4", "status": "firing", "receiver": "x", "alerts": [{
            "status": "firing", "labels": {"alertname": "ErrorBudgetBurn", "severity": "page", "service": "gateway"},
            "annotations": {"summary": "burns\nfast", "runbook_url": "https://docs.example/burn"},
            "startsAt": "2026-03-01T10:00:00.123Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "b4a3c2d1"}]});
        change(&mut call);
        call.to_string().into_bytes()
    }

    #[test]
    fn what_alertmanager_sends_is_read() {
        let alerts = read(&body(|_| ())).expect("reads");
        let alert = &alerts[0];
        assert_eq!(
            (alert.name.as_str(), alert.severity.as_str()),
            ("ErrorBudgetBurn", "page")
        );
        assert_eq!(alert.summary, "burns fast");
        assert_eq!(alert.end, None, "year 1 means that it still fires");
        let resolved = read(&body(|call| {
            call["alerts"][0]["status"] = json!("resolved");
            call["alerts"][0]["endsAt"] = json!("2026-03-01T11:00:00Z");
        }));
        assert!(resolved.expect("reads")[0].end.is_some());
    }

    #[test]
    fn anything_else_is_refused_or_made_harmless() {
        assert!(read(b"").is_err() && read(b"{}").is_err() && read(b"[1]").is_err());
        assert!(read(&body(|call| call["version"] = json!("3"))).is_err());
        assert!(read(&body(|call| call["alerts"][0]["fingerprint"] = json!("a b"))).is_err());
        assert!(
            read(&body(
                |call| call["alerts"] = json!(vec![call["alerts"][0].clone(); 1_001])
            ))
            .is_err()
        );
        let runbook = |uri: &str| {
            let read = read(&body(|call| {
                call["alerts"][0]["annotations"]["runbook_url"] = json!(uri);
            }));
            read.expect("reads")[0].runbook_uri.clone()
        };
        for ours in ["docs/runbooks/TenantryServiceDown.md", "https://docs.example/burn"] {
            assert_eq!(runbook(ours), ours);
        }
        for other in [
            "javascript:alert(1)",
            "docs/runbooks/../../etc/passwd",
            "docs/runbooks/.md",
            "//evil.test/x",
            "docs/x.md",
        ] {
            assert_eq!(runbook(other), "", "{other}");
        }
    }
}

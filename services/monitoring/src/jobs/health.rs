//! Asks every service whether it is ready, and notes the answers.

use crate::{
    domain::health::{Check, plain},
    store::{self, Store},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tenantry_kernel::Clock;
use tenantry_server::Readiness;
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(5);
/// A service that does not answer in this time is not ready.
const DEADLINE: Duration = Duration::from_secs(2);
const MOST_TEXT: usize = 4 << 10;
/// Our own name in the list.
const SELF: &str = "monitoring";

/// Asks the admin ports.
pub struct Poller {
    targets: BTreeMap<String, String>,
    client: Client<HttpConnector, Empty<Bytes>>,
    own: Readiness,
    store: Store,
    clock: Arc<dyn Clock>,
}

impl Poller {
    /// `targets`: admin URL by service; `own` is this process's readiness.
    #[must_use]
    pub fn new(targets: BTreeMap<String, String>, own: Readiness, store: Store, clock: Arc<dyn Clock>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(DEADLINE));
        Self {
            targets,
            client: Client::builder(TokioExecutor::new()).build(connector),
            own,
            store,
            clock,
        }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.round().await {
                tracing::warn!(reason = %error.reason(), cause = ?std::error::Error::source(&error), "health cannot be noted");
            }
        }
    }

    async fn round(&self) -> tenantry_kernel::Result<()> {
        let asked = self.targets.iter().map(|(service, url)| self.ask(service, url));
        let mut checks = futures::future::join_all(asked).await;
        if !self.targets.contains_key(SELF) {
            let waiting = self.own.waiting_for();
            let problem = if waiting.is_empty() {
                String::new()
            } else {
                format!("waiting for {}", waiting.join(", "))
            };
            checks.push(Check {
                service: SELF.to_owned(),
                problem,
            });
        }
        let mut tx = self.store.begin_job("health").await?;
        store::health::note(&mut tx, &checks, self.clock.now()).await?;
        tx.commit().await
    }

    async fn ask(&self, service: &str, url: &str) -> Check {
        let answer = tokio::time::timeout(DEADLINE, self.readyz(url)).await;
        let problem = match answer {
            Ok(Ok(())) => String::new(),
            Ok(Err(problem)) => plain(&problem),
            Err(_) => format!("does not answer within {} s", DEADLINE.as_secs()),
        };
        Check {
            service: service.to_owned(),
            problem,
        }
    }

    /// What it waits for, or why it cannot be asked.
    async fn readyz(&self, url: &str) -> Result<(), String> {
        let uri = format!("{}/readyz", url.trim_end_matches('/'));
        let uri = uri.parse().map_err(|_| "health.targets has no URL for it".to_owned())?;
        let response = self.client.get(uri).await;
        let response = response.map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!("cannot be reached: {}", cause.unwrap_or_else(|| error.to_string()))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let body = Limited::new(response.into_body(), MOST_TEXT).collect().await;
        let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
        match text.map(|text| text.trim().to_owned()) {
            Ok(text) if !text.is_empty() => Err(text),
            _ => Err(format!("answers {status}")),
        }
    }
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Poller({} services)", self.targets.len())
    }
}

//! A client as the documentation tells customers to write one: it repeats what failed for reasons of ours, with the same
//! request id, until there is an answer. What it got an answer for counts as acknowledged.

use crate::lab::RECOVERY;
use serde_json::{Value, json};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};
use tenantry_testkit::World;
use tenantry_tests::{Answer, Rest};

/// Signs in again when its token has run out, and repeats what a fault broke.
pub(crate) struct Patient {
    anonymous: Rest,
    email: String,
    password: String,
    signed_in: Mutex<Option<Rest>>,
    /// What went wrong on the way, for the message of a failed test.
    pub(crate) troubles: Mutex<Vec<String>>,
}

impl Patient {
    pub(crate) fn new(world: &World, host: &str, email: &str, password: &str) -> Self {
        Self {
            anonymous: Rest::new(world, host),
            email: email.to_owned(),
            password: password.to_owned(),
            signed_in: Mutex::new(None),
            troubles: Mutex::default(),
        }
    }
    pub(crate) fn operator(world: &World) -> Self {
        let host = world.host("operator");
        Self::new(world, &host, &world.operator.email, &world.operator.password)
    }
    /// The answer, however long the fault lasts.
    ///
    /// # Panics
    /// With an answer that no fault excuses, or when recovery never comes.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        let started = Instant::now();
        loop {
            let answer = match self.client().await {
                Ok(client) => client
                    .try_send(method, path, body.clone())
                    .await
                    .map_err(|error| format!("{error:?}")),
                Err(trouble) => Err(trouble),
            };
            match answer {
                // A token runs out during a long fault; a fresh one must do.
                Ok(answer) if answer.status == 401 => {
                    self.forget();
                    self.trouble(method, path, &answer.text);
                }
                Ok(answer) if passing(&answer) => self.trouble(method, path, &answer.text),
                Ok(answer) => return answer,
                Err(trouble) => self.trouble(method, path, &trouble),
            }
            assert!(started.elapsed() < RECOVERY, "no recovery: {:?}", self.last_troubles());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    /// JSON in, JSON of a success out.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let body = body.map(|body| ("application/json", serde_json::to_vec(&body).expect("JSON")));
        self.send(method, path, body).await.ok()
    }
    /// `GET`
    pub(crate) async fn get(&self, path: &str) -> Value {
        self.call("GET", path, None).await
    }
    /// The last troubles on the way.
    pub(crate) fn last_troubles(&self) -> Vec<String> {
        let troubles = self.troubles.lock().expect("not poisoned");
        troubles.iter().rev().take(5).cloned().collect()
    }
    async fn client(&self) -> Result<Rest, String> {
        let known = self.signed_in.lock().expect("not poisoned").clone();
        if let Some(client) = known {
            return Ok(client);
        }
        let body = serde_json::to_vec(&json!({"email": self.email, "password": self.password})).expect("JSON");
        let answer = self
            .anonymous
            .try_send("POST", "/v1/auth:signIn", Some(("application/json", body)))
            .await
            .map_err(|error| format!("{error:?}"))?;
        let token = answer.json()["accessToken"].as_str().map(str::to_owned);
        let client = self
            .anonymous
            .clone()
            .bearer(&token.ok_or_else(|| format!("sign-in: {} {}", answer.status, answer.text))?);
        *self.signed_in.lock().expect("not poisoned") = Some(client.clone());
        Ok(client)
    }
    fn forget(&self) {
        *self.signed_in.lock().expect("not poisoned") = None;
    }
    fn trouble(&self, method: &str, path: &str, text: &str) {
        let trouble = format!("{method} {path}: {text}");
        self.troubles.lock().expect("not poisoned").push(trouble);
    }
}

/// Worth another try with the same request id.
fn passing(answer: &Answer) -> bool {
    match answer.status {
        // No fault is an excuse for INTERNAL.
        429 | 503 | 504 => true,
        409 => matches!(answer.reason().as_str(), "CONFLICT" | "IDEMPOTENCY_IN_PROGRESS"),
        _ => false,
    }
}

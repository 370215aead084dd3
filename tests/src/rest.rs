//! A plain HTTP client that dials the gateway and names any host.

use reqwest::{
    Method,
    header::{HeaderMap, HeaderValue},
};
use serde_json::Value;
use tenantry_testkit::World;

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body as JSON, `Null` if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
    /// The stable reason of a problem document.
    #[must_use]
    pub fn reason(&self) -> String {
        self.json()["reason"].as_str().unwrap_or_default().to_owned()
    }
    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
    /// The JSON of a success.
    ///
    /// # Panics
    /// With the whole answer if it was none.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!(
            (200..300).contains(&self.status),
            "expected success, got {} {}",
            self.status,
            self.text
        );
        self.json()
    }
    /// Checks a refusal.
    ///
    /// # Panics
    /// With the whole answer if it was another.
    #[track_caller]
    pub fn refused(&self, status: u16, reason: &str) {
        assert_eq!((self.status, self.reason().as_str()), (status, reason), "{}", self.text);
        assert!(
            self.header("content-type").starts_with("application/problem+json"),
            "{}",
            self.header("content-type")
        );
        assert!(!self.header("x-request-id").is_empty(), "no request id");
    }
}

/// One client on one host with one credential.
#[derive(Clone)]
pub struct Rest {
    http: reqwest::Client,
    base: String,
    host: String,
    headers: HeaderMap,
}

impl Rest {
    /// Talks to `host` (`acme.localhost:8080`) without credentials.
    #[must_use]
    pub fn new(world: &World, host: &str) -> Self {
        // Another test may have installed it already: the result does not matter.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(std::time::Duration::from_secs(70))
            .build()
            .expect("a client without files or certificates");
        Self {
            http,
            base: world.gateway_url.clone(),
            host: host.to_owned(),
            headers: HeaderMap::new(),
        }
    }
    /// With a bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }
    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers
            .insert(name, HeaderValue::from_str(value).expect("a header value"));
        self
    }
    /// On another host.
    #[must_use]
    pub fn on(mut self, host: &str) -> Self {
        host.clone_into(&mut self.host);
        self
    }
    /// Sends JSON (or nothing) and reads the answer.
    ///
    /// # Panics
    /// Where the gateway does not answer at all.
    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(|body| ("application/json", serde_json::to_vec(body).expect("JSON")));
        self.try_send(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error:?}"))
    }
    /// Sends any bytes.
    ///
    /// # Errors
    /// Where the gateway does not answer.
    pub async fn try_send(
        &self,
        method: &str,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> Result<Answer, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .headers(self.headers.clone())
            .header("host", &self.host);
        if let Some((content_type, body)) = body {
            request = request.header("content-type", content_type).body(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Answer {
            status,
            headers,
            text: response.text().await?,
        })
    }
    /// `GET`
    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }
    /// `POST`
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(&body)).await
    }
    /// `PATCH`
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(&body)).await
    }
    /// `DELETE`
    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }
}

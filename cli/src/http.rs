//! REST calls to the gateway: JSON in, JSON out, an error status becomes a [`Failure`].
//!
//! A mutation carries an `Idempotency-Key`, so that it can be sent again when the answer was lost.

use crate::{Exit, Failure, host};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use std::{sync::Arc, time::Duration};
use tenantry_kernel::{BoxFuture, Ids, SystemIds};
use tokio::sync::Mutex;

/// One request that is sent again at most this often.
const ATTEMPTS: u32 = 5;
/// Longer than the longest wait of the API (30 s) and its longest deadline (60 s).
const DEADLINE: Duration = Duration::from_secs(75);

/// A longer pause is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Gets a new access token when the old one has ended.
pub(crate) trait Renew: Send + Sync {
    /// The token that takes the place of `stale`.
    fn renew<'a>(&'a self, stale: &'a str) -> BoxFuture<'a, Result<String, Failure>>;
}

/// A longer silence in a stream means that it is dead: a heartbeat comes every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// A stream has no end of its own.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 3600);

/// One tenant's API.
pub(crate) struct Api {
    pub(crate) client: reqwest::Client,
    base: Url,
    pub(crate) token: Mutex<Option<String>>,
    pub(crate) renew: Option<Arc<dyn Renew>>,
}

/// One call, before it is sent.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'a str, String)>,
    body: Option<&'a Value>,
    key: Option<String>,
}

impl<'a> Call<'a> {
    /// `path` starts with `/v1/`; its segments are encoded already.
    #[must_use]
    pub(crate) fn new(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
            key: None,
        }
    }
    /// An `Idempotency-Key` that outlives this process: the same call, made again tomorrow, has no second effect.
    #[must_use]
    pub(crate) fn once(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }
    /// `GET`
    #[must_use]
    pub(crate) fn get(path: &'a str) -> Self {
        Self::new(Method::GET, path)
    }
    /// `POST`
    #[must_use]
    pub(crate) fn post(path: &'a str, body: &'a Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::POST, path)
        }
    }
    /// `PATCH`
    #[must_use]
    pub(crate) fn patch(path: &'a str, body: &'a Value) -> Self {
        Self {
            body: Some(body),
            ..Self::new(Method::PATCH, path)
        }
    }
    /// Adds a query parameter; an empty value is left out.
    #[must_use]
    pub(crate) fn query(mut self, name: &'a str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.query.push((name, value));
        }
        self
    }
}

impl Api {
    /// Talks to `base` (scheme, host and port of a tenant) without credentials.
    ///
    /// # Errors
    /// Where the TLS roots of the system cannot be read.
    pub(crate) fn new(base: Url) -> Result<Self, Failure> {
        let mut client = reqwest::Client::builder()
            .dns_resolver(host::LocalNames)
            .timeout(DEADLINE)
            .connect_timeout(Duration::from_secs(5));
        client = client
            .user_agent(concat!("tenantctl/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none());
        if base.host_str().is_some_and(host::is_local) {
            // A proxy would look for its own localhost.
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build()?,
            base,
            token: Mutex::new(None),
            renew: None,
        })
    }
    /// With credentials.
    #[must_use]
    pub(crate) fn signed_in(mut self, token: String, renew: Option<Arc<dyn Renew>>) -> Self {
        self.token = Mutex::new(Some(token));
        self.renew = renew;
        self
    }

    /// Sends a call; again after a lost answer, a `429` that says when, or a `503`, and once more with a new token after `401`.
    ///
    /// # Errors
    /// What the server said, as a [`Failure`].
    pub(crate) async fn send(&self, call: Call<'_>) -> Result<Value, Failure> {
        let key = call.key.clone().unwrap_or_else(|| SystemIds.new_v7().to_string());
        let mut renewed = false;
        for attempt in 1..=ATTEMPTS {
            let sent = self.request(&call, &key).await?.send().await;
            let response = match sent {
                Err(error) if attempt < ATTEMPTS && (error.is_connect() || error.is_request()) => {
                    tokio::time::sleep(Duration::from_millis(200) * attempt).await;
                    continue;
                }
                sent => sent?,
            };
            match response.status() {
                StatusCode::UNAUTHORIZED if !renewed && self.renew_token().await? => renewed = true,
                _ => match retry_after(&response, attempt) {
                    Some(delay) if attempt < ATTEMPTS => tokio::time::sleep(delay).await,
                    _ => return self.read(response).await,
                },
            }
        }
        Err(Failure::new(
            Exit::Timeout,
            format!("The server was not available in {ATTEMPTS} attempts. Try again later."),
        ))
    }

    /// All pages of a list.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn list(&self, path: &str, items: &str, query: &[(&str, String)]) -> Result<Vec<Value>, Failure> {
        Ok(self.some(path, items, query, 0).await?.0)
    }

    /// At most `limit` items of a list (0 = all), and whether there are more.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn some(
        &self,
        path: &str,
        items: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<(Vec<Value>, bool), Failure> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let size = if limit == 0 { 500 } else { (limit - all.len()).min(500) };
            let (found, next) = self.page(path, items, query, size, token).await?;
            all.extend(found);
            token = next;
            if token.is_empty() || (limit > 0 && all.len() >= limit) {
                return Ok((all, !token.is_empty()));
            }
        }
    }

    /// One page of a list and the token of the next one, empty at the end.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn page(
        &self,
        path: &str,
        items: &str,
        query: &[(&str, String)],
        size: usize,
        token: String,
    ) -> Result<(Vec<Value>, String), Failure> {
        let mut call = Call::get(path)
            .query("pageSize", size.to_string())
            .query("pageToken", token);
        for (name, value) in query {
            call = call.query(name, value.clone());
        }
        let mut page = self.send(call).await?;
        let found = match page[items].take() {
            Value::Array(found) => found,
            _ => Vec::new(),
        };
        Ok((found, page["nextPageToken"].as_str().unwrap_or_default().to_owned()))
    }

    /// Opens a stream of JSON lines.
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn lines(&self, call: Call<'_>) -> Result<Lines, Failure> {
        let mut response = self.request(&call, "").await?.timeout(NO_DEADLINE).send().await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.renew_token().await? {
            response = self.request(&call, "").await?.timeout(NO_DEADLINE).send().await?;
        }
        let status = response.status();
        if status.is_success() {
            return Ok(Lines {
                response,
                rest: Vec::new(),
            });
        }
        Err(self.failure(status, &response.bytes().await?))
    }

    /// What an answer says.
    ///
    /// # Errors
    /// An error status; an answer that is no JSON.
    pub(crate) async fn read(&self, response: Response) -> Result<Value, Failure> {
        let status = response.status();
        let body = response.bytes().await?;
        if !status.is_success() {
            return Err(self.failure(status, &body));
        }
        if body.is_empty() {
            Ok(Value::Null)
        } else {
            Ok(serde_json::from_slice(&body)?)
        }
    }

    fn failure(&self, status: StatusCode, body: &[u8]) -> Failure {
        let failure = Failure::from_response(status.as_u16(), body);
        // A session can be renewed, an API key cannot.
        if self.renew.is_none() {
            failure.of_api_key()
        } else {
            failure
        }
    }

    /// The address of a path.
    ///
    /// # Errors
    /// For a path that would become another one.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Failure> {
        address(&self.base, path)
    }

    async fn request(&self, call: &Call<'_>, key: &str) -> Result<RequestBuilder, Failure> {
        let url = self.url(call.path)?;
        let mut request = self.client.request(call.method.clone(), url).query(&call.query);
        if call.method != Method::GET {
            request = request.header("idempotency-key", key);
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        if let Some(token) = self.token.lock().await.as_ref() {
            request = request.bearer_auth(token);
        }
        Ok(request)
    }

    /// Gets a new token if the credentials are a session's.
    ///
    /// # Errors
    /// Where the session has ended.
    pub(crate) async fn renew_token(&self) -> Result<bool, Failure> {
        let Some(renew) = &self.renew else { return Ok(false) };
        let mut token = self.token.lock().await;
        *token = Some(renew.renew(token.as_deref().unwrap_or_default()).await?);
        Ok(true)
    }
}

/// The second wall behind `text::resource`: a URL resolves `..`, and a request must not end where nobody meant it to.
fn address(base: &Url, path: &str) -> Result<Url, Failure> {
    let url = base.join(path).map_err(|error| Failure::other(error.to_string()))?;
    if url.path() == path {
        Ok(url)
    } else {
        Err(Failure::usage(format!("{path} is no path of the API")))
    }
}

/// A stream of JSON lines.
pub(crate) struct Lines {
    response: Response,
    rest: Vec<u8>,
}

impl Lines {
    /// The next one; `None` at the end.
    ///
    /// # Errors
    /// Where the connection broke or nothing came for too long.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, Failure> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line)?));
            }
            let chunk = tokio::time::timeout(SILENCE, self.response.chunk()).await;
            match chunk.map_err(|_| Failure::new(Exit::Timeout, "the stream has gone silent"))?? {
                Some(chunk) => self.rest.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// How long to wait before the same request may succeed. A used-up plan says no time, a throttled sign-in a long one: both
/// are for the person to know.
fn retry_after(response: &Response, attempt: u32) -> Option<Duration> {
    let asked = response
        .headers()
        .get("retry-after")
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.parse().ok());
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => asked.map(Duration::from_secs).filter(|delay| *delay <= LONGEST_PAUSE),
        StatusCode::SERVICE_UNAVAILABLE => Some(
            asked
                .map_or(Duration::from_millis(300) * attempt, Duration::from_secs)
                .min(LONGEST_PAUSE),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_ends_where_its_path_says() {
        let base = Url::parse("http://acme.localhost:8080").unwrap();
        let code = |path: &str| {
            address(&base, path)
                .map(String::from)
                .map_err(|failure| failure.exit().code())
        };
        assert_eq!(
            code("/v1/tenants/a%3Fb:suspend"),
            Ok("http://acme.localhost:8080/v1/tenants/a%3Fb:suspend".to_owned())
        );
        for path in [
            "/v1/objectTypes/zzz/../victim",
            "/v1/users/..",
            "/v1/users/.",
            "/v1/users/%2e%2E",
            "/v1/users/1?x",
            "/v1/users/1#x",
            "//elsewhere.example/v1/users",
        ] {
            assert_eq!(code(path), Err(2), "{path}");
        }
    }
}

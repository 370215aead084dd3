//! REST calls to the gateway: JSON in, JSON out, an error status becomes a [`Failure`].
//!
//! A mutation carries an `Idempotency-Key`, so that it can be sent again when the answer was lost.

use crate::{Exit, Failure, host};
use indicatif::ProgressBar;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;
use std::{path::Path, sync::Arc, time::Duration};
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
/// As long as the API gives an upload.
const UPLOAD: Duration = Duration::from_secs(600);
/// A stream has no end of its own.
const NO_DEADLINE: Duration = Duration::from_secs(365 * 24 * 3600);

/// One tenant's API.
pub(crate) struct Api {
    client: reqwest::Client,
    base: Url,
    token: Mutex<Option<String>>,
    renew: Option<Arc<dyn Renew>>,
}

/// One call, before it is sent.
pub(crate) struct Call<'a> {
    method: Method,
    path: &'a str,
    query: Vec<(&'a str, String)>,
    body: Option<&'a Value>,
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
        }
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
        let key = SystemIds.new_v7().to_string();
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
                    _ => return read(response).await,
                },
            }
        }
        Err(Failure::new(
            Exit::Timeout,
            format!("The server was not available in {ATTEMPTS} attempts. Try again later."),
        ))
    }

    /// All pages of a list, at most `limit` items (0 = all).
    ///
    /// # Errors
    /// As [`Api::send`].
    pub(crate) async fn list(
        &self,
        path: &str,
        items: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<Vec<Value>, Failure> {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let size = if limit == 0 { 500 } else { (limit - all.len()).min(500) };
            let (found, next) = self.page(path, items, query, size, token).await?;
            all.extend(found);
            token = next;
            if token.is_empty() || (limit > 0 && all.len() >= limit) {
                return Ok(all);
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
        Err(Failure::from_response(status.as_u16(), &response.bytes().await?))
    }

    /// Uploads a CSV file.
    ///
    /// # Errors
    /// As [`Api::send`]; also where the file cannot be read.
    pub(crate) async fn upload(&self, path: &str, file: &Path, bar: &ProgressBar) -> Result<Value, Failure> {
        let mut response = self.upload_once(path, file, bar).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.renew_token().await? {
            response = self.upload_once(path, file, bar).await?;
        }
        bar.finish_and_clear();
        read(response).await
    }

    async fn upload_once(&self, path: &str, file: &Path, bar: &ProgressBar) -> Result<Response, Failure> {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or("upload.csv");
        let open = |error: std::io::Error| Failure::usage(format!("{}: {error}", file.display()));
        let opened = tokio::fs::File::open(file).await.map_err(open)?;
        let size = opened.metadata().await.map_err(open)?.len();
        bar.reset();
        bar.set_length(size);
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(bar.wrap_async_read(opened)));
        let url = self
            .base
            .join(path)
            .map_err(|error| Failure::other(error.to_string()))?;
        let mut request = self
            .client
            .post(url)
            .timeout(UPLOAD)
            .query(&[("filename", name)])
            .header("content-type", "text/csv")
            .header("content-length", size)
            .body(body);
        if let Some(token) = self.token.lock().await.as_ref() {
            request = request.bearer_auth(token);
        }
        Ok(request.send().await?)
    }

    async fn request(&self, call: &Call<'_>, key: &str) -> Result<RequestBuilder, Failure> {
        let url = self
            .base
            .join(call.path)
            .map_err(|error| Failure::other(error.to_string()))?;
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

    async fn renew_token(&self) -> Result<bool, Failure> {
        let Some(renew) = &self.renew else { return Ok(false) };
        let mut token = self.token.lock().await;
        *token = Some(renew.renew(token.as_deref().unwrap_or_default()).await?);
        Ok(true)
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

async fn read(response: Response) -> Result<Value, Failure> {
    let status = response.status();
    let body = response.bytes().await?;
    if !status.is_success() {
        return Err(Failure::from_response(status.as_u16(), &body));
    }
    if body.is_empty() {
        Ok(Value::Null)
    } else {
        Ok(serde_json::from_slice(&body)?)
    }
}

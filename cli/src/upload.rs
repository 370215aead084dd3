//! Uploading a CSV file: a regular one with its length, a pipe or stdin in chunks, as it comes.

use crate::{
    Failure,
    http::{Api, Call},
    operations,
};
use indicatif::ProgressBar;
use reqwest::{Body, Response, StatusCode};
use serde_json::Value;
use std::{
    io,
    os::fd::AsFd,
    path::Path,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, ReadBuf},
};
use tokio_util::io::ReaderStream;

/// As long as the API gives an upload.
const UPLOAD: Duration = Duration::from_secs(600);

impl Api {
    /// Uploads a file; `-` is stdin.
    ///
    /// # Errors
    /// As [`Api::send`]; also where the file cannot be read.
    pub(crate) async fn upload(&self, path: &str, file: &Path, bar: &ProgressBar) -> Result<Value, Failure> {
        let source = Source::open(file).await.map_err(|error| unreadable(file, &error))?;
        let is_read_once = source.size.is_none();
        if is_read_once && self.renew.is_some() {
            // With a token that has ended, the first attempt would swallow the pipe.
            self.send(Call::get("/v1/sessions/current")).await?;
        }
        let mut response = self.upload_once(path, file, source, bar).await?;
        if response.status() == StatusCode::UNAUTHORIZED && !is_read_once && self.renew_token().await? {
            let again = Source::open(file).await.map_err(|error| unreadable(file, &error))?;
            response = self.upload_once(path, file, again, bar).await?;
        }
        bar.finish_and_clear();
        self.read(response).await
    }

    async fn upload_once(
        &self,
        path: &str,
        file: &Path,
        source: Source,
        bar: &ProgressBar,
    ) -> Result<Response, Failure> {
        let name = file.file_name().and_then(|name| name.to_str());
        let name = name.filter(|name| *name != "-").unwrap_or("stdin.csv");
        let mut request = self.client.post(self.url(path)?).timeout(UPLOAD);
        request = request.query(&[("filename", name)]).header("content-type", "text/csv");
        match source.size {
            Some(size) => {
                bar.set_length(size);
                request = request.header("content-length", size);
            }
            None => operations::uncounted(bar),
        }
        // Behind the length: nought of nought would be drawn as a full bar.
        bar.reset();
        if let Some(token) = self.token.lock().await.as_ref() {
            request = request.bearer_auth(token);
        }
        let failed = Arc::new(OnceLock::new());
        let read = Told {
            from: source.file.take(source.size.unwrap_or(u64::MAX)),
            failed: Arc::clone(&failed),
        };
        let body = Body::wrap_stream(ReaderStream::new(bar.wrap_async_read(read)));
        let sent = request.body(body).send().await;
        // What the server makes of half a file is not what is wrong.
        match failed.get() {
            Some(error) => Err(unreadable(file, error)),
            None => Ok(sent?),
        }
    }
}

fn unreadable(file: &Path, error: &io::Error) -> Failure {
    Failure::usage(format!("{}: {error}", file.display()))
}

/// What is uploaded, and its length where that is known before.
struct Source {
    file: File,
    size: Option<u64>,
}

impl Source {
    async fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            let stdin = io::stdin().as_fd().try_clone_to_owned()?;
            let file = File::from_std(stdin.into());
            return Ok(Self { file, size: None });
        }
        let file = File::open(path).await?;
        let about = file.metadata().await?;
        let size = about.is_file().then_some(about.len());
        Ok(Self { file, size })
    }
}

/// A reader whose error is kept: the HTTP client only says that the body broke off.
struct Told<R> {
    from: R,
    failed: Arc<OnceLock<io::Error>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Told<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.from).poll_read(cx, buf).map_err(|error| {
            let kind = error.kind();
            // A second error says no more than the first.
            drop(self.failed.set(error));
            kind.into()
        })
    }
}

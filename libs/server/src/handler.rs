//! The narrow waist between tonic and a service's `rpc/`: context in, plain result out, an error becomes a status once.

use crate::status_of;
use tenantry_kernel::{Ctx, Error, Kind};
use tonic::{Request, Response, Status};

/// The context that the stack built for this request.
///
/// # Errors
/// INTERNAL where a handler runs outside of the stack: a wiring bug, refused rather than served without a tenant.
pub fn context<T>(request: &Request<T>) -> Result<Ctx, Status> {
    request
        .extensions()
        .get::<Ctx>()
        .cloned()
        .ok_or_else(|| Status::internal("no request context"))
}

/// The status for `error`; logs the cause here and nowhere else.
#[must_use]
#[expect(
    clippy::needless_pass_by_value,
    reason = "an error is consumed where it becomes a status"
)]
pub fn status(ctx: &Ctx, error: Error) -> Status {
    log(ctx, &error);
    status_of(&error, ctx.request_id())
}

/// Runs a unary handler: `unary(request, async |ctx, message| ...)`.
///
/// # Errors
/// The handler's error as a status.
pub async fn unary<T, R, F>(request: Request<T>, handler: F) -> Result<Response<R>, Status>
where
    F: AsyncFnOnce(Ctx, T) -> Result<R, Error>,
{
    let ctx = context(&request)?;
    match handler(ctx.clone(), request.into_inner()).await {
        Ok(message) => Ok(Response::new(message)),
        Err(error) => Err(status(&ctx, error)),
    }
}

pub(crate) fn log(ctx: &Ctx, error: &Error) {
    let cause = chain(error);
    let (request_id, reason) = (ctx.request_id(), error.reason());
    match error.kind() {
        Kind::Internal => tracing::error!(%request_id, %reason, cause, "request failed inside"),
        Kind::Unavailable => tracing::warn!(%request_id, %reason, cause, "a dependency is away"),
        _ if !cause.is_empty() => tracing::debug!(%request_id, %reason, cause, "request refused"),
        _ => {}
    }
}

fn chain(error: &Error) -> String {
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

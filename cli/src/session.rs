//! From the global options to a signed-in [`Api`].

use crate::{
    Failure,
    args::Globals,
    contexts::{self, Context, Contexts},
    host,
    http::{Api, Call, Renew},
};
use serde_json::{Value, json};
use std::sync::Arc;
use tenantry_kernel::BoxFuture;

/// The API that the options and the current context name.
///
/// # Errors
/// Where nobody has signed in.
pub(crate) fn api(globals: &Globals) -> Result<Api, Failure> {
    let all = contexts::read(&contexts::path()?)?;
    let name = pick(globals, &all)?;
    let context = all.get(&name)?;
    let url = host::tenant_url(&context.server, context.tenant.as_deref())?;
    let renew = Arc::new(RefreshToken {
        name,
        stale: context.access_token.clone(),
    });
    Ok(Api::new(url)?.signed_in(context.access_token.clone(), Some(renew)))
}

/// The context by name, or the only one that fits `--tenant` and `--server`, or the current one.
fn pick(globals: &Globals, all: &Contexts) -> Result<String, Failure> {
    if let Some(name) = &globals.context {
        return Ok(name.clone());
    }
    let same_tenant = |context: &Context| globals.tenant.is_none() || context.tenant == globals.tenant;
    let same_server = |context: &Context| {
        globals
            .server
            .as_ref()
            .is_none_or(|server| same_url(server, &context.server))
    };
    let fits = |context: &Context| same_tenant(context) && same_server(context);
    if let Some(current) = all
        .current
        .as_ref()
        .filter(|name| all.contexts.get(*name).is_some_and(fits))
    {
        return Ok(current.clone());
    }
    all.contexts
        .iter()
        .find(|(_, context)| fits(context))
        .map(|(name, _)| name.clone())
        .ok_or_else(|| {
            let tenant = globals
                .tenant
                .as_ref()
                .map(|tenant| format!(" --tenant {tenant}"))
                .unwrap_or_default();
            Failure::new(
                crate::Exit::Denied,
                format!("nobody is signed in here. Use `tenantctl login --server URL{tenant} --email EMAIL`."),
            )
        })
}

fn same_url(one: &str, other: &str) -> bool {
    one.trim_end_matches('/') == other.trim_end_matches('/')
}

/// Signs in with a password: access and refresh token.
///
/// # Errors
/// What the server said.
pub(crate) async fn sign_in(api: &Api, email: &str, password: &str) -> Result<(String, String), Failure> {
    let body = json!({"email": email, "password": password, "mode": "SIGN_IN_MODE_TOKENS", "userAgent": concat!("tenantctl/", env!("CARGO_PKG_VERSION"))});
    tokens(&api.send(Call::post("/v1/auth:signIn", &body)).await?)
}

fn tokens(answer: &Value) -> Result<(String, String), Failure> {
    let text = |key: &str| answer[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    text("accessToken")
        .zip(text("refreshToken"))
        .ok_or_else(|| Failure::other("the server answered without tokens"))
}

/// Swaps the refresh token of a context, once for all processes.
struct RefreshToken {
    name: String,
    stale: String,
}

impl Renew for RefreshToken {
    fn renew(&self) -> BoxFuture<'_, Result<String, Failure>> {
        Box::pin(async move {
            let path = contexts::path()?;
            // Held until the new pair is written: the old refresh token must not be used a second time.
            let lock = contexts::lock(&path)?;
            let mut all = contexts::read(&path)?;
            let context = all.get(&self.name)?.clone();
            if context.access_token != self.stale {
                return Ok(context.access_token);
            }
            let api = Api::new(host::tenant_url(&context.server, context.tenant.as_deref())?)?;
            let body = json!({"refreshToken": context.refresh_token});
            let answer = api
                .send(Call::post("/v1/auth:refresh", &body))
                .await
                .map_err(|failure| failure.during("the session has ended; sign in again"))?;
            let (access_token, refresh_token) = tokens(&answer)?;
            all.contexts.insert(
                self.name.clone(),
                Context {
                    access_token: access_token.clone(),
                    refresh_token,
                    ..context
                },
            );
            contexts::write_private(&path, &serde_json::to_vec_pretty(&all)?)?;
            drop(lock);
            Ok(access_token)
        })
    }
}

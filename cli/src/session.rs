//! From the global options to a signed-in [`Api`].

use crate::{
    Failure,
    args::Globals,
    contexts::{self, Context, Contexts},
    host,
    http::{Api, Call, Renew},
    text,
};
use reqwest::Url;
use serde_json::{Value, json};
use std::sync::Arc;
use tenantry_kernel::BoxFuture;

/// The API that the options and the current context name.
///
/// # Errors
/// Where nobody has signed in.
pub(crate) fn api(globals: &Globals) -> Result<Api, Failure> {
    if let Some(key) = api_key(globals)? {
        let all = contexts::read(&contexts::path()?)?;
        let (server, tenant) = match (&globals.server, &globals.context) {
            (Some(server), None) => (server.clone(), globals.tenant.clone()),
            _ => {
                let context = all.get(&pick(globals, &all)?)?;
                (context.server.clone(), context.tenant.clone())
            }
        };
        return Ok(Api::new(host::tenant_url(&server, tenant.as_deref())?)?.signed_in(key, None));
    }
    of_context(globals)
}

/// The API that the current context names, whatever key there is.
///
/// # Errors
/// As [`api`].
pub(crate) fn of_context(globals: &Globals) -> Result<Api, Failure> {
    let all = contexts::read(&contexts::path()?)?;
    let name = pick(globals, &all)?;
    let context = all.get(&name)?;
    let api = Api::new(host::tenant_url(&context.server, context.tenant.as_deref())?)?;
    if let Some(file) = &context.api_key_file {
        return Ok(api.signed_in(text::secret_from_file(file)?, None));
    }
    if context.access_token.is_empty() {
        return Err(nobody(globals));
    }
    let renew = Arc::new(RefreshToken { name });
    Ok(api.signed_in(context.access_token.clone(), Some(renew)))
}

/// The key of a program, from a file or the environment: arguments can be read by every user of the machine.
fn api_key(globals: &Globals) -> Result<Option<String>, Failure> {
    match &globals.api_key_file {
        Some(file) => text::secret_from_file(file).map(Some),
        None => Ok(tenantry_config::env_var("TENANTCTL_API_KEY")),
    }
}

/// The context by name, or the current one if it fits `--tenant` and `--server`, or the first that does.
///
/// # Errors
/// Where none fits; where the named one is of another tenant or server than was asked for: which of the two was meant
/// cannot be known, and a wrong guess deletes in the wrong place.
pub(crate) fn pick(globals: &Globals, all: &Contexts) -> Result<String, Failure> {
    let same_tenant = |context: &Context| globals.tenant.is_none() || context.tenant == globals.tenant;
    let same_server = |context: &Context| {
        globals
            .server
            .as_ref()
            .is_none_or(|server| same_url(server, &context.server))
    };
    let fits = |context: &Context| same_tenant(context) && same_server(context);
    if let Some(name) = &globals.context {
        return match all.get(name)? {
            context if fits(context) => Ok(name.clone()),
            context => Err(misfit(name, context)),
        };
    }
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
        .ok_or_else(|| nobody(globals))
}

fn nobody(globals: &Globals) -> Failure {
    let tenant = globals.tenant.as_ref().map(|tenant| format!(" --tenant {tenant}"));
    let tenant = tenant.unwrap_or_default();
    Failure::new(
        crate::Exit::Denied,
        format!("nobody is signed in here. Use `tenantctl login --server URL{tenant} --email EMAIL`."),
    )
}

fn misfit(name: &str, context: &Context) -> Failure {
    let tenant = context.tenant.as_ref().map(|tenant| format!("tenant {tenant} at "));
    Failure::usage(format!(
        "the context {name} is of {}{}, not of what --tenant or --server asks for; leave out --context (or \
         TENANTCTL_CONTEXT) or the others",
        tenant.unwrap_or_default(),
        context.server
    ))
}

fn same_url(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
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
    let token = |key: &str| answer[key].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    token("accessToken")
        .zip(token("refreshToken"))
        .ok_or_else(|| Failure::other("the server answered without tokens"))
}

/// Swaps the refresh token of a context, once for all processes.
struct RefreshToken {
    name: String,
}

impl Renew for RefreshToken {
    fn renew<'a>(&'a self, stale: &'a str) -> BoxFuture<'a, Result<String, Failure>> {
        Box::pin(async move {
            let path = contexts::path()?;
            // Held until the new pair is written: the old refresh token must not be used a second time.
            let lock = contexts::lock(&path)?;
            let mut all = contexts::read(&path)?;
            let context = all.get(&self.name)?.clone();
            if context.access_token != stale {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Format;

    fn picked(context: Option<&str>, tenant: Option<&str>, server: Option<&str>) -> Result<String, u8> {
        let of = |tenant: &str| Context {
            server: "http://127.0.0.1:8080".to_owned(),
            tenant: Some(tenant.to_owned()),
            ..Context::default()
        };
        let all = Contexts {
            current: Some("acme".to_owned()),
            contexts: ["acme", "globex"].map(|name| (name.to_owned(), of(name))).into(),
        };
        let globals = Globals {
            output: Format::Table,
            context: context.map(str::to_owned),
            tenant: tenant.map(str::to_owned),
            server: server.map(str::to_owned),
            api_key_file: None,
        };
        pick(&globals, &all).map_err(|failure| failure.exit().code())
    }

    #[test]
    fn a_context_that_does_not_fit_is_a_mistake_and_not_a_choice() {
        let server = "http://127.0.0.1:8080/";
        for (context, tenant, server, name) in [
            (None, None, None, Ok("acme")),
            (None, Some("globex"), None, Ok("globex")),
            (Some("globex"), None, None, Ok("globex")),
            (Some("globex"), Some("globex"), Some(server), Ok("globex")),
            (Some("globex"), Some("acme"), None, Err(2)),
            (Some("globex"), None, Some("http://127.0.0.1:9090"), Err(2)),
            (Some("nobody"), None, None, Err(3)),
            (None, Some("initech"), None, Err(4)),
        ] {
            assert_eq!(
                picked(context, tenant, server),
                name.map(str::to_owned),
                "{context:?} {tenant:?}"
            );
        }
    }
}

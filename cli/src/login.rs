//! `tenantctl login`, `logout`, `whoami`

use crate::{
    Exit, Failure,
    args::Globals,
    contexts::{self, Context},
    host,
    http::{Api, Call},
    output,
    resource::Session,
    session, text,
};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// See the help text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenantctl login --server http://127.0.0.1:8080 --tenant acme --email owner@acme.example
  tenantctl login --server https://tenantry.example --tenant acme --email bot@acme.example --env-file bot.env
  pass show acme | tenantctl login --server https://tenantry.example --tenant acme --email me@acme.example --password-stdin")]
pub(crate) struct LoginArgs {
    /// Who signs in
    #[arg(long)]
    email: String,
    /// Name of the context; the tenant's name if left out
    #[arg(long)]
    name: Option<String>,
    /// Read the password from the first line of stdin
    #[arg(long, conflicts_with = "env_file")]
    password_stdin: bool,
    /// Read TENANTRY_PASSWORD from a file of KEY=value lines
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// See the help text.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  tenantctl logout\n  tenantctl --context acme logout\n  tenantctl logout --all")]
pub(crate) struct LogoutArgs {
    /// All contexts
    #[arg(long)]
    all: bool,
}

/// Signs in and keeps the session.
///
/// # Errors
/// Wrong e-mail or password; no server named.
pub(crate) async fn run(globals: &Globals, args: LoginArgs) -> Result<(), Failure> {
    let server = globals
        .server
        .clone()
        .ok_or_else(|| Failure::usage("--server is needed: the URL of the gateway"))?;
    let url = host::tenant_url(&server, globals.tenant.as_deref())?;
    let name = args
        .name
        .or_else(|| globals.context.clone())
        .or_else(|| globals.tenant.clone());
    let name = name
        .or_else(|| url.host_str().map(str::to_owned))
        .unwrap_or_else(|| "default".to_owned());
    let password = match (&args.env_file, args.password_stdin) {
        (Some(file), _) => text::secret_from_env_file(file, "TENANTRY_PASSWORD")?,
        (None, true) => text::secret_from_stdin()?,
        (None, false) => text::secret_from_prompt(&format!("Password of {}: ", args.email))?,
    };
    let (access_token, refresh_token) = session::sign_in(&Api::new(url)?, &args.email, &password).await?;
    let context = Context {
        server,
        tenant: globals.tenant.clone(),
        email: args.email.clone(),
        access_token,
        refresh_token,
        api_key_file: None,
    };
    contexts::change(|all| {
        all.contexts.insert(name.clone(), context);
        all.current = Some(name.clone());
        Ok(())
    })?;
    output::say(&format!("{} is signed in; the current context is {name}.", args.email));
    Ok(())
}

/// Ends sessions at the server and forgets them here; a session that has ended already is only forgotten.
///
/// # Errors
/// What the server said; it is kept then, so that it can be tried again.
pub(crate) async fn logout(globals: &Globals, args: &LogoutArgs) -> Result<(), Failure> {
    let all = contexts::read(&contexts::path()?)?;
    let names = if args.all {
        all.contexts.keys().cloned().collect()
    } else {
        vec![session::pick(globals, &all)?]
    };
    for name in names {
        let context = all.get(&name)?;
        if !context.access_token.is_empty() {
            let one = Globals {
                output: globals.output,
                context: Some(name.clone()),
                tenant: None,
                server: None,
                api_key_file: None,
            };
            let ended = session::of_context(&one)?
                .send(Call::post("/v1/auth:signOut", &json!({})))
                .await;
            match ended {
                Err(failure) if !matches!(failure.exit(), Exit::Denied | Exit::NotFound) => return Err(failure),
                _ => {}
            }
        }
        contexts::change(|all| all.remove(&name))?;
        output::say(&format!("{name} is signed out."));
    }
    Ok(())
}

/// Who acts.
///
/// # Errors
/// What the server said.
pub(crate) async fn whoami(globals: &Globals) -> Result<(), Failure> {
    Session::open(globals)?.send(Call::get("/v1/sessions/current")).await
}

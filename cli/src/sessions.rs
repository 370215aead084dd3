//! `tenantctl sessions`

use crate::{
    Failure,
    args::Globals,
    http::Call,
    output::{Column, text, time},
    resource::{Limit, Resource, Session},
};
use clap::Subcommand;
use serde_json::json;

const SESSIONS: Resource = Resource {
    path: "/v1/sessions",
    items: "sessions",
    shape: "sessions/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("SESSION", "/name"),
    text("CLIENT", "/userAgent"),
    time("SINCE", "/createTime"),
    time("LAST USED", "/lastUsedTime"),
    time("ENDS", "/expireTime"),
    text("MEMBER", "/user").wide(),
];

/// `tenantctl sessions`
#[derive(Debug, Subcommand)]
pub(crate) enum SessionsCommand {
    /// Your sessions
    #[command(after_help = "Example:\n  tenantctl sessions list")]
    List,
    /// End one of them
    #[command(after_help = "Example:\n  tenantctl sessions revoke sessions/0193a1b2-0000-7000-8000-000000000000")]
    Revoke {
        /// `sessions/ID`
        #[arg(value_name = "SESSION")]
        name: String,
    },
    /// End all of them but this one
    #[command(after_help = "Example:\n  tenantctl sessions revoke-others")]
    RevokeOthers,
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: SessionsCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        SessionsCommand::List => session.list(&SESSIONS, &[], Limit::ALL).await,
        SessionsCommand::Revoke { name } => {
            let path = SESSIONS.at(&name, ":revoke")?;
            let answer = session.api.send(Call::post(&path, &json!({}))).await?;
            session.done(&format!("{name} has ended."), &answer)
        }
        SessionsCommand::RevokeOthers => session.send(Call::post("/v1/sessions:revokeOthers", &json!({}))).await,
    }
}

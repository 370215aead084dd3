//! `tenantctl members`

use crate::{
    Exit, Failure,
    args::Globals,
    confirm::Confirm,
    http::Api,
    output::{Column, text, time, word},
    resource::{Limit, Resource, Session},
};
use clap::{Subcommand, ValueEnum};
use serde_json::json;

const USERS: Resource = Resource {
    path: "/v1/users",
    items: "users",
    shape: "users/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("EMAIL", "/email"),
    text("NAME", "/displayName"),
    word("ROLE", "/role", "ROLE_"),
    word("STATE", "/state", "USER_STATE_"),
    time("CREATED", "/createTime"),
    text("MEMBER", "/name").wide(),
];

/// What a member may do.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes records.
    Member,
    /// Manages members, keys, types and branding.
    Admin,
    /// Everything.
    Owner,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Viewer => "ROLE_VIEWER",
            Self::Member => "ROLE_MEMBER",
            Self::Admin => "ROLE_ADMIN",
            Self::Owner => "ROLE_OWNER",
        }
    }
}

/// `tenantctl members`
#[derive(Debug, Subcommand)]
pub(crate) enum MembersCommand {
    /// All members
    #[command(after_help = "Example:\n  tenantctl --tenant acme members list")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// One member
    #[command(after_help = "Example:\n  tenantctl members get mia@acme.example")]
    Get {
        /// E-mail or `users/ID`
        member: String,
    },
    /// Invite somebody; prints the one-time link with which they set a password (72 h)
    #[command(
        after_help = "Example:\n  tenantctl members invite mia@acme.example --role member --display-name 'Mia Berg'"
    )]
    Invite {
        /// E-mail
        email: String,
        /// What they may do
        #[arg(long, value_enum, default_value = "member")]
        role: Role,
        /// Name for people
        #[arg(long, default_value = "")]
        display_name: String,
    },
    /// Change what a member may do
    #[command(after_help = "Example:\n  tenantctl members set-role mia@acme.example admin")]
    SetRole {
        /// E-mail or `users/ID`
        member: String,
        /// What they may do
        #[arg(value_enum)]
        role: Role,
    },
    /// Lock a member and end their sessions
    #[command(after_help = "Example:\n  tenantctl members disable mia@acme.example")]
    Disable {
        /// E-mail or `users/ID`
        member: String,
    },
    /// Unlock a member
    #[command(after_help = "Example:\n  tenantctl members enable mia@acme.example")]
    Enable {
        /// E-mail or `users/ID`
        member: String,
    },
    /// Remove a member; their sessions and keys end
    #[command(after_help = "Example:\n  tenantctl members delete mia@acme.example --yes")]
    Delete {
        /// E-mail or `users/ID`
        member: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Make a one-time link with which a member sets a new password
    #[command(after_help = "Example:\n  tenantctl members reset-link mia@acme.example")]
    ResetLink {
        /// E-mail or `users/ID`
        member: String,
    },
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: MembersCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        MembersCommand::List { limit } => session.list(&USERS, &[], limit).await,
        MembersCommand::Get { member } => session.get(&USERS, &find(&session.api, &member).await?).await,
        MembersCommand::Invite {
            email,
            role,
            display_name,
        } => {
            let body = json!({"email": email, "role": role.name(), "displayName": display_name});
            session.create(&USERS, &body).await
        }
        MembersCommand::SetRole { member, role } => {
            let path = USERS.at(&find(&session.api, &member).await?, "")?;
            session.patch(&path, &json!({"role": role.name()})).await
        }
        MembersCommand::Disable { member } => {
            session
                .act(&USERS, &find(&session.api, &member).await?, ":disable")
                .await
        }
        MembersCommand::Enable { member } => {
            session
                .act(&USERS, &find(&session.api, &member).await?, ":enable")
                .await
        }
        MembersCommand::Delete { member, confirm } => {
            let name = find(&session.api, &member).await?;
            USERS.at(&name, "")?; // before anybody is asked
            confirm.ask(&format!("{member} will no longer be able to sign in."), &member)?;
            session.delete(&USERS, &name, &[]).await
        }
        MembersCommand::ResetLink { member } => {
            session
                .act(&USERS, &find(&session.api, &member).await?, ":createResetLink")
                .await
        }
    }
}

/// The name of a member by e-mail; any other text is a name already.
async fn find(api: &Api, member: &str) -> Result<String, Failure> {
    if !member.contains('@') {
        return Ok(member.to_owned());
    }
    let wanted = member.to_lowercase();
    let users = api.list(USERS.path, USERS.items, &[]).await?;
    let user = users.iter().find(|user| user["email"] == wanted.as_str());
    user.and_then(|user| user["name"].as_str())
        .map(str::to_owned)
        .ok_or_else(|| Failure::new(Exit::NotFound, format!("no member has the e-mail {member}")))
}

//! `tenantctl backups`: snapshots, restores, the policy.

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    http::Call,
    operations::{self, Wait},
    output::{Column, bytes, text, time, word},
    resource::{Limit, Resource, Session, given},
};
use clap::{ArgGroup, Args, Subcommand};
use serde_json::json;

const SNAPSHOTS: Resource = Resource {
    path: "/v1/snapshots",
    items: "snapshots",
    shape: "snapshots/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("SNAPSHOT", "/name"),
    word("STATE", "/state", "SNAPSHOT_STATE_"),
    word("KIND", "/kind", "SNAPSHOT_KIND_"),
    time("OF", "/snapshotTime"),
    text("RECORDS", "/records"),
    bytes("STORED", "/storedBytes"),
    bytes("SIZE", "/sizeBytes").wide(),
    time("VERIFIED", "/verifyTime"),
    time("EXPIRES", "/expireTime").wide(),
    text("DESCRIPTION", "/description"),
    text("PROBLEM", "/problem"),
];
const FLEET: Resource = Resource {
    path: "/v1/platform/backups",
    items: "tenantBackups",
    shape: "tenants/*",
    columns: &[
        text("TENANT", "/slug"),
        time("LAST SNAPSHOT", "/lastSnapshotTime"),
        time("LAST VERIFIED", "/lastVerifyTime"),
        text("SNAPSHOTS", "/snapshots"),
        bytes("STORED", "/storedBytes"),
        text("PROBLEM", "/problem"),
        text("NAME", "/tenant").wide(),
    ],
};
const POLICY: &str = "/v1/backupPolicy";

/// `tenantctl backups`
#[derive(Debug, Subcommand)]
pub(crate) enum BackupsCommand {
    /// Snapshots, newest first
    #[command(after_help = "Example:\n  tenantctl backups list --limit 10")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// One snapshot with its records by type
    #[command(after_help = "Example:\n  tenantctl backups get snapshots/0193a1b2-0000-7000-8000-000000000000")]
    Get {
        /// `snapshots/ID`
        #[arg(value_name = "SNAPSHOT")]
        name: String,
    },
    /// Take a snapshot now
    #[command(after_help = "Example:\n  tenantctl backups create --description 'before the migration'")]
    Create {
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Read every object of a snapshot back and compare it with the signed manifest
    #[command(after_help = "Example:\n  tenantctl backups verify snapshots/0193a1b2-0000-7000-8000-000000000000")]
    Verify {
        /// `snapshots/ID`
        #[arg(value_name = "SNAPSHOT")]
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Bring a snapshot back: in place of the present data, or as a new tenant
    #[command(after_help = "Examples:
  tenantctl backups restore snapshots/0193a1b2-0000-7000-8000-000000000000 --new-tenant acme-copy
  tenantctl backups restore snapshots/0193a1b2-0000-7000-8000-000000000000 --in-place --yes")]
    Restore(RestoreArgs),
    /// Remove a snapshot
    #[command(after_help = "Example:\n  tenantctl backups delete snapshots/0193a1b2-0000-7000-8000-000000000000 --yes")]
    Delete {
        /// `snapshots/ID`
        #[arg(value_name = "SNAPSHOT")]
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// When snapshots are taken by themselves and how long they are kept
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl backups policy get\n  tenantctl backups policy set --schedule '0 3 * * *' --keep-days 30"
    )]
    Policy(PolicyCommand),
    /// The state of all tenants' backups (operators)
    #[command(after_help = "Example:\n  tenantctl --tenant operator backups fleet")]
    Fleet {
        #[command(flatten)]
        limit: Limit,
    },
}

/// `tenantctl backups restore`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("to").required(true).args(["in_place", "new_tenant"]))]
pub(crate) struct RestoreArgs {
    /// `snapshots/ID`
    #[arg(value_name = "SNAPSHOT")]
    name: String,
    /// Replace the present data; a snapshot of it is taken first
    #[arg(long)]
    in_place: bool,
    /// Short name of the new tenant; you are invited as its owner
    #[arg(long, value_name = "SLUG")]
    new_tenant: Option<String>,
    /// Name of the new tenant for people
    #[arg(long, requires = "new_tenant", default_value = "")]
    display_name: String,
    #[command(flatten)]
    confirm: Confirm,
    #[command(flatten)]
    wait: Wait,
}

/// `tenantctl backups policy`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// The policy
    #[command(after_help = "Example:\n  tenantctl backups policy get")]
    Get,
    /// Change it
    #[command(
        after_help = "Example:\n  tenantctl backups policy set --schedule '0 3 * * *' --keep-days 30 --keep-last 7"
    )]
    Set {
        /// Five cron fields in UTC; empty for never
        #[arg(long, value_name = "CRON")]
        schedule: Option<String>,
        /// Scheduled snapshots are kept at least this many days
        #[arg(long, value_name = "DAYS")]
        keep_days: Option<u32>,
        /// The newest so many are kept whatever their age
        #[arg(long, value_name = "N")]
        keep_last: Option<u32>,
    },
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: BackupsCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        BackupsCommand::List { limit } => session.list(&SNAPSHOTS, &[], limit).await,
        BackupsCommand::Get { name } => session.get(&SNAPSHOTS, &name).await,
        BackupsCommand::Create { description, wait } => {
            let body = json!({"description": description});
            start(&session, SNAPSHOTS.path, &body, &wait).await
        }
        BackupsCommand::Verify { name, wait } => {
            start(&session, &SNAPSHOTS.at(&name, ":verify")?, &json!({}), &wait).await
        }
        BackupsCommand::Restore(args) => restore(&session, &args).await,
        BackupsCommand::Delete { name, confirm } => {
            SNAPSHOTS.at(&name, "")?; // before anybody is asked
            confirm.ask(&format!("{name} will be removed for good."), &name)?;
            session.delete(&SNAPSHOTS, &name, &[]).await
        }
        BackupsCommand::Policy(PolicyCommand::Get) => session.send(Call::get(POLICY)).await,
        BackupsCommand::Policy(PolicyCommand::Set {
            schedule,
            keep_days,
            keep_last,
        }) => {
            let mut body = given(&[("schedule", schedule.as_deref())]);
            for (key, value) in [("keepDays", keep_days), ("keepLast", keep_last)] {
                if let Some(value) = value {
                    body[key] = json!(value);
                }
            }
            session.patch(POLICY, &body).await
        }
        BackupsCommand::Fleet { limit } => session.list(&FLEET, &[], limit).await,
    }
}

async fn restore(session: &Session, args: &RestoreArgs) -> Result<(), Failure> {
    let path = SNAPSHOTS.at(&args.name, ":restore")?;
    let body = match &args.new_tenant {
        Some(slug) => json!({"newTenant": {"slug": slug, "displayName": args.display_name}}),
        None => {
            let what =
                "The present data of this tenant will be replaced by the snapshot's (a snapshot of it is taken first).";
            args.confirm.ask(what, &args.name)?;
            json!({"inPlace": true})
        }
    };
    start(session, &path, &body, &args.wait).await
}

async fn start(session: &Session, path: &str, body: &serde_json::Value, wait: &Wait) -> Result<(), Failure> {
    let operation = session.api.send(Call::post(path, body)).await?;
    operations::finish(session.output, &session.api, operation, wait).await
}

//! `tenantctl tenants`

use crate::{
    Failure,
    args::Globals,
    http::{Api, Call},
    operations::{self, Wait},
    output::Column,
    session, text,
};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

const COLUMNS: &[Column] = &[
    ("SLUG", "/slug"),
    ("NAME", "/displayName"),
    ("PLAN", "/plan"),
    ("STATE", "/state"),
    ("ID", "/tenantId"),
    ("CREATED", "/createTime"),
];

/// `tenantctl tenants`
#[derive(Debug, Subcommand)]
pub(crate) enum TenantsCommand {
    /// Tenants in order of their slug
    #[command(
        after_help = "Examples:\n  tenantctl tenants list --limit 20\n  tenantctl -o json tenants list --prefix ac --show-deleted"
    )]
    List {
        /// Only slugs that begin with this
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// Also the deleted ones
        #[arg(long)]
        show_deleted: bool,
        /// At most this many; 0 for all
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// One tenant
    #[command(after_help = "Example:\n  tenantctl tenants get acme")]
    Get {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
    },
    /// Start onboarding; prints the invite link of the first owner
    #[command(
        after_help = "Example:\n  tenantctl tenants create initech --display-name 'Initech Ltd' --plan team --admin-email owner@initech.example"
    )]
    Create(CreateArgs),
    /// Lock a tenant and end its sessions
    #[command(after_help = "Example:\n  tenantctl tenants suspend acme --reason 'unpaid invoice'")]
    Suspend {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
        /// Why, for people
        #[arg(long, default_value = "")]
        reason: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Unlock a suspended tenant
    #[command(after_help = "Example:\n  tenantctl tenants resume acme")]
    Resume {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
    /// Delete a tenant; it can be undeleted for 30 days
    #[command(
        after_help = "Examples:\n  tenantctl tenants delete acme\n  tenantctl tenants delete acme --purge --yes-destroy acme"
    )]
    Delete {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
        /// Destroy keys and data now; nothing brings them back
        #[arg(long, requires = "yes_destroy")]
        purge: bool,
        /// Repeat the tenant's name to confirm --purge
        #[arg(long, value_name = "TENANT")]
        yes_destroy: Option<String>,
        #[command(flatten)]
        wait: Wait,
    },
    /// Bring a deleted tenant back
    #[command(after_help = "Example:\n  tenantctl tenants undelete 01993b1e-7c00-7000-8000-00000000abcd")]
    Undelete {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
        #[command(flatten)]
        wait: Wait,
    },
}

/// `tenantctl tenants create`
#[derive(Debug, Args)]
pub(crate) struct CreateArgs {
    /// First label of the tenant's host: 3 to 40 characters of a-z, 0-9 and '-'
    slug: String,
    /// Name for people; the slug if left out
    #[arg(long)]
    display_name: Option<String>,
    /// The plan
    #[arg(long, default_value = "free")]
    plan: String,
    /// E-mail of the first owner
    #[arg(long)]
    admin_email: String,
    /// Name of the first owner
    #[arg(long, default_value = "")]
    admin_name: String,
    #[command(flatten)]
    wait: Wait,
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: TenantsCommand) -> Result<(), Failure> {
    let api = session::api(globals)?;
    let (operation, wait) = match command {
        TenantsCommand::List {
            prefix,
            show_deleted,
            limit,
        } => return list(globals, &api, prefix, show_deleted, limit).await,
        TenantsCommand::Get { name } => return globals.output.one(&api.send(Call::get(&path(&name, ""))).await?),
        TenantsCommand::Create(args) => create(&api, args).await?,
        TenantsCommand::Suspend { name, reason, wait } => {
            (act(&api, &name, ":suspend", &json!({"reason": reason})).await?, wait)
        }
        TenantsCommand::Resume { name, wait } => (act(&api, &name, ":resume", &json!({})).await?, wait),
        TenantsCommand::Undelete { name, wait } => (act(&api, &name, ":undelete", &json!({})).await?, wait),
        TenantsCommand::Delete {
            name,
            purge,
            yes_destroy,
            wait,
        } => (delete(&api, &name, purge, yes_destroy).await?, wait),
    };
    operations::finish(globals, &api, operation, &wait).await
}

async fn list(
    globals: &Globals,
    api: &Api,
    prefix: Option<String>,
    show_deleted: bool,
    limit: usize,
) -> Result<(), Failure> {
    let query = [
        ("slugPrefix", prefix.unwrap_or_default()),
        (
            "showDeleted",
            if show_deleted { "true".to_owned() } else { String::new() },
        ),
    ];
    globals
        .output
        .list(COLUMNS, &api.list("/v1/tenants", "tenants", &query, limit).await?)
}

async fn create(api: &Api, args: CreateArgs) -> Result<(Value, Wait), Failure> {
    let display_name = args.display_name.unwrap_or_else(|| args.slug.clone());
    let tenant = json!({"slug": args.slug, "displayName": display_name, "plan": text::resource("plans", &args.plan)});
    let call = Call::post("/v1/tenants", &tenant)
        .query("adminEmail", args.admin_email)
        .query("adminDisplayName", args.admin_name);
    Ok((api.send(call).await?, args.wait))
}

async fn act(api: &Api, tenant: &str, verb: &str, body: &Value) -> Result<Value, Failure> {
    api.send(Call::post(&path(tenant, verb), body)).await
}

async fn delete(api: &Api, tenant: &str, purge: bool, confirmed: Option<String>) -> Result<Value, Failure> {
    if purge && confirmed.as_deref() != Some(tenant) {
        return Err(Failure::usage(format!(
            "--purge destroys everything of the tenant: confirm it with --yes-destroy {tenant}"
        )));
    }
    let path = path(tenant, "");
    api.send(Call::new(Method::DELETE, &path).query("purge", if purge { "true" } else { "" }))
        .await
}

fn path(tenant: &str, verb: &str) -> String {
    format!("/v1/{}{verb}", text::resource("tenants", tenant))
}

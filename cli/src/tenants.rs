//! `tenantctl tenants`

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    http::{Api, Call},
    operations::{self, Wait},
    output::{Column, text, time, word},
    resource::{Limit, Resource, Session, given},
    text as paths,
};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

const TENANTS: Resource = Resource {
    path: "/v1/tenants",
    items: "tenants",
    shape: "tenants/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("SLUG", "/slug"),
    text("NAME", "/displayName"),
    text("PLAN", "/plan"),
    word("STATE", "/state", "TENANT_STATE_"),
    text("ID", "/tenantId"),
    time("CREATED", "/createTime"),
    time("CHANGED", "/updateTime").wide(),
    time("PURGED", "/purgeTime").wide(),
    text("PLACEMENT", "/placement").wide(),
    text("CELL", "/cell").wide(),
];

/// `tenantctl tenants`
#[derive(Debug, Subcommand)]
pub(crate) enum TenantsCommand {
    /// Tenants in order of their slug
    #[command(
        after_help = "Examples:\n  tenantctl tenants list --limit 20\n  tenantctl tenants list --search müller\n  tenantctl -o json tenants list --prefix ac --show-deleted"
    )]
    List {
        /// Only slugs that begin with this
        #[arg(long, value_name = "TEXT")]
        prefix: Option<String>,
        /// Only where the slug or the name contains this, in upper or lower case
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Also the deleted ones
        #[arg(long)]
        show_deleted: bool,
        #[command(flatten)]
        limit: Limit,
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
    /// Change the name for people or the plan
    #[command(after_help = "Example:\n  tenantctl tenants update acme --plan enterprise --display-name 'Acme Corp'")]
    Update {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
        /// Name for people
        #[arg(long)]
        display_name: Option<String>,
        /// The plan
        #[arg(long)]
        plan: Option<String>,
    },
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
        after_help = "Examples:\n  tenantctl tenants delete acme --yes\n  tenantctl tenants delete acme --purge --yes-destroy acme"
    )]
    Delete {
        /// Slug or id
        #[arg(value_name = "TENANT")]
        name: String,
        /// Destroy keys and data now; nothing brings them back
        #[arg(long)]
        purge: bool,
        /// Repeat the tenant's name to confirm --purge without being asked; --yes is not enough for that
        #[arg(long, value_name = "TENANT", requires = "purge")]
        yes_destroy: Option<String>,
        #[command(flatten)]
        confirm: Confirm,
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
    let session = Session::open(globals)?;
    let api = &session.api;
    let (operation, wait) = match command {
        TenantsCommand::List {
            prefix,
            search,
            show_deleted,
            limit,
        } => return list(&session, (prefix, search), show_deleted, limit).await,
        TenantsCommand::Get { name } => return session.get(&TENANTS, &name).await,
        TenantsCommand::Create(args) => create(api, args).await?,
        TenantsCommand::Update {
            name,
            display_name,
            plan,
        } => {
            let plan = plan.map(|plan| paths::full_name("plans", &plan));
            let body = given(&[("displayName", display_name.as_deref()), ("plan", plan.as_deref())]);
            return session.patch(&TENANTS.at(&name, "")?, &body).await;
        }
        TenantsCommand::Suspend { name, reason, wait } => {
            (act(api, &name, ":suspend", &json!({"reason": reason})).await?, wait)
        }
        TenantsCommand::Resume { name, wait } => (act(api, &name, ":resume", &json!({})).await?, wait),
        TenantsCommand::Undelete { name, wait } => (act(api, &name, ":undelete", &json!({})).await?, wait),
        TenantsCommand::Delete {
            name,
            purge,
            yes_destroy,
            confirm,
            wait,
        } => {
            TENANTS.at(&name, "")?; // before anybody is asked
            agree(&name, purge, yes_destroy.as_deref(), &confirm)?;
            (delete(api, &name, purge).await?, wait)
        }
    };
    operations::finish(session.output, api, operation, &wait).await
}

async fn list(
    session: &Session,
    (prefix, search): (Option<String>, Option<String>),
    show_deleted: bool,
    limit: Limit,
) -> Result<(), Failure> {
    let deleted = if show_deleted { "true" } else { "" };
    let query = [
        ("slugPrefix", prefix.unwrap_or_default()),
        ("query", search.unwrap_or_default()),
        ("showDeleted", deleted.to_owned()),
    ];
    session.list(&TENANTS, &query, limit).await
}

async fn create(api: &Api, args: CreateArgs) -> Result<(Value, Wait), Failure> {
    let display_name = args.display_name.unwrap_or_else(|| args.slug.clone());
    let tenant = json!({"slug": args.slug, "displayName": display_name, "plan": paths::full_name("plans", &args.plan)});
    let call = Call::post(TENANTS.path, &tenant)
        .query("adminEmail", args.admin_email)
        .query("adminDisplayName", args.admin_name);
    Ok((api.send(call).await?, args.wait))
}

async fn act(api: &Api, tenant: &str, verb: &str, body: &Value) -> Result<Value, Failure> {
    api.send(Call::post(&TENANTS.at(tenant, verb)?, body)).await
}

/// A purge cannot be undone: `--yes` alone must not do it.
fn agree(tenant: &str, purge: bool, repeated: Option<&str>, confirm: &Confirm) -> Result<(), Failure> {
    if !purge {
        return confirm.ask(&format!("{tenant} will be locked, and destroyed in 30 days."), tenant);
    }
    match repeated {
        Some(name) if name == tenant => Ok(()),
        Some(name) => Err(Failure::usage(format!(
            "--yes-destroy {name}: it is {tenant} that would be destroyed"
        ))),
        None => {
            let what = format!("Keys and data of {tenant} will be destroyed now; nothing brings them back.");
            Confirm::ask_for(
                &what,
                tenant,
                &format!("--yes-destroy {tenant} (--yes is not enough for a purge)"),
            )
        }
    }
}

async fn delete(api: &Api, tenant: &str, purge: bool) -> Result<Value, Failure> {
    let path = TENANTS.at(tenant, "")?;
    api.send(Call::new(Method::DELETE, &path).query("purge", if purge { "true" } else { "" }))
        .await
}

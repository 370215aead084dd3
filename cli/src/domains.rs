//! `tenantctl domains`

use crate::{
    Failure,
    args::Globals,
    confirm::Confirm,
    http::Call,
    output::{self, Column, text, time, word},
    resource::{Limit, Resource, Session},
    text as paths,
};
use clap::Subcommand;
use serde_json::json;

const DOMAINS: Resource = Resource {
    path: "/v1/domains",
    items: "domains",
    shape: "domains/*",
    columns: COLUMNS,
};
const COLUMNS: &[Column] = &[
    text("DOMAIN", "/name"),
    word("STATE", "/state", "DOMAIN_STATE_"),
    text("TXT VALUE", "/verificationToken"),
    time("CREATED", "/createTime"),
];

/// `tenantctl domains`
#[derive(Debug, Subcommand)]
pub(crate) enum DomainsCommand {
    /// The tenant's own domains, or those of any tenant (operators)
    #[command(after_help = "Examples:\n  tenantctl domains list\n  tenantctl domains list acme")]
    List {
        /// Slug or id of the tenant whose domains an operator looks at
        #[arg(value_name = "TENANT")]
        of: Option<String>,
    },
    /// Claim a domain; prints the TXT record that proves it
    #[command(after_help = "Example:\n  tenantctl domains create help.acme.example")]
    Create {
        /// The host name
        #[arg(value_name = "DOMAIN")]
        name: String,
    },
    /// Put a tenant's domain into service (operators). Nothing is looked up: compare first, `dig +short TXT
    /// _tenantry-verify.DOMAIN`, with the TXT VALUE of `domains list TENANT`
    #[command(after_help = "Example:\n  tenantctl domains verify acme help.acme.example")]
    Verify {
        /// Slug or id of the tenant
        #[arg(value_name = "TENANT")]
        of: String,
        /// The host name
        #[arg(value_name = "DOMAIN")]
        name: String,
    },
    /// Give a domain up; requests for it no longer reach the tenant
    #[command(after_help = "Example:\n  tenantctl domains delete help.acme.example --yes")]
    Delete {
        /// The host name
        #[arg(value_name = "DOMAIN")]
        name: String,
        #[command(flatten)]
        confirm: Confirm,
    },
}

/// Runs the command.
///
/// # Errors
/// What the server said.
pub(crate) async fn run(globals: &Globals, command: DomainsCommand) -> Result<(), Failure> {
    let session = Session::open(globals)?;
    match command {
        DomainsCommand::List { of: None } => session.list(&DOMAINS, &[], Limit::ALL).await,
        DomainsCommand::List { of: Some(tenant) } => {
            let path = format!("/v1/{}:listDomains", paths::resource("tenants/*", &tenant)?);
            let domains = session.api.list(&path, DOMAINS.items, &[]).await?;
            session.output.list(DOMAINS.columns, &domains)
        }
        DomainsCommand::Create { name } => {
            let body = json!({"name": paths::full_name("domains", &name)});
            let domain = session.api.send(Call::post(DOMAINS.path, &body)).await?;
            session.output.one(&domain)?;
            if session.output.is_table() {
                let value = output::line(domain.get("verificationToken"));
                output::say(&format!(
                    "Add the TXT record _tenantry-verify.{name} with the value {value}, then ask the operator to verify."
                ));
            }
            Ok(())
        }
        DomainsCommand::Verify { of, name } => {
            let domain = name.strip_prefix("domains/").unwrap_or(&name);
            let path = format!(
                "/v1/{}/domains/{}:verify",
                paths::resource("tenants/*", &of)?,
                paths::segment(domain)?
            );
            session.send(Call::post(&path, &json!({}))).await
        }
        DomainsCommand::Delete { name, confirm } => {
            DOMAINS.at(&name, "")?; // before anybody is asked
            confirm.ask(&format!("{name} will no longer reach this tenant."), &name)?;
            session.delete(&DOMAINS, &name, &[]).await
        }
    }
}

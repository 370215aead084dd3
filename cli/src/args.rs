//! The command line.

use crate::{
    backups, branding, contexts, domains, example, export, fleet, generate, import, keys, login, members, operations,
    output::Format, plans, records, sessions, tenants, types, usage,
};
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  tenantctl login --server http://127.0.0.1:8080 --tenant operator --email operator@tenantry.localhost
  tenantctl tenants create initech --plan team --admin-email owner@initech.example
  tenantctl --tenant acme records list tickets --filter 'status = \"open\"' --limit 10
  tenantctl -o json plans list | jq '.[].name'

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 limit reached, 124 timed out,
130 interrupted.
Passwords come from a prompt, stdin or a file, API keys from a file or TENANTCTL_API_KEY, never from the command line.";

/// Operates Tenantry: tenants, plans and the platform for operators; members, data, backups and usage for tenants.
#[derive(Debug, Parser)]
#[command(name = "tenantctl", version, after_help = EXAMPLES, max_term_width = 110, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Globals {
    /// How to print the result
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) output: Format,
    /// The context to use instead of the current one
    #[arg(long, global = true, env = "TENANTCTL_CONTEXT", value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The tenant to talk to, by its short name
    #[arg(long, global = true, env = "TENANTCTL_TENANT", value_name = "SLUG")]
    pub(crate) tenant: Option<String>,
    /// URL of the gateway
    #[arg(long, global = true, env = "TENANTCTL_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Act with the API key in this file instead of a session (or with the key in TENANTCTL_API_KEY)
    #[arg(long, global = true, env = "TENANTCTL_API_KEY_FILE", value_name = "FILE")]
    pub(crate) api_key_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and keep the session as a context
    Login(login::LoginArgs),
    /// End the session of a context and forget it
    Logout(login::LogoutArgs),
    /// Who is signed in, where, and with which role
    #[command(after_help = "Examples:\n  tenantctl whoami\n  tenantctl --context acme whoami -o json")]
    Whoami,
    /// The sessions that are kept
    #[command(
        subcommand,
        alias = "contexts",
        after_help = "Examples:\n  tenantctl context list\n  tenantctl context use acme"
    )]
    Context(contexts::ContextCommand),
    /// Customer organisations (operators)
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl tenants list --limit 20\n  tenantctl tenants create initech --plan team --admin-email owner@initech.example\n  tenantctl tenants suspend initech --reason 'unpaid invoice'"
    )]
    Tenants(tenants::TenantsCommand),
    /// What tenants may use (changed by operators)
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl plans list -o wide\n  tenantctl plans update small --records 20000"
    )]
    Plans(plans::PlansCommand),
    /// Custom domains of a tenant
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl domains create help.acme.example\n  tenantctl domains list"
    )]
    Domains(domains::DomainsCommand),
    /// Name, colour and theme of a tenant's pages
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl branding set --draft --primary-color '#0b6e4f'\n  tenantctl branding publish"
    )]
    Branding(branding::BrandingCommand),
    /// Members of a tenant
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl members invite mia@acme.example --role member\n  tenantctl members list"
    )]
    Members(members::MembersCommand),
    /// Signed-in browsers and clients
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl sessions list\n  tenantctl sessions revoke-others"
    )]
    Sessions(sessions::SessionsCommand),
    /// API keys for programs
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl keys create nightly --scope records.read --secret-file acme.key\n  tenantctl keys list"
    )]
    Keys(keys::KeysCommand),
    /// Object types of a tenant
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl types create parts --field sku:string:required,unique,max=40\n  tenantctl types get parts"
    )]
    Types(types::TypesCommand),
    /// Records of a tenant
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl records list tickets --filter 'status = \"open\"' --limit 5\n  tenantctl records create parts --set sku=B-1 --set price=9.50"
    )]
    Records(records::RecordsCommand),
    /// Import a CSV file as records
    Import(import::ImportArgs),
    /// Export the records of a type
    Export(export::ExportArgs),
    /// Snapshots of a tenant's data, restores and the backup policy
    #[command(
        subcommand,
        alias = "snapshots",
        after_help = "Examples:\n  tenantctl backups create --description 'before the migration'\n  tenantctl backups list --limit 10"
    )]
    Backups(backups::BackupsCommand),
    /// Long-running operations of all services
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl operations list\n  tenantctl operations wait operations/business-0193a1b2-0000-7000-8000-000000000000"
    )]
    Operations(operations::OperationsCommand),
    /// What was used, and the quotas of the plan
    #[command(
        subcommand,
        after_help = "Examples:\n  tenantctl usage get --last 6h\n  tenantctl --tenant operator usage tenants --last 1h"
    )]
    Usage(usage::UsageCommand),
    /// The services of the platform and whether they are ready (operators)
    #[command(subcommand, after_help = "Example:\n  tenantctl --tenant operator services list")]
    Services(fleet::ServicesCommand),
    /// Alerts of the platform (operators)
    #[command(subcommand, after_help = "Example:\n  tenantctl --tenant operator alerts list")]
    Alerts(fleet::AlertsCommand),
    /// What happened on the platform (operators)
    #[command(
        subcommand,
        after_help = "Example:\n  tenantctl --tenant operator events list --limit 20"
    )]
    Events(fleet::EventsCommand),
    /// The example tenants
    #[command(
        subcommand,
        after_help = "Example:\n  tenantctl example load --world .run/dev/world.json"
    )]
    Example(example::ExampleCommand),
    /// Print the completions of a shell
    Completion(generate::CompletionArgs),
    /// Write a man page for each command
    Man(generate::ManArgs),
    /// Print the reference of all commands in Markdown (docs/cli.md)
    #[command(hide = true, after_help = "Example:\n  tenantctl reference > docs/cli.md")]
    Reference,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_argument_is_mixed_up_with_a_global_one() {
        fn check(command: &clap::Command) {
            for sub in command.get_subcommands() {
                for arg in sub.get_arguments() {
                    let name = arg.get_id().as_str();
                    assert!(
                        !["output", "context", "tenant", "server", "api_key_file"].contains(&name),
                        "{} {name}",
                        sub.get_name()
                    );
                }
                check(sub);
            }
        }
        check(&Cli::command());
    }

    #[test]
    fn every_command_has_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            command.get_subcommands().for_each(|sub| check(sub, &path));
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(
                help.contains("Example") && help.contains("tenantctl"),
                "{path} has no example"
            );
        }
        check(&Cli::command(), "");
    }

    #[test]
    fn no_environment_variable_of_an_option_holds_a_secret() {
        // `--help` shows the values of these.
        fn check(command: &clap::Command) {
            for env in command.get_arguments().filter_map(clap::Arg::get_env) {
                let env = env.to_string_lossy();
                assert!(
                    ["_FILE", "_CONTEXT", "_TENANT", "_SERVER", "_WORLD"]
                        .iter()
                        .any(|end| env.ends_with(end)),
                    "{env}"
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn no_option_takes_a_secret() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let name = arg.get_id().as_str();
                // A file is named, and a limit of a plan is a number.
                let file = name.ends_with("file") || name == "keys";
                assert!(
                    file || !["password", "secret", "token", "key"]
                        .iter()
                        .any(|word| name.contains(word)),
                    "{} --{name}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}

//! The command line.

use crate::{contexts, example, import, login, operations, output::Format, plans, records, tenants, types};
use clap::{Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  tenantctl login --server http://127.0.0.1:8080 --tenant operator --email operator@tenantry.localhost
  tenantctl tenants create initech --plan team --admin-email owner@initech.example
  tenantctl --tenant acme records list tickets --filter 'status = \"open\"' --limit 10
  tenantctl -o json plans list | jq '.[].name'

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 denied, 5 conflict, 6 limit reached, 124 timed out.
Passwords come from a prompt, stdin or a file, never from the command line.";

/// Operates Tenantry: tenants and plans for operators, types, records and imports for members.
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
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and keep the session as a context
    Login(login::LoginArgs),
    /// The sessions that are kept
    #[command(subcommand)]
    Context(contexts::ContextCommand),
    /// Customer organisations (operators)
    #[command(subcommand)]
    Tenants(tenants::TenantsCommand),
    /// What tenants may use (operators)
    #[command(subcommand)]
    Plans(plans::PlansCommand),
    /// Object types of a tenant
    #[command(subcommand)]
    Types(types::TypesCommand),
    /// Records of a tenant
    #[command(subcommand)]
    Records(records::RecordsCommand),
    /// Import a CSV file as records
    Import(import::ImportArgs),
    /// Long-running operations
    #[command(subcommand)]
    Operations(operations::OperationsCommand),
    /// The example tenants
    #[command(subcommand)]
    Example(example::ExampleCommand),
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
                        !["output", "context", "tenant", "server"].contains(&name),
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
    fn no_option_takes_a_secret() {
        fn check(command: &clap::Command) {
            for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
                let name = arg.get_id().as_str();
                let file = name.ends_with("file");
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

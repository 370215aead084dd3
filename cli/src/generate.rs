//! What is made from the definition of the command line: completions, man pages and the reference in `docs/cli.md`.

use crate::{Cli, Failure, output};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Write},
    path::PathBuf,
};

/// What stands above the commands.
const INTRODUCTION: &str = include_str!("reference.md");

/// `tenantctl completion`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tenantctl completion bash > /etc/bash_completion.d/tenantctl
  tenantctl completion zsh > ~/.zfunc/_tenantctl
  tenantctl completion fish > ~/.config/fish/completions/tenantctl.fish
  tenantctl completion powershell >> $PROFILE")]
pub(crate) struct CompletionArgs {
    /// Which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// `tenantctl man`
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  tenantctl man /usr/local/share/man/man1 && man tenantctl-records-list")]
pub(crate) struct ManArgs {
    /// Where to; it is made if it is not there
    directory: PathBuf,
}

/// Prints completions.
///
/// # Errors
/// Where stdout cannot be written.
pub(crate) fn completion(args: &CompletionArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tenantctl", &mut text);
    match io::stdout().lock().write_all(&text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes `tenantctl.1`, `tenantctl-records.1`, `tenantctl-records-list.1` and so on.
///
/// # Errors
/// Where they cannot be written.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::other(format!("{}: {error}", args.directory.display()));
    fs::create_dir_all(&args.directory).map_err(failed)?;
    clap_mangen::generate_to(Cli::command(), &args.directory).map_err(failed)?;
    output::say(&format!("Written to {}.", args.directory.display()));
    Ok(())
}

/// Prints the reference.
///
/// # Errors
/// Where stdout cannot be written.
pub(crate) fn reference() -> Result<(), Failure> {
    output::print(text()?.trim_end())
}

fn text() -> Result<String, Failure> {
    let mut text = INTRODUCTION.to_owned();
    let mut root = Cli::command();
    root.build();
    for noun in root.get_subcommands().filter(|noun| shown(noun)) {
        section(&mut text, noun, "tenantctl").map_err(|_| Failure::other("the reference cannot be written"))?;
    }
    Ok(text)
}

fn shown(command: &clap::Command) -> bool {
    command.get_name() != "help" && !command.is_hide_set()
}

/// A heading for a noun, then each command: what it does, how it is written, its options, examples.
fn section(text: &mut String, command: &clap::Command, path: &str) -> std::fmt::Result {
    let path = format!("{path} {}", command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if command.has_subcommands() {
        writeln!(text, "\n## {path}\n{about}.")?;
        return command
            .get_subcommands()
            .filter(|sub| shown(sub))
            .try_for_each(|sub| section(text, sub, &path));
    }
    let level = if path.split(' ').count() > 2 { "###" } else { "##" };
    writeln!(text, "\n{level} {path}\n{about}.\n")?;
    let usage = command.clone().render_usage().to_string();
    writeln!(text, "```\n{}", usage.trim_start_matches("Usage: "))?;
    let own = command
        .get_arguments()
        .filter(|arg| !arg.is_global_set() && arg.get_id() != "help" && arg.get_id() != "version");
    for arg in own {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(text, "  {:<34}  {help}", arg.to_string())?;
    }
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    writeln!(text, "\n{}\n```", after.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_reference_is_up_to_date() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/cli.md");
        let written = fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == text().unwrap(),
            "docs/cli.md is not what the commands say: run `tenantctl reference > docs/cli.md`"
        );
    }

    #[test]
    fn every_shell_gets_completions_for_every_noun() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish, Shell::PowerShell] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "tenantctl", &mut text);
            let text = String::from_utf8(text).unwrap();
            for noun in Cli::command().get_subcommands().filter(|noun| shown(noun)) {
                assert!(text.contains(noun.get_name()), "{shell} {}", noun.get_name());
            }
        }
    }
}

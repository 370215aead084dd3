//! Asking before something is destroyed.

use crate::{Failure, text};
use clap::Args;

/// Options of commands that destroy something.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Confirm {
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
}

impl Confirm {
    /// Goes on if the person types `name`, or said `--yes`.
    ///
    /// # Errors
    /// Where there is nobody to ask, or something else was typed.
    pub(crate) fn ask(&self, what: &str, name: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let typed = text::line_from_prompt(&format!("{what}\nType {name} to confirm: "))?;
        let typed = typed.ok_or_else(|| Failure::usage(format!("{what} Confirm it with --yes.")))?;
        if typed.trim() == name {
            Ok(())
        } else {
            Err(Failure::usage("not confirmed; nothing was done"))
        }
    }
}

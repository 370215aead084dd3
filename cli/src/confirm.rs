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
        Self::ask_for(what, name, "--yes")
    }
    /// Goes on if the person types `name`; `--yes` is not enough. Who cannot be asked is told of `option`.
    ///
    /// # Errors
    /// As [`Confirm::ask`].
    pub(crate) fn ask_for(what: &str, name: &str, option: &str) -> Result<(), Failure> {
        let typed = text::line_from_prompt(&format!("{what}\nType {name} to confirm: "))?;
        let typed = typed.ok_or_else(|| Failure::usage(format!("{what} Confirm it with {option}.")))?;
        if typed.trim() == name {
            Ok(())
        } else {
            Err(Failure::usage("not confirmed; nothing was done"))
        }
    }
}

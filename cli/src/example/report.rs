//! What happened, for the person who waits: a bar where there is a terminal, one line for each change where there is none.

use crate::{operations, output};
use indicatif::ProgressBar;
use std::io::IsTerminal;

/// Counts and shows changes.
pub(crate) struct Report {
    bar: ProgressBar,
    changes: usize,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            bar: operations::progress(),
            changes: 0,
        }
    }
}

impl Report {
    /// Something was changed.
    pub(crate) fn changed(&mut self, what: &str) {
        self.changes += 1;
        if std::io::stderr().is_terminal() {
            self.bar.println(format!("  {what}"));
        } else {
            output::say(&format!("  {what}"));
        }
    }
    /// Something is going on.
    pub(crate) fn step(&self, what: &str, total: usize) {
        self.bar.set_message(what.to_owned());
        self.bar.set_position(0);
        operations::total(&self.bar, total as u64);
        self.bar.tick();
    }
    /// So much more of it is done.
    pub(crate) fn advance(&self, by: usize) {
        self.bar.inc(by as u64);
    }
    /// For waiting on an operation: its own bar, so that finishing it leaves ours.
    pub(crate) fn operation_bar(&self) -> ProgressBar {
        operations::progress()
    }
    /// How many changes there were.
    pub(crate) fn changes(&self) -> usize {
        self.changes
    }
    /// Takes the bar away.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

//! Progress on stderr: a bar on a terminal, a line every tenth elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::{
    io::{IsTerminal, Write},
    sync::atomic::{AtomicU64, Ordering},
};

/// Progress of one step.
pub(crate) struct Progress {
    bar: ProgressBar,
    name: &'static str,
    total: u64,
    done: AtomicU64,
    lines: bool,
}

impl Progress {
    /// Of `total` things.
    pub(crate) fn new(name: &'static str, total: u64) -> Self {
        let lines = !std::io::stderr().is_terminal();
        let bar = if lines {
            ProgressBar::hidden()
        } else {
            ProgressBar::new(total)
        };
        let style = ProgressStyle::with_template("{msg:16} {wide_bar} {pos}/{len} {elapsed_precise} eta {eta}");
        bar.set_style(style.expect("the template is valid"));
        bar.set_message(name);
        Self {
            bar,
            name,
            total,
            done: AtomicU64::new(0),
            lines,
        }
    }
    /// One more is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        let tenth = |n: u64| n * 10 / self.total.max(1);
        if self.lines && tenth(done) > tenth(done - 1) {
            // Progress that cannot be shown is no reason to stop.
            drop(writeln!(std::io::stderr(), "{:16} {done}/{}", self.name, self.total));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! What a measurement tells while it runs, on standard error: a bar on a terminal, a line for each stage elsewhere.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// How far a measurement has come.
pub(super) struct Progress {
    /// On a terminal.
    bar: Option<ProgressBar>,
    stage_count: usize,
    stage_index: usize,
}

impl Progress {
    /// Begins a measurement of so many blocks in so many stages.
    pub(super) fn new(stage_count: usize, block_count: usize) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(block_count as u64);
            // The template is ours, and right.
            bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Self { bar, stage_count, stage_index: 0 }
    }

    /// Begins the next stage.
    pub(super) fn begin_stage(&mut self, title: &str) {
        self.stage_index += 1;
        let line = format!("{} of {}: {title}", self.stage_index, self.stage_count);
        match &self.bar {
            Some(bar) => bar.set_message(line),
            // Who closed standard error does not want to know.
            None => drop(writeln!(io::stderr(), "{line}")),
        }
    }

    /// Counts a block that was measured.
    pub(super) fn end_block(&self) {
        if let Some(bar) = &self.bar {
            bar.inc(1);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

const TEMPLATE: &str = "{bar:30} {percent:>3} %  {msg}  ({eta} left)";

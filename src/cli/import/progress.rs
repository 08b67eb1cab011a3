//! Progress of an import: a progress bar on a terminal, otherwise lines at an interval.

use std::{
    io::IsTerminal,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use super::source::Text;
use crate::{cli::output, clock::Stopwatch};

/// Interval of progress lines if there is no terminal for a progress bar, in milliseconds.
const LINE_INTERVAL_MS: f64 = 5_000.0;

/// Shows the progress in rows and bytes.
pub struct Progress {
    bar: ProgressBar,
    size: Option<u64>,
    read: Arc<AtomicU64>,
    watch: Stopwatch,
    last_line: f64,
}

impl Progress {
    /// Starts at zero.
    pub fn new(text: &Text) -> Self {
        let bar = if std::io::stderr().is_terminal() { bar(text.size) } else { ProgressBar::hidden() };
        Self { bar, size: text.size, read: Arc::clone(&text.read), watch: Stopwatch::start(), last_line: 0.0 }
    }

    /// Shows that this number of rows is done.
    pub fn show(&mut self, rows: u64) {
        let read = self.read.load(Ordering::Relaxed);
        self.bar.set_position(read);
        self.bar.set_message(self.rate(rows));
        if self.bar.is_hidden() && self.watch.elapsed_ms() - self.last_line > LINE_INTERVAL_MS {
            self.last_line = self.watch.elapsed_ms();
            let of = self.size.map_or_else(String::new, |size| format!("{} % of the file, ", 100 * read / size.max(1)));
            output::say(&format!("{of}{}", self.rate(rows)));
        }
    }

    /// Rows, time and rate as text.
    #[expect(clippy::cast_precision_loss, reason = "a rate to read")]
    pub fn rate(&self, rows: u64) -> String {
        let seconds = (self.watch.elapsed_ms() / 1_000.0).max(0.001);
        format!("{rows} rows in {seconds:.1} s, {:.0} a second", rows as f64 / seconds)
    }

    /// Removes the progress bar.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn bar(size: Option<u64>) -> ProgressBar {
    let (bar, style) = match size {
        Some(size) => (ProgressBar::new(size), "{bar:40} {percent} %, {msg}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
    };
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

//! How far an import is: a bar on a terminal, a line now and then elsewhere.

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
use crate::clock::Stopwatch;

/// How often a line says how far it is where no bar can be drawn, in milliseconds.
const LINE_INTERVAL_MS: f64 = 5_000.0;

/// Shows rows and bytes.
pub struct Progress {
    bar: ProgressBar,
    size: Option<u64>,
    read: Arc<AtomicU64>,
    watch: Stopwatch,
    last_line: f64,
}

impl Progress {
    /// Nothing read yet.
    pub fn new(text: &Text) -> Self {
        let bar = if std::io::stderr().is_terminal() { bar(text.size) } else { ProgressBar::hidden() };
        Self { bar, size: text.size, read: Arc::clone(&text.read), watch: Stopwatch::start(), last_line: 0.0 }
    }

    /// So many rows are done.
    #[expect(clippy::print_stderr, reason = "progress is talk for the person at the terminal")]
    pub fn show(&mut self, rows: u64) {
        let read = self.read.load(Ordering::Relaxed);
        self.bar.set_position(read);
        self.bar.set_message(self.rate(rows));
        if self.bar.is_hidden() && self.watch.elapsed_ms() - self.last_line > LINE_INTERVAL_MS {
            self.last_line = self.watch.elapsed_ms();
            let of = self.size.map_or_else(String::new, |size| format!("{} % of the file, ", 100 * read / size.max(1)));
            eprintln!("{of}{}", self.rate(rows));
        }
    }

    /// Rows, time and rate in words.
    #[expect(clippy::cast_precision_loss, reason = "a rate to read")]
    pub fn rate(&self, rows: u64) -> String {
        let seconds = (self.watch.elapsed_ms() / 1_000.0).max(0.001);
        format!("{rows} rows in {seconds:.1} s, {:.0} a second", rows as f64 / seconds)
    }

    /// Takes the bar away.
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

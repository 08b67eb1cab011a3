//! Durations of tests. `make test` prints the longest at its end, because stable libtest does not report them.
//!
//! A test is measured from its first database on. Tests without a database are quick and are not listed.

use std::{fs::OpenOptions, io::Write, time::Instant};

use super::server::repository;

/// Measures the test that created it, until it is dropped.
pub struct Timer {
    /// libtest names the thread of a test after the test.
    test: Option<String>,
    started: Instant,
}

impl Timer {
    pub fn start() -> Self {
        Self { test: std::thread::current().name().map(str::to_owned), started: Instant::now() }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let Some(test) = self.test.as_deref().filter(|test| test.contains("::")) else { return };
        let line = format!("{:.1} {test}\n", self.started.elapsed().as_secs_f64());
        // A line is written at once, because tests end at the same time. A missing folder costs the list, not the test.
        if let Ok(mut file) = OpenOptions::new().append(true).create(true).open(repository("target/test-times")) {
            drop(file.write_all(line.as_bytes()));
        }
    }
}

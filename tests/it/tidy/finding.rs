//! A broken rule, and the two assertions that every rule uses.

use std::fmt;

/// A broken rule: the line, the rule, and the way to repair it.
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub rule: String,
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}. Fix: {}", self.path, self.line, self.rule, self.fix)
    }
}

impl Finding {
    pub fn new(path: &str, line: usize, rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, rule: rule.into(), fix: fix.into() }
    }
}

#[track_caller]
pub fn assert_kept(found: impl IntoIterator<Item = Finding>) {
    let lines: Vec<String> = found.into_iter().map(|finding| finding.to_string()).collect();
    assert!(lines.is_empty(), "\n{} finding(s):\n  {}\n", lines.len(), lines.join("\n  "));
}

/// Asserts that the planted breach is found once, on its line.
#[track_caller]
pub fn assert_found(found: &[Finding], line: usize, part: &str) {
    let lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 1, "expected one finding, got {lines:?}");
    assert_eq!(found[0].line, line, "{lines:?}");
    assert!(lines[0].contains(part), "{lines:?} does not say {part:?}");
}

/// Entries of an exception table that no finding needs: they would hide the next breach.
pub fn unneeded<'a>(
    table: &str,
    entries: impl IntoIterator<Item = &'a str>,
    is_needed: impl Fn(&str) -> bool,
) -> Vec<Finding> {
    let stale = entries.into_iter().filter(|entry| !is_needed(entry));
    stale.map(|entry| Finding::new(entry, 1, format!("is in {table} without need"), "remove the entry")).collect()
}

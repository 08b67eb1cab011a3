//! Errors of a configuration: all problems together, each with advice.

use std::fmt;

use super::source::GivenSetting;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is invalid:\n{}", listed(problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The exit code for an invalid configuration (`EX_CONFIG` of sysexits).
    pub const EXIT_CODE: u8 = 78;

    pub(super) const fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// The problems in the order in which they were found. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|problem| format!("  - {problem}")).collect();
    lines.join("\n")
}

/// One problem of a configuration. `Display` never shows a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    keys: Vec<String>,
    sentence: String,
}

impl Problem {
    pub(super) fn new(keys: &[&str], sentence: String) -> Self {
        Self { keys: keys.iter().map(|&key| key.to_owned()).collect(), sentence }
    }

    /// The keys of the settings concerned (`section.name`). Empty if the problem concerns a whole file.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Appends the sources of the values, because any of four sources may have set them.
    pub(super) fn name_sources(&mut self, given: &[GivenSetting]) {
        let effective = |key: &String| given.iter().rev().find(|given| given.key == *key);
        let places: Vec<_> = self.keys.iter().filter_map(effective).map(GivenSetting::place).collect();
        if !places.is_empty() {
            self.sentence = format!("{} (set by {})", self.sentence, places.join(" and "));
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.sentence)
    }
}

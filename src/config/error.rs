//! What is wrong with a configuration: all of it at once, each as a sentence that says what to change.

use std::fmt;

use super::source::Given;

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", listed(problems))]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// The exit code of a program that stops because of its configuration (`EX_CONFIG` of sysexits).
    pub const EXIT_CODE: u8 = 78;

    pub(super) const fn new(problems: Vec<Problem>) -> Self {
        Self { problems }
    }

    /// Everything that is wrong, in the order it was found; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<_> = problems.iter().map(|problem| format!("  - {problem}")).collect();
    lines.join("\n")
}

/// One thing that is wrong. Shown, it is a sentence without a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    keys: Vec<String>,
    sentence: String,
}

impl Problem {
    pub(super) fn new(keys: &[&str], sentence: String) -> Self {
        Self { keys: keys.iter().map(|&key| key.to_owned()).collect(), sentence }
    }

    /// The settings it is about (`section.name`); empty when it is about a file as a whole.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        &self.keys
    }

    /// Adds where the values came from, since with four sources nobody knows by heart which one won.
    pub(super) fn name_sources(&mut self, given: &[Given]) {
        let winner = |key: &String| given.iter().rev().find(|given| given.key == *key);
        let places: Vec<_> = self.keys.iter().filter_map(winner).map(Given::place).collect();
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

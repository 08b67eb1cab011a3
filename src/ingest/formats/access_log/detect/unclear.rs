//! A format that the first lines do not tell for certain.

/// A reason against a format, and the options of the command line that decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// The reason, with what was seen.
    pub seen: String,
    /// Possible meanings, each with the options of the command line that choose it.
    pub choices: Vec<(String, String)>,
}

impl Unclear {
    /// A reason without choices.
    pub fn new(seen: impl Into<String>) -> Self {
        Self { seen: seen.into(), choices: Vec::new() }
    }

    /// Adds a choice.
    #[must_use]
    pub fn or(mut self, meaning: impl Into<String>, options: impl Into<String>) -> Self {
        self.choices.push((meaning.into(), options.into()));
        self
    }
}

//! What is wrong with a change that somebody asked for: every problem of it at once, each naming its field.

use std::fmt;

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The value is not acceptable.
    Invalid,
    /// It names nothing that the caller may see.
    NotFound,
    /// Another row has what must be unique.
    Taken,
    /// It contradicts what is stored.
    Conflict,
    /// More than allowed at once.
    TooLarge,
}

/// One thing that is wrong, and how to put it right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// The field as the caller spells it; a dot leads inside (`employeeIds.3`).
    pub field: String,
    /// What is wrong, as it reads behind the field's name. Never the value: it may be megabytes.
    pub message: String,
}

impl Problem {
    /// A problem of this kind with a field.
    pub fn new(kind: ProblemKind, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { kind, field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.field, self.message)
    }
}

/// All problems of one change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Notes a value that is not acceptable.
    pub fn invalid(&mut self, field: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem::new(ProblemKind::Invalid, field, message));
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(formatter, "{separator}{problem}")?;
        }
        Ok(())
    }
}

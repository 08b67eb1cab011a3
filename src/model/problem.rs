//! The problems of a refused change: all of them at once, each with its field.

use std::fmt;

/// The kind of a problem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemKind {
    /// The value is invalid.
    Invalid,
    /// It refers to nothing that the caller sees.
    NotFound,
    /// Another row has the same unique value.
    Taken,
    /// It contradicts the stored state.
    Conflict,
    /// It exceeds a limit.
    TooLarge,
}

/// One problem, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The kind.
    pub kind: ProblemKind,
    /// The path of the field as the caller spells it, with dots (`employeeIds.3`).
    pub field: String,
    /// The problem, as text after the name of the field. Contains at most the start of the value, which may be megabytes.
    pub message: String,
}

impl Problem {
    /// A problem with a field.
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
    /// Adds a problem of an invalid value.
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

//! Every fault that leaves a room, and the one table from fault to code, HTTP status and log level.
//!
//! Messages are for the caller: what is wrong and what to do. Causes (SQL, paths) stay in `source` and the log.

use std::sync::Arc;

use thiserror::Error;

use crate::model::{Problem, ProblemKind, Problems, page::PageError, timestamp::TimeError};

/// A fault in a room, cheap to clone because one failed batch answers many fields.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// An argument is not acceptable.
    #[error("{field}: {message}")]
    Input {
        /// The argument or column, as the caller spells it.
        field: String,
        /// What is wrong and how to put it right.
        message: String,
    },
    /// Nothing there that the caller may see.
    #[error("{what} was not found")]
    NotFound {
        /// What was looked for, as the caller names it.
        what: String,
    },
    /// The caller's role does not reach.
    #[error("{0}")]
    Forbidden(String),
    /// Something else holds the name or the key.
    #[error("{0}")]
    Conflict(String),
    /// A change is refused, with every reason at once.
    #[error("{0}")]
    Refused(Problems),
    /// A document was named by a hash that the server does not know (any more).
    #[error("PersistedQueryNotFound: send the text of the document together with its hash")]
    PersistedQueryNotFound,
    /// A limit of the configuration was passed.
    #[error("{what} is {actual}, the limit is {limit}: {advice}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// How much it is.
        actual: u64,
        /// How much it may be.
        limit: u64,
        /// What the caller can do.
        advice: &'static str,
    },
    /// The server cannot do it now; the same call may succeed later.
    #[error("{message}")]
    Unavailable {
        /// What is not to be had.
        message: &'static str,
        /// After how many seconds to try again.
        retry_after_s: u32,
        /// For the log only.
        #[source]
        source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    },
    /// It took longer than a request may.
    #[error("the request took too long; ask for less, or try again later")]
    Timeout,
    /// A bug or a broken database: the caller only learns that it happened.
    #[error("the server failed to answer; the request id names the log entry")]
    Internal(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

/// The result of a room function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The machine-readable kind of a fault: `extensions.code` in GraphQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The document cannot be parsed.
    GraphqlParseFailed,
    /// The document does not fit the schema.
    GraphqlValidationFailed,
    /// An argument is not acceptable.
    BadUserInput,
    /// The role does not reach.
    Forbidden,
    /// Nothing there.
    NotFound,
    /// Something else holds the name or key.
    Conflict,
    /// The hash of a document is not known.
    PersistedQueryNotFound,
    /// A limit on the shape or size of the request was passed.
    ComplexityLimit,
    /// It took too long.
    Timeout,
    /// Try again later.
    Unavailable,
    /// A bug.
    InternalServerError,
}

impl Code {
    /// Every code, in the order of the table.
    const ALL: [Self; 11] = [
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::BadUserInput,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::PersistedQueryNotFound,
        Self::ComplexityLimit,
        Self::Timeout,
        Self::Unavailable,
        Self::InternalServerError,
    ];

    /// The code with this text.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }

    /// The text in `extensions.code`.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status where the whole response is this fault.
    pub const fn http_status(self) -> u16 {
        self.row().1
    }

    /// How loud the log is about it.
    pub const fn log_level(self) -> tracing::Level {
        self.row().2
    }

    /// The table.
    const fn row(self) -> (&'static str, u16, tracing::Level) {
        use tracing::Level;
        match self {
            Self::GraphqlParseFailed => ("GRAPHQL_PARSE_FAILED", 400, Level::DEBUG),
            Self::GraphqlValidationFailed => ("GRAPHQL_VALIDATION_FAILED", 400, Level::DEBUG),
            Self::BadUserInput => ("BAD_USER_INPUT", 400, Level::DEBUG),
            Self::Forbidden => ("FORBIDDEN", 403, Level::INFO),
            Self::NotFound => ("NOT_FOUND", 404, Level::DEBUG),
            Self::Conflict => ("CONFLICT", 409, Level::DEBUG),
            Self::PersistedQueryNotFound => ("PERSISTED_QUERY_NOT_FOUND", 400, Level::DEBUG),
            Self::ComplexityLimit => ("COMPLEXITY_LIMIT", 400, Level::INFO),
            Self::Timeout => ("TIMEOUT", 504, Level::WARN),
            Self::Unavailable => ("UNAVAILABLE", 503, Level::WARN),
            Self::InternalServerError => ("INTERNAL_SERVER_ERROR", 500, Level::ERROR),
        }
    }
}

impl Error {
    /// An argument that is not acceptable.
    pub fn input(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Input { field: field.into(), message: message.into() }
    }

    /// A change that is refused for one reason.
    pub fn refused(kind: ProblemKind, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused(Problem::new(kind, field, message).into())
    }

    /// Whether a change was refused because another row has what must be unique.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Refused(Problems(problems)) if problems.iter().any(|one| one.kind == ProblemKind::Taken))
    }

    /// Nothing there that the caller may see.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// A bug: what happened goes to the log, not to the caller.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(Arc::from(source.into()))
    }

    /// Writes the cause to the log, where callers learn of it by the request id alone.
    pub fn log(&self) {
        if let Self::Internal(cause) = self {
            tracing::error!(cause = %chain(cause.as_ref()), "a request failed");
        } else if let Self::Unavailable { source: Some(cause), .. } = self {
            tracing::warn!(cause = %chain(cause.as_ref()), "a request could not reach what it needs");
        }
    }

    /// The code of this fault.
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(Problems(problems)) => match problems.first().map(|problem| problem.kind) {
                Some(ProblemKind::NotFound) => Code::NotFound,
                Some(ProblemKind::Taken | ProblemKind::Conflict) => Code::Conflict,
                _ => Code::BadUserInput,
            },
            Self::Input { .. } => Code::BadUserInput,
            Self::NotFound { .. } => Code::NotFound,
            Self::Forbidden(_) => Code::Forbidden,
            Self::Conflict(_) => Code::Conflict,
            Self::PersistedQueryNotFound => Code::PersistedQueryNotFound,
            Self::Limit { .. } => Code::ComplexityLimit,
            Self::Unavailable { .. } => Code::Unavailable,
            Self::Timeout => Code::Timeout,
            Self::Internal(_) => Code::InternalServerError,
        }
    }
}

/// An error with everything behind it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<Problems> for Result<()> {
    fn from(problems: Problems) -> Self {
        if problems.0.is_empty() { Ok(()) } else { Err(Error::Refused(problems)) }
    }
}

impl From<PageError> for Error {
    fn from(error: PageError) -> Self {
        Self::input(error.argument(), error.to_string())
    }
}

impl From<TimeError> for Error {
    fn from(error: TimeError) -> Self {
        Self::input("time", error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_found_by_its_name() {
        assert_eq!(Code::ALL.len(), Code::InternalServerError as usize + 1, "a code is missing in ALL");
        for code in Code::ALL {
            assert_eq!(Code::named(code.as_str()), Some(code));
        }
        assert_eq!(Code::named("NO_SUCH_CODE"), None);
    }
}

//! The faults that leave a room, and the table that maps a fault to its code, HTTP status and log level.
//!
//! Messages are for the caller: what is wrong and how to fix it. Causes (SQL, paths) go to the log only.

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use thiserror::Error;

use crate::model::{Problem, ProblemKind, Problems, page::PageError, timestamp::TimeError};

/// A fault in a room. Cloning is cheap, because one failed batch is the error of many fields.
#[derive(Clone, Debug, Error)]
pub enum Error {
    /// An argument is invalid.
    #[error("{field}: {message}")]
    Input {
        /// The argument or column, in the caller's spelling.
        field: String,
        /// The error and how to fix it.
        message: String,
    },
    /// The object does not exist or is outside of the caller's scope.
    #[error("{what} was not found")]
    NotFound {
        /// The noun of the object, in the caller's vocabulary.
        what: String,
    },
    /// The caller's role does not permit this.
    #[error("{0}")]
    Forbidden(String),
    /// The name or key is in use.
    #[error("{0}")]
    Conflict(String),
    /// A change is refused, with all reasons.
    #[error("{0}")]
    Refused(Problems),
    /// The server does not know the document with this hash, or has removed it from the cache.
    #[error("PersistedQueryNotFound: send the text of the document together with its hash")]
    PersistedQueryNotFound,
    /// A limit of the configuration is exceeded.
    #[error("{what} is {actual}; the maximum is {limit}: {advice}")]
    Limit {
        /// The quantity that is limited.
        what: &'static str,
        /// Its value in the request.
        actual: u64,
        /// Its maximum.
        limit: u64,
        /// The way to stay below the limit.
        advice: &'static str,
    },
    /// The server cannot respond now. The same request may succeed later.
    #[error("{message}")]
    Unavailable {
        /// The resource that is missing.
        message: &'static str,
        /// Seconds after which the caller should retry.
        retry_after_s: u32,
        /// The cause, for the log only.
        #[source]
        source: Option<Cause>,
    },
    /// The request exceeded its timeout.
    #[error("the request took too long (server.request_timeout_ms); request less data, or try again later")]
    Timeout,
    /// A bug or a database that is broken. The caller learns only that it happened.
    #[error("internal error; the log entry has the id in the response header x-request-id")]
    Internal(#[source] Cause),
}

/// The cause of a fault. All clones of the fault share it, so that it is logged once although it is the error of many
/// fields, or of several operations of a batch.
#[derive(Clone)]
pub struct Cause(Arc<SharedCause>);

struct SharedCause {
    error: Box<dyn StdError + Send + Sync>,
    is_logged: AtomicBool,
}

impl Cause {
    /// Wraps an error.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Arc::new(SharedCause { error: error.into(), is_logged: AtomicBool::new(false) }))
    }

    /// The error, if it is of this type.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        self.0.error.downcast_ref()
    }

    /// True on the first call, whichever clone it is made on.
    fn is_unlogged(&self) -> bool {
        !self.0.is_logged.swap(true, Ordering::Relaxed)
    }

    /// The error followed by its own causes.
    fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            next = cause.source();
        }
        text
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.error.fmt(f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.error.source()
    }
}

/// The result of a room function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The machine-readable kind of a fault: `extensions.code` in GraphQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The document has a syntax error.
    GraphqlParseFailed,
    /// The document does not match the schema.
    GraphqlValidationFailed,
    /// An argument is invalid.
    BadUserInput,
    /// The caller's role does not permit this.
    Forbidden,
    /// The object does not exist or is outside of the caller's scope.
    NotFound,
    /// The name or key is in use.
    Conflict,
    /// The hash of a document is unknown.
    PersistedQueryNotFound,
    /// A limit on the size or complexity of the request is exceeded.
    ComplexityLimit,
    /// The request exceeded its timeout.
    Timeout,
    /// The server cannot respond now.
    Unavailable,
    /// A bug.
    InternalServerError,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 11] = [
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::BadUserInput,
        Self::PersistedQueryNotFound,
        Self::ComplexityLimit,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::InternalServerError,
        Self::Unavailable,
        Self::Timeout,
    ];

    /// The text in `extensions.code`.
    pub const fn as_str(self) -> &'static str {
        self.properties().0
    }

    /// The HTTP status if the whole response is this fault.
    pub const fn http_status(self) -> u16 {
        self.properties().1
    }

    /// The level at which it is logged.
    pub const fn log_level(self) -> tracing::Level {
        self.properties().2
    }

    /// The table.
    const fn properties(self) -> (&'static str, u16, tracing::Level) {
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
    /// An invalid argument.
    pub fn input(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Input { field: field.into(), message: message.into() }
    }

    /// A change refused for one reason.
    pub fn refused(kind: ProblemKind, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Refused(Problem::new(kind, field, message).into())
    }

    /// True if a change was refused because a unique value is in use.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Refused(Problems(problems)) if problems.iter().any(|one| one.kind == ProblemKind::Taken))
    }

    /// An object that does not exist or is outside of the caller's scope.
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::NotFound { what: what.into() }
    }

    /// An internal error. Its cause goes to the log, not to the caller.
    pub fn internal(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Internal(Cause::new(source))
    }

    /// Writes the cause to the log, unless a clone of this fault has done so. The request id connects it with the response.
    pub fn log(&self) {
        match self {
            Self::Internal(cause) if cause.is_unlogged() => {
                tracing::error!(cause = cause.chain(), "a request failed");
            }
            Self::Unavailable { source: Some(cause), message, .. } if cause.is_unlogged() => {
                tracing::warn!(cause = cause.chain(), "a request failed: {message}");
            }
            _ => {}
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
    fn a_cause_is_logged_once_for_all_clones_of_its_fault() {
        let fault = Error::internal("broken");
        let clone = fault.clone();
        clone.log();
        let Error::Internal(cause) = &fault else { panic!("{fault:?}") };
        assert!(!cause.is_unlogged(), "a clone has logged it");
        assert!(Cause::new("broken").is_unlogged(), "equal text, another cause");
        let source = Some(Cause::new("refused"));
        let fault = Error::Unavailable { message: "no database", retry_after_s: 1, source: source.clone() };
        fault.log();
        assert!(source.is_some_and(|cause| !cause.is_unlogged()), "logged with its fault");
    }

    #[test]
    fn a_cause_shows_the_error_and_the_errors_behind_it() {
        let inner = Error::Unavailable { message: "outer", retry_after_s: 1, source: Some(Cause::new("inner")) };
        assert_eq!(Cause::new(inner).chain(), "outer: inner");
    }
}

//! Expected failures of changes: data for a form, not errors of the request.

use async_graphql::{Enum, SimpleObject};

use crate::{
    error::{Error, Result},
    model::{Problem, ProblemKind, Problems},
};

/// The kind of an expected failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// A value is not acceptable.
    Invalid,
    /// There is no such thing that the caller may see.
    NotFound,
    /// Another row has what must be unique: an e-mail address, a slug.
    Taken,
    /// It contradicts what is stored: somebody was faster (`ifUpdatedAt`), something is in the way, an idempotency key was
    /// used for other measurements, or the project takes none because it is archived.
    Conflict,
    /// The caller's role does not reach.
    Forbidden,
    /// More than allowed at once.
    TooLarge,
}

impl From<ProblemKind> for UserErrorCode {
    fn from(kind: ProblemKind) -> Self {
        match kind {
            ProblemKind::Invalid => Self::Invalid,
            ProblemKind::NotFound => Self::NotFound,
            ProblemKind::Taken => Self::Taken,
            ProblemKind::Conflict => Self::Conflict,
            ProblemKind::TooLarge => Self::TooLarge,
        }
    }
}

/// An expected failure: data for a form, not an error of the request.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct UserError {
    /// What is wrong and how to put it right.
    pub message: String,
    /// The path of the input field or argument that it is about, with positions in lists; null where it is about none.
    pub field: Option<Vec<String>>,
    /// The kind of failure.
    pub code: UserErrorCode,
}

impl UserError {
    /// The failures behind a fault, or the fault itself when it is not one that a caller can put right.
    ///
    /// # Errors
    /// The fault, where it is the server's.
    pub fn expected(fault: Error) -> Result<Vec<Self>> {
        let (code, field) = match &fault {
            Error::Refused(Problems(problems)) => return Ok(problems.iter().map(Self::from).collect()),
            Error::Input { field, .. } => (UserErrorCode::Invalid, Some(path(field))),
            Error::NotFound { .. } => (UserErrorCode::NotFound, None),
            Error::Conflict(_) => (UserErrorCode::Conflict, None),
            Error::Forbidden(_) => (UserErrorCode::Forbidden, None),
            Error::Limit { .. } => (UserErrorCode::TooLarge, None),
            Error::PersistedQueryNotFound | Error::Unavailable { .. } | Error::Timeout | Error::Internal(_) => {
                return Err(fault);
            }
        };
        Ok(vec![Self { message: fault.to_string(), field, code }])
    }
}

impl From<&Problem> for UserError {
    fn from(problem: &Problem) -> Self {
        Self { message: problem.to_string(), field: Some(path(&problem.field)), code: problem.kind.into() }
    }
}

fn path(field: &str) -> Vec<String> {
    field.split('.').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_is_a_failure_of_its_own() {
        let mut problems = Problems::default();
        problems.invalid("name", "is empty");
        problems.0.push(Problem::new(ProblemKind::NotFound, "employeeIds.3", "names nothing"));
        let failures = UserError::expected(Error::Refused(problems)).unwrap();
        let codes: Vec<_> = failures.iter().map(|failure| failure.code).collect();
        assert_eq!(codes, [UserErrorCode::Invalid, UserErrorCode::NotFound]);
        assert_eq!(failures[1].field, Some(vec!["employeeIds".to_owned(), "3".to_owned()]));
        assert_eq!(failures[0].message, "name: is empty");
    }

    #[test]
    fn what_is_not_the_callers_fault_stays_an_error() {
        assert!(UserError::expected(Error::Timeout).is_err());
        assert!(UserError::expected(Error::internal("broken")).is_err());
        let forbidden = UserError::expected(Error::Forbidden("no".to_owned())).unwrap();
        assert_eq!((forbidden[0].code, &forbidden[0].field), (UserErrorCode::Forbidden, &None));
    }
}

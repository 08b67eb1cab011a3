//! Expected failures of mutations: data for a form, not errors of the request.

use async_graphql::{Enum, SimpleObject};

use crate::{
    error::{Error, Result},
    graphql::sizes,
    model::{Problem, ProblemKind, Problems},
};

/// The kind of an expected failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum UserErrorCode {
    /// A value is invalid.
    Invalid,
    /// There is no such object within the caller's scope.
    NotFound,
    /// Another object has this value, which must be unique: an e-mail address, a slug or a version.
    Taken,
    /// The input conflicts with stored data: the object has changed since `ifUpdatedAt`, is still in use, or is
    /// archived, or the idempotency key was used for other measurements.
    Conflict,
    /// The caller's role does not permit this.
    Forbidden,
    /// The input exceeds a limit.
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

/// An expected failure of a mutation, to be shown in a form. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub struct UserError {
    /// Explanation of the problem and how to fix it, to be shown beside the field. It does not repeat the name of `field`.
    pub message: String,
    /// Path of the input field or argument, with positions in lists. Null if the failure is not about one field.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub field: Option<Vec<String>>,
    /// Kind of the failure.
    pub code: UserErrorCode,
}

impl UserError {
    /// The user errors of a fault, or the fault itself if the caller cannot fix it.
    ///
    /// # Errors
    /// The fault, if the server caused it.
    pub fn expected(fault: Error) -> Result<Vec<Self>> {
        let code = match &fault {
            Error::Refused(Problems(problems)) => return Ok(problems.iter().map(Self::from).collect()),
            Error::Input { field, message } => {
                return Ok(vec![Self::of(UserErrorCode::Invalid, field, message)]);
            }
            Error::NotFound { .. } => UserErrorCode::NotFound,
            Error::Conflict(_) => UserErrorCode::Conflict,
            Error::Forbidden(_) => UserErrorCode::Forbidden,
            Error::Limit { .. } => UserErrorCode::TooLarge,
            Error::PersistedQueryNotFound | Error::Unavailable { .. } | Error::Timeout | Error::Internal(_) => {
                return Err(fault);
            }
        };
        Ok(vec![Self { message: fault.to_string(), field: None, code }])
    }

    fn of(code: UserErrorCode, field: &str, message: &str) -> Self {
        Self { message: message.to_owned(), field: Some(field.split('.').map(str::to_owned).collect()), code }
    }
}

impl From<&Problem> for UserError {
    fn from(problem: &Problem) -> Self {
        Self::of(problem.kind.into(), &problem.field, &problem.message)
    }
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
        assert_eq!(failures[0].message, "is empty");
    }

    #[test]
    fn internal_errors_do_not_become_user_errors() {
        assert!(UserError::expected(Error::Timeout).is_err());
        assert!(UserError::expected(Error::internal("broken")).is_err());
        let forbidden = UserError::expected(Error::Forbidden("no".to_owned())).unwrap();
        assert_eq!((forbidden[0].code, &forbidden[0].field), (UserErrorCode::Forbidden, &None));
    }
}

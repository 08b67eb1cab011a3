//! Translates database errors into errors that a caller may see.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use super::file::fault::{DAMAGED, DAMAGED_RETRY_AFTER_S, damage_in, driver_error, fault_in};
use crate::error::{Cause, Error};

const RETRY_AFTER_S: u32 = 1;

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(cause) = driver_error(&error) {
            if let Some(fault) = fault_in(cause) {
                return fault.clone().into();
            }
            if damage_in(cause).is_some() {
                return damaged(error);
            }
        }
        let transient = match &error {
            DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                is_transient(cause)
            }
            _ => false,
        };
        if transient {
            unavailable(error)
        } else if let Some(SqlErr::UniqueConstraintViolation(_)) = error.sql_err() {
            Self::Conflict("another row already holds this name or key".to_owned())
        } else {
            Self::internal(error)
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let Some(fault) = fault_in(&error) {
            fault.clone().into()
        } else if damage_in(&error).is_some() {
            damaged(error)
        } else if is_transient(&error) {
            unavailable(error)
        } else {
            Self::internal(error)
        }
    }
}

fn damaged(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unavailable { message: DAMAGED, retry_after_s: DAMAGED_RETRY_AFTER_S, source: Some(Cause::new(source)) }
}

fn unavailable(source: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Unavailable {
        message: "the database cannot be reached or is busy; try again",
        retry_after_s: RETRY_AFTER_S,
        source: Some(Cause::new(source)),
    }
}

/// Returns whether the database rolled a transaction back in favour of another one (a deadlock or a serialization failure).
/// The same transaction may succeed if it is repeated at once.
pub fn is_rolled_back(error: &Error) -> bool {
    code(error).is_some_and(|code| code.starts_with("40") && code.len() == 5)
}

/// Returns whether a statement took longer than it may.
pub fn is_too_long(error: &Error) -> bool {
    code(error).is_some_and(|code| code == "57014")
}

/// The database's code of an error that can be tried again.
fn code(error: &Error) -> Option<String> {
    let Error::Unavailable { source: Some(source), .. } = error else { return None };
    let cause = match source.downcast_ref::<DbErr>() {
        Some(DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) => Some(&**cause),
        _ => source.downcast_ref::<sqlx::Error>(),
    };
    cause?.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Returns whether the same statement may succeed later: connection errors, a busy SQLite, and the PostgreSQL classes
/// connection exception (08), insufficient resources (53), operator intervention (57) and rollback (40).
fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed
        // A PostgreSQL server that is shutting down answers new connections with a message that the driver does not
        // expect.
        | sqlx::Error::Protocol(_)
        | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            if cause.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
                // The primary result code is the low byte: 5 busy, 6 locked, 10 failed read or write, 13 disk full.
                code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 10 | 13))
            } else {
                ["08", "53", "57", "40"].iter().any(|class| code.starts_with(class))
            }
        }),
        _ => false,
    }
}

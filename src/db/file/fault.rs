//! Faults of an SQLite file, as errors for callers and for the terminal.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sea_orm::{DbErr, RuntimeErr};
use thiserror::Error;

use crate::error::{Cause, Error};

/// Primary result codes of SQLite: the content is inconsistent, or it is no database.
const CORRUPT: i32 = 11;
const NOT_A_DATABASE: i32 = 26;
/// Extended result code: the file system reports damage.
const CORRUPT_FILE_SYSTEM: i32 = 8_458;

/// The message for callers whose statement met damage, or who come later.
pub const DAMAGED: &str = "the database file is damaged and is not served until it is repaired";
/// Long, because somebody has to repair it.
pub const DAMAGED_RETRY_AFTER_S: u32 = 60;

/// A file that must not be served.
#[derive(Clone, Debug, Error)]
pub enum FileFault {
    /// It was moved, deleted or replaced while it is open.
    #[error("{} was moved, deleted or replaced while it is open", file.display())]
    Away {
        /// The path as configured.
        file: PathBuf,
    },
    /// Its content is inconsistent.
    #[error(
        "{file} is damaged ({finding}). Restore it from a backup, or save what can still be read and start on that file: \
         `sqlite3 '{file}' .recover | sqlite3 recovered.sqlite`, or with a sqlite3 that says \"SQL logic error\" to that, as \
         those of Debian and Ubuntu do: `sqlite3 '{file}' .dump | sed 's/^ROLLBACK.*/COMMIT;/' | sqlite3 recovered.sqlite`"
    )]
    Damaged {
        /// The path as configured.
        file: String,
        /// The first finding of SQLite.
        finding: String,
    },
}

impl FileFault {
    /// A damaged file with the first finding.
    pub fn damaged(file: &Path, finding: &str) -> Self {
        // The findings of one page are lines.
        let finding = finding.trim().replace('\n', "; ");
        Self::Damaged { file: file.display().to_string(), finding }
    }

    /// The text for callers, who must not learn paths.
    pub const fn message(&self) -> &'static str {
        match self {
            Self::Away { .. } => {
                "the database file was taken away, so that nothing can be confirmed; try again when it is back"
            }
            Self::Damaged { .. } => DAMAGED,
        }
    }

    const fn retry_after_s(&self) -> u32 {
        match self {
            Self::Away { .. } => 1,
            Self::Damaged { .. } => DAMAGED_RETRY_AFTER_S,
        }
    }
}

impl From<FileFault> for Error {
    fn from(fault: FileFault) -> Self {
        Self::Unavailable {
            message: fault.message(),
            retry_after_s: fault.retry_after_s(),
            source: Some(Cause::new(fault)),
        }
    }
}

impl From<FileFault> for sqlx::Error {
    fn from(fault: FileFault) -> Self {
        Self::Io(io::Error::other(fault))
    }
}

impl From<FileFault> for DbErr {
    fn from(fault: FileFault) -> Self {
        Self::Conn(RuntimeErr::SqlxError(Arc::new(fault.into())))
    }
}

/// The driver's error behind one of the ORM.
pub fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    use RuntimeErr::SqlxError;
    match error {
        DbErr::Conn(SqlxError(cause)) | DbErr::Exec(SqlxError(cause)) | DbErr::Query(SqlxError(cause)) => Some(cause),
        _ => None,
    }
}

/// True if a fault has a damaged file as its cause.
pub fn is_damage(cause: &Cause) -> bool {
    let driver = cause.downcast_ref::<sqlx::Error>().or_else(|| driver_error(cause.downcast_ref()?));
    matches!(cause.downcast_ref(), Some(FileFault::Damaged { .. })) || driver.is_some_and(|it| damage_in(it).is_some())
}

/// The fault that an error of the driver carries.
pub fn fault_in(error: &sqlx::Error) -> Option<&FileFault> {
    match error {
        sqlx::Error::Io(cause) => cause.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// The message of SQLite if an error says that the file is damaged.
pub fn damage_in(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(cause) = error else { return None };
    let code: i32 = cause.try_downcast_ref::<sqlx::sqlite::SqliteError>().and_then(|_| cause.code()?.parse().ok())?;
    let is_damage = matches!(code & 0xff, CORRUPT | NOT_A_DATABASE) || code == CORRUPT_FILE_SYSTEM;
    is_damage.then(|| cause.message().to_owned())
}

//! The check of an SQLite file before it is served.

use std::{fs, path::Path, time::Duration};

use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::{beside::beside, fault::FileFault};
use crate::error::{Error, Result};

/// The page cache of the check, in KiB (negative numbers).
const CACHE: &str = "-8192";

/// Timeout for a lock that another process holds, such as a backup that has just begun.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Length of the database with its write-ahead log, in bytes; 0 if there is none.
pub fn bytes(file: &Path) -> u64 {
    [file.to_path_buf(), beside(file, "-wal")]
        .iter()
        .filter_map(|name| fs::metadata(name).ok())
        .map(|it| it.len())
        .sum()
}

/// Lets SQLite read the whole file (`PRAGMA quick_check`). Takes time in proportion to its length.
///
/// The connection only reads. Any other would write the log beside the file into it when it is closed, and with it the
/// damage that a log of another database does.
///
/// # Errors
/// The file is damaged ([`FileFault::Damaged`]), or cannot be read.
pub async fn run(file: &Path) -> Result<()> {
    let read_only = SqliteConnectOptions::new().filename(file).read_only(true);
    let finding = match quick_check(&read_only).await {
        // A file with a rollback journal, which SQLite has to undo first; or a folder in which nothing can be created.
        Err(error) if needs_writing(&error) => quick_check(&read_only.read_only(false)).await,
        finding => finding,
    };
    match finding {
        Ok(finding) if finding == "ok" => Ok(()),
        Ok(finding) => Err(FileFault::damaged(file, &finding).into()),
        Err(error) => Err(match error.as_database_error() {
            Some(cause) if is_unreadable(code(&error)) => FileFault::damaged(file, cause.message()).into(),
            _ => Error::from(error),
        }),
    }
}

async fn quick_check(options: &SqliteConnectOptions) -> sqlx::Result<String> {
    let options = options.clone().create_if_missing(false).busy_timeout(BUSY_TIMEOUT).pragma("cache_size", CACHE);
    let mut connection = options.connect().await?;
    let finding = sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut connection).await;
    connection.close().await?;
    finding
}

/// Primary result codes of content that SQLite cannot read: 1 for a header that it does not understand, 11 corrupt, 26 no
/// database.
const fn is_unreadable(code: Option<i32>) -> bool {
    matches!(code, Some(1 | 11 | 26))
}

/// Primary result codes 8 (read-only) and 14 (cannot open).
fn needs_writing(error: &sqlx::Error) -> bool {
    matches!(code(error), Some(8 | 14))
}

/// The primary result code of SQLite.
fn code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

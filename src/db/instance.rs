//! The right of an instance to work on a database, before it is opened.
//!
//! An SQLite file is one instance's alone, held by a lock on a file beside it, which goes with the process, however it ends. A
//! PostgreSQL database is shared. The node, the number in the ids of an instance, is taken after the migrations (`lease`).

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::sqlite::SqliteConnectOptions;

use crate::{
    config,
    error::{Error, Result},
};

/// The node of sample data, so that the same plan makes the same ids; a server takes it only when it is told to.
pub const SAMPLE_NODE: u8 = 0;

/// The error for an SQLite file that another process uses.
const FILE_IS_TAKEN: &str = "another perfgraph process works on this SQLite file: stop it first, or use PostgreSQL, \
     which any number of instances can share";

/// The right to work on a database, held until it is dropped.
#[derive(Debug)]
pub struct Instance {
    node: Option<u8>,
    /// Open and locked, for SQLite; closing it unlocks. Others may work on a PostgreSQL database, too.
    _locked: Option<File>,
}

impl Instance {
    /// Takes the SQLite file. `node` is the number that ids shall have; without one, any that is free.
    ///
    /// # Errors
    /// Another process holds the SQLite file, or the URL is invalid.
    pub fn claim(settings: &config::Database, node: Option<u8>) -> Result<Self> {
        let file = sqlite_file(settings.url.reveal())?;
        let locked = file.map(|file| lock_file(&file)).transpose()?;
        Ok(Self { node, _locked: locked })
    }

    /// On a database that nobody else can know, such as a file that is still to get its name.
    pub const fn alone(node: u8) -> Self {
        Self { node: Some(node), _locked: None }
    }

    /// The node that is wanted.
    pub const fn node(&self) -> Option<u8> {
        self.node
    }
}

/// The file that an SQLite URL names; nothing for PostgreSQL.
///
/// # Errors
/// The URL is invalid.
pub fn sqlite_file(url: &str) -> Result<Option<PathBuf>> {
    if !url.starts_with("sqlite:") {
        return Ok(None);
    }
    let options =
        SqliteConnectOptions::from_str(url).map_err(|error| Error::input("database.url", error.to_string()))?;
    Ok(Some(options.get_filename().to_path_buf()))
}

/// A file beside the database's: `perfgraph.sqlite` and `.lock` make `perfgraph.sqlite.lock`.
pub fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn lock_file(file: &Path) -> Result<File> {
    // By its own name where it is reached through a link: two names must not make two locks.
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let name = beside(&file, ".lock");
    let locked = File::create(&name).map_err(|error| {
        Error::input("database.url", format!("the lock file beside the database cannot be made: {error}"))
    })?;
    match locked.try_lock() {
        Ok(()) => Ok(locked),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Unavailable { message: FILE_IS_TAKEN, retry_after_s: 1, source: None })
        }
        Err(TryLockError::Error(error)) => Err(Error::internal(error)),
    }
}

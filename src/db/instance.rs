//! The right of an instance to work on a database, before it is opened.
//!
//! An SQLite file is one instance's alone, held by locks on it (`file/lock`), which go with the process, however it ends. A
//! PostgreSQL database is shared. The node, the number in the ids of an instance, is taken after the migrations (`lease`).

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use sqlx::sqlite::SqliteConnectOptions;

use super::{
    file::{check, lock::FileLocks},
    pool::Database,
};
use crate::{
    config,
    error::{Error, Result},
};

/// The node of sample data, so that the same plan makes the same ids; a server takes it only when it is told to.
pub const SAMPLE_NODE: u8 = 0;

/// The right to work on a database, held until it is dropped.
#[derive(Debug)]
pub struct Instance {
    node: Option<u8>,
    /// `None` on PostgreSQL, where others may work on the database too, and for a file that nobody else knows.
    file: Option<ClaimedFile>,
}

/// An SQLite file that this process alone may open. It is checked once, before that.
#[derive(Debug)]
struct ClaimedFile {
    locks: FileLocks,
    is_checked: bool,
}

impl Instance {
    /// Takes the SQLite file. `node` is the number that ids shall have; without one, any that is free.
    ///
    /// # Errors
    /// Another process holds the SQLite file, or the URL is invalid.
    pub fn claim(settings: &config::Database, node: Option<u8>) -> Result<Self> {
        let file = sqlite_file(settings.url.reveal())?;
        let locks = file.map(|file| FileLocks::claim(&file)).transpose()?;
        Ok(Self { node, file: locks.map(|locks| ClaimedFile { locks, is_checked: false }) })
    }

    /// On a database that nobody else can know, such as a file that is still to get its name.
    pub const fn alone(node: u8) -> Self {
        Self { node: Some(node), file: None }
    }

    /// The node that is wanted.
    pub const fn node(&self) -> Option<u8> {
        self.node
    }

    /// Length in bytes of an SQLite file that must be checked and is larger than `at_once`.
    pub fn long_check(&self, at_once: u64) -> Option<u64> {
        self.due_check(at_once).map(|(_, bytes)| bytes).filter(|bytes| *bytes > at_once)
    }

    /// Checks the SQLite file, unless that was done: a file of up to `at_once` bytes always, a larger one if the last process
    /// did not close it cleanly, or if it was changed or moved here since.
    ///
    /// # Errors
    /// The file is damaged or cannot be read.
    pub async fn check_file(&mut self, at_once: u64) -> Result<()> {
        if let Some((file, _)) = self.due_check(at_once) {
            check::run(file).await?;
        }
        if let Some(file) = &mut self.file {
            file.is_checked = true;
        }
        Ok(())
    }

    /// The file to check, and its length.
    fn due_check(&self, at_once: u64) -> Option<(&Path, u64)> {
        let ClaimedFile { locks, is_checked: false } = self.file.as_ref()? else { return None };
        let bytes = check::bytes(locks.file());
        (bytes > 0 && (bytes <= at_once || !locks.is_clean())).then_some((locks.file(), bytes))
    }

    /// Opens the database. Before that an SQLite file is checked as by [`Instance::check_file`] and no longer counts as cleanly
    /// closed; after it the files that opening made are locked too.
    ///
    /// # Errors
    /// The file is damaged or another process holds it, or the database cannot be reached.
    pub async fn open(&mut self, settings: &config::Database) -> Result<Database> {
        self.check_file(settings.check_bytes_max).await?;
        if let Some(file) = &mut self.file {
            file.locks.begin()?;
        }
        let database = Database::open(settings).await?;
        if let Some(file) = &mut self.file {
            file.locks.extend()?;
        }
        Ok(database)
    }

    /// Closes the database. An SQLite file that is in its place and undamaged counts as cleanly closed from then on, so that
    /// the next start need not check it if it is large.
    pub async fn close(&mut self, database: &Database) {
        // Before the log is removed, which is one of the files to look for.
        let is_sound = database.file_watch().look().is_ok();
        database.close().await;
        if let (true, Some(file)) = (is_sound, &mut self.file) {
            file.locks.end();
        }
    }
}

/// Checks that an SQLite file exists, for commands that must not create one. PostgreSQL says so itself.
///
/// # Errors
/// There is no such file, or the URL is invalid.
pub fn require_file(settings: &config::Database) -> Result<()> {
    let Some(file) = sqlite_file(settings.url.reveal())?.filter(|file| !file.exists()) else { return Ok(()) };
    let name = file.display();
    Err(Error::input(
        "database.url",
        format!(
            "there is no SQLite file {name}; correct the name if it is misspelt. `perfgraph migrate up` creates an empty \
             database, `perfgraph seed` one with sample data"
        ),
    ))
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

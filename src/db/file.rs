//! The SQLite file of an open database: whether it still is where it was opened, and undamaged.
//!
//! A file that was moved, deleted or replaced keeps working for the process that has it open, and whatever is written to it
//! is lost to the next start. Therefore every write compares the files at their paths with those that were opened, before it
//! begins and before it is acknowledged. The log and the index beside the database (`-wal`, `-shm`) are part of it.

pub mod beside;
pub mod check;
pub mod fault;
pub mod idle_log;
pub mod lock;

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use sea_orm::DbErr;

use self::{
    beside::beside,
    fault::{FileFault, damage_in, driver_error},
};
use crate::error::{Error, Result};

/// Watches the SQLite file of one open database; clones share what they find. Without a file, on PostgreSQL, it finds
/// nothing.
#[derive(Clone, Debug, Default)]
pub struct FileWatch(Option<Arc<Watched>>);

#[derive(Debug)]
struct Watched {
    /// The file as configured, so that a symbolic link that points elsewhere later is noticed too.
    file: PathBuf,
    /// The files that were opened, with their identities.
    opened: Vec<(PathBuf, Identity)>,
    /// Set while a file is not where it was opened.
    is_away: AtomicBool,
    /// The first sign of damage. It stays until the process ends.
    damage: OnceLock<String>,
}

/// Device and inode of a file, which tell it from any other file of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file at this path, following links.
    ///
    /// # Errors
    /// There is no file, or it cannot be reached.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::from(&found))
    }
}

impl From<&fs::Metadata> for Identity {
    fn from(found: &fs::Metadata) -> Self {
        Self { device: found.dev(), inode: found.ino() }
    }
}

impl FileWatch {
    /// Begins to watch a file that SQLite has just opened in WAL mode.
    ///
    /// # Errors
    /// A file is gone already.
    pub fn begin(file: &Path) -> Result<Self> {
        let named = names(file);
        let opened = named.into_iter().map(|name| Identity::of(&name).map(|found| (name, found)));
        let opened = opened.collect::<io::Result<Vec<_>>>().map_err(|error| {
            let advice = "the database needs a local file system, on which SQLite can keep a write-ahead log";
            Error::input("database.url", format!("SQLite left no log beside the file ({error}): {advice}"))
        })?;
        Ok(Self(Some(Arc::new(Watched {
            file: file.to_path_buf(),
            opened,
            is_away: AtomicBool::new(false),
            damage: OnceLock::new(),
        }))))
    }

    /// Returns what the last look found, at the price of two atomic reads.
    ///
    /// # Errors
    /// The file is damaged or was away.
    pub fn admits(&self) -> Result<(), FileFault> {
        let Some(watched) = &self.0 else { return Ok(()) };
        watched.undamaged()?;
        if watched.is_away.load(Ordering::Relaxed) { Err(watched.away()) } else { Ok(()) }
    }

    /// Looks whether each opened file is where it was opened. Logs when that changes.
    ///
    /// # Errors
    /// The file is damaged, or away.
    pub fn look(&self) -> Result<(), FileFault> {
        let Some(watched) = &self.0 else { return Ok(()) };
        watched.undamaged()?;
        let missing = watched.opened.iter().find(|(name, opened)| Identity::of(name).ok() != Some(*opened));
        let is_away = missing.is_some();
        let was_away = watched.is_away.swap(is_away, Ordering::Relaxed);
        match missing {
            Some((name, _)) if !was_away => tracing::error!(
                file = %name.display(),
                "the database file was moved, deleted or replaced while the server has it open: nothing is acknowledged. \
                 Move it back and the server goes on. Otherwise stop the server first, which writes everything to the file \
                 that it has open, and then start it on that file; a deleted file can be copied from /proc/{}/fd before \
                 the stop",
                std::process::id()
            ),
            None if was_away => tracing::warn!(file = %watched.file.display(), "the database file is back"),
            _ => {}
        }
        if is_away { Err(watched.away()) } else { Ok(()) }
    }

    /// Remembers damage that a statement met.
    pub fn note_driver(&self, error: &sqlx::Error) {
        if let (Some(watched), Some(finding)) = (&self.0, damage_in(error)) {
            watched.found(finding);
        }
    }

    /// Remembers damage that a statement of the ORM met.
    pub fn note_orm(&self, error: &DbErr) {
        if let Some(cause) = driver_error(error) {
            self.note_driver(cause);
        }
    }

    /// Passes the outcome of a write on, unless the file was taken away meanwhile: then nothing may be acknowledged, and a
    /// retry decides. Remembers damage.
    ///
    /// # Errors
    /// The write failed, or the file is away or damaged.
    pub fn confirm<T>(&self, outcome: Result<T>) -> Result<T> {
        if let Err(Error::Unavailable { source: Some(cause), .. } | Error::Internal(cause)) = &outcome {
            if let Some(error) = cause.downcast_ref::<sqlx::Error>() {
                self.note_driver(error);
            }
            if let Some(error) = cause.downcast_ref::<DbErr>() {
                self.note_orm(error);
            }
        }
        let outcome = outcome?;
        self.look()?;
        Ok(outcome)
    }
}

impl Watched {
    fn undamaged(&self) -> Result<(), FileFault> {
        match self.damage.get() {
            Some(finding) => Err(FileFault::damaged(&self.file, finding)),
            None => Ok(()),
        }
    }

    fn away(&self) -> FileFault {
        FileFault::Away { file: self.file.clone() }
    }

    fn found(&self, finding: String) {
        if self.damage.set(finding).is_ok()
            && let Err(fault) = self.undamaged()
        {
            tracing::error!("{fault}");
        }
    }
}

/// The database as configured, and the log and the index beside the file that SQLite opened, which follows links.
fn names(file: &Path) -> Vec<PathBuf> {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    vec![file.to_path_buf(), beside(&real, "-wal"), beside(&real, "-shm")]
}

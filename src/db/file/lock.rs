//! Locks by which one process alone serves an SQLite file, under whatever name.
//!
//! Three files are locked: `perfgraph.sqlite.lock`, which holds the name also while there is no database yet; the database
//! itself, which a second name (a hard link, a bind mount) shares and which nobody can remove unnoticed; and its write-ahead
//! log, which a copy put in the place of the database would share.
//!
//! The locks are those of `flock`, which belong to the open file. They go with the process, however it ends, and on Linux
//! they are independent of the byte locks by which SQLite keeps its own connections apart. Elsewhere both would collide, so
//! that only the name is locked there.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use super::{Identity, beside::beside};
use crate::error::{Error, Result};

/// The error for an SQLite file that another process uses.
const FILE_IS_TAKEN: &str = "another perfgraph process works on this SQLite file: stop it first, or use PostgreSQL, \
     which any number of instances can share";

/// Files that are not locked any more. Closing any descriptor of a file drops all byte locks (`fcntl`) that the process holds
/// on it, also those of SQLite's connections that are still open. Therefore a file that was opened here stays open until it
/// has no name any more, or is locked again. For the same reason the database is never opened to look at it: `stat` on the
/// path tells its device and inode.
static RELEASED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// The locks of one instance.
#[derive(Debug)]
pub struct FileLocks {
    /// The database under its own name, where it is reached through a link.
    file: PathBuf,
    name: File,
    held: Vec<File>,
    is_clean: bool,
}

impl FileLocks {
    /// Locks the name, and the files that exist.
    ///
    /// # Errors
    /// Another process holds one of them, or a file cannot be opened.
    pub fn claim(file: &Path) -> Result<Self> {
        // By its own name where it is reached through a link: two names must not make two locks.
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
        let name = File::options().read(true).write(true).create(true).truncate(false).open(beside(&file, ".lock"));
        let mut name = name.map_err(|error| unusable(&file, &error))?;
        lock(&name)?;
        let mut mark = String::new();
        // A mark that cannot be read is as good as none.
        let is_clean = name.read_to_string(&mut mark).is_ok() && !mark.is_empty() && Some(mark) == clean_mark(&file);
        let mut locks = Self { file, name, held: Vec::new(), is_clean };
        locks.extend()?;
        Ok(locks)
    }

    /// The database under its own name.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// True if the database is as the last process left it that closed it.
    pub const fn is_clean(&self) -> bool {
        self.is_clean
    }

    /// Locks files that have come since.
    ///
    /// # Errors
    /// As [`FileLocks::claim`].
    pub fn extend(&mut self) -> Result<()> {
        if !cfg!(target_os = "linux") {
            return Ok(());
        }
        for name in [self.file.clone(), beside(&self.file, "-wal")] {
            let Ok(identity) = Identity::of(&name) else { continue };
            if self.held.iter().any(|held| is(held, identity)) {
                continue;
            }
            let opened = match released(identity) {
                Some(file) => file,
                None => File::options().read(true).write(true).open(&name).map_err(|error| unusable(&name, &error))?,
            };
            let locked = lock(&opened);
            if locked.is_err() {
                keep_open([opened]);
                return locked;
            }
            self.held.push(opened);
        }
        Ok(())
    }

    /// Removes the mark of a clean stop, before the first write. It is durable at once: a power cut must not bring it back.
    ///
    /// # Errors
    /// The lock file cannot be written.
    pub fn begin(&mut self) -> Result<()> {
        self.is_clean = false;
        self.name.set_len(0).and_then(|()| self.name.sync_all()).map_err(Error::internal)
    }

    /// Marks the file as cleanly closed, after the last connection was closed.
    pub fn end(&mut self) {
        let Some(mark) = clean_mark(&self.file) else { return };
        // Without the mark the next start checks the file, which only takes time.
        let _ = self.name.rewind().and_then(|()| self.name.write_all(mark.as_bytes()));
    }
}

impl Drop for FileLocks {
    fn drop(&mut self) {
        // Closing would not do: a child that is just being started shares the open files until it runs its own program.
        for file in self.held.iter().chain([&self.name]) {
            let _ = file.unlock();
        }
        keep_open(self.held.drain(..));
    }
}

/// The error of a database whose lock file cannot be made, or that cannot be opened for writing.
fn unusable(file: &Path, error: &io::Error) -> Error {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (name, folder) = (file.display(), folder.display());
    let message = match error.kind() {
        io::ErrorKind::NotFound => {
            format!("the folder {folder} of {name} does not exist; create it (`mkdir -p {folder}`) or correct the name")
        }
        io::ErrorKind::NotADirectory => format!("{folder} is a file, not a folder; correct the name {name}"),
        io::ErrorKind::IsADirectory => format!("{name} is a folder; add the name of a file to it"),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
            "{name} cannot be opened for writing ({error}); this user needs the right to write to it and to the folder \
             {folder}, where SQLite keeps further files beside it"
        ),
        _ => format!("{name} cannot be opened for writing: {error}"),
    };
    Error::input("database.url", message)
}

/// Keeps files open that this process has no lock on any more, or got none.
fn keep_open(files: impl IntoIterator<Item = File>) {
    let mut kept = RELEASED.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(has_name);
    kept.extend(files);
}

/// The state of a database whose log is written back: its inode, length and last change. `None` while there is a log, or no
/// database.
fn clean_mark(file: &Path) -> Option<String> {
    if fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0) {
        return None;
    }
    let found = fs::metadata(file).ok()?;
    Some(format!("clean {} {} {} {}\n", found.ino(), found.len(), found.mtime(), found.mtime_nsec()))
}

fn lock(file: &File) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Unavailable { message: FILE_IS_TAKEN, retry_after_s: 1, source: None })
        }
        Err(TryLockError::Error(error)) => Err(Error::internal(error)),
    }
}

fn is(file: &File, identity: Identity) -> bool {
    file.metadata().is_ok_and(|found| Identity::from(&found) == identity)
}

fn released(identity: Identity) -> Option<File> {
    let mut kept = RELEASED.lock().unwrap_or_else(PoisonError::into_inner);
    let at = kept.iter().position(|file| is(file, identity))?;
    Some(kept.swap_remove(at))
}

fn has_name(file: &File) -> bool {
    file.metadata().is_ok_and(|found: fs::Metadata| found.nlink() > 0)
}

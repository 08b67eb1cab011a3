//! Notices that nobody writes to an SQLite file any more, so that its write-ahead log can be written back.
//!
//! The log of a busy server is written back once it is long. When writes end before that, the last of them would stay in the
//! log until the server stops, and a copy of the database alone would lack them.

use std::{fs, path::Path, time::SystemTime};

/// The log as the last looks found it.
#[derive(Clone, Copy, Debug, Default)]
pub struct IdleLog {
    seen: Option<LogState>,
    written_back: Option<LogState>,
}

/// The last change and the length of a log. A write changes the first, also where it overwrites earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogState {
    changed: SystemTime,
    bytes: u64,
}

impl IdleLog {
    /// The state of a log that has not changed since the last look and was not written back since its last change.
    pub fn due(&mut self, log: &Path) -> Option<LogState> {
        let found = fs::metadata(log).ok().filter(|log| log.len() > 0);
        let state = found.and_then(|log| Some(LogState { changed: log.modified().ok()?, bytes: log.len() }));
        let before = std::mem::replace(&mut self.seen, state);
        state.filter(|state| before == Some(*state) && self.written_back != Some(*state))
    }

    /// Remembers that the log was written back in this state.
    pub const fn written_back(&mut self, state: LogState) {
        self.written_back = Some(state);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_log_is_due_once_after_it_stopped_changing() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let write = |bytes: &[u8], seconds: u64| {
            fs::write(&log, bytes).unwrap();
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            fs::File::options().write(true).open(&log).unwrap().set_modified(at).unwrap();
        };
        let mut idle = IdleLog::default();
        assert_eq!(idle.due(&log), None, "there is none");
        write(b"", 1);
        assert_eq!((idle.due(&log), idle.due(&log)), (None, None), "it is empty");
        write(b"1", 2);
        assert_eq!(idle.due(&log), None, "it has changed");
        write(b"2", 3);
        assert_eq!(idle.due(&log), None, "it has changed again, with the same length");
        let state = idle.due(&log).expect("it is idle");
        assert_eq!(idle.due(&log), Some(state), "it is due until it was written back");
        idle.written_back(state);
        assert_eq!((idle.due(&log), idle.due(&log)), (None, None));
        write(b"2", 4);
        assert!(idle.due(&log).is_none() && idle.due(&log).is_some());
    }
}

//! What a subscription's resolver and the hub tell each other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Place;
use crate::model::Positions;

/// Which part of a stream an execution carries.
#[derive(Clone, Debug)]
pub enum Part {
    /// The live end, for all who watch the same. The argument `after` means nothing here.
    Tail,
    /// From behind a cursor up to a place of the tail.
    Stretch {
        /// Where it begins.
        after: Arc<str>,
        /// Where it ends.
        until: Arc<Positions>,
    },
    /// Nothing but the note that a slow watcher let go of something.
    Skip {
        /// The cursor at which it stopped.
        from: Arc<str>,
        /// The cursor from which it goes on.
        to: Arc<str>,
        /// What lies between.
        missed: u64,
    },
}

/// What becomes of what a watcher is too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It is read again from the database.
    Replay,
    /// It is let go of, and a note says how much it was.
    Skip,
    /// The stream ends with its last cursor.
    Close,
}

/// What kind of stream the tail turned out to be.
#[derive(Clone, Debug)]
pub enum Opening {
    /// Every event counts and has a place, after which the stream can be resumed.
    Places {
        /// Where the tail begins.
        start: Arc<Positions>,
        /// The cursor of that.
        cursor: Arc<str>,
        /// What becomes of what a watcher is too slow for.
        overflow: Overflow,
    },
    /// An event makes those before it worthless: a newcomer gets the last at once, and a slow watcher only that.
    State,
    /// Every event counts, and none can be had again: a watcher that is too slow is told so.
    Plain,
}

/// One execution of a subscription, between its resolver and the hub.
#[derive(Debug)]
pub struct Course {
    /// What the resolver is to carry.
    pub part: Part,
    opening: watch::Sender<Option<Opening>>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    cursor: Option<Arc<str>>,
    rows: u64,
    place: Option<Place>,
}

impl Course {
    /// Of this part.
    pub fn new(part: Part) -> Self {
        let cursor = match &part {
            Part::Stretch { after, .. } => Some(Arc::clone(after)),
            Part::Skip { from, .. } => Some(Arc::clone(from)),
            Part::Tail => None,
        };
        let progress = Mutex::new(Progress { cursor, ..Progress::default() });
        Self { part, opening: watch::Sender::new(None), progress }
    }

    /// Says what kind of stream it is, before its first event.
    pub fn open(&self, opening: Opening) {
        if let Opening::Places { cursor, .. } = &opening {
            self.progress().cursor = Some(Arc::clone(cursor));
        }
        self.opening.send_replace(Some(opening));
    }

    /// Says where the event stands that is about to be resolved, and how much it holds.
    pub fn mark(&self, from: &Arc<Positions>, to: &Arc<Positions>, cursor: &Arc<str>, rows: u64) {
        let mut progress = self.progress();
        let before = progress.cursor.replace(Arc::clone(cursor)).unwrap_or_else(|| Arc::clone(cursor));
        let (from, to, cursor) = (Arc::clone(from), Arc::clone(to), Arc::clone(cursor));
        progress.place = Some(Place { from, to, before, cursor, rows_before: progress.rows, rows });
        progress.rows += rows;
    }

    /// Whether the resolver has said what kind of stream it is.
    pub(in crate::engine) fn is_open(&self) -> bool {
        self.opening.borrow().is_some()
    }

    /// What kind of stream it is, once that is known.
    pub(super) fn openings(&self) -> watch::Receiver<Option<Opening>> {
        self.opening.subscribe()
    }

    /// Where the event stands that was just resolved.
    pub(in crate::engine) fn place(&self) -> Option<Place> {
        self.progress().place.take()
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

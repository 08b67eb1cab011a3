//! The interface between the resolver of a subscription and the hub.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::{EventMark, EventSpan, ResumeCursor};
use crate::model::CommitPositions;

/// The segment of a stream that an execution delivers.
#[derive(Clone, Debug)]
pub enum Segment {
    /// The live end, for all subscribers. The cursor argument is ignored.
    Live,
    /// The events after a cursor, up to a position of the live end.
    Replay {
        /// The cursor.
        after: ResumeCursor,
        /// The end.
        until: Arc<CommitPositions>,
    },
    /// One event that tells a slow subscriber what it skipped.
    Skipped {
        /// The cursor of the last event before.
        from: Arc<str>,
        /// The cursor at which the stream continues.
        to: Arc<str>,
        /// The number of skipped rows.
        missed: u64,
    },
}

/// The treatment of events that a subscriber is too slow for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// They are read again from the database.
    Replay,
    /// They are skipped, and one event says how many rows they held.
    Skip,
    /// The stream ends and names its last cursor.
    Close,
}

/// The kind of a stream, as its resolver reports it.
#[derive(Clone, Debug)]
pub enum StreamKind {
    /// Every event counts and has a position, after which the stream can resume.
    Resumable {
        /// The start of the live end.
        start: Arc<CommitPositions>,
        /// The cursor of the start.
        cursor: Arc<str>,
        /// The treatment of events that a subscriber is too slow for.
        overflow: Overflow,
    },
    /// Each event replaces those before it. A new subscriber gets the last one at once, a slow one only the last.
    Snapshots,
    /// Every event counts and none can be read again. The stream of a slow subscriber ends.
    Events {
        /// The cursor of the start, if the stream can resume.
        start: Option<Arc<str>>,
    },
}

/// One execution of a subscription, shared by its resolver and the hub.
#[derive(Debug)]
pub struct Execution {
    /// The segment that the resolver delivers.
    pub segment: Segment,
    kind: watch::Sender<Option<StreamKind>>,
    progress: Mutex<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    cursor: Option<Arc<str>>,
    rows: u64,
    mark: EventMark,
}

impl Execution {
    /// An execution of this segment.
    pub fn new(segment: Segment) -> Self {
        let cursor = match &segment {
            Segment::Replay { after, .. } => Some(Arc::clone(&after.text)),
            Segment::Skipped { from, .. } => Some(Arc::clone(from)),
            Segment::Live => None,
        };
        let progress = Mutex::new(Progress { cursor, ..Progress::default() });
        Self { segment, kind: watch::Sender::new(None), progress }
    }

    /// Reports the kind of the stream, before its first event.
    pub fn open(&self, kind: StreamKind) {
        if let StreamKind::Resumable { cursor, .. } = &kind {
            self.progress().cursor = Some(Arc::clone(cursor));
        }
        self.kind.send_replace(Some(kind));
    }

    /// Reports the span of the event that is about to be resolved, and its number of rows.
    pub fn mark(&self, from: &Arc<CommitPositions>, to: &Arc<CommitPositions>, cursor: &Arc<str>, rows: u64) {
        let mut progress = self.progress();
        let before = progress.cursor.replace(Arc::clone(cursor)).unwrap_or_else(|| Arc::clone(cursor));
        let (from, to, cursor) = (Arc::clone(from), Arc::clone(to), Arc::clone(cursor));
        progress.mark.cursor = Some(Arc::clone(&cursor));
        progress.mark.span = Some(EventSpan { from, to, before, cursor, rows_before: progress.rows, rows });
        progress.rows += rows;
    }

    /// Reports the cursor after the event that is about to be resolved, in a stream that is not replayed.
    pub fn mark_cursor(&self, cursor: Arc<str>) {
        self.progress().mark.cursor = Some(cursor);
    }

    /// The resolver has reported the kind of the stream.
    pub(in crate::engine) fn is_open(&self) -> bool {
        self.kind.borrow().is_some()
    }

    /// The kind of the stream, once it is known.
    pub(super) fn kinds(&self) -> watch::Receiver<Option<StreamKind>> {
        self.kind.subscribe()
    }

    /// The position of the event that was just resolved.
    pub(in crate::engine) fn take_mark(&self) -> EventMark {
        std::mem::take(&mut self.progress().mark)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

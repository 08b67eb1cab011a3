//! Publishes committed batches to every stream of this process: in the order of sequences, each at most once, without
//! backpressure.
//!
//! A batch of this process arrives here right after its COMMIT. If the batch before it is missing, another instance
//! committed that one: the follower reads both from the database, once for all streams.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, broadcast};

use super::notice::CommitNotice;
use crate::model::{Key, Measurement, MetricId, OrganizationId, ProjectId, RecordedMetric, Timestamp};

/// The rows of one submission, published after its commit.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedBatch {
    /// The organization.
    pub organization: OrganizationId,
    /// The project.
    pub project: Key<ProjectId>,
    /// The number of the commit, without gaps in the organization.
    pub sequence: i64,
    /// The id of the first row; the ids of the others follow without gaps.
    pub first_id: i64,
    /// The time at which the server received the rows.
    pub received_at: Timestamp,
    /// The rows by ordinal; never empty.
    pub measurements: Vec<Measurement>,
}

impl CommittedBatch {
    /// The number of rows.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.measurements.len()).unwrap_or(u32::MAX)
    }

    /// The row at an index, as streams carry it.
    pub fn recorded(&self, ordinal: u32) -> Option<RecordedMetric> {
        let measurement = self.measurements.get(usize::try_from(ordinal).ok()?)?;
        Some(RecordedMetric {
            id: MetricId(self.first_id + i64::from(ordinal)),
            project: self.project,
            measurement: measurement.clone(),
            received_at: self.received_at,
        })
    }
}

/// The publishing end; clones share their streams.
///
/// A stream that is more than `capacity` batches behind loses the oldest ones, notices it, and reads them from the database.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<PublisherShared>);

#[derive(Debug)]
struct PublisherShared {
    batches: broadcast::Sender<Arc<CommittedBatch>>,
    changes: broadcast::Sender<CommitNotice>,
    state: Mutex<PublisherState>,
    /// Wakes the follower to read missing batches.
    missing: Notify,
    /// Wakes the follower to notify other instances.
    outbox: Notify,
}

#[derive(Debug, Default)]
struct PublisherState {
    /// True once the follower has read the last commits; until then every batch is published.
    is_following: bool,
    /// The last sequence that was published, or committed while there were no streams.
    published: HashMap<OrganizationId, i64>,
    /// Higher sequences that are said to be committed.
    missing: HashMap<OrganizationId, i64>,
    /// Notices that were not sent to other instances yet.
    outbox: HashMap<OrganizationId, CommitNotice>,
}

impl PublisherState {
    fn published(&self, organization: OrganizationId) -> Option<i64> {
        let published = self.published.get(&organization).copied();
        if self.is_following { Some(published.unwrap_or(0)) } else { published }
    }

    /// Remembers a missing sequence; `false` if it is not missing.
    fn note_missing(&mut self, organization: OrganizationId, sequence: i64) -> bool {
        let is_missing =
            self.is_following && self.published(organization).is_some_and(|published| published < sequence);
        if is_missing {
            let last = self.missing.entry(organization).or_default();
            *last = sequence.max(*last);
        }
        is_missing
    }
}

/// Batches that the follower has to read: after the first sequence, up to and including the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MissingCommits {
    pub organization: OrganizationId,
    pub after: i64,
    pub to: i64,
}

impl Publisher {
    /// Buffers up to `capacity` batches for slow streams.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self(Arc::new(PublisherShared {
            batches: broadcast::Sender::new(capacity),
            changes: broadcast::Sender::new(capacity),
            state: Mutex::default(),
            missing: Notify::new(),
            outbox: Notify::new(),
        }))
    }

    /// Publishes a batch that this process committed to all streams, and notifies other instances.
    pub fn publish(&self, batch: Arc<CommittedBatch>) {
        let notice = CommitNotice::committed(batch.organization, batch.sequence);
        let mut state = self.state();
        state.outbox.entry(notice.organization).or_insert(notice).merge(notice);
        if !self.send_next(&mut state, &batch) && state.note_missing(batch.organization, batch.sequence) {
            self.0.missing.notify_one();
        }
        drop(state);
        self.0.outbox.notify_one();
    }

    /// Announces a change of the directory, to this process and to other instances.
    pub fn announce(&self, notice: CommitNotice) {
        self.state().outbox.entry(notice.organization).or_insert(notice).merge(notice);
        // An error means that there are no subscribers.
        let _ = self.0.changes.send(notice);
        self.0.outbox.notify_one();
    }

    /// The number of open streams.
    pub fn streams(&self) -> usize {
        self.0.batches.receiver_count()
    }

    /// Subscribes to every batch of every organization and instance from now on, in the order of sequences.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBatch>> {
        // Under the lock, so that a batch is either sent to this stream, or was committed before the stream reads the last
        // sequences.
        let _state = self.state();
        self.0.batches.subscribe()
    }

    /// Subscribes to changes of the directory on all instances, possibly repeated and up to one second late.
    pub fn changes(&self) -> broadcast::Receiver<CommitNotice> {
        self.0.changes.subscribe()
    }

    /// Publishes a batch that was read from the database.
    pub(super) fn relay(&self, batch: &Arc<CommittedBatch>) {
        self.send_next(&mut self.state(), batch);
    }

    /// Skips a batch that is no longer complete in the database; streams notice the gap and read what is left.
    pub(super) fn skip(&self, organization: OrganizationId, sequence: i64) {
        let mut state = self.state();
        if state.published(organization) == Some(sequence - 1) {
            state.published.insert(organization, sequence);
        }
    }

    /// Receives a notice of another instance.
    pub(super) fn receive(&self, notice: CommitNotice) {
        if let Some(sequence) = notice.sequence
            && self.state().note_missing(notice.organization, sequence)
        {
            self.0.missing.notify_one();
        }
        if notice.change.is_some() {
            let _ = self.0.changes.send(notice);
        }
    }

    /// Sets the last commits, as the database has them. Without streams, and at the start, they count as published.
    pub(super) fn set_last(&self, notices: impl IntoIterator<Item = CommitNotice>) {
        let mut state = self.state();
        // Streams opened from now on read the last commits themselves, which are no earlier.
        let has_no_streams = self.0.batches.receiver_count() == 0;
        let is_start = !std::mem::replace(&mut state.is_following, true);
        for notice in notices {
            let sequence = notice.sequence.unwrap_or(0);
            if is_start || has_no_streams {
                let published = state.published.entry(notice.organization).or_default();
                *published = sequence.max(*published);
            } else if state.note_missing(notice.organization, sequence) {
                self.0.missing.notify_one();
            }
            if notice.change.is_some() {
                let _ = self.0.changes.send(notice);
            }
        }
    }

    /// Takes the batches that have to be read before the next ones can be published.
    pub(super) fn take_missing(&self) -> Vec<MissingCommits> {
        let mut state = self.state();
        let missing = std::mem::take(&mut state.missing);
        let missing = missing.into_iter().filter_map(|(organization, to)| {
            let after = state.published(organization)?;
            (after < to).then_some(MissingCommits { organization, after, to })
        });
        missing.collect()
    }

    /// Puts back batches that could not be read.
    pub(super) fn retry(&self, missing: &[MissingCommits]) {
        let mut state = self.state();
        for one in missing {
            state.note_missing(one.organization, one.to);
        }
    }

    /// Waits until batches may be missing.
    pub(super) async fn wait_for_missing(&self) {
        self.0.missing.notified().await;
    }

    /// Waits for notices to other instances, and takes them.
    pub(super) async fn outgoing(&self) -> Vec<CommitNotice> {
        loop {
            self.0.outbox.notified().await;
            let outbox = std::mem::take(&mut self.state().outbox);
            if !outbox.is_empty() {
                return outbox.into_values().collect();
            }
        }
    }

    /// Sends a batch to the streams if it is the next one.
    fn send_next(&self, state: &mut PublisherState, batch: &Arc<CommittedBatch>) -> bool {
        let has_no_streams = self.0.batches.receiver_count() == 0;
        let is_next = match state.published(batch.organization) {
            Some(published) if has_no_streams => batch.sequence > published,
            Some(published) => batch.sequence == published + 1 || (!state.is_following && batch.sequence > published),
            None => true,
        };
        if is_next {
            state.published.insert(batch.organization, batch.sequence);
            // An error means that there are no streams.
            let _ = self.0.batches.send(Arc::clone(batch));
        }
        is_next
    }

    fn state(&self) -> MutexGuard<'_, PublisherState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

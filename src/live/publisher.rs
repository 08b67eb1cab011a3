//! Hands committed batches to every stream of this process: in the order of sequences, each at most once, and without
//! waiting for anybody.
//!
//! What this process commits arrives here right behind its COMMIT. Where something is missing before it, another instance
//! committed that: the follower reads both from the database, once for all streams.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Notify, broadcast};

use super::Poke;
use crate::model::{Key, Measurement, MetricId, OrganizationId, ProjectId, RecordedMetric, Timestamp};

/// What one submission stored, published after its commit.
#[derive(Clone, Debug, PartialEq)]
pub struct CommittedBatch {
    /// The tenant.
    pub organization: OrganizationId,
    /// Where the rows belong.
    pub project: Key<ProjectId>,
    /// The commit in the organization's gapless count.
    pub sequence: i64,
    /// The id of the first row; the others follow without gaps, in order.
    pub first_id: i64,
    /// When the server took the rows in.
    pub received_at: Timestamp,
    /// By ordinal; never empty.
    pub measurements: Vec<Measurement>,
}

impl CommittedBatch {
    /// How many rows it has.
    pub fn rows(&self) -> u32 {
        u32::try_from(self.measurements.len()).unwrap_or(u32::MAX)
    }

    /// The row at a place, from zero, as streams carry it.
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

/// The sending end. Clones publish to the same streams.
///
/// A stream that falls more than `capacity` batches behind loses the oldest, notices, and reads them from the database.
#[derive(Clone, Debug)]
pub struct Publisher(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    batches: broadcast::Sender<Arc<CommittedBatch>>,
    changes: broadcast::Sender<Poke>,
    state: Mutex<State>,
    /// Something is to be read from the database.
    wanted: Notify,
    /// Something is to be told to other instances.
    outbox: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Where each organization stood when the follower began; before it knows, every batch is the next.
    is_following: bool,
    /// The last sequence that streams were handed, or that nobody was there to be handed.
    published: HashMap<OrganizationId, i64>,
    /// Sequences that somebody said to be committed, beyond those.
    wanted: HashMap<OrganizationId, i64>,
    /// What other instances have not been told yet.
    outbox: HashMap<OrganizationId, Poke>,
}

impl State {
    fn published(&self, organization: OrganizationId) -> Option<i64> {
        let published = self.published.get(&organization).copied();
        if self.is_following { Some(published.unwrap_or(0)) } else { published }
    }

    fn want(&mut self, organization: OrganizationId, sequence: i64) -> bool {
        let is_missing =
            self.is_following && self.published(organization).is_some_and(|published| published < sequence);
        if is_missing {
            let wanted = self.wanted.entry(organization).or_default();
            *wanted = sequence.max(*wanted);
        }
        is_missing
    }
}

/// What the follower is to read: the batches after the first sequence, up to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing {
    pub organization: OrganizationId,
    pub after: i64,
    pub to: i64,
}

impl Publisher {
    /// Keeps up to `capacity` batches for streams that are slow.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self(Arc::new(Shared {
            batches: broadcast::Sender::new(capacity),
            changes: broadcast::Sender::new(capacity),
            state: Mutex::default(),
            wanted: Notify::new(),
            outbox: Notify::new(),
        }))
    }

    /// Hands a batch that this process committed to all streams, and lets other instances know.
    pub fn publish(&self, batch: Arc<CommittedBatch>) {
        let poke = Poke::committed(batch.organization, batch.sequence);
        let mut state = self.state();
        state.outbox.entry(poke.organization).or_insert(poke).merge(poke);
        if !self.hand_on(&mut state, &batch) && state.want(batch.organization, batch.sequence) {
            self.0.wanted.notify_one();
        }
        drop(state);
        self.0.outbox.notify_one();
    }

    /// Says that something else of an organization changed, here and to other instances.
    pub fn announce(&self, poke: Poke) {
        self.state().outbox.entry(poke.organization).or_insert(poke).merge(poke);
        // An error means that nobody watches.
        let _ = self.0.changes.send(poke);
        self.0.outbox.notify_one();
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.0.batches.receiver_count()
    }

    /// Everything published from now on: every batch of every organization in the order of its sequences, whichever
    /// instance committed it.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBatch>> {
        // Under the lock: a batch is either handed to this stream, or was committed before it reads where things stand.
        let _state = self.state();
        self.0.batches.subscribe()
    }

    /// Every change of anything but metrics, of all instances, perhaps several times and late by a second at most.
    pub fn changes(&self) -> broadcast::Receiver<Poke> {
        self.0.changes.subscribe()
    }

    /// Takes a batch that was read from the database.
    pub(super) fn relay(&self, batch: &Arc<CommittedBatch>) {
        self.hand_on(&mut self.state(), batch);
    }

    /// Lets streams find out by themselves about a batch that the database does not have whole any more.
    pub(super) fn pass_over(&self, organization: OrganizationId, sequence: i64) {
        let mut state = self.state();
        if state.published(organization) == Some(sequence - 1) {
            state.published.insert(organization, sequence);
        }
    }

    /// Takes a poke of another instance, or what was just read from the database, for true.
    pub(super) fn hear(&self, poke: Poke) {
        if let Some(sequence) = poke.sequence
            && self.state().want(poke.organization, sequence)
        {
            self.0.wanted.notify_one();
        }
        if poke.change.is_some() {
            let _ = self.0.changes.send(poke);
        }
    }

    /// Begins to follow where the organizations stand now; where nobody watches, that is also as good as published.
    pub(super) fn stands(&self, pokes: impl IntoIterator<Item = Poke>) {
        let mut state = self.state();
        // Streams opened from now on read for themselves where things stand, and that is no earlier.
        let nobody_watches = self.0.batches.receiver_count() == 0;
        let begins = !std::mem::replace(&mut state.is_following, true);
        for poke in pokes {
            let Some(sequence) = poke.sequence else { continue };
            if begins || nobody_watches {
                let published = state.published.entry(poke.organization).or_default();
                *published = sequence.max(*published);
            } else if state.want(poke.organization, sequence) {
                self.0.wanted.notify_one();
            }
            if poke.change.is_some() {
                let _ = self.0.changes.send(poke);
            }
        }
    }

    /// What is to be read so that the next batches can be handed on.
    pub(super) fn missing(&self) -> Vec<Missing> {
        let mut state = self.state();
        let wanted = std::mem::take(&mut state.wanted);
        let missing = wanted.into_iter().filter_map(|(organization, to)| {
            let after = state.published(organization)?;
            (after < to).then_some(Missing { organization, after, to })
        });
        missing.collect()
    }

    /// Tries again later what could not be read now.
    pub(super) fn still_missing(&self, missing: &[Missing]) {
        let mut state = self.state();
        for one in missing {
            state.want(one.organization, one.to);
        }
    }

    /// Waits until something may be missing.
    pub(super) async fn until_wanted(&self) {
        self.0.wanted.notified().await;
    }

    /// Waits for something that other instances should know, and takes it.
    pub(super) async fn outgoing(&self) -> Vec<Poke> {
        loop {
            self.0.outbox.notified().await;
            let outbox = std::mem::take(&mut self.state().outbox);
            if !outbox.is_empty() {
                return outbox.into_values().collect();
            }
        }
    }

    /// Sends a batch if it is the next one.
    fn hand_on(&self, state: &mut State, batch: &Arc<CommittedBatch>) -> bool {
        let nobody_watches = self.0.batches.receiver_count() == 0;
        let is_next = match state.published(batch.organization) {
            Some(published) if nobody_watches => batch.sequence > published,
            Some(published) => batch.sequence == published + 1 || (!state.is_following && batch.sequence > published),
            None => true,
        };
        if is_next {
            state.published.insert(batch.organization, batch.sequence);
            // An error means that nobody watches.
            let _ = self.0.batches.send(Arc::clone(batch));
        }
        is_next
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

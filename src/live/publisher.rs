//! Hands committed batches to every stream of this process, at most once and without waiting for anybody.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::model::{Key, Measurement, MetricId, OrganizationId, ProjectId, RecordedMetric, StreamCursor, Timestamp};

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
    /// The position of the last row.
    pub fn end(&self) -> StreamCursor {
        let rows = u32::try_from(self.measurements.len()).unwrap_or(u32::MAX);
        StreamCursor { organization: self.organization, sequence: self.sequence, ordinal: rows.saturating_sub(1) }
    }

    /// The rows that pass, as streams carry them.
    pub(super) fn recorded(&self, passes: impl Fn(&Measurement) -> bool) -> Vec<RecordedMetric> {
        let numbered = (self.first_id..).zip(&self.measurements);
        numbered
            .filter(|(_, measurement)| passes(measurement))
            .map(|(id, measurement)| RecordedMetric {
                id: MetricId(id),
                project: self.project,
                measurement: measurement.clone(),
                received_at: self.received_at,
            })
            .collect()
    }
}

/// The sending end. Clones publish to the same streams.
///
/// Batches of one organization are published in the order of their sequences. A stream that falls more than `capacity`
/// batches behind loses the oldest, notices, and reads them from the database.
#[derive(Clone, Debug)]
pub struct Publisher(broadcast::Sender<Arc<CommittedBatch>>);

impl Publisher {
    /// Keeps up to `capacity` batches for streams that are slow.
    pub fn new(capacity: usize) -> Self {
        Self(broadcast::Sender::new(capacity.max(1)))
    }

    /// Hands a committed batch to all streams.
    pub fn publish(&self, batch: Arc<CommittedBatch>) {
        // An error means that nobody watches.
        let _ = self.0.send(batch);
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.0.receiver_count()
    }

    /// Everything published from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<CommittedBatch>> {
        self.0.subscribe()
    }
}

//! A validated submission on its way to the database, and the receipt that it gets.

use super::{
    late::LateCounts,
    submission::{Receipt, Rejection},
};
use crate::{
    db::StatementLog,
    model::{Key, Measurement, ProjectId, StreamCursor, Timestamp},
};

/// A submission that passed validation and waits to be written.
#[derive(Debug)]
pub struct Job {
    pub project: Key<ProjectId>,
    pub source: String,
    /// The idempotency key.
    pub key: Option<String>,
    /// Empty without a key, because no later submission is compared with it.
    pub body_hash: Vec<u8>,
    pub measurements: Vec<Measurement>,
    pub rejected: Vec<Rejection>,
    pub late: LateCounts,
    pub received_at: Timestamp,
    pub log: StatementLog,
}

impl Job {
    /// The number of rows that the job counts for in the queue and in a commit, at least 1.
    pub fn weight(&self) -> u32 {
        u32::try_from(self.measurements.len()).unwrap_or(u32::MAX).max(1)
    }

    /// The receipt of this job, stored under `sequence`.
    pub fn receipt(&self, sequence: Option<i64>, duplicate: bool) -> Receipt {
        let accepted = u32::try_from(self.measurements.len()).unwrap_or(u32::MAX);
        let cursor = sequence.map(|sequence| StreamCursor {
            organization: self.project.organization,
            sequence,
            ordinal: accepted.saturating_sub(1),
        });
        Receipt { accepted, rejected: self.rejected.clone(), duplicate, cursor }
    }
}

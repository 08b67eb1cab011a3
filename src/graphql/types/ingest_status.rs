//! The status of a project's ingest: what arrived by each way in.

use async_graphql::{Enum, SimpleObject};

use crate::{
    graphql::{
        scalars::{DateTime, Long},
        sizes,
    },
    ingest::status::{Counts, ProjectStatus, Refusal, WayIn},
};

/// The way in which measurements arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "WayIn")]
pub enum IngestWay {
    /// The mutation `ingestMetrics`.
    Mutation,
    /// `POST /ingest/v1/metrics`, also for `perfgraph import --url`, which does not send rows that it cannot read.
    IngestApi,
    /// `perfgraph import` into the database.
    Import,
}

/// Counters of what arrived for a project by one way since the project was created. What arrived at another instance of the
/// server appears within a second; one that is killed loses the counts of its last second, but no measurement.
#[derive(Clone, Debug, SimpleObject)]
pub struct IngestStatus {
    /// The way in which they arrived.
    pub way: IngestWay,
    /// Number of measurements that were stored.
    pub accepted: Long,
    /// Number of measurements that were refused, alone or with the others of their request. Rows that cannot be read count
    /// each time they are sent.
    pub refused: Long,
    /// Number of refused measurements that were too old.
    pub late: Long,
    /// Number of measurements that were sent again with a used idempotency key, and not stored again.
    pub ignored: Long,
    /// Number of requests that were refused as a whole, such as a body that is not JSON.
    pub refused_requests: Long,
    /// Time at which anything arrived last, whether stored or not.
    pub last_seen_at: DateTime,
    /// The last different refusals, at most 10, latest first. Texts that a refusal quotes from a row are replaced by `…`.
    #[graphql(directive = sizes::Assumed::apply(10))]
    pub last_refusals: Vec<IngestRefusal>,
}

/// A reason for which measurements were refused lately.
#[derive(Clone, Debug, SimpleObject)]
pub struct IngestRefusal {
    /// Field of the measurement or of the request. Null if it was refused as a whole.
    pub field: Option<String>,
    /// Explanation of the problem and how to fix it. It does not repeat the name of the field.
    pub message: String,
    /// Time at which this was the reason last.
    pub last_at: DateTime,
}

impl IngestStatus {
    /// The ways by which anything arrived.
    pub fn of_project(status: ProjectStatus) -> Vec<Self> {
        status.into_iter().map(|(way, counts)| Self::new(way, counts)).collect()
    }

    fn new(way: WayIn, counts: Counts) -> Self {
        let Counts { accepted, refused, late, ignored, refused_requests, last_seen_at, refusals } = counts;
        Self {
            way: way.into(),
            accepted: accepted.into(),
            refused: refused.into(),
            late: late.into(),
            ignored: ignored.into(),
            refused_requests: refused_requests.into(),
            last_seen_at: DateTime(last_seen_at),
            last_refusals: refusals.into_iter().rev().map(IngestRefusal::from).collect(),
        }
    }
}

impl From<Refusal> for IngestRefusal {
    fn from(refusal: Refusal) -> Self {
        let last_at = DateTime(refusal.at());
        let Refusal { field, message, .. } = refusal;
        Self { field: Some(field).filter(|field| !field.is_empty()), message, last_at }
    }
}

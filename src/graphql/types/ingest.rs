//! What clients send to record metrics, and what they get back.

use async_graphql::{Enum, ID, InputObject, SimpleObject};

use super::{
    metric::MetricType,
    user_error::{UserError, UserErrorCode},
};
use crate::{
    graphql::scalars::{DateTime, StreamCursor},
    ingest,
    live::Cursors,
};

/// What a bad row does to the good ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ingest::Mode")]
pub enum IngestMode {
    /// Good rows are kept, bad ones are named.
    Partial,
    /// One bad row, and none is kept.
    Atomic,
}

/// One measurement to record.
#[derive(Clone, Debug, InputObject)]
pub struct MetricInput {
    /// What was measured.
    #[graphql(name = "type")]
    pub kind: MetricType,
    /// The value in the unit of the type: milliseconds, or percent for `CACHE_HIT`. Not negative.
    pub value: f64,
    /// The route, page, query or cache that was measured, at most 500 bytes by default.
    pub endpoint: String,
    /// The HTTP status, 100 to 599, where there is one.
    pub status_code: Option<i32>,
    /// When it happened; the server's now when left out. At most 7 days back and 10 minutes ahead by default.
    pub timestamp: Option<DateTime>,
    /// Which of several things of the endpoint was measured, such as `LCP` of a page; at most 200 bytes by default.
    pub name: Option<String>,
    /// The version of the software that was running; at most 200 bytes by default. A release of that version may be
    /// created before or after.
    pub release: Option<String>,
}

/// Measurements to record for one project.
#[derive(Clone, Debug, InputObject)]
pub struct IngestMetricsInput {
    /// The project that they belong to.
    pub project_id: ID,
    /// The measurements, at most 10,000 by default.
    pub metrics: Vec<MetricInput>,
    /// Makes a retry safe: the same key stores once and gets the same answer. Any text up to 200 bytes, unique among the
    /// calls of the organization.
    pub idempotency_key: Option<String>,
    /// What a bad row does to the good ones.
    #[graphql(default_with = "IngestMode::Partial")]
    pub mode: IngestMode,
}

/// A measurement that was not recorded.
#[derive(Clone, Debug, SimpleObject)]
pub struct RejectedMetric {
    /// Its position in `metrics`, from zero.
    pub index: i32,
    /// The field, what is wrong with it and how to put it right.
    pub message: String,
    /// The kind of failure.
    pub code: UserErrorCode,
}

/// What became of the measurements. What is counted as accepted is durable.
#[derive(Clone, Debug, Default, SimpleObject)]
pub struct IngestMetricsPayload {
    /// How many were recorded, now or when the idempotency key was first used.
    pub accepted: i32,
    /// Those that were not recorded.
    pub rejected: Vec<RejectedMetric>,
    /// Whether the idempotency key had been used before: nothing was recorded again.
    pub duplicate: bool,
    /// Where the streams of metrics of the organization stand after this; null when nothing was recorded.
    pub cursor: Option<StreamCursor>,
    /// Why the call as a whole was refused.
    pub user_errors: Vec<UserError>,
}

impl IngestMetricsPayload {
    /// What a caller is told of what was recorded.
    pub fn of(receipt: ingest::Receipt, cursors: &Cursors) -> Self {
        let number = |count| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            accepted: number(receipt.accepted),
            rejected: receipt
                .rejected
                .into_iter()
                .map(|row| RejectedMetric {
                    index: number(row.index),
                    message: row.error.to_string(),
                    code: UserErrorCode::Invalid,
                })
                .collect(),
            duplicate: receipt.duplicate,
            cursor: receipt.cursor.map(|cursor| StreamCursor(cursors.receipt(cursor).into())),
            user_errors: Vec::new(),
        }
    }
}

//! The input and the payload of `ingestMetrics`.

use async_graphql::{Enum, ID, InputObject, InputValueResult, SimpleObject};

use super::{
    metric_type::MetricType,
    user_error::{UserError, UserErrorCode},
};
use crate::{
    graphql::{
        moved::{FromMoved, Moved, MovedFields},
        scalars::{DateTime, StreamCursor},
        sizes,
    },
    ingest,
    live::Cursors,
    model::Label,
};

/// The rule for the valid measurements of a call if others are rejected. `PARTIAL` stores them, `ATOMIC` stores nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "ingest::Mode")]
pub enum IngestMode {
    /// Stores valid measurements and lists the rejected ones.
    Partial,
    /// Stores nothing if any measurement is rejected.
    Atomic,
}

/// A measurement to record.
#[derive(Clone, Debug, InputObject)]
pub struct MetricInput {
    /// Type of the measurement, which determines its unit.
    #[graphql(name = "type")]
    pub kind: MetricType,
    /// Measured value: milliseconds (0 to 10^12), percent for `CACHE_HIT` (0 to 100), any unit for `CUSTOM` (0 to
    /// 10^12).
    pub value: f64,
    /// Path or name of the endpoint: a route, page, query or cache. 1 to 500 bytes. Ids in the paths of `API_RESPONSE`
    /// and `PAGE_LOAD` are replaced by `:id`, percent-encoded text is decoded, and parameters such as `{name}`, `<name>` and
    /// `[name]` become `:name`.
    pub endpoint: String,
    /// HTTP status, 100 to 599. Omit it, or send 0, for none.
    pub status_code: Option<i32>,
    /// Time of the measurement. At most 7 days in the past and 10 minutes in the future. Defaults to the time of
    /// arrival.
    pub timestamp: Option<DateTime>,
    /// Name of one of several measurements of the endpoint, such as `LCP` of a page. At most 200 bytes.
    pub name: Option<String>,
    /// Version of the measured software, such as `1.4.2`: the `version` of a release, which may be created before or
    /// after the measurement. At most 200 bytes.
    pub release_version: Option<String>,
    /// The former name of `releaseVersion`.
    #[graphql(deprecation = "Use `releaseVersion`.")]
    pub release: Option<String>,
    /// Labels that say where the measurement comes from, such as a region or a build. At most 10, in any order, with keys
    /// that differ.
    pub labels: Option<Vec<MetricLabelInput>>,
}

/// A label of a measurement to record.
#[derive(Clone, Debug, InputObject)]
pub struct MetricLabelInput {
    /// The key, such as `region`. 1 to 64 bytes of printable text.
    pub key: String,
    /// The value, such as `eu-west-1`. At most 256 bytes of printable text.
    pub value: String,
}

impl FromMoved for MetricInput {
    fn from_moved(mut fields: MovedFields<Self>) -> InputValueResult<Self> {
        Ok(Self {
            kind: fields.field("type")?,
            value: fields.field("value")?,
            endpoint: fields.field("endpoint")?,
            status_code: fields.field("statusCode")?,
            timestamp: fields.field("timestamp")?,
            name: fields.field("name")?,
            release_version: fields.field("releaseVersion")?,
            release: fields.field("release")?,
            labels: fields.field("labels")?,
        })
    }
}

impl From<MetricLabelInput> for Label {
    fn from(label: MetricLabelInput) -> Self {
        Self { key: label.key, value: label.value }
    }
}

/// Measurements to record for one project.
#[derive(Clone, Debug, InputObject)]
pub struct IngestMetricsInput {
    /// The id of the project. Exactly one of `projectId` and `projectSlug` is required.
    pub project_id: Option<ID>,
    /// The slugs of the project, such as `acme/web-shop`.
    pub project_slug: Option<String>,
    /// The measurements, 1 to 10,000.
    pub metrics: Vec<Moved<MetricInput>>,
    /// Key that makes retries safe: a repeated key stores nothing and returns the first result. 1 to 200 bytes, unique
    /// within the organization; remembered for 14 days by default. `CONFLICT` if it was used for other measurements.
    pub idempotency_key: Option<String>,
    /// The rule for the valid measurements of the call if others are rejected: `PARTIAL` stores them, `ATOMIC` stores
    /// nothing. Defaults to `PARTIAL`.
    #[graphql(default_with = "Some(IngestMode::Partial)")]
    pub mode: Option<IngestMode>,
}

impl FromMoved for IngestMetricsInput {
    fn from_moved(mut fields: MovedFields<Self>) -> InputValueResult<Self> {
        Ok(Self {
            project_id: fields.field("projectId")?,
            project_slug: fields.field("projectSlug")?,
            metrics: fields.field("metrics")?,
            idempotency_key: fields.field("idempotencyKey")?,
            mode: fields.field_or("mode", Some(IngestMode::Partial))?,
        })
    }
}

/// A measurement that was not recorded.
#[derive(Clone, Debug, SimpleObject)]
pub struct RejectedMetric {
    /// Index of the measurement in `metrics`, counted from 0.
    pub index: i32,
    /// Explanation of the problem and how to fix it, to be shown beside the field. It does not repeat the name of the
    /// field.
    pub message: String,
    /// Path of the input field, such as `["metrics", "3", "value"]`. It ends with the index if the measurement as a
    /// whole was rejected.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub field: Vec<String>,
    /// Kind of the problem.
    pub code: UserErrorCode,
}

/// Result of recording measurements. Everything counted as accepted is durable.
#[derive(Clone, Debug, Default, SimpleObject)]
pub struct IngestMetricsPayload {
    /// Number of measurements recorded, now or by the first call with the same idempotency key.
    pub accepted: i32,
    /// The measurements that were not recorded, with the reason for each.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub rejected: Vec<RejectedMetric>,
    /// True if the idempotency key was used before. Nothing was recorded again.
    pub is_duplicate: bool,
    /// Position in the metric streams of the organization after these measurements. Pass it as `after` to
    /// `metricStream` or `metricWindow`. Null if no measurement was accepted.
    pub cursor: Option<StreamCursor>,
    /// Reasons why the whole call was rejected. Empty after a success.
    #[graphql(directive = sizes::Assumed::apply(1))]
    pub user_errors: Vec<UserError>,
    /// The former name of `isDuplicate`.
    #[graphql(deprecation = "Use `isDuplicate`.")]
    pub duplicate: bool,
}

impl IngestMetricsPayload {
    /// The payload for what was recorded.
    pub fn of(receipt: ingest::Receipt, cursors: &Cursors) -> Self {
        let number = |count| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            accepted: number(receipt.accepted),
            rejected: receipt
                .rejected
                .into_iter()
                .map(|row| RejectedMetric {
                    index: number(row.index),
                    field: field(row.index, &row.error.field),
                    message: row.error.message,
                    code: UserErrorCode::Invalid,
                })
                .collect(),
            is_duplicate: receipt.duplicate,
            cursor: receipt.cursor.map(|cursor| StreamCursor(cursors.receipt(cursor).into())),
            user_errors: Vec::new(),
            duplicate: receipt.duplicate,
        }
    }
}

/// The path of a field of a row.
fn field(index: u32, name: &str) -> Vec<String> {
    let row = ["metrics".to_owned(), index.to_string()];
    row.into_iter().chain(Some(name.to_owned()).filter(|name| !name.is_empty())).collect()
}

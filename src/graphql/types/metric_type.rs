//! The type of a measurement, which inputs, filters and results name.

use async_graphql::Enum;

use crate::model;

/// The type of a measurement, which determines its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "model::MetricType")]
pub enum MetricType {
    /// Time until a page was usable, in milliseconds.
    PageLoad,
    /// Time until an API responded, in milliseconds.
    ApiResponse,
    /// Duration of a database query, in milliseconds.
    Database,
    /// Share of cache lookups that were hits, in percent (0 to 100). Higher is better.
    CacheHit,
    /// Any other measurement, in a unit chosen by the sender.
    Custom,
}

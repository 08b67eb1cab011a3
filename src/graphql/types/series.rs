//! Figures over time.

use std::sync::Arc;

use async_graphql::{Enum, SimpleObject};

use super::{accuracy::About, stats::MetricAggregate};
use crate::{
    graphql::scalars::DateTime,
    model::Timestamp,
    reports::{self, Bucket, fill},
};

/// What stands for the figures of a bucket in which nothing was measured. Counts are never filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::GapFill")]
pub enum GapFill {
    /// Null.
    Null,
    /// Zero.
    Zero,
    /// The figures of the last bucket before that has any; null at the start of the window, where there is none.
    Previous,
}

/// A bucket of time and the figures of what was measured in it.
#[derive(SimpleObject)]
pub struct MetricBucket {
    /// The first moment of the bucket. Buckets begin at multiples of their length since 1970-01-01T00:00Z; those of whole
    /// weeks begin on Mondays.
    pub start: DateTime,
    /// The first moment after the bucket.
    pub end: DateTime,
    /// Whether the bucket is over and the window has all of it. Of the first and the last of a window there may be only a
    /// part, and the current one is still growing. (What is sent late still counts in the bucket in which it happened.)
    pub is_complete: bool,
    /// Whether the figures were filled because nothing was measured.
    pub is_filled: bool,
    /// The figures of the bucket.
    pub stats: MetricAggregate,
}

/// The buckets of a series, with gaps filled.
pub fn buckets(series: &[Bucket], about: &About, how: GapFill, as_of: Timestamp) -> Vec<MetricBucket> {
    let filled = fill::fill(series, how.into(), as_of);
    let buckets = series.iter().zip(filled).map(|(bucket, filled)| MetricBucket {
        start: DateTime(bucket.range.from()),
        end: DateTime(bucket.range.to()),
        is_complete: bucket.is_whole && bucket.range.to() <= as_of,
        is_filled: filled != fill::Filled::Own,
        stats: MetricAggregate { stats: Arc::clone(&bucket.stats), about: about.clone(), filled, as_of },
    });
    buckets.collect()
}

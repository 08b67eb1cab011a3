//! Statistics over time, one item for each bucket.

use std::sync::Arc;

use async_graphql::{Enum, SimpleObject};

use super::{accuracy::StatisticsSubject, stats::MetricAggregate};
use crate::{
    engine::rows::Rows,
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        loaders::answer,
        scalars::{DateTime, Duration},
    },
    model::{TimeZone, Timestamp, time_zone::UnknownTimeZone},
    reports::{self, Bucket, Buckets, Parent, Question, Series, StatisticsNeeded, fill},
};

/// Treatment of buckets without measurements. The count of such a bucket stays zero. Buckets that have not begun are
/// not filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::GapFill")]
pub enum GapFill {
    /// The statistics of buckets without measurements are null.
    Null,
    /// The statistics of buckets without measurements are zero.
    Zero,
    /// Buckets without measurements repeat the statistics of the last bucket with measurements. Null before the first
    /// bucket with measurements.
    Previous,
}

/// A bucket of time and its statistics.
#[derive(SimpleObject)]
pub struct MetricBucket {
    /// Start of the bucket, inclusive. Buckets begin at multiples of their length since 1970-01-01T00:00Z, or with the
    /// days of the argument `timeZone`; buckets of whole weeks begin on Mondays.
    pub start: DateTime,
    /// End of the bucket, exclusive. In a time zone, a day on which clocks change has 23 or 25 hours.
    pub end: DateTime,
    /// True if the bucket has ended and lies entirely within the window. The first and the last bucket of a window may
    /// be partial. Measurements that arrive late still count in the bucket of their timestamp.
    pub is_complete: bool,
    /// True if the statistics were filled in because the bucket has no measurements.
    pub is_filled: bool,
    /// Statistics of the bucket.
    pub stats: MetricAggregate,
}

/// The buckets of a parent's series, with gaps filled.
///
/// # Errors
/// The report cannot answer.
pub async fn load(
    request: &RequestContext,
    parent: Parent,
    question: Arc<Question>,
    buckets: Buckets,
    fill: GapFill,
    want: StatisticsNeeded,
) -> Result<Rows<MetricBucket>> {
    let report = Series { buckets, want };
    let about = StatisticsSubject { parent: parent.clone(), question: Arc::clone(&question) };
    let series = answer(&request.loaders().metric_series, parent, question, report).await?;
    Ok(filled(&series, &about, fill, request.as_of()))
}

/// The buckets of the arguments `bucket` and `timeZone`, of which a window may have `count_max`.
///
/// # Errors
/// [`Error::Input`] for an unknown zone, and for a length that no day of a zone has.
pub fn buckets(bucket: Duration, time_zone: Option<&str>, count_max: usize) -> Result<Buckets> {
    let Some(name) = time_zone else { return Ok(Buckets::in_utc(bucket.0, count_max)) };
    let zone: TimeZone = name.parse().map_err(|error: UnknownTimeZone| Error::input("timeZone", error.to_string()))?;
    Buckets::in_zone(bucket.0, count_max, zone)
}

fn filled(series: &[Bucket], about: &StatisticsSubject, how: GapFill, as_of: Timestamp) -> Rows<MetricBucket> {
    let filled = fill::fill(series, how.into(), as_of);
    let buckets = series.iter().zip(filled).map(|(bucket, filled)| MetricBucket {
        start: DateTime(bucket.range.from()),
        end: DateTime(bucket.range.to()),
        is_complete: bucket.is_whole && bucket.range.to() <= as_of,
        is_filled: filled != fill::FilledBucket::Own,
        stats: MetricAggregate { stats: Arc::clone(&bucket.stats), about: about.clone(), filled, as_of },
    });
    buckets.collect()
}

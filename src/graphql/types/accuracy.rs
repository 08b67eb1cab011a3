//! The precision of an answer, and the number of measurements that were rejected as too old.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, SimpleObject};

use crate::{
    error::Result,
    graphql::{
        context::request,
        loaders,
        scalars::{DateTime, Long},
    },
    model::{MetricType, TimeRange, Timestamp},
    reports::{self, Late, Parent, Question, late},
};

/// The data that an answer was computed from. A rollup is a stored summary of all measurements of a minute, five
/// minutes, an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::AnswerSource")]
pub enum AggregateSource {
    /// Raw measurements.
    Raw,
    /// Rollups of a minute or longer, and raw measurements of projects and types that have too few for them. For conditions
    /// and groups by status, name and release, also raw measurements of hours that have just ended.
    Rollup,
    /// Rollups, and raw measurements at the edges of the window.
    Mixed,
}

/// The subject of statistics: needed to count the late measurements among them.
#[derive(Clone)]
pub struct StatisticsSubject {
    /// The parent whose measurements were read.
    pub parent: Parent,
    /// The requested measurements.
    pub question: Arc<Question>,
}

impl StatisticsSubject {
    /// The unit of the values, if all of them have the same.
    pub fn unit(&self) -> Option<&'static str> {
        MetricType::common_unit(&self.parent.kinds(&self.question))
    }
}

/// Precision and source of the statistics of an answer.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Accuracy {
    /// True if all statistics of this answer are exact and the window from `start` to `end` is the requested one.
    /// Percentiles, `stddev`, `histogram` and `apdex` are estimates unless the filter sets `isExact`. All other
    /// statistics are exact for the window from `start` to `end`.
    pub is_exact: bool,
    /// Maximum relative error of a percentile, for example 0.01 for 1 %. Zero if percentiles are exact, or if none was
    /// computed. Estimates count measured values up to 0.0000008, in the unit of the measurement, as zero.
    pub relative_error_bound: f64,
    /// Start of the window that this answer covers, inclusive. Earlier than requested, by less than a minute, an hour
    /// or a day, if only rollups of that length are kept. Later than requested if the data for the older part of the
    /// window is no longer kept. By default raw measurements are kept for 7 days, rollups per minute for 7 days and
    /// per hour for 400 days; rollups per day are kept forever. The bounds of buckets in a time zone that such rollups
    /// do not have are moved to the nearest one that they have, by up to half an hour or half a day.
    pub start: DateTime,
    /// End of the window that this answer covers, exclusive. Later than requested, by less than a minute, an hour or a
    /// day, if only rollups of that length are kept.
    pub end: DateTime,
    /// Time of the request: the current time for relative windows such as `last`. If `end` is later, the window is not
    /// over yet and more measurements may arrive.
    pub as_of: DateTime,
    /// The data that this answer was computed from.
    pub source: AggregateSource,
    /// The former name of `start`.
    #[graphql(deprecation = "Use `start`.")]
    pub from: DateTime,
    /// The former name of `end`.
    #[graphql(deprecation = "Use `end`.")]
    pub to: DateTime,
    #[graphql(skip)]
    about: StatisticsSubject,
    #[graphql(skip)]
    covers: TimeRange,
}

#[ComplexObject]
impl Accuracy {
    /// Number of measurements of this window that were rejected as too old. Counted per UTC day, project and type, so
    /// it is an upper bound if the window is not whole days or the filter has other conditions. Calls with `mode:
    /// ATOMIC` are not counted, and a retry without an idempotency key counts again. Measurements more than 400 days
    /// old are not included. Counts are kept for 400 days by default.
    async fn late_dropped(&self, context: &Context<'_>) -> Result<Long> {
        let (parent, question) = late::about(&self.about.parent, &self.about.question);
        let loaders = request(context)?.loaders();
        let days = loaders::answer(&loaders.late, parent, Arc::new(question), Late).await?;
        Ok(days.touched_by(self.covers).into())
    }
}

impl Accuracy {
    /// The accuracy of statistics that were read at `as_of`.
    pub fn new(accuracy: &reports::Accuracy, about: StatisticsSubject, as_of: Timestamp) -> Self {
        Self {
            is_exact: accuracy.is_exact,
            relative_error_bound: accuracy.relative_error_bound,
            start: DateTime(accuracy.covers.from()),
            end: DateTime(accuracy.covers.to()),
            from: DateTime(accuracy.covers.from()),
            to: DateTime(accuracy.covers.to()),
            as_of: DateTime(as_of),
            source: accuracy.source.into(),
            about,
            covers: accuracy.covers,
        }
    }
}

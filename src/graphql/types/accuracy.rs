//! How true an answer is, and how much never reached it.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, Enum, SimpleObject};

use crate::{
    error::{Error, Result},
    graphql::{
        context::request,
        loaders::AskedReport,
        scalars::{DateTime, Long},
    },
    model::{TimeRange, Timestamp},
    reports::{self, Late, Parent, Question, late},
};

/// The data that an answer was computed from. A rollup is the summary of all measurements of a minute, five minutes, an
/// hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::AnswerSource")]
pub enum AggregateSource {
    /// Raw measurements.
    Raw,
    /// Rollups of a minute or longer.
    Rollup,
    /// Rollups, and raw measurements at the edges of the window.
    Mixed,
}

/// The subject of statistics: needed to count the late measurements among them.
#[derive(Clone)]
pub struct About {
    /// The parent whose measurements were read.
    pub parent: Parent,
    /// The measurements that were asked for.
    pub question: Arc<Question>,
}

/// Precision and provenance of the statistics of an answer.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Accuracy {
    /// True if every statistic of this answer is exact. Percentiles are estimates within `relativeErrorBound`; counts,
    /// averages, sums, minima and maxima are always exact for the window from `start` to `end`. False if that window is
    /// not the requested one.
    pub is_exact: bool,
    /// Maximum relative error of a percentile, for example 0.01 for 1 %. Values below 0.0000008 count as zero.
    pub relative_error_bound: f64,
    /// Start of the window of this answer, inclusive. Raw measurements are kept for 7 days, rollups per minute for 14
    /// and per hour for 400 days by default; the ends of an older window are rounded outward to the minute, hour or
    /// day.
    pub start: DateTime,
    /// End of the window of this answer, exclusive.
    pub end: DateTime,
    /// Time of the request, which windows ending now are relative to. If `end` is later, measurements between the two
    /// are included as far as they have arrived.
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
    about: About,
    #[graphql(skip)]
    covers: TimeRange,
}

#[ComplexObject]
impl Accuracy {
    /// Number of measurements rejected as too old that would have fallen into this answer. Counted per UTC day, project
    /// and type, so it is an upper bound for narrower filters and shorter windows. Only calls with `mode: PARTIAL` are
    /// counted; a retried call without an idempotency key counts again. Measurements older than 400 days count on
    /// 1970-01-01. Counts are kept as long as hourly rollups.
    async fn late_dropped(&self, context: &Context<'_>) -> Result<Long> {
        let (parent, question) = late::about(&self.about.parent, &self.about.question);
        let asked = AskedReport { parent, question: Arc::new(question), report: Late };
        let days = request(context)?.loaders().late.load(asked).await?;
        let days = days.ok_or_else(|| Error::internal("a report left out one of those it was asked about"))?;
        Ok(days.touched_by(self.covers).into())
    }
}

impl Accuracy {
    /// The accuracy of statistics that were read at `as_of`.
    pub fn new(accuracy: &reports::Accuracy, about: About, as_of: Timestamp) -> Self {
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

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

/// Where an answer was read. A rollup is a summary of all measurements of a minute, five minutes, an hour or a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::Source")]
pub enum AggregateSource {
    /// Single measurements.
    Raw,
    /// Rollups per minute or coarser.
    Rollup,
    /// Rollups, and single measurements at the edges of the window.
    Mixed,
}

/// What figures are about.
#[derive(Clone)]
pub struct About {
    /// Whose measurements.
    pub parent: Parent,
    /// Which of them.
    pub question: Arc<Question>,
}

/// How true an answer is.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct Accuracy {
    /// Whether every figure of this answer is exact. Percentiles are estimates within `relativeErrorBound`; counts, means,
    /// sums, smallest and largest are exact in any case, for the window from `from` to `to`. Where that is not the window
    /// that was asked for, this is false.
    pub is_exact: bool,
    /// How far a percentile may be off, as a share of its true value: 0.01 is 1 %. What is below 0.0000008 counts as zero.
    pub relative_error_bound: f64,
    /// Where the window of this answer begins. Single measurements, and after them rollups per minute and per hour, are kept
    /// for a limited time: of an older window the answer rounds its ends outward to the minute, hour or day.
    pub from: DateTime,
    /// Where the window of this answer ends: the first moment that is not in it.
    pub to: DateTime,
    /// The moment at which this was asked, which windows until now are counted from. Where `to` is later, measurements of
    /// the time between are in the answer as far as they have arrived.
    pub as_of: DateTime,
    /// Where it was read.
    pub source: AggregateSource,
    #[graphql(skip)]
    about: About,
    #[graphql(skip)]
    covers: TimeRange,
}

#[ComplexObject]
impl Accuracy {
    /// How many measurements were refused because they came too late: older than ingest accepts, and sent in a call that
    /// keeps the good rows (`mode: PARTIAL`). Counted by UTC day, project and type: here are those that happened on any day
    /// that the window from `from` to `to` touches (of a bucket, the window of the bucket), of the projects and types that
    /// the question is about, whatever their endpoint, status code, name, release or value. A call that is repeated counts
    /// again, unless it has an idempotency key. What was more than 400 days old is counted on 1970-01-01. Counts are kept
    /// for as long as rollups per hour.
    async fn late_dropped(&self, context: &Context<'_>) -> Result<Long> {
        let (parent, question) = late::about(&self.about.parent, &self.about.question);
        let asked = AskedReport { parent, question: Arc::new(question), report: Late };
        let days = request(context)?.loaders().late.load(asked).await?;
        let days = days.ok_or_else(|| Error::internal("a report left out one of those it was asked about"))?;
        Ok(days.touched_by(self.covers).into())
    }
}

impl Accuracy {
    /// Of figures about something, which were read at a moment.
    pub fn new(accuracy: &reports::Accuracy, about: About, as_of: Timestamp) -> Self {
        Self {
            is_exact: accuracy.is_exact,
            relative_error_bound: accuracy.relative_error_bound,
            from: DateTime(accuracy.covers.from()),
            to: DateTime(accuracy.covers.to()),
            as_of: DateTime(as_of),
            source: accuracy.source.into(),
            about,
            covers: accuracy.covers,
        }
    }
}

//! The read path: question -> plan -> SQL -> answer.
//!
//! 1. A [`Question`] selects a set of measurements: a window of time and conditions. A [`Parent`] replaces its projects, so
//!    that one question can be asked for many organizations, projects or groups at once.
//! 2. `parent` sorts the parents into batches; each batch is one statement.
//! 3. `scoped` narrows the question to the caller's scope, and [`plan`] cuts the window into segments: which table answers
//!    which range of time.
//! 4. `sql` writes one statement over all segments of the plan, and so one snapshot of the database.
//! 5. A [`Report`] sorts the rows of the statement into one answer per parent. Most answers contain [`Stats`], and their
//!    [`Accuracy`] says how precise they are.
//!
//! Every report costs a constant number of statements and writes nothing. Counts, sums and extremes are exact; percentiles
//! come from sketches, whose error is bounded.

pub mod accuracy;
pub mod comparison;
mod conditions;
pub mod distribution;
mod endpoint_path;
pub mod fill;
mod gather;
pub mod grid;
mod grouping;
pub mod groups;
pub mod labels;
pub mod late;
pub mod measurements;
pub mod metric;
mod not_broken_down;
mod outer;
pub mod parent;
pub mod plan;
pub mod question;
mod raw_times;
mod scoped;
pub mod series;
pub mod slowest;
mod sparse;
mod sql;
pub mod statistic;
pub mod stats;
pub mod totals;
mod union;
mod visible;
pub mod worst_sample;

use std::{collections::HashMap, fmt::Debug, hash::Hash};

pub use accuracy::{Accuracy, AnswerSource};
pub use conditions::check_alternatives;
pub use distribution::{BoundedValue, Distribution, HistogramBar};
pub use fill::{FilledBucket, GapFill};
pub use grid::Buckets;
pub use groups::{GroupBy, GroupKey, Groups, Having, MetricGroup};
pub use late::Late;
pub use measurements::{MeasurementOrder, MeasurementPage, MeasurementPosition, MeasurementSortKey, Measurements};
pub use parent::Parent;
pub use question::{Projects, Question, StatisticsNeeded, StatusFilter, until_now};
pub use series::{Bucket, Series};
pub use slowest::{EndpointStats, Slowest};
pub use statistic::Statistic;
pub use stats::Stats;
pub use totals::Totals;
pub use worst_sample::{EndpointKey, WorstSample};

use crate::{db::Session, error::Result, model::Scope};

/// A report on the measurements of one parent or of many.
pub trait Report: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// The answer for one parent.
    type Answer: Clone + Send + Sync + 'static;

    /// Answers the question for all parents, with one statement for up to 500 parents of a kind.
    ///
    /// # Errors
    /// The question cannot be answered, or the database fails.
    fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> impl Future<Output = Result<HashMap<Parent, Self::Answer>>> + Send;
}

//! The read path: a question becomes a plan (which table answers which stretch of time), one SQL statement, an answer.
//!
//! Every report is narrowed by its caller's scope, costs a constant number of statements and writes nothing. What is
//! counted, summed or compared is exact; percentiles come from sketches and say how far off they may be.

pub mod accuracy;
pub mod comparison;
pub mod distribution;
pub mod fill;
mod filter;
pub mod grid;
mod grouping;
pub mod groups;
pub mod late;
pub mod metric;
mod narrow;
pub mod parent;
mod path;
pub mod plan;
pub mod question;
pub mod rows;
pub mod series;
pub mod slowest;
mod sql;
pub mod statistic;
pub mod stats;
pub mod worst;

use std::{collections::HashMap, fmt::Debug, hash::Hash};

pub use accuracy::{Accuracy, Source};
pub use distribution::{Bar, Bounded, Distribution};
pub use fill::{Filled, GapFill};
pub use grid::Buckets;
pub use groups::{GroupBy, GroupKey, Groups, Having, MetricGroup};
pub use late::Late;
pub use parent::Parent;
pub use question::{Projects, Question, StatusFilter, Want, until_now};
pub use rows::{Place, PlaceKey, RowOrder, RowPage, Rows};
pub use series::{Bucket, Series};
pub use slowest::{EndpointStats, Slowest};
pub use statistic::Statistic;
pub use stats::{Stats, Totals};
pub use worst::{EndpointKey, Sample};

use crate::{db::Session, error::Result, model::Scope};

/// What can be asked about measurements, of one parent or of many at once.
pub trait Report: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// What one parent is answered.
    type Answer: Clone + Send + Sync + 'static;

    /// The answers of all parents; one statement for up to 500 of a kind.
    ///
    /// # Errors
    /// When the question cannot be answered, or the database fails.
    fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> impl Future<Output = Result<HashMap<Parent, Self::Answer>>> + Send;
}

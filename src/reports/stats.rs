//! Count, errors, sum, extremes and percentiles of a set of measurements, alone or per parent. One statement each.
//!
//! The summary of one metric type is this report with one type in the question.

use std::{collections::HashMap, sync::Arc};

use super::{
    Accuracy, Question, Report, Want,
    narrow::Narrowed,
    parent::{Parent, batches},
    sql,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{Scope, Sketch, sketch::Quantile},
};

/// What is known of a set of measurements. Values are in the unit of their type.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// How many.
    pub count: u64,
    /// How many carry an error status (400 or above).
    pub errors: u64,
    /// All values added up.
    pub sum: f64,
    /// The smallest value; `None` when there is none.
    pub min: Option<f64>,
    /// The largest value; `None` when there is none.
    pub max: Option<f64>,
    /// Where percentiles come from; `None` unless [`Want::Percentiles`] was asked for.
    pub sketch: Option<Sketch>,
    /// How true all this is.
    pub accuracy: Accuracy,
}

impl Stats {
    /// The mean, or `None` when there is nothing to average.
    pub fn average(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The share of measurements with an error status, 0 to 1, or `None` when there is none at all.
    pub fn error_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.count > 0).then(|| self.errors as f64 / self.count as f64)
    }

    /// The value that `p` percent (0 to 100) of the measurements do not pass, with the interval that surely holds it.
    /// `None` when nothing was measured or no percentiles were asked for.
    pub fn percentile(&self, p: f64) -> Option<Quantile> {
        let (quantile, min, max) = (self.sketch.as_ref()?.quantile(p / 100.0)?, self.min?, self.max?);
        // The extremes are exact, so no estimate passes them. Not `clamp`: it panics where min > max.
        let inside = |value: f64| value.max(min).min(max);
        Some(Quantile { value: inside(quantile.value), lower: inside(quantile.lower), upper: inside(quantile.upper) })
    }

    pub(super) fn empty(narrowed: &Narrowed, want: Want) -> Self {
        Self {
            count: 0,
            errors: 0,
            sum: 0.0,
            min: None,
            max: None,
            sketch: (want == Want::Percentiles).then(Sketch::new),
            accuracy: narrowed.accuracy(want),
        }
    }

    /// Adds what is known of other measurements of the same window.
    pub(super) fn merge(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.sum += other.sum;
        self.min = self.min.into_iter().chain(other.min).reduce(f64::min);
        self.max = self.max.into_iter().chain(other.max).reduce(f64::max);
        if let Some(sketch) = &other.sketch {
            self.sketch.get_or_insert_default().merge(sketch);
        }
    }
}

/// Figures of all measurements together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Totals {
    /// Which figures.
    pub want: Want,
}

impl Report for Totals {
    type Answer = Arc<Stats>;

    async fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> Result<HashMap<Parent, Self::Answer>> {
        let answers = by_parent(scope, session, question, parents, self.want).await?;
        Ok(answers.into_iter().map(|(parent, stats)| (parent, Arc::new(stats))).collect())
    }
}

/// Everything that the question asks for, together. One statement.
///
/// # Errors
/// When a condition of the question cannot be judged, or the database fails.
pub async fn run(scope: &Scope, session: &Session, question: &Question, want: Want) -> Result<Stats> {
    let mut answers = by_parent(scope, session, question, &[Parent::Question], want).await?;
    answers.remove(&Parent::Question).ok_or_else(|| Error::internal("a report left out its only parent"))
}

/// The same for each of these parents. One statement for up to 500 of a kind.
///
/// Every parent has an answer: one without measurements, one that does not exist and one outside of the scope all have
/// the same empty one.
///
/// # Errors
/// When a condition of the question cannot be judged, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    want: Want,
) -> Result<HashMap<Parent, Stats>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&[], None);
        let narrowed = batch.narrowed(scope, &grouping, session.kept())?;
        let mut found = vec![Stats::empty(&narrowed, want); batch.parents().len()];
        for (group, stats) in sql::fetch(session, &narrowed, &grouping, want).await? {
            for place in batch.of(&group) {
                if let Some(known) = found.get_mut(*place) {
                    known.merge(&stats);
                }
            }
        }
        answers.extend(batch.parents().iter().cloned().zip(found));
    }
    Ok(answers)
}

//! Count, errors, sum, extremes and percentiles of a set of measurements, alone or per parent. One statement each.
//!
//! The summary of one metric type is this report with one type in the question.

use std::{collections::HashMap, sync::Arc};

use super::{
    Accuracy, Bounded, Distribution, Question, Report, Want,
    narrow::Narrowed,
    parent::{Parent, batches},
    sql,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{Scope, Sketch, Tally, sketch::Quantile},
};

/// Statistics of a set of measurements, with their accuracy. Values are in the unit of their type.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// The measurements, added up. The distribution is `None` unless [`Want::Percentiles`] was asked for.
    pub tally: Tally<Option<Distribution>>,
    /// Precision and provenance of the tally.
    pub accuracy: Accuracy,
}

impl Stats {
    /// The mean, or `None` when there is nothing to average.
    pub fn average(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.tally.count > 0).then(|| self.tally.sum / self.tally.count as f64)
    }

    /// The share of measurements with an error status, 0 to 1, or `None` when there is none at all.
    pub fn error_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.tally.count > 0).then(|| self.tally.errors as f64 / self.tally.count as f64)
    }

    /// The value that `p` percent (0 to 100) of the measurements do not pass, with the interval that surely holds it.
    /// `None` when nothing was measured or no percentiles were asked for.
    pub fn percentile(&self, p: f64) -> Option<Quantile> {
        let quantile = self.tally.distribution.as_ref()?.quantile(p / 100.0)?;
        let (min, max) = (self.tally.min()?, self.tally.max()?);
        // The extremes are exact, so no estimate passes them. Not `clamp`: it panics where min > max.
        let inside = |value: f64| value.max(min).min(max);
        Some(Quantile { value: inside(quantile.value), lower: inside(quantile.lower), upper: inside(quantile.upper) })
    }

    /// The standard deviation, see [`Distribution::deviation`].
    pub fn deviation(&self) -> Option<f64> {
        // Bins cannot tell values that are all the same from close ones; the extremes can.
        if self.tally.min() == self.tally.max() {
            return self.tally.min().map(|_| 0.0);
        }
        self.tally.distribution.as_ref()?.deviation()
    }

    /// The Apdex score for a threshold in the unit of the values, see [`Distribution::apdex`].
    pub fn apdex(&self, threshold: f64) -> Option<Bounded> {
        self.tally.distribution.as_ref()?.apdex(threshold)
    }

    pub(super) fn empty(narrowed: &Narrowed, want: Want) -> Self {
        let distribution = (want == Want::Percentiles).then(|| match narrowed.exact() {
            Some(_) => Distribution::Values(Vec::new()),
            None => Distribution::Sketch(Sketch::new()),
        });
        Self { tally: Tally::empty(distribution), accuracy: narrowed.accuracy(want) }
    }

    /// Puts values in order, once all of them are there.
    pub(super) fn sort(&mut self) {
        if let Some(Distribution::Values(values)) = &mut self.tally.distribution {
            values.sort_by(f64::total_cmp);
        }
    }

    /// Adds what is known of other measurements of the same window.
    pub(super) fn merge(&mut self, other: &Self) {
        self.tally.merge_with(&other.tally, |distribution, other| match (&mut *distribution, other) {
            (Some(known), Some(more)) => known.merge(more),
            (None, more) => distribution.clone_from(more),
            (Some(_), None) => {}
        });
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
        let narrowed = batch.narrowed(scope, &grouping, want, session)?;
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

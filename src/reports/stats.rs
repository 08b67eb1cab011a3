//! The statistics of a set of measurements, and what follows from them. Pure.

use super::{Accuracy, AnswerSource, BoundedValue, Distribution, StatisticsNeeded};
use crate::model::{
    Tally, TimeRange,
    rank::nearest_rank,
    sketch::{Quantile, RELATIVE_ERROR},
};

/// Statistics of a set of measurements, with their accuracy. Values are in the unit of their metric type.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// The measurements, added up. The distribution is `None` unless
    /// [`StatisticsNeeded::Percentiles`] was asked for.
    pub tally: Tally<Option<Distribution>>,
    /// Precision and provenance of the tally.
    pub accuracy: Accuracy,
}

impl Stats {
    /// The statistics of measurements that are added up already, from raw measurements of a window.
    pub fn of_tally(added_up: &Tally, needed: StatisticsNeeded, covers: TimeRange) -> Self {
        let needs_percentiles = needed == StatisticsNeeded::Percentiles;
        let mut tally = Tally::empty(None);
        tally.merge_with(added_up, |distribution, sketch| {
            *distribution = needs_percentiles.then(|| Distribution::Sketch(sketch.clone()));
        });
        let accuracy = Accuracy {
            is_exact: !needs_percentiles,
            covers,
            relative_error_bound: if needs_percentiles { RELATIVE_ERROR } else { 0.0 },
            source: AnswerSource::Raw,
        };
        Self { tally, accuracy }
    }

    /// The arithmetic mean, see [`Tally::mean`]; `None` without measurements.
    pub fn average(&self) -> Option<f64> {
        self.tally.mean()
    }

    /// The sum of the values; `None` without measurements.
    pub fn sum(&self) -> Option<f64> {
        (self.tally.count > 0).then(|| self.tally.sum.value())
    }

    /// The share of measurements with an error status, 0 to 1; `None` without measurements.
    pub fn error_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.tally.count > 0).then(|| self.tally.errors as f64 / self.tally.count as f64)
    }

    /// The `p`-th percentile (0 to 100): the value of the [`nearest_rank`], with guaranteed bounds. The first and the last rank
    /// are the exact extremes, and no estimate passes these. `None` without measurements or without a distribution.
    pub fn percentile(&self, p: f64) -> Option<Quantile> {
        let distribution = self.tally.distribution.as_ref()?;
        let (min, max) = (self.tally.min()?, self.tally.max()?);
        let (rank, count) = (nearest_rank(p, distribution.count()), distribution.count());
        let exactly = |value| Quantile { value, lower: value, upper: value };
        match distribution.at_rank(rank)? {
            _ if rank == 1 => Some(exactly(min)),
            _ if rank == count => Some(exactly(max)),
            Quantile { value, lower, upper } => {
                let [value, lower, upper] = [value, lower, upper].map(|value| self.tally.bounded(value));
                Some(Quantile { value, lower, upper })
            }
        }
    }

    /// The population standard deviation, see [`Distribution::deviation`].
    pub fn deviation(&self) -> Option<f64> {
        // Bins do not distinguish equal values from close ones; the extremes do.
        if self.tally.min() == self.tally.max() {
            return self.tally.min().map(|_| 0.0);
        }
        self.tally.distribution.as_ref()?.deviation(|value| self.tally.bounded(value))
    }

    /// The Apdex score for a threshold in the unit of the values, see [`Distribution::apdex`].
    pub fn apdex(&self, threshold: f64) -> Option<BoundedValue> {
        self.tally.distribution.as_ref()?.apdex(threshold)
    }

    /// Sorts single values after the last one was added.
    pub(super) fn sort(&mut self) {
        if let Some(Distribution::Values(values)) = &mut self.tally.distribution {
            values.sort_by(f64::total_cmp);
        }
    }

    /// Merges the statistics of other measurements of the same window.
    pub(super) fn merge(&mut self, other: &Self) {
        self.tally.merge_with(&other.tally, |distribution, other| match (&mut *distribution, other) {
            (Some(known), Some(more)) => known.merge(more),
            (None, more) => distribution.clone_from(more),
            (Some(_), None) => {}
        });
    }
}

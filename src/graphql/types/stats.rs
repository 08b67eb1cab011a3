//! Figures about a set of measurements, and how true they are.

use std::sync::Arc;

use async_graphql::{Context, Enum, InputType, Object, SelectionField, SimpleObject};

use super::{
    accuracy::{About, Accuracy},
    metric::MetricType,
};
use crate::{
    error::{Error, Result},
    graphql::{
        scalars::{Duration, Long},
        selection,
    },
    model::Timestamp,
    reports::{self, Bar, Filled, Stats, Want},
};

/// A figure that endpoints can be ranked by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::Statistic")]
pub enum Statistic {
    /// How many measurements.
    Count,
    /// Their mean.
    Average,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// All added up.
    Sum,
    /// The median.
    P50,
    /// Three quarters are not above.
    P75,
    /// 90 % are not above.
    P90,
    /// 95 % are not above.
    P95,
    /// 99 % are not above.
    P99,
    /// 99.9 % are not above.
    P999,
    /// The share with an error status, 0 to 1.
    ErrorRate,
}

/// A percentile with the interval that surely holds the true one.
#[derive(SimpleObject)]
pub struct PercentileValue {
    /// Which percentile, 0 to 100.
    pub p: f64,
    /// The value, within the error bound; null when nothing was measured.
    pub value: Option<f64>,
    /// The true value is not below.
    pub lower: Option<f64>,
    /// The true value is not above.
    pub upper: Option<f64>,
}

/// A range of values and how many there are of them.
#[derive(SimpleObject)]
pub struct HistogramBucket {
    /// The values are above this; zeros are in the range that begins with zero.
    pub from: f64,
    /// The values are not above this.
    pub to: f64,
    /// How many.
    pub count: Long,
}

/// An Apdex score, 0 to 1, with the interval that surely holds the true one.
#[derive(SimpleObject)]
pub struct ApdexScore {
    /// The score; exact where `lower` and `upper` are the same.
    pub value: f64,
    /// The true score is not below.
    pub lower: f64,
    /// The true score is not above.
    pub upper: f64,
}

/// Figures about a set of measurements.
#[derive(Clone)]
pub struct MetricAggregate {
    /// What was read.
    pub stats: Arc<Stats>,
    /// About what.
    pub about: About,
    /// What stands for the figures.
    pub filled: Filled,
    /// When it was read.
    pub as_of: Timestamp,
}

impl MetricAggregate {
    /// Figures as they were read.
    pub const fn own(stats: Arc<Stats>, about: About, as_of: Timestamp) -> Self {
        Self { stats, about, filled: Filled::Own, as_of }
    }

    fn figure(&self, figure: impl Fn(&Stats) -> Option<f64>) -> Option<f64> {
        self.filled.figure(&self.stats, figure)
    }
}

/// Figures about a set of measurements, in the unit of their type. Null where nothing was measured.
#[Object]
impl MetricAggregate {
    /// How many measurements.
    async fn count(&self) -> Long {
        self.stats.tally.count.into()
    }

    /// The mean.
    async fn average(&self) -> Option<f64> {
        self.figure(Stats::average)
    }

    /// The smallest.
    async fn min(&self) -> Option<f64> {
        self.figure(|stats| stats.tally.min())
    }

    /// The largest.
    async fn max(&self) -> Option<f64> {
        self.figure(|stats| stats.tally.max())
    }

    /// All added up.
    async fn sum(&self) -> Option<f64> {
        self.figure(|stats| (stats.tally.count > 0).then_some(stats.tally.sum))
    }

    /// How many carry an error status (400 and above).
    async fn error_count(&self) -> Long {
        self.stats.tally.errors.into()
    }

    /// The share that carries an error status, 0 to 1.
    async fn error_rate(&self) -> Option<f64> {
        self.figure(Stats::error_rate)
    }

    /// The value that `p` percent of the measurements do not pass, within the error bound of `accuracy`.
    async fn percentile(&self, #[graphql(desc = "Which percentile, 0 to 100.")] p: f64) -> Option<Result<f64>> {
        async {
            check(p)?;
            Ok(self.figure(|stats| stats.percentile(p).map(|quantile| quantile.value)))
        }
        .await
        .transpose()
    }

    /// Several percentiles at once, with the intervals that surely hold the true ones. At most 20.
    async fn percentiles(
        &self,
        #[graphql(desc = "Which percentiles, 0 to 100 each.", default_with = "vec![50.0, 75.0, 90.0, 95.0, 99.0]")]
        p: Vec<f64>,
    ) -> Result<Vec<PercentileValue>> {
        const PERCENTILES_MAX: usize = 20;
        if p.len() > PERCENTILES_MAX {
            return Err(Error::input("p", format!("at most {PERCENTILES_MAX} at once, got {}", p.len())));
        }
        p.into_iter()
            .map(|p| {
                check(p)?;
                Ok(PercentileValue {
                    p,
                    value: self.figure(|stats| stats.percentile(p).map(|quantile| quantile.value)),
                    lower: self.figure(|stats| stats.percentile(p).map(|quantile| quantile.lower)),
                    upper: self.figure(|stats| stats.percentile(p).map(|quantile| quantile.upper)),
                })
            })
            .collect()
    }

    /// The standard deviation of all measurements. An estimate, off by at most 1.01 % of the root mean square of the values;
    /// exact where the filter says `exact`.
    async fn stddev(&self) -> Option<f64> {
        self.figure(Stats::deviation)
    }

    /// How the values are distributed: ranges side by side, each as many times as high at its end as at its start.
    async fn histogram(
        &self,
        #[graphql(desc = "So many ranges at most, 1 to 200.", default = 30)] max_buckets: i32,
    ) -> Result<Vec<HistogramBucket>> {
        const BUCKETS_MAX: usize = 200;
        let most =
            usize::try_from(max_buckets).ok().filter(|most| (1..=BUCKETS_MAX).contains(most)).ok_or_else(|| {
                Error::input("maxBuckets", format!("must be between 1 and {BUCKETS_MAX}, got {max_buckets}"))
            })?;
        let bars = self.stats.tally.distribution.as_ref().map(|distribution| distribution.histogram(most));
        let bar = |bar: Bar| HistogramBucket { from: bar.from, to: bar.to, count: bar.count.into() };
        Ok(bars.unwrap_or_default().into_iter().map(bar).collect())
    }

    /// The Apdex score of measurements of time: the share of those up to the threshold, and half the share of those up to
    /// four times that. Null when nothing was measured.
    async fn apdex(&self, #[graphql(desc = "How long may be waited for.")] threshold: Duration) -> Option<ApdexScore> {
        #[expect(clippy::cast_precision_loss, reason = "a length of time that people wait for")]
        let milliseconds = threshold.0 as f64 / 1_000.0;
        let score = self.stats.apdex(milliseconds)?;
        Some(ApdexScore { value: score.value, lower: score.lower, upper: score.upper })
    }

    /// How true these figures are.
    async fn accuracy(&self) -> Accuracy {
        Accuracy::new(&self.stats.accuracy, self.about.clone(), self.as_of)
    }
}

fn check(p: f64) -> Result<()> {
    if (0.0..=100.0).contains(&p) {
        Ok(())
    } else {
        Err(Error::input("p", format!("must be between 0 and 100, got {p}")))
    }
}

/// What a selection on an aggregate needs: percentiles cost more, so they are fetched only for those who ask.
pub fn wants(field: SelectionField<'_>) -> Want {
    let asks = |name| selection::has(field, name);
    let hangs_on_distribution = ["percentile", "percentiles", "stddev", "histogram", "apdex"];
    if hangs_on_distribution.into_iter().any(asks) { Want::Percentiles } else { Want::Scalars }
}

/// The same where the aggregate is a field called `stats` of the selected object.
pub fn wants_in_stats(field: SelectionField<'_>) -> Want {
    let percentiles =
        field.selection_set().filter(|child| child.name() == "stats").any(|stats| wants(stats) == Want::Percentiles);
    if percentiles { Want::Percentiles } else { Want::Scalars }
}

/// The same where figures are chosen by a `statistic`: percentiles, unless another one is named in all of them.
pub fn wants_in_values(field: SelectionField<'_>) -> Want {
    let is_percentile = |child: SelectionField<'_>| {
        let arguments = child.arguments().unwrap_or_default();
        let named = arguments.into_iter().find(|(name, _)| name.as_str() == "statistic");
        let statistic = named.and_then(|(_, value)| <Statistic as InputType>::parse(Some(value)).ok());
        reports::Statistic::from(statistic.unwrap_or(Statistic::P95)).percentile().is_some()
    };
    let percentiles = field.selection_set().filter(|child| child.name() == "values").any(is_percentile);
    if percentiles { Want::Percentiles } else { Want::Scalars }
}

/// The figures of one type of measurement at a glance.
pub struct PerformanceSummary {
    /// Of which type.
    pub kind: MetricType,
    /// What was read.
    pub aggregate: MetricAggregate,
}

/// The figures of one type of measurement at a glance, in the unit of that type.
#[Object]
impl PerformanceSummary {
    /// What was measured.
    async fn metric_type(&self) -> MetricType {
        self.kind
    }

    /// The mean; null when nothing was measured.
    async fn average_value(&self) -> Option<f64> {
        self.aggregate.stats.average()
    }

    /// How many measurements.
    async fn count(&self) -> Long {
        self.aggregate.stats.tally.count.into()
    }

    /// The largest; null when nothing was measured.
    async fn max_value(&self) -> Option<f64> {
        self.aggregate.stats.tally.max()
    }

    /// The smallest; null when nothing was measured.
    async fn min_value(&self) -> Option<f64> {
        self.aggregate.stats.tally.min()
    }

    /// Everything that is known, percentiles among it.
    async fn stats(&self, _context: &Context<'_>) -> &MetricAggregate {
        &self.aggregate
    }
}

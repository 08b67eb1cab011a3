//! Statistics of a set of measurements.

use std::sync::Arc;

use async_graphql::{Context, Description, Enum, InputType, Object, SelectionField, SimpleObject};

use super::{
    accuracy::{Accuracy, StatisticsSubject},
    metric_type::{MetricDirection, MetricType},
};
use crate::{
    engine::spelling,
    error::{Error, Result},
    graphql::{
        scalars::{Duration, Long},
        selection, sizes,
    },
    model::{self, Timestamp, sketch::Quantile},
    reports::{self, FilledBucket, HistogramBar, StatisticsNeeded, Stats},
};

/// The most percentiles in one field.
const PERCENTILES_MAX: usize = 20;
/// The percentiles that are returned if none are given.
const PERCENTILES_DEFAULT: [f64; 5] = [50.0, 75.0, 90.0, 95.0, 99.0];

/// A statistic of a set of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "reports::Statistic")]
pub enum Statistic {
    /// Number of measurements.
    Count,
    /// Average value.
    Average,
    /// Smallest value.
    Min,
    /// Largest value.
    Max,
    /// Sum of the values.
    Sum,
    /// Median, the 50th percentile. All percentiles are by nearest rank: the smallest measured value that at least this
    /// share of the measurements do not exceed.
    P50,
    /// 75th percentile.
    P75,
    /// 90th percentile.
    P90,
    /// 95th percentile.
    P95,
    /// 99th percentile.
    P99,
    /// 99.9th percentile.
    P999,
    /// Share of measurements with a status of 400 or above, 0 to 1.
    ErrorRate,
}

/// A percentile and its guaranteed bounds.
#[derive(SimpleObject)]
pub struct PercentileValue {
    /// The percentile, 0 to 100.
    pub p: f64,
    /// Estimated value, within `accuracy.relativeErrorBound`. Null without measurements.
    pub value: Option<f64>,
    /// Guaranteed lower bound of the true percentile. Equal to `value` if the percentile is exact. Null without
    /// measurements.
    pub lower: Option<f64>,
    /// Guaranteed upper bound of the true percentile. Equal to `value` if the percentile is exact. Null without
    /// measurements.
    pub upper: Option<f64>,
}

/// A range of values and the number of measurements in it.
#[derive(SimpleObject)]
pub struct HistogramBucket {
    /// Lower bound of the range: exclusive, but inclusive if it is 0.
    pub lower: f64,
    /// Upper bound of the range, inclusive.
    pub upper: f64,
    /// The former name of `lower`.
    #[graphql(deprecation = "Use `lower`.")]
    pub from: f64,
    /// The former name of `upper`.
    #[graphql(deprecation = "Use `upper`.")]
    pub to: f64,
    /// Number of measurements in the range.
    pub count: Long,
}

/// An Apdex score, 0 to 1, and its guaranteed bounds.
#[derive(SimpleObject)]
pub struct ApdexScore {
    /// The score. Exact if `lower` and `upper` are equal.
    pub value: f64,
    /// Guaranteed lower bound of the true score.
    pub lower: f64,
    /// Guaranteed upper bound of the true score.
    pub upper: f64,
}

/// Aggregate statistics of a set of measurements. Values are in the unit of the measurements: milliseconds, percent for
/// `CACHE_HIT`, the sender's unit for `CUSTOM`.
#[derive(Clone, Description)]
pub struct MetricAggregate {
    /// The statistics as they were read.
    pub stats: Arc<Stats>,
    /// The subject of the statistics.
    pub about: StatisticsSubject,
    /// The source of the statistics: read, or filled in.
    pub filled: FilledBucket,
    /// The time of the request.
    pub as_of: Timestamp,
}

impl MetricAggregate {
    /// Statistics as they were read.
    pub const fn own(stats: Arc<Stats>, about: StatisticsSubject, as_of: Timestamp) -> Self {
        Self { stats, about, filled: FilledBucket::Own, as_of }
    }

    fn percentile_values(&self, ps: Vec<f64>) -> Result<Vec<PercentileValue>> {
        if ps.len() > PERCENTILES_MAX {
            return Err(Error::input("ps", format!("at most {PERCENTILES_MAX} at once, got {}", ps.len())));
        }
        let value = |p| {
            check("ps", p)?;
            let bound =
                |bound: fn(&Quantile) -> f64| self.figure(|stats| stats.percentile(p).map(|quantile| bound(&quantile)));
            Ok(PercentileValue {
                p,
                value: bound(|quantile| quantile.value),
                lower: bound(|quantile| quantile.lower),
                upper: bound(|quantile| quantile.upper),
            })
        };
        ps.into_iter().map(value).collect()
    }

    pub(super) fn figure(&self, figure: impl Fn(&Stats) -> Option<f64>) -> Option<f64> {
        self.filled.figure(&self.stats, figure)
    }
}

#[Object(use_type_description)]
impl MetricAggregate {
    /// Number of measurements.
    async fn count(&self) -> Long {
        self.stats.tally.count.into()
    }

    /// Unit of the values: `ms`, `%`, or empty for `CUSTOM`, whose unit the sender chooses. Null if types of different units
    /// are mixed: by the types that the filter and the group select, whether or not each of them was measured.
    async fn unit(&self) -> Option<&'static str> {
        self.about.unit()
    }

    /// Average value, never below `min` or above `max`. Null without measurements.
    async fn average(&self) -> Option<f64> {
        self.figure(Stats::average)
    }

    /// Smallest value. Null without measurements.
    async fn min(&self) -> Option<f64> {
        self.figure(|stats| stats.tally.min())
    }

    /// Largest value. Null without measurements.
    async fn max(&self) -> Option<f64> {
        self.figure(|stats| stats.tally.max())
    }

    /// Sum of the values. Null without measurements.
    async fn sum(&self) -> Option<f64> {
        self.figure(Stats::sum)
    }

    /// Number of measurements with a status of 400 or above.
    async fn error_count(&self) -> Long {
        self.stats.tally.errors.into()
    }

    /// Share of measurements with a status of 400 or above, 0 to 1. Null without measurements.
    async fn error_rate(&self) -> Option<f64> {
        self.figure(Stats::error_rate)
    }

    /// The p-th percentile by nearest rank: the smallest measured value that at least p percent of the measurements do
    /// not exceed. An estimate within `accuracy.relativeErrorBound`. Exact at the lowest and the highest rank, so 0 is
    /// the minimum and 100 the maximum. `p` is rounded to 12 decimal places. Null without measurements.
    async fn percentile(
        &self,
        #[graphql(
            desc = "The percentile to return in percent: 0, or from 1 to 100, for example 95. A share such as 0.95 is an \
                    error."
        )]
        p: f64,
    ) -> Option<Result<f64>> {
        async {
            check("p", p)?;
            Ok(self.figure(|stats| stats.percentile(p).map(|quantile| quantile.value)))
        }
        .await
        .transpose()
    }

    /// Several percentiles at once, as in `percentile`, each with guaranteed bounds, in the order of `ps`.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn percentiles(
        &self,
        #[graphql(
            desc = "The percentiles to return in percent, each 0 or from 1 to 100. Defaults to `[50, 75, 90, 95, 99]`. \
                    More than 20 are an error."
        )]
        ps: Option<Vec<f64>>,
        #[graphql(desc = "The former name of `ps`.", deprecation = "Use `ps`.")] p: Option<Vec<f64>>,
    ) -> Result<Vec<PercentileValue>> {
        let ps = spelling::either("", ("ps", ps), ("p", p))?;
        self.percentile_values(ps.unwrap_or_else(|| PERCENTILES_DEFAULT.to_vec()))
    }

    /// Standard deviation of the values. Exact if the filter sets `isExact`; otherwise an estimate whose error is at
    /// most 1.01 % of the root mean square of the values. Null without measurements.
    async fn stddev(&self) -> Option<f64> {
        self.figure(Stats::deviation)
    }

    /// Distribution of the values: adjacent ranges, in ascending order, whose bounds grow by a constant factor. Empty
    /// without measurements.
    #[graphql(directive = sizes::Assumed::apply(1))]
    async fn histogram(
        &self,
        #[graphql(desc = "Returns at most this many ranges (1 to 200; default 30).", default = 30)] max_buckets: i32,
    ) -> Result<Vec<HistogramBucket>> {
        const BUCKETS_MAX: usize = 200;
        let most =
            usize::try_from(max_buckets).ok().filter(|most| (1..=BUCKETS_MAX).contains(most)).ok_or_else(|| {
                Error::input("maxBuckets", format!("must be between 1 and {BUCKETS_MAX}, got {max_buckets}"))
            })?;
        let bars = self.stats.tally.distribution.as_ref().map(|distribution| distribution.histogram(most));
        let bar = |bar: HistogramBar| HistogramBucket {
            lower: bar.from,
            upper: bar.to,
            from: bar.from,
            to: bar.to,
            count: bar.count.into(),
        };
        Ok(bars.unwrap_or_default().into_iter().map(bar).collect())
    }

    /// Apdex score, for types that measure time: the share of satisfied values (at most the threshold) plus half the
    /// share of tolerated ones (above it, at most four times the threshold). Values of other types count as
    /// milliseconds. Null without measurements.
    async fn apdex(
        &self,
        #[graphql(
            desc = "Largest satisfied value, for example `PT0.5S`. Values of up to four times as much are tolerated."
        )]
        threshold: Duration,
    ) -> Option<ApdexScore> {
        #[expect(clippy::cast_precision_loss, reason = "a length of time that people wait for")]
        let milliseconds = threshold.0 as f64 / 1_000.0;
        let score = self.stats.apdex(milliseconds)?;
        Some(ApdexScore { value: score.value, lower: score.lower, upper: score.upper })
    }

    /// Precision and source of these statistics.
    async fn accuracy(&self) -> Accuracy {
        Accuracy::new(&self.stats.accuracy, self.about.clone(), self.as_of)
    }
}

/// Checks a percentile. A share of 1, such as 0.95, is refused: as a percentile it is nearly the minimum, which nobody asks
/// for.
pub(super) fn check(argument: &str, p: f64) -> Result<()> {
    if !(0.0..=100.0).contains(&p) {
        return Err(Error::input(argument, format!("must be between 0 and 100, got {p}")));
    }
    if p > 0.0 && p < 1.0 {
        // Rounded, because 0.07 * 100.0 is 7.000000000000001.
        let percentile = (p * 1e14).round() / 1e12;
        let message =
            format!("is in percent, from 0 to 100: write {percentile} for the {percentile}th percentile, not {p}");
        return Err(Error::input(argument, message));
    }
    Ok(())
}

/// The statistics that a selection on an aggregate needs. Percentiles cost more, so they are read only if selected.
pub fn wants(field: SelectionField<'_>) -> StatisticsNeeded {
    let asks = |name| selection::has(field, name);
    let hangs_on_distribution = ["percentile", "percentiles", "stddev", "histogram", "apdex"];
    if hangs_on_distribution.into_iter().any(asks) { StatisticsNeeded::Percentiles } else { StatisticsNeeded::Scalars }
}

/// As [`wants`], for an aggregate in the field `stats` of the selected object.
pub fn wants_in_stats(field: SelectionField<'_>) -> StatisticsNeeded {
    let percentiles = field
        .selection_set()
        .filter(|child| child.name() == "stats")
        .any(|stats| wants(stats) == StatisticsNeeded::Percentiles);
    if percentiles { StatisticsNeeded::Percentiles } else { StatisticsNeeded::Scalars }
}

/// As [`wants`], for columns of a `statistic`: percentiles, unless every column names another statistic.
pub fn wants_in_values(field: SelectionField<'_>) -> StatisticsNeeded {
    let is_percentile = |child: SelectionField<'_>| {
        let arguments = child.arguments().unwrap_or_default();
        let named = arguments.into_iter().find(|(name, _)| name.as_str() == "statistic");
        let statistic = named.and_then(|(_, value)| <Statistic as InputType>::parse(Some(value)).ok());
        reports::Statistic::from(statistic.unwrap_or(Statistic::P95)).percentile().is_some()
    };
    let percentiles = field.selection_set().filter(|child| child.name() == "values").any(is_percentile);
    if percentiles { StatisticsNeeded::Percentiles } else { StatisticsNeeded::Scalars }
}

/// Key statistics of one type of measurement, in its unit.
#[derive(Description)]
pub struct PerformanceSummary {
    /// The type.
    pub kind: MetricType,
    /// The statistics as they were read.
    pub aggregate: MetricAggregate,
}

#[Object(use_type_description)]
impl PerformanceSummary {
    /// The type of the measurements.
    #[graphql(name = "type")]
    async fn kind(&self) -> MetricType {
        self.kind
    }

    /// Direction in which the values get better. Null for `CUSTOM`.
    async fn direction(&self) -> Option<MetricDirection> {
        model::MetricType::from(self.kind).good_direction().map(MetricDirection::from)
    }

    /// Unit of the values: `ms`, `%`, or empty for `CUSTOM`, whose unit the sender chooses.
    async fn unit(&self) -> &'static str {
        model::MetricType::from(self.kind).unit()
    }

    /// Number of measurements.
    async fn count(&self) -> Long {
        self.aggregate.stats.tally.count.into()
    }

    /// Average value. Null without measurements.
    async fn average(&self) -> Option<f64> {
        self.aggregate.stats.average()
    }

    /// Smallest value. Null without measurements.
    async fn min(&self) -> Option<f64> {
        self.aggregate.stats.tally.min()
    }

    /// Largest value. Null without measurements.
    async fn max(&self) -> Option<f64> {
        self.aggregate.stats.tally.max()
    }

    /// All statistics, percentiles included.
    async fn stats(&self, _context: &Context<'_>) -> &MetricAggregate {
        &self.aggregate
    }

    /// The former name of `type`.
    #[graphql(deprecation = "Use `type`.")]
    async fn metric_type(&self) -> MetricType {
        self.kind
    }

    /// The former name of `average`.
    #[graphql(deprecation = "Use `average`.")]
    async fn average_value(&self) -> Option<f64> {
        self.aggregate.stats.average()
    }

    /// The former name of `min`.
    #[graphql(deprecation = "Use `min`.")]
    async fn min_value(&self) -> Option<f64> {
        self.aggregate.stats.tally.min()
    }

    /// The former name of `max`.
    #[graphql(deprecation = "Use `max`.")]
    async fn max_value(&self) -> Option<f64> {
        self.aggregate.stats.tally.max()
    }
}

//! The statistics that answers are ranked, filtered and compared by, and the end of a ranking that is the worst.

use std::cmp::Ordering;

use sea_orm::sea_query::{Expr, ExprTrait, Func};

use super::Stats;
use crate::model::{GoodDirection, MetricType};

/// A statistic of a set of measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// The number of measurements.
    Count,
    /// The arithmetic mean, in the unit of the type.
    Average,
    /// The smallest value, in the unit of the type.
    Min,
    /// The largest value, in the unit of the type.
    Max,
    /// The sum of the values, in the unit of the type.
    Sum,
    /// The median, in the unit of the type.
    P50,
    /// The 75th percentile, in the unit of the type.
    P75,
    /// The 90th percentile, in the unit of the type.
    P90,
    /// The 95th percentile, in the unit of the type.
    P95,
    /// The 99th percentile, in the unit of the type.
    P99,
    /// The 99.9th percentile, in the unit of the type.
    P999,
    /// The share of measurements with an error status, 0 to 1.
    ErrorRate,
}

/// The end of a ranking that is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorstValue {
    /// Durations, counts and errors: high values are bad.
    Highest,
    /// Hit rates: low values are bad.
    Lowest,
}

impl WorstValue {
    /// The order of two values, the worse one first.
    pub(super) fn order(self, a: f64, b: f64) -> Ordering {
        match self {
            Self::Highest => b.total_cmp(&a),
            Self::Lowest => a.total_cmp(&b),
        }
    }

    /// The worst end for values of these metric types: the lowest if higher values are better in all of them, else the
    /// highest.
    pub fn of_values(kinds: &[MetricType]) -> Self {
        match MetricType::common_direction(kinds) {
            Some(GoodDirection::Higher) => Self::Lowest,
            Some(GoodDirection::Lower) | None => Self::Highest,
        }
    }
}

impl Statistic {
    /// The percentile (0 to 100) of a percentile statistic; `None` for others.
    pub const fn percentile(self) -> Option<f64> {
        match self {
            Self::P50 => Some(50.0),
            Self::P75 => Some(75.0),
            Self::P90 => Some(90.0),
            Self::P95 => Some(95.0),
            Self::P99 => Some(99.0),
            Self::P999 => Some(99.9),
            Self::Count | Self::Average | Self::Min | Self::Max | Self::Sum | Self::ErrorRate => None,
        }
    }

    /// The value of the statistic; `None` without measurements, or for a percentile when no distribution was fetched.
    pub fn of(self, stats: &Stats) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            Self::Count => Some(stats.tally.count as f64),
            Self::Average => stats.average(),
            Self::Min => stats.tally.min(),
            Self::Max => stats.tally.max(),
            Self::Sum => Some(stats.tally.sum.value()),
            Self::ErrorRate => stats.error_rate(),
            Self::P50 | Self::P75 | Self::P90 | Self::P95 | Self::P99 | Self::P999 => {
                self.percentile().and_then(|p| stats.percentile(p)).map(|quantile| quantile.value)
            }
        }
    }

    /// The end that is the worst. Counts, sums and error rates are worse when higher, whatever the metric type.
    pub fn worst(self, kinds: &[MetricType]) -> WorstValue {
        match self {
            Self::Count | Self::Sum | Self::ErrorRate => WorstValue::Highest,
            _ => WorstValue::of_values(kinds),
        }
    }

    /// The statistic as SQL over the columns of totals in `table`; `None` for percentiles.
    pub(super) fn in_sql(self, table: &'static str) -> Option<Expr> {
        let column = |name: &'static str| Expr::col((table, name));
        match self {
            Self::Count => Some(column("n")),
            // Between the extremes, like the mean of a tally, so that ties are the same ones.
            Self::Average => {
                let mean = Func::greatest([column("sum").div(column("n")), column("min")]);
                Some(Func::least([mean.into(), column("max")]).into())
            }
            Self::Min => Some(column("min")),
            Self::Max => Some(column("max")),
            Self::Sum => Some(column("sum")),
            Self::ErrorRate => Some(column("n_err").cast_as("DOUBLE PRECISION").div(column("n"))),
            Self::P50 | Self::P75 | Self::P90 | Self::P95 | Self::P99 | Self::P999 => None,
        }
    }
}

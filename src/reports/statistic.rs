//! The figures that endpoints can be ranked by, and which end of the ranking is the bad one.

use sea_orm::sea_query::{Expr, ExprTrait};

use super::Stats;
use crate::model::MetricType;

/// One figure of a [`Stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// How many measurements.
    Count,
    /// Their mean, in the unit of the type.
    Average,
    /// The smallest, in the unit of the type.
    Min,
    /// The largest, in the unit of the type.
    Max,
    /// All added up, in the unit of the type.
    Sum,
    /// The median, in the unit of the type.
    P50,
    /// Three quarters are not above, in the unit of the type.
    P75,
    /// 90 % are not above, in the unit of the type.
    P90,
    /// 95 % are not above, in the unit of the type.
    P95,
    /// 99 % are not above, in the unit of the type.
    P99,
    /// 99.9 % are not above, in the unit of the type.
    P999,
    /// The share of measurements with an error status, 0 to 1.
    ErrorRate,
}

/// Which end of a ranking is the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worst {
    /// Slow, many, failing: large is bad.
    Highest,
    /// Hit rates: small is bad.
    Lowest,
}

impl Worst {
    /// For the measured values of these types: lowest when all of them are of a kind where higher is better.
    pub fn of_values(kinds: &[MetricType]) -> Self {
        if kinds == [MetricType::CacheHit] { Self::Lowest } else { Self::Highest }
    }
}

impl Statistic {
    /// The percentile that this is, 0 to 100.
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

    /// The figure itself, or `None` when nothing was measured (or no sketch was fetched).
    pub fn of(self, stats: &Stats) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
            Self::Count => Some(stats.tally.count as f64),
            Self::Average => stats.average(),
            Self::Min => stats.tally.min(),
            Self::Max => stats.tally.max(),
            Self::Sum => Some(stats.tally.sum),
            Self::ErrorRate => stats.error_rate(),
            Self::P50 | Self::P75 | Self::P90 | Self::P95 | Self::P99 | Self::P999 => {
                self.percentile().and_then(|p| stats.percentile(p)).map(|quantile| quantile.value)
            }
        }
    }

    /// Which end is the worst. Counts, sums and error rates are worse when higher, whatever was measured.
    pub fn worst(self, kinds: &[MetricType]) -> Worst {
        match self {
            Self::Count | Self::Sum | Self::ErrorRate => Worst::Highest,
            _ => Worst::of_values(kinds),
        }
    }

    /// The figure over the columns of totals named `table`; `None` for percentiles, which SQL does not know.
    pub(super) fn in_sql(self, table: &'static str) -> Option<Expr> {
        let column = |name: &'static str| Expr::col((table, name));
        match self {
            Self::Count => Some(column("n")),
            Self::Average => Some(column("sum").div(column("n"))),
            Self::Min => Some(column("min")),
            Self::Max => Some(column("max")),
            Self::Sum => Some(column("sum")),
            Self::ErrorRate => Some(column("n_err").cast_as("DOUBLE PRECISION").div(column("n"))),
            Self::P50 | Self::P75 | Self::P90 | Self::P95 | Self::P99 | Self::P999 => None,
        }
    }
}

//! How true an answer is.

use super::Bucket;
use crate::model::TimeRange;

/// How true an answer is, as of the moment at which its statement ran: whatever was committed by then is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Whether every figure is exact, and about the very window that was asked for. Percentiles never are.
    pub is_exact: bool,
    /// The window that the figures are about. Where single measurements are no longer kept it is wider than asked for, by
    /// less than a minute, an hour or a day at each end; where only they can answer, it is shorter.
    pub covers: TimeRange,
    /// How far a percentile may be off, as a share of its true value (0.01 is 1 %).
    pub relative_error_bound: f64,
    /// Which tables answered.
    pub source: Source,
}

impl Accuracy {
    /// How true a whole series is, as far as each of its buckets is.
    pub fn of_all(buckets: &[Bucket]) -> Option<Self> {
        let each = || buckets.iter().map(|bucket| bucket.stats.accuracy);
        let covers = TimeRange::new(each().next()?.covers.from(), each().next_back()?.covers.to()).ok()?;
        let source = each().map(|one| one.source).reduce(|all, one| if all == one { all } else { Source::Mixed })?;
        Some(Self {
            is_exact: each().all(|one| one.is_exact),
            covers,
            relative_error_bound: each().map(|one| one.relative_error_bound).fold(0.0, f64::max),
            source,
        })
    }
}

/// Which tables answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Single measurements.
    Raw,
    /// Rollups.
    Rollup,
    /// Rollups, and single measurements at the edges of the window.
    Mixed,
}

//! How true an answer is.

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

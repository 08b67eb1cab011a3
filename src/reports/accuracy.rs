//! The accuracy of an answer: its precision and provenance. Pure.

use crate::model::TimeRange;

/// Precision and provenance of an answer. An answer contains every measurement that was committed when its statement ran.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// True when every statistic is exact and the window is the one asked for. Percentiles from sketches are never exact.
    pub is_exact: bool,
    /// The window that the answer covers. Where single measurements are no longer retained it is wider than asked for, by
    /// less than a minute, an hour or a day at each end; where only they can answer, it is shorter.
    pub covers: TimeRange,
    /// The maximum error of a percentile, relative to its true value (0.01 is 1 %).
    pub relative_error_bound: f64,
    /// The tables that the answer was read from.
    pub source: AnswerSource,
}

impl Accuracy {
    /// The accuracy of a whole series from that of its buckets, in order of time; `None` without buckets.
    pub fn of_all<'a>(buckets: impl DoubleEndedIterator<Item = &'a Self> + Clone) -> Option<Self> {
        let each = || buckets.clone();
        let covers = TimeRange::new(each().next()?.covers.from(), each().next_back()?.covers.to()).ok()?;
        let source =
            each().map(|one| one.source).reduce(|all, one| if all == one { all } else { AnswerSource::Mixed })?;
        Some(Self {
            is_exact: each().all(|one| one.is_exact),
            covers,
            relative_error_bound: each().map(|one| one.relative_error_bound).fold(0.0, f64::max),
            source,
        })
    }
}

/// The tables that an answer was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerSource {
    /// Single measurements.
    Raw,
    /// Rollups or breakdowns, and single measurements of series with too few of them for these.
    Rollup,
    /// Rollups, and single measurements of all series at the edges of the window.
    Mixed,
}

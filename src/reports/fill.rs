//! Gap filling: the statistics shown for a bucket without measurements. Pure.

use std::sync::Arc;

use super::{Bucket, Stats};
use crate::model::Timestamp;

/// The rule for filling gaps in a series. Counts are never filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapFill {
    /// Gaps stay null.
    Null,
    /// Gaps become zero.
    Zero,
    /// Gaps repeat the last bucket with measurements; null before the first one.
    Previous,
}

/// The origin of the statistics shown for one bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum FilledBucket {
    /// The bucket's own statistics.
    #[default]
    Own,
    /// Zeros.
    Zero,
    /// The statistics of another bucket.
    With(Arc<Stats>),
}

/// Fills the gaps of a series. Buckets that begin at `now` or later are not filled: they have no measurements yet.
pub fn fill(buckets: &[Bucket], how: GapFill, now: Timestamp) -> impl Iterator<Item = FilledBucket> {
    buckets.iter().scan(None, move |previous: &mut Option<Arc<Stats>>, bucket| {
        if bucket.stats.tally.count > 0 {
            *previous = Some(Arc::clone(&bucket.stats));
            return Some(FilledBucket::Own);
        }
        Some(match how {
            _ if bucket.range.from() >= now => FilledBucket::Own,
            GapFill::Null => FilledBucket::Own,
            GapFill::Zero => FilledBucket::Zero,
            GapFill::Previous => previous.clone().map_or(FilledBucket::Own, FilledBucket::With),
        })
    })
}

impl FilledBucket {
    /// A statistic of the filled bucket; `own` are the statistics of the bucket itself.
    pub fn figure(&self, own: &Stats, figure: impl Fn(&Stats) -> Option<f64>) -> Option<f64> {
        match self {
            Self::Own => figure(own),
            Self::Zero => Some(0.0),
            Self::With(other) => figure(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Sum, Tally, TimeRange},
        reports::{Accuracy, AnswerSource},
    };

    fn bucket(place: i64, count: u64) -> Bucket {
        let at = |place: i64| Timestamp::from_micros(place * 60);
        let range = TimeRange::new(at(place), at(place + 1)).unwrap();
        let accuracy =
            Accuracy { is_exact: true, covers: range, relative_error_bound: 0.0, source: AnswerSource::Rollup };
        let extremes = (count > 0).then_some((5.0, 5.0));
        let stats = Stats { tally: Tally::new(count, 0, Sum::ZERO, extremes, None), accuracy };
        Bucket { range, is_whole: true, stats: Arc::new(stats) }
    }

    #[test]
    fn gaps_are_filled_but_neither_the_start_nor_the_future() {
        let buckets: Vec<_> = [0, 2, 0, 0, 1, 0, 0].into_iter().zip(0..).map(|(n, at)| bucket(at, n)).collect();
        let now = Timestamp::from_micros(6 * 60);
        let least = |how| {
            let filled = fill(&buckets, how, now).zip(&buckets);
            filled.map(|(filled, bucket)| filled.figure(&bucket.stats, |stats| stats.tally.min())).collect::<Vec<_>>()
        };
        let (none, five, zero) = (None, Some(5.0), Some(0.0));
        assert_eq!(least(GapFill::Null), [none, five, none, none, five, none, none]);
        assert_eq!(least(GapFill::Zero), [zero, five, zero, zero, five, zero, none]);
        assert_eq!(least(GapFill::Previous), [none, five, five, five, five, five, none]);
    }
}

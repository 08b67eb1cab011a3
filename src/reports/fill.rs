//! What stands in a bucket in which nothing was measured. Pure.

use std::sync::Arc;

use super::{Bucket, Stats};
use crate::model::Timestamp;

/// How gaps in a series are filled. Counts are never filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapFill {
    /// Not at all.
    Null,
    /// With zeros.
    Zero,
    /// With the figures of the last bucket before that has any; at the start of the window there is none.
    Previous,
}

/// What stands for the figures of one bucket.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Filled {
    /// Its own.
    #[default]
    Own,
    /// Zeros.
    Zero,
    /// Those of another bucket.
    With(Arc<Stats>),
}

/// What stands for the figures of each bucket. Buckets that begin `now` or later are not filled: nobody knows them yet.
pub fn fill(buckets: &[Bucket], how: GapFill, now: Timestamp) -> impl Iterator<Item = Filled> {
    buckets.iter().scan(None, move |previous: &mut Option<Arc<Stats>>, bucket| {
        if bucket.stats.tally.count > 0 {
            *previous = Some(Arc::clone(&bucket.stats));
            return Some(Filled::Own);
        }
        Some(match how {
            _ if bucket.range.from() >= now => Filled::Own,
            GapFill::Null => Filled::Own,
            GapFill::Zero => Filled::Zero,
            GapFill::Previous => previous.clone().map_or(Filled::Own, Filled::With),
        })
    })
}

impl Filled {
    /// A figure of the bucket whose own these are.
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
        model::{Tally, TimeRange},
        reports::{Accuracy, Source},
    };

    fn bucket(place: i64, count: u64) -> Bucket {
        let at = |place: i64| Timestamp::from_micros(place * 60);
        let range = TimeRange::new(at(place), at(place + 1)).unwrap();
        let accuracy = Accuracy { is_exact: true, covers: range, relative_error_bound: 0.0, source: Source::Rollup };
        let extremes = (count > 0).then_some((5.0, 5.0));
        let stats = Stats { tally: Tally::new(count, 0, 0.0, extremes, None), accuracy };
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

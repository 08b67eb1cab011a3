//! Buckets of equal length. Pure.
//!
//! Bucket bounds are multiples of the length since 1970-01-01T00:00Z, so that a chart keeps its bounds as time passes. Buckets
//! of whole weeks begin on Mondays, as in ISO 8601.

use crate::{
    error::{Error, Result},
    model::{
        TimeRange, Timestamp,
        timestamp::{DAY_MICROS, duration_text},
    },
};

const WEEK_MICROS: i64 = 7 * DAY_MICROS;
/// Monday, 1970-01-05.
const MONDAY_MICROS: i64 = 4 * DAY_MICROS;

/// The length and the maximum number of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buckets {
    /// The length of each bucket in microseconds, above zero.
    pub width_micros: i64,
    /// The maximum number of buckets.
    pub count_max: usize,
}

/// The buckets that overlap a window, numbered from zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketGrid {
    first: Timestamp,
    width_micros: i64,
    count: usize,
}

impl Buckets {
    /// The buckets that overlap a window.
    ///
    /// # Errors
    /// The window overlaps more than `count_max` buckets.
    pub fn over(self, window: TimeRange) -> Result<BucketGrid> {
        let width = self.width_micros.max(1);
        let origin = if width % WEEK_MICROS == 0 { MONDAY_MICROS } else { 0 };
        let first = window.from().plus_micros(-origin).floor(width).plus_micros(origin);
        let length = window.to().as_micros().saturating_sub(first.as_micros());
        let count = usize::try_from(length / width + i64::from(length % width > 0)).unwrap_or(usize::MAX);
        if count > self.count_max {
            let message = format!(
                "buckets of {} make {count} of this window, and at most {} can be asked for; ask for longer buckets or a \
                 shorter time",
                duration_text(width),
                self.count_max,
            );
            return Err(Error::input("bucket", message));
        }
        Ok(BucketGrid { first, width_micros: width, count })
    }
}

impl BucketGrid {
    /// The start of the first bucket.
    pub const fn first(self) -> Timestamp {
        self.first
    }

    /// The length of each bucket in microseconds.
    pub const fn width_micros(self) -> i64 {
        self.width_micros
    }

    /// The number of buckets.
    pub const fn count(self) -> usize {
        self.count
    }

    /// The range of each bucket.
    pub fn ranges(self) -> impl Iterator<Item = TimeRange> {
        (0..self.count).filter_map(move |index| {
            let index = i64::try_from(index).ok()?;
            let from = self.first.plus_micros(index.saturating_mul(self.width_micros));
            TimeRange::new(from, from.plus_micros(self.width_micros)).ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(from: &str, to: &str, width_micros: i64) -> BucketGrid {
        let window = TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        Buckets { width_micros, count_max: 1_000 }.over(window).unwrap()
    }

    #[test]
    fn days_begin_at_midnight_and_weeks_on_mondays() {
        let days = grid("2026-11-21T13:00:00Z", "2026-11-23T00:00:00Z", DAY_MICROS);
        assert_eq!((days.first().to_string().as_str(), days.count()), ("2026-11-21T00:00:00Z", 2));
        let weeks = grid("2026-11-21T13:00:00Z", "2026-11-23T00:00:01Z", WEEK_MICROS);
        assert_eq!((weeks.first().to_string().as_str(), weeks.count()), ("2026-11-16T00:00:00Z", 2));
        let old = grid("1969-12-30T13:00:00Z", "1970-01-05T00:00:01Z", WEEK_MICROS);
        assert_eq!((old.first().to_string().as_str(), old.count()), ("1969-12-29T00:00:00Z", 2));
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let window = TimeRange::new(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)).unwrap();
        let refused = Buckets { width_micros: 1, count_max: 10 }.over(window).unwrap_err().to_string();
        assert!(refused.starts_with("bucket: "), "{refused}");
    }

    proptest! {
        #[test]
        fn buckets_are_adjacent_and_cover_the_window(
            from in -4_000_000_000_000_000..4_000_000_000_000_000_i64,
            length in 1..10 * WEEK_MICROS,
            share in 1..50_i64,
            rounding in prop_oneof![Just(1_i64), Just(60_000_000), Just(DAY_MICROS), Just(WEEK_MICROS)],
        ) {
            let window = TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(from + length)).unwrap();
            let width = (length / share / rounding).max(1) * rounding;
            let grid = Buckets { width_micros: width, count_max: 1_000 }.over(window).unwrap();
            let ranges: Vec<_> = grid.ranges().collect();
            prop_assert_eq!(ranges.len(), grid.count());
            prop_assert!(ranges[0].from() <= window.from() && window.from() < ranges[0].to());
            let last = ranges[ranges.len() - 1];
            prop_assert!(last.from() < window.to() && window.to() <= last.to());
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].to(), pair[1].from());
            }
        }
    }
}

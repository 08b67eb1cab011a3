//! Buckets of time. Pure.
//!
//! In UTC, bounds are multiples of the length since 1970-01-01T00:00Z, so that a chart keeps its bounds as time passes. In
//! another time zone they are the starts of days, or parts of days; see `zoned`. Buckets of whole weeks begin on Mondays,
//! as in ISO 8601.

mod zoned;

use crate::{
    error::{Error, Result},
    model::{
        RetainedSince, TimeRange, TimeZone, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS, duration_text},
    },
};

const WEEK_MICROS: i64 = 7 * DAY_MICROS;
/// Monday, 1970-01-05.
const MONDAY_MICROS: i64 = 4 * DAY_MICROS;

/// The length and the maximum number of buckets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Buckets {
    width_micros: i64,
    count_max: usize,
    /// The zone whose days the buckets follow; `None` for UTC.
    zone: Option<TimeZone>,
}

/// The buckets that overlap a window, numbered from zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketGrid {
    /// The buckets as they are read.
    runs: Vec<BucketRun>,
    /// The buckets that were asked for; `None` if they are the same.
    asked: Option<Vec<TimeRange>>,
}

/// Adjacent buckets of equal length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BucketRun {
    /// The start of the first bucket.
    pub first: Timestamp,
    /// The length of each bucket in microseconds.
    pub width_micros: i64,
    /// The number of buckets.
    pub count: usize,
    /// The number of the first bucket.
    pub index: i64,
}

/// One bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridBucket {
    /// The bucket that was asked for.
    pub asked: TimeRange,
    /// The bucket as it is read: its bounds may be moved to those of the rows that are kept.
    pub read: TimeRange,
}

impl Buckets {
    /// Buckets of this length in microseconds, above zero, in UTC.
    pub const fn in_utc(width_micros: i64, count_max: usize) -> Self {
        Self { width_micros, count_max, zone: None }
    }

    /// Buckets in a time zone: whole days, or equal parts of a day.
    ///
    /// # Errors
    /// The length is neither.
    pub fn in_zone(width_micros: i64, count_max: usize, zone: TimeZone) -> Result<Self> {
        // Offsets are whole minutes, so parts of a minute are the same everywhere.
        if zone.is_utc() || MINUTE_MICROS % width_micros == 0 {
            return Ok(Self::in_utc(width_micros, count_max));
        }
        let is_part = DAY_MICROS % width_micros == 0 && width_micros % MINUTE_MICROS == 0;
        if !is_part && width_micros % DAY_MICROS != 0 {
            let message = format!(
                "is {}; with a time zone it must be whole days or whole minutes that divide a day, such as P1D, P7D, PT6H \
                 or PT15M",
                duration_text(width_micros)
            );
            return Err(Error::input("bucket", message));
        }
        Ok(Self { width_micros, count_max, zone: Some(zone) })
    }

    /// The same buckets with another maximum number.
    #[must_use]
    pub fn at_most(self, count_max: usize) -> Self {
        Self { count_max, ..self }
    }

    /// The length of a bucket in microseconds; in a time zone, of one on a day without a change of clocks.
    pub const fn width_micros(&self) -> i64 {
        self.width_micros
    }

    /// The buckets that overlap a window. Where the rows that their bounds need are no longer kept, the bounds are moved to
    /// the nearest ones of rows that are.
    ///
    /// # Errors
    /// The window overlaps more than the maximum number of buckets.
    pub fn over(&self, window: TimeRange, kept: RetainedSince) -> Result<BucketGrid> {
        if let Some(zone) = &self.zone {
            return zoned::grid(self, zone, window, kept);
        }
        let width = self.width_micros.max(1);
        let origin = if width % WEEK_MICROS == 0 { MONDAY_MICROS } else { 0 };
        let first = window.from().plus_micros(-origin).floor(width).plus_micros(origin);
        let length = window.to().as_micros().saturating_sub(first.as_micros());
        let count = usize::try_from(length / width + i64::from(length % width > 0)).unwrap_or(usize::MAX);
        self.check(count)?;
        Ok(BucketGrid { runs: vec![BucketRun { first, width_micros: width, count, index: 0 }], asked: None })
    }

    fn check(&self, count: usize) -> Result<()> {
        if count <= self.count_max {
            return Ok(());
        }
        let message = format!(
            "buckets of {} make {count} of this window, and at most {} can be asked for; ask for longer buckets or a \
             shorter time",
            duration_text(self.width_micros),
            self.count_max,
        );
        Err(Error::input("bucket", message))
    }
}

impl BucketRun {
    /// The end of the last bucket.
    pub fn end(&self) -> Timestamp {
        self.start_of(self.count)
    }

    fn start_of(&self, index: usize) -> Timestamp {
        self.first.plus_micros(i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.width_micros))
    }

    fn ranges(&self) -> impl Iterator<Item = TimeRange> {
        let run = *self;
        (0..run.count).filter_map(move |index| TimeRange::new(run.start_of(index), run.start_of(index + 1)).ok())
    }
}

impl BucketGrid {
    /// The buckets as they are read, as runs of equal length in order of time, without gaps.
    pub fn runs(&self) -> &[BucketRun] {
        &self.runs
    }

    /// The runs that overlap a range.
    pub fn runs_in(&self, range: TimeRange) -> impl Iterator<Item = &BucketRun> {
        self.runs.iter().filter(move |run| run.first < range.to() && range.from() < run.end())
    }

    /// True for the buckets of a time zone.
    pub const fn is_zoned(&self) -> bool {
        self.asked.is_some()
    }

    /// The length of the longest bucket in microseconds.
    pub fn width_max_micros(&self) -> i64 {
        self.runs.iter().map(|run| run.width_micros).max().unwrap_or(0)
    }

    /// The bounds of the buckets as they are read.
    pub fn bounds(&self) -> impl Iterator<Item = Timestamp> {
        let starts = self.runs.iter().flat_map(|run| (0..run.count).map(|index| run.start_of(index)));
        starts.chain(self.runs.last().map(BucketRun::end))
    }

    /// Each bucket, in order of time.
    pub fn buckets(&self) -> impl Iterator<Item = GridBucket> {
        let asked = |index: usize| self.asked.as_ref().and_then(|ranges| ranges.get(index).copied());
        let read = self.runs.iter().flat_map(BucketRun::ranges).enumerate();
        read.map(move |(index, read)| GridBucket { asked: asked(index).unwrap_or(read), read })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grid(from: &str, to: &str, width_micros: i64) -> BucketGrid {
        let window = TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        Buckets::in_utc(width_micros, 1_000).over(window, RetainedSince::EVERYTHING).unwrap()
    }

    #[test]
    fn days_begin_at_midnight_and_weeks_on_mondays() {
        let days = grid("2026-11-21T13:00:00Z", "2026-11-23T00:00:00Z", DAY_MICROS);
        let summary = |grid: &BucketGrid| (grid.runs[0].first.to_string(), grid.buckets().count());
        assert_eq!(summary(&days), ("2026-11-21T00:00:00Z".to_owned(), 2));
        let weeks = grid("2026-11-21T13:00:00Z", "2026-11-23T00:00:01Z", WEEK_MICROS);
        assert_eq!(summary(&weeks), ("2026-11-16T00:00:00Z".to_owned(), 2));
        let old = grid("1969-12-30T13:00:00Z", "1970-01-05T00:00:01Z", WEEK_MICROS);
        assert_eq!(summary(&old), ("1969-12-29T00:00:00Z".to_owned(), 2));
    }

    #[test]
    fn too_many_buckets_are_refused() {
        let window = TimeRange::new(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)).unwrap();
        let refused = Buckets::in_utc(1, 10).over(window, RetainedSince::EVERYTHING).unwrap_err().to_string();
        assert!(refused.starts_with("bucket: "), "{refused}");
    }

    fn bounds(ranges: &[TimeRange]) -> Vec<Timestamp> {
        ranges.iter().map(|range| range.from()).chain(ranges.last().map(|range| range.to())).collect()
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
            let grid = Buckets::in_utc(width, 1_000).over(window, RetainedSince::EVERYTHING).unwrap();
            let ranges: Vec<_> = grid.buckets().map(|bucket| bucket.asked).collect();
            prop_assert_eq!(grid.bounds().collect::<Vec<_>>(), bounds(&ranges));
            prop_assert!(ranges[0].from() <= window.from() && window.from() < ranges[0].to());
            let last = ranges[ranges.len() - 1];
            prop_assert!(last.from() < window.to() && window.to() <= last.to());
            for pair in ranges.windows(2) {
                prop_assert_eq!(pair[0].to(), pair[1].from());
            }
        }
    }
}

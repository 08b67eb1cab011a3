//! Buckets of a time zone: whole days, which have 23 or 25 hours where clocks change, or equal parts of a day.
//!
//! Several days are counted from 1970-01-01, weeks begin on Mondays. Parts are counted from the start of each day; on a day
//! that clocks cut short, the last part ends with the day.

use super::{BucketGrid, BucketRun, Buckets, MONDAY_MICROS, WEEK_MICROS};
use crate::{
    error::Result,
    model::{RetainedSince, TimeRange, TimeZone, Timestamp, timestamp::DAY_MICROS},
    reports::plan::nearest_kept,
};

/// The buckets that overlap a window as they are read.
pub(super) fn grid(buckets: &Buckets, zone: &TimeZone, window: TimeRange, kept: RetainedSince) -> Result<BucketGrid> {
    // Refuses far too many before their bounds are computed. Few days are shorter than 24 hours.
    let roughly = usize::try_from(window.length_micros() / buckets.width_micros).unwrap_or(usize::MAX);
    buckets.check(roughly.saturating_sub(roughly / 20 + 2))?;
    let mut grid = BucketGrid { runs: Vec::new(), asked: None };
    let (mut asked, mut start) = (Vec::new(), None);
    for end in Bounds::before(zone, buckets.width_micros, window.from()) {
        let Some(from) = start.replace(end) else { continue };
        let read = TimeRange::new(nearest_kept(from, kept), nearest_kept(end, kept));
        // A bucket that no row is nearest to is left out.
        let (Ok(range), Ok(read)) = (TimeRange::new(from, end), read) else { continue };
        if read.from() >= window.to() {
            break;
        }
        if read.to() > window.from() {
            asked.push(range);
            buckets.check(asked.len())?;
            grid.push(read);
        }
    }
    grid.asked = Some(asked);
    Ok(grid)
}

impl BucketGrid {
    /// Adds a bucket at the end.
    fn push(&mut self, read: TimeRange) {
        let width_micros = read.length_micros();
        let index = match self.runs.last_mut() {
            Some(run) if run.width_micros == width_micros && run.end() == read.from() => {
                run.count += 1;
                return;
            }
            Some(run) => run.index.saturating_add(i64::try_from(run.count).unwrap_or(i64::MAX)),
            None => 0,
        };
        self.runs.push(BucketRun { first: read.from(), width_micros, count: 1, index });
    }
}

/// The bounds of buckets in ascending order, each once.
struct Bounds<'a> {
    zone: &'a TimeZone,
    /// The length of a part of a day; `None` for whole days.
    part_micros: Option<i64>,
    /// The number of days in a bucket.
    step: i64,
    /// The first day of the bucket that begins with the next bound, or that contains it.
    day: i64,
    next: Option<Timestamp>,
}

impl<'a> Bounds<'a> {
    /// The bounds from at least one bucket before a moment.
    fn before(zone: &'a TimeZone, width_micros: i64, at: Timestamp) -> Self {
        let part_micros = (width_micros < DAY_MICROS).then_some(width_micros);
        let step = (width_micros / DAY_MICROS).max(1);
        let origin = if width_micros % WEEK_MICROS == 0 { MONDAY_MICROS / DAY_MICROS } else { 0 };
        let day = ((zone.day_of(at) - origin).div_euclid(step) - 1) * step + origin;
        Self { zone, part_micros, step, day, next: Some(zone.start_of_day(day)) }
    }

    /// The bound behind this one; `None` at the end of the calendar.
    fn after(&mut self, bound: Timestamp) -> Option<Timestamp> {
        let mut end = self.zone.start_of_day(self.day.checked_add(self.step)?);
        // Days that the zone skipped are empty.
        while end <= bound && end.as_micros() < i64::MAX {
            self.day += self.step;
            end = self.zone.start_of_day(self.day.checked_add(self.step)?);
        }
        if let Some(part) = self.part_micros.map(|part| bound.plus_micros(part)).filter(|part| *part < end) {
            return Some(part);
        }
        self.day += self.step;
        Some(end).filter(|end| *end > bound)
    }
}

impl Iterator for Bounds<'_> {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let bound = self.next?;
        self.next = self.after(bound);
        Some(bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timestamp::HOUR_MICROS;

    fn starts(zone: &str, width_micros: i64, from: &str, to: &str) -> (Vec<String>, usize) {
        let window = TimeRange::new(from.parse().unwrap(), to.parse().unwrap()).unwrap();
        let buckets = Buckets::in_zone(width_micros, 1_000, zone.parse().unwrap()).unwrap();
        let grid = buckets.over(window, RetainedSince::EVERYTHING).unwrap();
        assert!(grid.buckets().all(|bucket| bucket.asked == bucket.read));
        (grid.buckets().map(|bucket| bucket.asked.from().to_string()).collect(), grid.runs().len())
    }

    #[test]
    fn buckets_follow_the_clocks_of_their_zone() {
        let (days, runs) = starts("Europe/Berlin", DAY_MICROS, "2026-10-24T12:00:00Z", "2026-10-26T23:00:00Z");
        assert_eq!(days, ["2026-10-23T22:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"]);
        assert_eq!(runs, 3, "24, 25 and 24 hours");
        let (weeks, runs) = starts("Europe/Berlin", WEEK_MICROS, "2026-10-20T00:00:00Z", "2026-11-02T12:00:00Z");
        assert_eq!(weeks, ["2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z", "2026-11-01T23:00:00Z"]);
        assert_eq!(runs, 2);
        let (days, _) = starts("Pacific/Apia", DAY_MICROS, "2011-12-29T12:00:00Z", "2011-12-31T12:00:00Z");
        assert_eq!(days, ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"]);
        let (halves, _) = starts("Pacific/Apia", 12 * HOUR_MICROS, "2011-12-29T12:00:00Z", "2011-12-31T09:00:00Z");
        assert_eq!(halves.len(), 4, "{halves:?}");
        let (parts, _) = starts("Europe/Berlin", 6 * HOUR_MICROS, "2026-10-24T22:00:00Z", "2026-10-25T23:00:01Z");
        let (quarter, rest) = ("2026-10-24T22:00:00Z", "2026-10-25T22:00:00Z");
        assert_eq!(
            (parts.len(), parts[0].as_str(), parts[4].as_str(), parts[5].as_str()),
            (6, quarter, rest, "2026-10-25T23:00:00Z")
        );
        let year = starts("Europe/Berlin", DAY_MICROS, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z");
        assert_eq!((year.0.len(), year.1), (366, 5), "two changes of clocks");
    }

    #[test]
    fn a_length_that_no_day_has_is_refused() {
        let of = |width| Buckets::in_zone(width, 10, "Asia/Kolkata".parse().unwrap());
        for width in [90_000_000, 5 * HOUR_MICROS, 36 * HOUR_MICROS] {
            assert!(of(width).unwrap_err().to_string().starts_with("bucket: is "), "{width}");
        }
        for width in [1, 60_000_000, 15 * 60_000_000, HOUR_MICROS, DAY_MICROS, 2 * DAY_MICROS] {
            assert_eq!(of(width).unwrap().width_micros(), width);
        }
        let long = TimeRange::new(Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX)).unwrap();
        assert!(of(DAY_MICROS).unwrap().over(long, RetainedSince::EVERYTHING).is_err());
    }

    #[test]
    fn bounds_move_to_rows_that_are_kept() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let now = at("2026-11-20T00:00:00Z");
        let kept = RetainedSince::days(now, 7, 14, 400);
        let read = |zone: &str, from: &str, to: &str| {
            let window = TimeRange::new(at(from), at(to)).unwrap();
            let buckets = Buckets::in_zone(DAY_MICROS, 1_000, zone.parse().unwrap()).unwrap();
            let grid = buckets.over(window, kept).unwrap();
            grid.buckets()
                .map(|bucket| (bucket.asked.from().to_string(), bucket.read.from().to_string()))
                .collect::<Vec<_>>()
        };
        let pair = |asked: &str, read: &str| (asked.to_owned(), read.to_owned());
        // Hours only, then minutes.
        assert_eq!(
            read("Asia/Kolkata", "2026-11-05T00:00:00Z", "2026-11-07T00:00:00Z"),
            [
                pair("2026-11-04T18:30:00Z", "2026-11-04T18:00:00Z"),
                pair("2026-11-05T18:30:00Z", "2026-11-05T18:00:00Z"),
                pair("2026-11-06T18:30:00Z", "2026-11-06T18:30:00Z"),
            ]
        );
        // Days only. A bound may move beyond the start of the window: then the bucket before it has no rows there.
        assert_eq!(
            read("Europe/Berlin", "2024-06-01T00:00:00Z", "2024-06-02T00:00:00Z"),
            [pair("2024-05-31T22:00:00Z", "2024-06-01T00:00:00Z"),]
        );
        assert_eq!(
            read("America/Los_Angeles", "2024-06-01T00:00:00Z", "2024-06-03T00:00:00Z"),
            [
                pair("2024-06-01T07:00:00Z", "2024-06-01T00:00:00Z"),
                pair("2024-06-02T07:00:00Z", "2024-06-02T00:00:00Z"),
            ]
        );
    }
}

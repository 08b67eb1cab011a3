//! Hours whose breakdowns a commit makes out of date: it adds measurements to them after `jobs/breakdowns` has looked. Pure.
//!
//! On days whose single measurements may be removed at any moment, the commit adds rows by each column instead ([`additions`]).

use std::collections::{BTreeMap, HashMap};

use super::rollup::RawRow;
use crate::model::{
    DayParts, Detail, SeriesDay, StoredTally, Tally, Timestamp,
    timestamp::{DAY_MICROS, HOUR_MICROS},
};

/// The series and days with rows before the time of their organization, each with the hours of these rows and the day. `rows` are
/// in the order of their series and time.
pub fn out_of_date(rows: &[RawRow<'_>], before: &HashMap<i64, i64>) -> Vec<(SeriesDay, DayParts)> {
    let mut found: Vec<(SeriesDay, DayParts)> = Vec::new();
    for row in rows.iter().filter(|row| before.get(&row.organization).is_some_and(|before| row.ts < *before)) {
        let (series, parts) = (row.series_day(), DayParts::around(Timestamp::from_micros(row.ts)));
        match found.last_mut() {
            Some((last, known)) if *last == series => *known = known.with(parts),
            _ => found.push((series, parts)),
        }
    }
    found
}

/// A row by one column that a commit adds to the breakdown of an hour or a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Addition {
    pub series: SeriesDay,
    /// The start of the hour or day.
    pub bucket: i64,
    pub detail: Detail,
    pub status: i16,
    pub release: String,
    pub name: String,
    pub tally: StoredTally,
}

/// The rows that a commit adds for the days of `kept`: those of hours, and those of days. `rows` are in the order of their series and
/// time, as `kept`. `part` is a number that no other commit has.
pub fn additions(rows: &[RawRow<'_>], kept: &[(SeriesDay, DayParts)], part: i64) -> (Vec<Addition>, Vec<Addition>) {
    let (mut hours, mut days) = (BTreeMap::new(), BTreeMap::new());
    let part = part.to_string();
    let is_kept = |row: &&RawRow<'_>| kept.binary_search_by_key(&row.series_day(), |(series, _)| *series).is_ok();
    for row in rows.iter().filter(is_kept) {
        let series = row.series_day();
        for detail in Detail::ONE_COLUMN {
            let (status, release, name) = match detail {
                Detail::Status => (row.status, part.as_str(), ""),
                Detail::Release => (0, row.release(), part.as_str()),
                Detail::Name | Detail::All => (0, part.as_str(), row.name()),
            };
            for (cells, width) in [(&mut hours, HOUR_MICROS), (&mut days, DAY_MICROS)] {
                let bucket = Timestamp::from_micros(row.ts).floor(width).as_micros();
                let tally: &mut Tally = cells.entry((series, bucket, detail, status, release, name)).or_default();
                tally.add(row.value, row.status);
            }
        }
    }
    let stored = |cells: BTreeMap<_, Tally>| {
        let of_cell = |((series, bucket, detail, status, release, name), tally): ((_, _, _, _, &str, &str), Tally)| {
            let (release, name) = (release.to_owned(), name.to_owned());
            Addition { series, bucket, detail, status, release, name, tally: tally.encode() }
        };
        cells.into_iter().map(of_cell).collect()
    };
    (stored(hours), stored(days))
}

/// Those of which there are marks, given the marks of all as columns: organization, project, type, day, and the parts of the day.
pub fn with_rows(late: &[(SeriesDay, DayParts)], marked: &[(i64, i64, i16, i64, i32)]) -> Vec<(SeriesDay, DayParts)> {
    let marks = |(organization, project, kind, day, parts): &(i64, i64, i16, i64, i32)| {
        let series = SeriesDay { organization: *organization, project: *project, kind: *kind, day: *day };
        (series, DayParts::from_bits(*parts))
    };
    let marked: HashMap<_, _> = marked.iter().map(marks).collect();
    let has_marks = |(series, parts): &&(SeriesDay, DayParts)| {
        marked.get(series).is_some_and(|marks| marks.without(*parts) != *marks)
    };
    late.iter().filter(has_marks).copied().collect()
}

/// The start of each hour.
pub fn hours(late: &[(SeriesDay, DayParts)]) -> Vec<(SeriesDay, i64)> {
    let of_day = |(series, parts): &(SeriesDay, DayParts)| {
        let series = *series;
        parts.hours().map(move |hour| (series, series.day.saturating_add(i64::from(hour) * HOUR_MICROS)))
    };
    late.iter().flat_map(of_day).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(organization: i64, project: i64, ts: i64) -> RawRow<'static> {
        RawRow { organization, project, kind: 1, ts, id: 0, value: 1.0, endpoint: 5, status: 200, bin: 0, tags: None }
    }

    #[test]
    fn only_rows_before_the_time_of_their_organization_count() {
        let rows = [
            row(1, 2, 30),
            row(1, 2, HOUR_MICROS),
            row(1, 2, DAY_MICROS),
            row(1, 2, DAY_MICROS + HOUR_MICROS),
            row(1, 3, 3 * HOUR_MICROS),
            row(2, 4, 0),
        ];
        assert_eq!(out_of_date(&rows, &HashMap::new()), []);
        let before = HashMap::from([(1, DAY_MICROS + HOUR_MICROS), (2, 0)]);
        let series = |project: i64, day: i64| SeriesDay { organization: 1, project, kind: 1, day };
        let hour = |hour: u8| DayParts::hour(hour).with(DayParts::DAY);
        let expected =
            [(series(2, 0), hour(0).with(hour(1))), (series(2, DAY_MICROS), hour(0)), (series(3, 0), hour(3))];
        assert_eq!(out_of_date(&rows, &before), expected);
    }

    #[test]
    fn additions_have_a_row_by_each_column() {
        let series = |project: i64, day: i64| SeriesDay { organization: 1, project, kind: 1, day: day * DAY_MICROS };
        let rows = [
            row(1, 2, 30),
            row(1, 2, HOUR_MICROS),
            RawRow { status: 500, value: 7.0, ..row(1, 2, HOUR_MICROS + 1) },
            row(1, 2, DAY_MICROS),
            row(1, 3, 1),
        ];
        let kept = [(series(2, 0), DayParts::default()), (series(3, 1), DayParts::default())];
        let (hours, days) = additions(&rows, &kept, 77);
        let cell = |one: &Addition| {
            let at = (one.bucket / HOUR_MICROS, one.detail, one.status);
            (at, one.release.clone(), one.name.clone(), one.tally.count, one.tally.errors, one.tally.max())
        };
        let part = || "77".to_owned();
        let expected = |at: (i64, Detail, i16), release: String, name: String, count: u64, errors: u64, max: f64| {
            (at, release, name, count, errors, Some(max))
        };
        let none = String::new;
        assert_eq!(
            days.iter().map(cell).collect::<Vec<_>>(),
            [
                expected((0, Detail::Status, 200), part(), none(), 2, 0, 1.0),
                expected((0, Detail::Status, 500), part(), none(), 1, 1, 7.0),
                expected((0, Detail::Release, 0), none(), part(), 3, 1, 7.0),
                expected((0, Detail::Name, 0), part(), none(), 3, 1, 7.0),
            ]
        );
        assert!(days.iter().all(|one| one.series == series(2, 0)));
        let of_hour =
            |hour: i64| hours.iter().filter(move |one| one.bucket == hour * HOUR_MICROS).map(|one| one.tally.count);
        assert_eq!(of_hour(0).collect::<Vec<_>>(), [1, 1, 1]);
        assert_eq!(of_hour(1).collect::<Vec<_>>(), [1, 1, 2, 2]);
        assert_eq!(hours.len(), 7);
    }

    #[test]
    fn only_marked_hours_are_removed() {
        let series = |project: i64| SeriesDay { organization: 1, project, kind: 1, day: DAY_MICROS };
        let parts = |hour: u8| DayParts::hour(hour).with(DayParts::DAY);
        let late =
            [(series(2), parts(3)), (series(3), parts(3)), (series(4), parts(3).with(parts(5))), (series(5), parts(3))];
        let marks = |project: i64, parts: DayParts| (1, project, 1, DAY_MICROS, parts.bits());
        let marked = [marks(2, DayParts::hour(2)), marks(3, DayParts::hour(3)), marks(4, DayParts::DAY)];
        let found = with_rows(&late, &marked);
        assert_eq!(found, late[1..3]);
        let hour = |hour: i64| DAY_MICROS + hour * HOUR_MICROS;
        assert_eq!(hours(&found), [(series(3), hour(3)), (series(4), hour(3)), (series(4), hour(5))]);
    }
}

//! Hours whose breakdowns a commit makes out of date: it adds measurements to them after `jobs/breakdowns` has looked. Pure.

use std::collections::HashMap;

use super::rollup::RawRow;
use crate::model::{DayParts, SeriesDay, Timestamp, timestamp::HOUR_MICROS};

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
    use crate::model::timestamp::DAY_MICROS;

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

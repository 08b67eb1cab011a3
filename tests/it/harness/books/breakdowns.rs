//! The breakdowns of hours and days that are marked are those of the raw rows, and there are no others.

use std::collections::{BTreeMap, HashMap};

use perfgraph::{
    entity::metric_event,
    model::{
        DayParts, Detail, SeriesDay, StoredTally, Tally,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};
use sea_orm::{ConnectionTrait, Statement};

/// Series and day, start, the columns that are told apart, status, release, name.
type Key = (SeriesDay, i64, Detail, i16, String, String);

/// Compares all of them.
pub async fn check(session: &impl ConnectionTrait, events: &[metric_event::Model]) {
    let marks = marks(session).await;
    for (table, width) in [("metric_breakdown_1h", HOUR_MICROS), ("metric_breakdown_1d", DAY_MICROS)] {
        let mut expected: BTreeMap<Key, Tally> = BTreeMap::new();
        for event in events {
            let ts = event.ts.as_micros();
            let series = SeriesDay {
                organization: event.organization_id.0,
                project: event.project_id.0,
                kind: event.kind,
                day: ts - ts.rem_euclid(DAY_MICROS),
            };
            let part = DayParts::around(event.ts);
            let part = if width == DAY_MICROS { DayParts::DAY } else { part.without(DayParts::DAY) };
            for detail in details_of(&marks, &series, part) {
                let of = |text: &String, one| if detail.has(one) { text.clone() } else { String::new() };
                let status = if detail.has(Detail::Status) { event.status } else { 0 };
                let (release, name) = (of(&event.release, Detail::Release), of(&event.name, Detail::Name));
                let key = (series, event.ts.floor(width).as_micros(), detail, status, release, name);
                expected.entry(key).or_default().add(event.value, event.status);
            }
        }
        let stored = stored(session, table, &marks).await;
        assert!(stored.keys().eq(expected.keys()), "{table}: {} rows, not {}", stored.len(), expected.len());
        for (key, expected) in expected {
            let stored = &stored[&key];
            assert_eq!((stored.count, stored.errors), (expected.count, expected.errors), "{table} {key:?}");
            assert_eq!((stored.min(), stored.max()), (expected.min(), expected.max()), "{table} {key:?}");
            let sums = (stored.sum.value(), expected.sum.value());
            assert!((sums.0 - sums.1).abs() <= 1e-9 * sums.1.abs(), "{table} {key:?} {sums:?}");
            assert_eq!(stored.distribution.encode(), expected.distribution.encode(), "{table} {key:?}");
        }
    }
}

/// The parts of a day with rows of each detail.
type Marks = HashMap<SeriesDay, [DayParts; 4]>;

fn details_of(marks: &Marks, series: &SeriesDay, part: DayParts) -> Vec<Detail> {
    let of_details = marks.get(series).into_iter().flat_map(|parts| Detail::EACH.into_iter().zip(parts));
    of_details.filter(|(_, parts)| parts.contains(part)).map(|(detail, _)| detail).collect()
}

async fn marks(session: &impl ConnectionTrait) -> Marks {
    let sql = "SELECT organization_id, project_id, kind, day, status_parts, release_parts, name_parts, all_parts, \
        seen_parts \
        FROM metric_grain";
    let rows = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await.unwrap();
    let mut marks = Marks::new();
    for row in rows {
        let series = SeriesDay {
            organization: row.try_get_by_index(0).unwrap(),
            project: row.try_get_by_index(1).unwrap(),
            kind: row.try_get_by_index(2).unwrap(),
            day: row.try_get_by_index(3).unwrap(),
        };
        let parts = [4, 5, 6, 7].map(|column| DayParts::from_bits(row.try_get_by_index(column).unwrap()));
        let seen = DayParts::from_bits(row.try_get_by_index(8).unwrap());
        assert!(parts.iter().all(|parts| seen.contains(*parts)), "{series:?} has rows of what was not looked at");
        marks.insert(series, parts);
    }
    marks
}

/// The rows of a table. Those that a commit added to a row have its number in a column by which the row is not told apart.
async fn stored(session: &impl ConnectionTrait, table: &str, marks: &Marks) -> BTreeMap<Key, Tally> {
    let sql = format!(
        "SELECT organization_id, project_id, kind, bucket, status, release, name, detail, n, n_err, sum, min, max, sketch \
         FROM {table}"
    );
    let rows = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await.unwrap();
    let mut stored: BTreeMap<Key, Tally> = BTreeMap::new();
    for row in rows {
        let bucket: i64 = row.try_get_by_index(3).unwrap();
        let series = SeriesDay {
            organization: row.try_get_by_index(0).unwrap(),
            project: row.try_get_by_index(1).unwrap(),
            kind: row.try_get_by_index(2).unwrap(),
            day: bucket - bucket.rem_euclid(DAY_MICROS),
        };
        let code: i16 = row.try_get_by_index(7).unwrap();
        let detail = Detail::EACH.into_iter().find(|detail| detail.code() == code).unwrap();
        let text = |one, column: usize| -> String {
            if detail.has(one) { row.try_get_by_index(column).unwrap() } else { String::new() }
        };
        let (release, name) = (text(Detail::Release, 5), text(Detail::Name, 6));
        let key = (series, bucket, detail, row.try_get_by_index(4).unwrap(), release, name);
        let part = DayParts::around(perfgraph::model::Timestamp::from_micros(bucket));
        let part = if table == "metric_breakdown_1d" { DayParts::DAY } else { part.without(DayParts::DAY) };
        assert!(details_of(marks, &series, part).contains(&detail), "{table} {key:?}");
        let figures = (
            row.try_get_by_index(8).unwrap(),
            row.try_get_by_index(9).unwrap(),
            row.try_get_by_index(10).unwrap(),
            row.try_get_by_index(11).unwrap(),
            row.try_get_by_index(12).unwrap(),
            row.try_get_by_index(13).unwrap(),
        );
        stored.entry(key).or_default().merge_stored(&StoredTally::from_columns(figures)).unwrap();
    }
    stored
}

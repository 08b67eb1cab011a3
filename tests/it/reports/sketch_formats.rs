//! Sketches are read in every format that was ever written, beside each other in one answer.

use data_encoding::HEXLOWER;
use perfgraph::{
    db::Backend,
    model::{Key, MetricType, ProjectId, Role, Scope, Sketch, sketch::bin_of, timestamp::MINUTE_MICROS},
    reports::{
        Buckets, Distribution, Parent, Question, Series, Slowest, Statistic, StatisticsNeeded, Stats, series, slowest,
        totals,
    },
};
use sqlx::{AssertSqlSafe, Executor};

use super::{
    SEED,
    fixture::{OURS, START, World, endpoint_id, range},
};
use crate::{harness::TestDatabase, on_both_databases};

/// Two values in bin 231 (about 100), 932 bins above the lowest, in variable-length integers of 7 bits a byte.
const OF_PAIRS: [u8; 4] = [1, 0xa4, 0x07, 2];
const OLD: f64 = 100.0;
const NEW: f64 = 300.0;

/// A minute of the old format, one of the new, and one of both in parts that are still to be merged.
async fn fill(database: &TestDatabase, project: Key<ProjectId>) {
    let new = Sketch::of([bin_of(NEW)].into_iter()).encode();
    let rows = [
        ("metric_rollup_1m", 0, 1, OLD, &OF_PAIRS[..]),
        ("metric_rollup_1m", 1, 1, NEW, &new),
        ("metric_rollup_part", 2, 1, OLD, &OF_PAIRS),
        ("metric_rollup_part", 2, 2, NEW, &new),
    ];
    for (table, minute, part, value, sketch) in rows {
        let count = if value == OLD { 2 } else { 1 };
        let sketch = HEXLOWER.encode(sketch);
        let sketch = match database.database.backend() {
            Backend::Sqlite(_) => format!("x'{sketch}'"),
            Backend::Postgres(_) => format!("'\\x{sketch}'::bytea"),
        };
        let bucket = START.as_micros() + minute * MINUTE_MICROS;
        for endpoint in [0, endpoint_id(project, 0).0] {
            let sql = format!(
                "INSERT INTO {table} \
                 (organization_id, project_id, kind, bucket, endpoint_id, part, n, n_err, sum, min, max, sketch) VALUES \
                 ({}, {}, 1, {bucket}, {endpoint}, {part}, {count}, 0, {count} * {value}, {value}, {value}, {sketch})",
                project.organization.0, project.id.0
            );
            match database.database.backend() {
                Backend::Sqlite(pool) => drop(pool.execute(AssertSqlSafe(sql)).await.unwrap()),
                Backend::Postgres(pool) => drop(pool.execute(AssertSqlSafe(sql)).await.unwrap()),
            }
        }
    }
}

fn assert_holds(stats: &Stats, old: u64, new: u64) {
    assert_eq!(stats.tally.count, old + new);
    let Some(Distribution::Sketch(sketch)) = &stats.tally.distribution else { panic!("{stats:?}") };
    let expected = [(bin_of(OLD), old), (bin_of(NEW), new)].into_iter().filter(|(_, count)| *count > 0);
    assert_eq!(sketch.bins().collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

on_both_databases! {
    async fn sketches_of_both_formats_are_one(database: TestDatabase) {
        let world = World::seeded(SEED);
        world.write_directory(&database.writer()).await;
        fill(&database, world.projects[0]).await;

        let scope = Scope::organization(OURS, Role::Viewer);
        let kinds = vec![MetricType::ApiResponse];
        let question = Question { kinds, ..Question::over(range(0, 3 * MINUTE_MICROS)) };
        let session = database.reader();
        let ask = Slowest { rank_by: Statistic::P95, limit: 1, want: StatisticsNeeded::Percentiles };
        let endpoints = slowest::run(&scope, &session, &question, ask).await.unwrap();
        assert_holds(&endpoints[0].stats, 4, 2);

        let all = totals::run(&scope, &session, &question, StatisticsNeeded::Percentiles).await.unwrap();
        assert_holds(&all, 4, 2);

        let buckets = Buckets::in_utc(MINUTE_MICROS, 10);
        let asked = Series { buckets, want: StatisticsNeeded::Percentiles };
        let minutes = series::by_parent(&scope, &session, &question, &[Parent::Question], &asked).await.unwrap();
        let minutes: Vec<_> = minutes[&Parent::Question].iter().collect();
        assert_eq!(minutes.len(), 3);
        for (minute, (old, new)) in minutes.into_iter().zip([(2, 0), (0, 1), (2, 1)]) {
            assert_holds(&minute.stats, old, new);
        }
    }
}

//! Rollups only where they pay: which ones a series gets, that answers do not depend on it, and what is left when single
//! measurements expire.

use std::collections::BTreeMap;

use perfgraph::{
    clock::Clock,
    config::{self, ComparisonLimits},
    db::StatementLog,
    ingest::Candidate,
    jobs::{compaction, partitions, retention::Retention, rollup_choice},
    model::{
        MetricType, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{Projects, Question, Slowest, Statistic, StatisticsNeeded, Stats, comparison, slowest, totals},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    harness::{TestDatabase, books},
    ingest::batches::{ACME, ACME_SECOND, NOW, Rig, candidate, submission},
    on_both_databases,
};

const ROWS_MAX: f64 = 0.6;
const KEPT: config::Retention = config::Retention {
    raw_days: 2,
    // Less than raw measurements: kept as long as these.
    minute_days: 1,
    hour_days: 6,
    change_days: 30,
    key_days: 400,
    clock_settle_hours: 0,
};
/// Passes after which retention removes what is before its bounds.
const PASSES: usize = 8;

/// One every `step`, backwards from `until`, of one endpoint after the other.
fn rows(until: Timestamp, step: i64, count: i64, endpoints: i64) -> Vec<Candidate> {
    let mut rng = StdRng::seed_from_u64(23);
    let mut row = |number: i64| Candidate {
        endpoint: format!("GET /route/{}", letters(number % endpoints)),
        timestamp: Some(until.plus_micros(-1 - number * step)),
        status: Some(if number % 10 == 0 { 500 } else { 200 }),
        ..candidate((rng.random_range(1.0..1_000.0_f64) * 1_000.0).round() / 1_000.0)
    };
    (0..count).map(&mut row).collect()
}

/// A number as letters, because ids in paths are replaced.
fn letters(number: i64) -> String {
    let letter = |number: i64| char::from(b'a' + u8::try_from(number % 20).unwrap());
    format!("{}{}", letter(number / 20), letter(number))
}

/// The grains of each day: of all endpoints, by endpoint.
async fn grains(database: &TestDatabase) -> BTreeMap<(i64, Timestamp), (i16, i16)> {
    let session = database.reader();
    let sql = "SELECT project_id, day, all_endpoints, by_endpoint FROM metric_grain";
    let found = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await.unwrap();
    let read = |row: &sea_orm::QueryResult| {
        let grains = (row.try_get_by_index(2).unwrap(), row.try_get_by_index(3).unwrap());
        ((row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()), grains)
    };
    found.iter().map(read).collect()
}

async fn rollups(database: &TestDatabase) -> usize {
    let mut count = 0;
    for (table, _) in books::LEVELS {
        count += books::rows(database, table).await.len();
    }
    count
}

async fn summary(database: &TestDatabase, from: Timestamp, length: i64) -> Stats {
    let window = TimeRange::new(from, from.plus_micros(length)).unwrap();
    let session = database.database.reader(StatementLog::default());
    let question = Question { projects: Projects::Keys(vec![ACME]), ..Question::over(window) };
    let answer = totals::run(&Scope::everything(), &session, &question, StatisticsNeeded::Percentiles).await.unwrap();
    assert_eq!(session.log().count(), 1);
    answer
}

/// The same measurements; their sums may be rounded differently.
fn assert_same(a: &Stats, b: &Stats) {
    let exact = |stats: &Stats| (stats.tally.count, stats.tally.errors, stats.tally.min(), stats.tally.max());
    assert_eq!(exact(a), exact(b));
    let (one, other) = (a.tally.sum.value(), b.tally.sum.value());
    assert!((one - other).abs() <= 1e-9 * other.abs(), "{one} {other}");
    for place in [1, 25, 50, 75, 95, 99] {
        let percentile = |stats: &Stats| stats.percentile(f64::from(place) / 100.0);
        assert_eq!(percentile(a), percentile(b), "p{place}");
    }
}

/// The paths of the worst endpoints with their counts.
async fn worst(database: &TestDatabase, from: Timestamp, length: i64) -> Vec<(String, u64, Option<f64>)> {
    let window = TimeRange::new(from, from.plus_micros(length)).unwrap();
    let question = Question { projects: Projects::Keys(vec![ACME]), ..Question::over(window) };
    let asked = Slowest { rank_by: Statistic::P95, limit: 100, want: StatisticsNeeded::Percentiles };
    let found = slowest::run(&Scope::everything(), &database.reader(), &question, asked).await.unwrap();
    found.into_iter().map(|one| (one.endpoint, one.stats.tally.count, one.stats.tally.max())).collect()
}

on_both_databases! {
    async fn an_import_of_a_sparse_series_gets_few_rollups_and_the_same_answers(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        // Ten hours, most endpoints once.
        let rows = rows(NOW, MINUTE_MICROS, 600, 550);
        rig.submit(submission(ACME, rows)).await.unwrap();
        let decided: Vec<_> = grains(&database).await.into_values().collect();
        assert!(!decided.is_empty() && decided.iter().all(|(all, by)| *all >= 1 && *by == 4), "{decided:?}");
        books::check(&database).await;
        let day = (NOW.plus_micros(-DAY_MICROS), 2 * DAY_MICROS);
        let hours = (NOW.plus_micros(-7 * HOUR_MICROS - 11), 5 * HOUR_MICROS);
        let before = (summary(&database, day.0, day.1).await, summary(&database, hours.0, hours.1).await);
        assert_eq!((before.0.tally.count, before.1.tally.count), (600, 300));
        let ranked = (worst(&database, day.0, day.1).await, worst(&database, hours.0, hours.1).await);
        assert_eq!((ranked.0.len(), ranked.1.len()), (100, 100));

        compaction::round(&database.database, NOW).await.unwrap();
        books::check(&database).await;
        assert!(books::rows(&database, "metric_rollup_part").await.is_empty());
        let stored = rollups(&database).await;
        assert!(stored > 0 && stored <= 360, "{stored} rollup rows for 600 measurements");
        let after = (summary(&database, day.0, day.1).await, summary(&database, hours.0, hours.1).await);
        assert_same(&after.0, &before.0);
        assert_same(&after.1, &before.1);
        assert_eq!((worst(&database, day.0, day.1).await, worst(&database, hours.0, hours.1).await), ranked);
    }
}

on_both_databases! {
    async fn a_series_gets_all_rollups_until_a_day_of_it_was_counted(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        rig.submit(submission(ACME, rows(NOW, 1_000_000, 5, 5))).await.unwrap();
        let today = NOW.floor(DAY_MICROS);
        assert_eq!(grains(&database).await, BTreeMap::from([((ACME.id.0, today), (0, 0))]), "live traffic tells nothing");
        // The day is not over yet.
        rollup_choice::pass(&database.database, &rig.clock, ROWS_MAX).await.unwrap();
        compaction::round(&database.database, NOW).await.unwrap();
        let tomorrow = today.plus_micros(DAY_MICROS);
        rig.clock.set(tomorrow.plus_micros(HOUR_MICROS - 1));
        rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        let expected = BTreeMap::from([((ACME.id.0, today), (0, 0)), ((ACME.id.0, tomorrow), (0, 0))]);
        assert_eq!(grains(&database).await, expected);
        // Now it is, and the day after tomorrow knows. What is decided stays.
        rig.clock.set(tomorrow.plus_micros(HOUR_MICROS));
        rollup_choice::pass(&database.database, &rig.clock, ROWS_MAX).await.unwrap();
        rig.submit(submission(ACME, vec![candidate(2.0)])).await.unwrap();
        assert_eq!(grains(&database).await, expected);
        rig.clock.set(tomorrow.plus_micros(2 * DAY_MICROS));
        rollup_choice::pass(&database.database, &rig.clock, ROWS_MAX).await.unwrap();
        rig.submit(submission(ACME, vec![candidate(3.0)])).await.unwrap();
        let found = grains(&database).await;
        assert_eq!(found[&(ACME.id.0, tomorrow.plus_micros(2 * DAY_MICROS))], (3, 4), "two a day");
        assert_eq!(found.len(), 3);
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn instances_agree_on_the_rollups_of_a_day(database: TestDatabase) {
        let (first, second) = (Rig::new(&database).await, Rig::beside(&database).await);
        // One knows the density from an import, the other does not.
        let (import, live) = (rows(NOW, MINUTE_MICROS, 300, 100), rows(NOW, 1_000, 3, 3));
        let (import, live) = (submission(ACME, import), submission(ACME, live));
        let (one, other) = tokio::join!(first.submit(import.clone()), second.submit(live.clone()));
        assert_eq!((one.unwrap().accepted, other.unwrap().accepted), (300, 3));
        first.submit(live).await.unwrap();
        second.submit(import).await.unwrap();
        books::check(&database).await;
        compaction::round(&database.database, NOW.plus_micros(HOUR_MICROS)).await.unwrap();
        books::check(&database).await;
        assert_eq!(summary(&database, NOW.plus_micros(-DAY_MICROS), 2 * DAY_MICROS).await.tally.count, 606);
    }
}

on_both_databases! {
    async fn expired_measurements_leave_the_rollups_that_are_kept(database: TestDatabase) {
        let today = NOW.floor(DAY_MICROS);
        let ahead = TimeRange::new(today.plus_micros(-6 * DAY_MICROS), today.plus_micros(DAY_MICROS)).unwrap();
        partitions::ensure_range(&database.database, ahead).await.unwrap();
        let rig = Rig::new(&database).await;
        rig.clock.set(today);
        // Five days, one every ten minutes, of fifty endpoints.
        rig.submit(submission(ACME, rows(today, 10 * MINUTE_MICROS, 720, 50))).await.unwrap();
        compaction::round(&database.database, today).await.unwrap();
        assert!(grains(&database).await.values().all(|(_, by)| *by >= 3));
        // Parts that come later are in the rollups all the same.
        rig.submit(submission(ACME, rows(today.plus_micros(-3 * DAY_MICROS), HOUR_MICROS, 24, 50))).await.unwrap();

        let day = |days: i64| today.plus_micros(-days * DAY_MICROS);
        let windows = [(day(5), 5 * DAY_MICROS), (day(4).plus_micros(5 * HOUR_MICROS), 3 * HOUR_MICROS), (day(3), DAY_MICROS), (day(1).plus_micros(7), HOUR_MICROS)];
        let mut before = Vec::new();
        for (from, length) in windows {
            before.push((summary(&database, from, length).await, worst(&database, from, length).await));
        }
        let clock = Clock::fixed(today);
        let mut retention = Retention::new(database.database.clone(), KEPT);
        for pass in 0..PASSES {
            retention.pass(&clock).await.unwrap();
            for ((from, length), (stats, ranked)) in windows.into_iter().zip(&before) {
                let now = summary(&database, from, length).await;
                assert_same(&now, stats);
                assert_eq!(now.accuracy.covers, stats.accuracy.covers, "{from}, pass {pass}");
                assert_eq!(worst(&database, from, length).await, *ranked, "{from}, pass {pass}");
            }
        }
        let raw = books::count(&database, "metric_event").await;
        assert_eq!(raw, 288, "the last two days");
        assert!(grains(&database).await.keys().all(|(_, at)| *at >= day(2)), "no grain without measurements");
        // Hours are all there is, and the answer says so.
        let (from, length) = (day(4).plus_micros(5 * HOUR_MICROS + 7), HOUR_MICROS);
        let answer = summary(&database, from, length).await;
        let covers = (answer.accuracy.covers.from(), answer.accuracy.covers.to());
        assert_eq!(covers, (from.floor(HOUR_MICROS), from.plus_micros(length).ceil(HOUR_MICROS)));
        assert_eq!((answer.tally.count, answer.accuracy.is_exact), (14, false));
        let minutes = books::rows(&database, "metric_rollup_1m").await;
        assert!(minutes.iter().all(|row| row.bucket >= day(2)), "sparse series get no minutes");
    }
}

on_both_databases! {
    async fn releases_of_sparse_series_are_compared_like_those_of_dense_ones(database: TestDatabase) {
        Rig::new(&database).await;
        let start = NOW.plus_micros(-6 * HOUR_MICROS).floor(MINUTE_MICROS);
        let mut compared = Vec::new();
        for (node, project, percent) in [(1, ACME, 0), (2, ACME_SECOND, 1_000_000)] {
            let settings = config::Ingest { rollup_rows_percent: percent, ..config::Ingest::default() };
            let rig = Rig::again(&database, node, settings).await;
            let mut measured = rows(NOW, 10_000_000, 2_160, 3);
            for row in &mut measured {
                row.value = 100.0 + row.value / 100.0;
                if row.timestamp.unwrap() >= start.plus_micros(3 * HOUR_MICROS) {
                    row.value *= 1.3;
                }
            }
            rig.submit(submission(project, measured)).await.unwrap();
            compaction::round(&database.database, NOW).await.unwrap();
            let at = |hours: i64| start.plus_micros(hours * HOUR_MICROS);
            let question = comparison::ComparisonQuestion {
                project,
                kind: MetricType::ApiResponse,
                statistic: Statistic::P95,
                baseline: TimeRange::new(at(0), at(3)).unwrap(),
                candidate: TimeRange::new(at(3), at(6)).unwrap(),
            };
            let limits = ComparisonLimits::default();
            let found = comparison::run(&Scope::everything(), &database.reader(), &question, &limits).await.unwrap();
            let endpoints: Vec<_> = found
                .endpoints
                .iter()
                .map(|one| (one.endpoint.clone(), one.verdict, one.baseline.tally.clone(), one.candidate.tally.clone(), one.change))
                .collect();
            compared.push((found.verdict, found.whole, endpoints));
        }
        let minutes = books::rows(&database, "metric_rollup_1m").await;
        assert!(!minutes.is_empty() && minutes.iter().all(|row| row.project_id == ACME_SECOND.id));
        assert_eq!(compared[0].2.len(), 3);
        assert_eq!(compared[0].0, comparison::Verdict::Regressed);
        assert_eq!(compared[0], compared[1]);
    }
}

on_both_databases! {
    async fn days_before_the_choice_began_keep_all_rollups(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let today = NOW.floor(DAY_MICROS);
        // As the migration does in a database that is in use.
        let sql = format!("INSERT INTO metric_kept (table_name, since) VALUES ('metric_grain', {})", today.as_micros());
        database.writer().execute_unprepared(&sql).await.unwrap();
        rig.submit(submission(ACME, rows(NOW, 10 * MINUTE_MICROS, 300, 100))).await.unwrap();
        let decided = grains(&database).await;
        assert_eq!(decided.keys().map(|(_, at)| *at).collect::<Vec<_>>(), [today]);
        books::check(&database).await;
        compaction::round(&database.database, NOW).await.unwrap();
        books::check(&database).await;
        let minutes = books::rows(&database, "metric_rollup_1m").await;
        assert!(!minutes.is_empty() && minutes.iter().all(|row| row.bucket < today));
    }
}

on_both_databases! {
    async fn earlier_versions_find_all_rollups_after_the_way_back(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        rig.submit(submission(ACME, rows(NOW, 10 * MINUTE_MICROS, 300, 100))).await.unwrap();
        compaction::round(&database.database, NOW.plus_micros(-DAY_MICROS)).await.unwrap();
        assert!(grains(&database).await.values().any(|(all, by)| *all > 0 && *by > 0));
        // What `perfgraph migrate down` does first. Some parts are not merged yet.
        // Whoever else does the same finds it done.
        let other = database.reopen().await;
        let start = Timestamp::from_micros(i64::MIN);
        let (one, two) =
            tokio::join!(compaction::complete_all(&database.database, start), compaction::complete_all(&other, start));
        assert!(one.unwrap() && two.unwrap());
        assert!(grains(&database).await.values().all(|grain| *grain == (0, 0)));
        books::check(&database).await;
        let started_again = Rig::again(&database, 1, config::Ingest::default()).await;
        started_again.submit(submission(ACME, rows(NOW, MINUTE_MICROS, 5, 5))).await.unwrap();
        compaction::round(&database.database, NOW.plus_micros(MINUTE_MICROS)).await.unwrap();
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn days_that_expire_soon_get_all_rollups(database: TestDatabase) {
        let settings = config::Ingest { time_window_past_hours: 30 * 24, ..config::Ingest::default() };
        let rig = Rig::with(&database, settings, 8).await;
        // Ten days, of which the last seven are kept as single measurements.
        rig.submit(submission(ACME, rows(NOW, HOUR_MICROS, 240, 200))).await.unwrap();
        let expiring = NOW.floor(DAY_MICROS).plus_micros(-6 * DAY_MICROS);
        let (old, new): (Vec<_>, Vec<_>) = grains(&database).await.into_iter().partition(|((_, day), _)| *day < expiring);
        assert!(old.len() >= 3 && old.iter().all(|(_, grain)| *grain == (0, 0)), "{old:?}");
        assert!(new.len() >= 6 && new.iter().all(|(_, (_, by))| *by == 4), "{new:?}");
        // A series whose density is known makes no difference, nor do rows that come again.
        rollup_choice::pass(&database.database, &rig.clock, ROWS_MAX).await.unwrap();
        rig.submit(submission(ACME, rows(NOW, HOUR_MICROS, 240, 200))).await.unwrap();
        books::check(&database).await;
        compaction::round(&database.database, NOW).await.unwrap();
        books::check(&database).await;
        let minutes = books::rows(&database, "metric_rollup_1m").await;
        assert!(!minutes.is_empty() && minutes.iter().all(|row| row.bucket < expiring));
    }
}

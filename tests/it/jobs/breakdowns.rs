//! Breakdowns by status, release and name: made after the hour, removed by late measurements, and never seen in an answer.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use perfgraph::{
    clock::Clock,
    db::{Backend, Database, StatementLog},
    ingest::Candidate,
    jobs::breakdowns,
    model::{
        Key, ProjectId, Scope, TimeRange, Timestamp,
        order::Sort,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{
        GroupBy, GroupKey, Groups, MetricGroup, Parent, Projects, Question, Statistic, StatisticsNeeded, StatusFilter,
        groups,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sea_orm::{ConnectionTrait, Statement};
use sqlx::{AssertSqlSafe, Executor, PgConnection, PgPool, Row};

use crate::{
    harness::{TestDatabase, books, wait},
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, NOW, Rig, candidate, submission},
    on_both_databases,
};

const HOURS: &str = "metric_breakdown_1h";
const DAYS: &str = "metric_breakdown_1d";

/// The start of the day of [`NOW`], which is in its twelfth hour.
const fn today() -> Timestamp {
    NOW.floor(DAY_MICROS)
}

/// Four a minute from the start of an hour of today (negative ones were yesterday), for so many hours, with one of so many names.
fn rows(seed: u64, from_hour: i64, hours: i64, names: usize) -> Vec<Candidate> {
    let mut rng = StdRng::seed_from_u64(seed);
    let from = today().plus_micros(from_hour * HOUR_MICROS);
    let row = |number: i64| Candidate {
        value: (rng.random_range(1.0..100.0_f64) * 1_000.0).round() / 1_000.0,
        status: Some(*[200, 200, 200, 500].choose(&mut rng).unwrap()),
        timestamp: Some(from.plus_micros(number * MINUTE_MICROS / 4 + 1)),
        name: Some(format!("n{}", rng.random_range(0..names))),
        release: Some(if number % 2 == 0 { "1.0" } else { "1.1" }.to_owned()),
        ..candidate(1.0)
    };
    (0..hours * 240).map(row).collect()
}

async fn pass(database: &Database, at: Timestamp) {
    breakdowns::pass(database, &Clock::fixed(at)).await.unwrap();
}

/// Long after `hour` of today is over.
const fn after(hour: i64) -> Timestamp {
    today().plus_micros((hour + 1) * HOUR_MICROS + 5 * MINUTE_MICROS)
}

/// The groups of a question, asked for in one statement.
pub async fn grouped(database: &Database, question: &Question, by: &[GroupBy]) -> Vec<MetricGroup> {
    let asked = Groups {
        by: by.to_vec(),
        having: vec![],
        order: Statistic::Count,
        sort: Sort::Descending,
        first: 10_000,
        groups_max: 10_000,
        want: StatisticsNeeded::Percentiles,
    };
    let session = database.reader(StatementLog::default());
    let found = groups::by_parent(&Scope::everything(), &session, question, &[Parent::Question], &asked).await.unwrap();
    assert_eq!(session.log().count(), 1);
    found.get(&Parent::Question).map_or_else(Vec::new, |found| found.to_vec())
}

/// Count, errors and maximum of each group of two days until now.
async fn ask(database: &Database, by: &[GroupBy]) -> BTreeMap<Vec<GroupKey>, (u64, u64, Option<f64>)> {
    let window = TimeRange::new(today().plus_micros(-DAY_MICROS), NOW.plus_micros(1)).unwrap();
    let question = Question { projects: Projects::Keys(vec![ACME]), ..Question::over(window) };
    let found = grouped(database, &question, by).await;
    let figures = |stats: &perfgraph::reports::Stats| {
        assert_eq!(stats.tally.distribution.as_ref().unwrap().count(), stats.tally.count);
        (stats.tally.count, stats.tally.errors, stats.tally.max())
    };
    found.iter().map(|group| (group.keys.clone(), figures(&group.stats))).collect()
}

/// The hours of today, of the series of a project, with rows by status, by release, by name, and by all of these.
async fn marks(database: &TestDatabase, project: Key<ProjectId>) -> [i32; 4] {
    let session = database.reader();
    let sql = format!(
        "SELECT status_parts, release_parts, name_parts, all_parts FROM metric_grain WHERE project_id = {} AND day = {}",
        project.id.0,
        today().as_micros()
    );
    let statement = Statement::from_string(session.get_database_backend(), sql);
    let row = session.query_one_raw(statement).await.unwrap().unwrap();
    [0, 1, 2, 3].map(|column| row.try_get_by_index(column).unwrap())
}

const BY: [&[GroupBy]; 4] =
    [&[GroupBy::StatusCode], &[GroupBy::Release], &[GroupBy::Name, GroupBy::StatusCode], &[GroupBy::Type]];

on_both_databases! {
    async fn hours_that_are_over_are_broken_down_and_answers_stay_the_same(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        rig.submit(submission(ACME, rows(1, -24, 24, 2))).await.unwrap();
        rig.submit(submission(ACME, rows(2, 0, 11, 2))).await.unwrap();
        let mut before = Vec::new();
        for by in BY {
            before.push(ask(&database.database, by).await);
        }
        assert_eq!(before[2].len(), 4, "two names, two statuses");
        // The third hour of today has not settled.
        pass(&database.database, after(2).plus_micros(-1)).await;
        books::check(&database).await;
        assert_eq!(marks(&database, ACME).await, [0b11; 4]);
        pass(&database.database, after(2)).await;
        assert_eq!(marks(&database, ACME).await, [0b111; 4]);
        books::check(&database).await;
        // Two statuses, releases and names an hour, at most eight of them together, and yesterday as a whole.
        assert!((27 * 10..=27 * 14).contains(&books::count(&database, HOURS).await));
        assert!((10..=14).contains(&books::count(&database, DAYS).await));
        for (by, before) in BY.into_iter().zip(&before) {
            assert_eq!(ask(&database.database, by).await, *before);
        }
        // Nothing is made twice: what was made stays as it is, even if it was changed by hand.
        database.writer().execute_unprepared("UPDATE metric_breakdown_1h SET max = 777").await.unwrap();
        pass(&database.database, after(2)).await;
        let changed = books::count(&database, "metric_breakdown_1h WHERE max = 777").await;
        assert_eq!(changed, books::count(&database, HOURS).await);
    }
}

on_both_databases! {
    async fn a_late_measurement_removes_the_breakdown_of_its_hour_and_day(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        rig.submit(submission(ACME, rows(1, -24, 24, 2))).await.unwrap();
        rig.submit(submission(ACME, rows(2, 0, 8, 2))).await.unwrap();
        pass(&database.database, NOW).await;
        let (hours, days) = (books::count(&database, HOURS).await, books::count(&database, DAYS).await);
        assert_eq!(marks(&database, ACME).await, [0b111_1111_1111; 4], "hours without measurements count as well");
        // Those of now are compared with the time before which there are breakdowns, and nothing else.
        let log = StatementLog::default();
        let now = submission(ACME, vec![candidate(7.0)]);
        rig.ingest.submit(&Scope::everything(), now, &log).await.unwrap();
        assert!(log.statements().iter().all(|statement| !statement.sql.contains("seen_parts")));

        let mut late = candidate(5_000.0);
        late.timestamp = Some(today().plus_micros(3 * HOUR_MICROS + 7));
        let mut of_yesterday = candidate(6_000.0);
        of_yesterday.timestamp = Some(today().plus_micros(-1));
        let log = StatementLog::default();
        let both = submission(ACME, vec![late, of_yesterday]);
        rig.ingest.submit(&Scope::everything(), both, &log).await.unwrap();
        assert!(log.statements().iter().any(|statement| statement.sql.contains("seen_parts")));
        books::check(&database).await;
        assert_eq!(marks(&database, ACME).await, [0b111_1111_0111; 4]);
        assert_eq!(books::count(&database, DAYS).await, 0);
        let found = ask(&database.database, &[GroupBy::Name]).await;
        assert_eq!(found[&vec![GroupKey::Name("".into())]], (3, 0, Some(6_000.0)));

        pass(&database.database, NOW).await;
        books::check(&database).await;
        assert_eq!(marks(&database, ACME).await, [0b111_1111_1111; 4]);
        // The late ones have no name and no release: a row more by each, and by all, in both hours, and in the day.
        assert_eq!(books::count(&database, HOURS).await, hours + 2 * 3);
        assert_eq!(books::count(&database, DAYS).await, days + 3);
        assert_eq!(ask(&database.database, &[GroupBy::Name]).await, found);
    }
}

on_both_databases! {
    async fn only_what_pays_is_broken_down(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        // Hundreds of names; the releases and statuses of the others are few.
        rig.submit(submission(ACME, rows(1, 0, 2, 500))).await.unwrap();
        // Too few measurements for any.
        let few = rows(2, 0, 2, 1).into_iter().step_by(30).collect();
        rig.submit(submission(ACME_SECOND, few)).await.unwrap();
        pass(&database.database, after(2)).await;
        books::check(&database).await;
        assert_eq!(marks(&database, ACME).await, [0b111, 0b111, 0b100, 0b100], "of names only an hour without measurements");
        assert_eq!(marks(&database, ACME_SECOND).await, [0b100; 4]);
        let names = ask(&database.database, &[GroupBy::Name]).await;
        assert!(names.len() > 50 && names.values().map(|figures| figures.0).sum::<u64>() == 480);
        let statuses = ask(&database.database, &[GroupBy::StatusCode]).await;
        assert_eq!((statuses.len(), statuses.values().map(|figures| figures.0).sum::<u64>()), (2, 480));
    }
}

on_both_databases! {
    async fn sparse_series_are_not_looked_at(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        // An import of one every half an hour, of which no rollups by hour would pay.
        let sparse = rows(1, -24, 34, 1).into_iter().step_by(120).collect();
        rig.submit(submission(ACME, sparse)).await.unwrap();
        pass(&database.database, NOW).await;
        assert_eq!(marks(&database, ACME).await, [0; 4]);
        assert_eq!(books::count(&database, HOURS).await, 0);
        books::check(&database).await;
    }
}

on_both_databases! {
    async fn a_part_that_fails_leaves_the_others_alone(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        for project in [ACME, ACME_SECOND] {
            rig.submit(submission(project, rows(1, -24, 24, 2))).await.unwrap();
        }
        // All hours of yesterday but the last.
        pass(&database.database, after(-2)).await;
        let damage = match database.database.backend() {
            Backend::Sqlite(_) => "x'09'",
            Backend::Postgres(_) => "'\\x09'::bytea",
        };
        let sql = format!("UPDATE metric_breakdown_1h SET sketch = {damage} WHERE project_id = {}", ACME.id.0);
        database.writer().execute_unprepared(&sql).await.unwrap();
        let mut days = Vec::new();
        for _ in 0..2 {
            pass(&database.database, NOW).await;
            days.push(books::count(&database, "metric_breakdown_1d WHERE project_id = 12").await);
            assert_eq!(books::count(&database, "metric_breakdown_1d WHERE project_id = 11").await, 0);
            assert_eq!(books::count(&database, "metric_grain WHERE seen_parts = 33554431").await, 2, "no second attempt");
        }
        assert!(days[0] > 0 && days[0] == days[1], "{days:?}");
        let statuses = ask(&database.database, &[GroupBy::StatusCode]).await;
        assert_eq!(statuses.values().map(|figures| figures.0).sum::<u64>(), 24 * 240);
    }
}

/// A commit of a late measurement by hand, up to the lock of its organization, or up to that of its series.
async fn begin_late_commit(connection: &mut PgConnection, has_looked: bool) {
    let late = today().plus_micros(3 * HOUR_MICROS + 9).as_micros();
    let mut statements = vec![
        "BEGIN".to_owned(),
        format!(
            "INSERT INTO metric_event (organization_id, project_id, ts, id, value, endpoint_id, kind, status, bin) \
             SELECT organization_id, project_id, {late}, 1, value, endpoint_id, kind, 503, bin FROM metric_event \
             ORDER BY id LIMIT 1"
        ),
        "UPDATE organization_stream SET last_seq = last_seq WHERE organization_id = 1".to_owned(),
    ];
    if has_looked {
        statements.push("SELECT FROM metric_grain WHERE organization_id = 1 FOR NO KEY UPDATE".to_owned());
    }
    for sql in statements {
        connection.execute(AssertSqlSafe(sql)).await.unwrap();
    }
}

/// Waits until a statement of another connection waits for a lock.
async fn until_blocked(pool: &PgPool) {
    let sql = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait::until("a statement that waits for a lock", async || pool.fetch_one(sql).await.unwrap().get::<i64, _>(0) > 0)
        .await;
}

/// The commit is not over when the time before which there may be breakdowns is published, or when the first attempt begins.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_under_way_is_waited_for() {
    for has_looked in [false, true] {
        let database = TestDatabase::postgres().await;
        let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
        let rig = Rig::with_all_rollups(&database).await;
        rig.submit(submission(ACME, rows(1, 0, 5, 2))).await.unwrap();
        let mut commit = pool.acquire().await.unwrap();
        if has_looked {
            // Published, and nothing made: the row is locked.
            let sql = format!(
                "UPDATE organization_stream SET breakdowns_before = {}",
                after(4).floor(HOUR_MICROS).as_micros()
            );
            pool.execute(AssertSqlSafe(sql)).await.unwrap();
        }
        begin_late_commit(&mut commit, has_looked).await;
        let at_work = database.database.clone();
        let passing = tokio::spawn(async move { pass(&at_work, after(4)).await });
        until_blocked(pool).await;
        assert_eq!(books::count(&database, HOURS).await, 0);
        commit.execute("COMMIT").await.unwrap();
        passing.await.unwrap();
        books::check_breakdowns(&database).await;
        assert_eq!(marks(&database, ACME).await[0], 0b1_1111);
        assert_eq!(books::count(&database, "metric_breakdown_1h WHERE status = 503 AND detail = 1").await, 1);
    }
}

/// Rows are being stored when a late measurement comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_commit_waits_for_rows_that_are_being_stored() {
    let database = TestDatabase::postgres().await;
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let rig = Rig::with_all_rollups(&database).await;
    rig.submit(submission(ACME, rows(1, 0, 2, 2))).await.unwrap();
    let mut holder = pool.acquire().await.unwrap();
    holder.execute("BEGIN").await.unwrap();
    holder.execute("LOCK TABLE metric_breakdown_1h IN EXCLUSIVE MODE").await.unwrap();
    let at_work = database.database.clone();
    let passing = tokio::spawn(async move { pass(&at_work, after(1)).await });
    until_blocked(pool).await;
    let mut late = candidate(5_000.0);
    late.timestamp = Some(today().plus_micros(7));
    let submitting = rig.submit(submission(ACME, vec![late]));
    let releasing = async {
        let waits =
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait::until("two statements that wait", async || pool.fetch_one(waits).await.unwrap().get::<i64, _>(0) == 2)
            .await;
        holder.execute("COMMIT").await.unwrap();
    };
    let (submitted, ()) = tokio::join!(submitting, releasing);
    submitted.unwrap();
    passing.await.unwrap();
    books::check(&database).await;
    pass(&database.database, after(1)).await;
    books::check(&database).await;
    assert_eq!(marks(&database, ACME).await, [0b11; 4]);
}

/// Breaks down as often as it can until told to stop, and once more.
async fn break_down_until(database: &Database, done: &AtomicBool) {
    loop {
        let is_last = done.load(Ordering::SeqCst);
        pass(database, NOW).await;
        if is_last {
            return;
        }
        tokio::task::yield_now().await;
    }
}

on_both_databases! {
    async fn answers_are_of_one_moment_while_late_measurements_arrive_and_instances_break_down(database: TestDatabase) {
        const COMMITS: u64 = 40;
        let (rig, other) = (Rig::with_all_rollups(&database).await, database.reopen().await);
        rig.submit(submission(ACME, rows(1, 0, 10, 2))).await.unwrap();
        let (done, acknowledged) = (AtomicBool::new(false), AtomicU64::new(2_400));
        let writing = async {
            for number in 0..COMMITS {
                let mut row = rows(number, i64::try_from(number % 10).unwrap(), 1, 2).remove(5);
                row.status = Some(503);
                // Its writer may be busy for longer than a caller waits.
                while rig.submit(submission(ACME, vec![row.clone()])).await.is_err() {}
                acknowledged.fetch_add(1, Ordering::SeqCst);
                rig.submit(submission(GLOBEX, rows(number, 3, 1, 2))).await.unwrap();
                tokio::task::yield_now().await;
            }
            done.store(true, Ordering::SeqCst);
        };
        let asking = async {
            let mut asked = 0;
            while !done.load(Ordering::SeqCst) {
                let least = acknowledged.load(Ordering::SeqCst);
                let statuses = ask(&database.database, &[GroupBy::StatusCode, GroupBy::Name]).await;
                let most = acknowledged.load(Ordering::SeqCst) + 1;
                let count: u64 = statuses.values().map(|figures| figures.0).sum();
                assert!((least..=most).contains(&count), "{least} <= {count} <= {most}");
                asked += 1;
            }
            asked
        };
        let (first, second) = (break_down_until(&database.database, &done), break_down_until(&other, &done));
        let ((), asked, (), ()) = tokio::join!(writing, asking, first, second);
        assert!(asked > 3, "{asked}");
        books::check(&database).await;
        pass(&database.database, NOW).await;
        books::check(&database).await;
        assert_eq!(marks(&database, ACME).await, [0b111_1111_1111; 4]);
    }
}

on_both_databases! {
    async fn days_before_the_upgrade_was_over_are_read_from_measurements(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        // As the migration does in a database that is in use.
        let sql =
            format!("INSERT INTO metric_kept (table_name, since) VALUES ('metric_breakdown_1h', {})", today().as_micros());
        database.writer().execute_unprepared(&sql).await.unwrap();
        perfgraph::jobs::retention::load_bounds(&database.database).await.unwrap();
        rig.submit(submission(ACME, rows(1, -24, 34, 2))).await.unwrap();
        // Days of that time have no grain, if an earlier version wrote them.
        let sql = format!("DELETE FROM metric_grain WHERE day < {}", today().as_micros());
        database.writer().execute_unprepared(&sql).await.unwrap();
        pass(&database.database, NOW).await;
        books::check(&database).await;
        assert_eq!(books::count(&database, DAYS).await, 0);
        assert_eq!(marks(&database, ACME).await, [0b111_1111_1111; 4]);
        let errors = ask(&database.database, &[GroupBy::StatusCode]).await;
        assert_eq!(errors.values().map(|figures| figures.0).sum::<u64>(), 34 * 240);
    }
}

on_both_databases! {
    async fn conditions_are_answered_from_breakdowns(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        rig.submit(submission(ACME, rows(1, 0, 10, 2))).await.unwrap();
        pass(&database.database, NOW).await;
        // Figures that only breakdowns have tell where an answer comes from.
        database.writer().execute_unprepared("UPDATE metric_breakdown_1h SET max = 777").await.unwrap();
        let window = TimeRange::new(today(), today().plus_micros(10 * HOUR_MICROS)).unwrap();
        let plain = Question { projects: Projects::Keys(vec![ACME]), ..Question::over(window) };
        let status = StatusFilter { gte: Some(500), ..StatusFilter::default() };
        let of = |question: Question| {
            let session = database.database.reader(StatementLog::default());
            async move {
                let scope = Scope::everything();
                perfgraph::reports::totals::run(&scope, &session, &question, StatisticsNeeded::Scalars).await.unwrap()
            }
        };
        for question in [
            Question { status: Some(status.clone()), ..plain.clone() },
            Question { names: Some(vec!["n1".to_owned()]), ..plain.clone() },
            Question { releases: Some(vec!["1.0".to_owned()]), status: Some(status.clone()), ..plain.clone() },
            Question { release: Some((ACME, "1.1".to_owned())), ..plain.clone() },
        ] {
            let found = of(question.clone()).await;
            assert!(found.tally.count > 30, "{question:?}");
            assert_eq!(found.tally.max(), Some(777.0), "{question:?}");
        }
        // Days are read from their own rows.
        rig.submit(submission(ACME, rows(2, -24, 24, 2))).await.unwrap();
        pass(&database.database, NOW).await;
        database.writer().execute_unprepared("UPDATE metric_breakdown_1d SET max = 888").await.unwrap();
        let yesterday = TimeRange::new(today().plus_micros(-DAY_MICROS), today()).unwrap();
        let question = Question { status: Some(status.clone()), window: yesterday, ..plain.clone() };
        assert_eq!(of(question).await.tally.max(), Some(888.0));
        // Breakdowns know no endpoints.
        let path = perfgraph::model::filter::TextFilter {
            starts_with: Some("GET".to_owned()),
            ..perfgraph::model::filter::TextFilter::default()
        };
        let by_endpoint = of(Question { endpoint: Some(path), status: Some(status), ..plain }).await;
        assert!(by_endpoint.tally.count > 30 && by_endpoint.tally.max() < Some(777.0));
    }
}

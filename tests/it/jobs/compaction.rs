//! Merging rollup parts beside everything else: ingest, queries, other instances.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures_util::future::{join_all, try_join_all};
use perfgraph::{
    db::{Backend, Database, StatementLog},
    error::{Error, Result},
    jobs::{
        compaction::{self, postgres},
        partitions,
    },
    model::{
        Key, ProjectId, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
    reports::{Projects, Question, StatisticsNeeded, Stats, totals},
};
use rand::{SeedableRng, rngs::StdRng};
use sqlx::{AssertSqlSafe, Executor};

use crate::{
    harness::{TestDatabase, books},
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, NOW, Rig, candidate, random_rows, submission},
    on_both_databases,
};

const COMMITS: u64 = 60;

async fn ask(database: &Database, project: Key<ProjectId>) -> Stats {
    let window = TimeRange::new(NOW.plus_micros(-600 * MINUTE_MICROS), NOW.plus_micros(MINUTE_MICROS)).unwrap();
    let question = Question { projects: Projects::Keys(vec![project]), ..Question::over(window) };
    let session = database.reader(StatementLog::default());
    totals::run(&Scope::everything(), &session, &question, StatisticsNeeded::Percentiles).await.unwrap()
}

/// Later than everything that the tests write: no minute is too young.
const fn later() -> Timestamp {
    NOW.plus_micros(2 * MINUTE_MICROS)
}

/// Merges as often as it can until told to stop, and once more; answers how many parts.
async fn merge_until(database: &Database, done: &AtomicBool) -> usize {
    let mut merged = 0;
    loop {
        let is_last = done.load(Ordering::SeqCst);
        merged += compaction::round(database, later()).await.unwrap();
        if is_last {
            return merged;
        }
        tokio::task::yield_now().await;
    }
}

/// Several writers of random rows of the last hour.
async fn write(rig: &Rig, seed: u64, done: &AtomicBool) {
    let writers = (0..4).map(async |writer| -> Result<()> {
        let mut rng = StdRng::seed_from_u64(seed + writer);
        for _ in 0..COMMITS / 4 {
            let rows = random_rows(&mut rng, 50);
            let submission = submission([ACME, GLOBEX][usize::try_from(writer % 2).unwrap()], rows);
            // The merging next door may hold SQLite's only writer for longer than a caller waits on a busy machine.
            while let Err(error) = rig.submit(submission.clone()).await {
                if !matches!(error, Error::Unavailable { .. }) {
                    return Err(error);
                }
            }
        }
        Ok(())
    });
    let written = try_join_all(writers).await;
    done.store(true, Ordering::SeqCst);
    written.unwrap();
}

on_both_databases! {
    async fn queries_count_every_row_once_while_parts_are_merged(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let (done, sent, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        let asked = AtomicU64::new(0);
        let counted = async {
            for number in 0..COMMITS {
                let mut row = candidate(1.0);
                row.timestamp = Some(NOW.plus_micros(-i64::try_from(number).unwrap() * 7 * MINUTE_MICROS));
                sent.fetch_add(1, Ordering::SeqCst);
                rig.submit(submission(ACME_SECOND, vec![row])).await.unwrap();
                acknowledged.fetch_add(1, Ordering::SeqCst);
                // Commits are quicker than questions on a busy machine: an eighth of them at most between two.
                while asked.load(Ordering::SeqCst) * COMMITS < number * 8 {
                    tokio::task::yield_now().await;
                }
            }
            done.store(true, Ordering::SeqCst);
        };
        let asking = async {
            while !done.load(Ordering::SeqCst) {
                let least = acknowledged.load(Ordering::SeqCst);
                let answer = ask(&database.database, ACME_SECOND).await;
                let most = sent.load(Ordering::SeqCst);
                assert!((least..=most).contains(&answer.tally.count), "{least} <= {} <= {most}", answer.tally.count);
                assert_eq!(answer.average().unwrap_or(1.0), 1.0, "sum and count are of one moment");
                assert_eq!(answer.tally.distribution.unwrap().count(), answer.tally.count);
                asked.fetch_add(1, Ordering::SeqCst);
            }
        };
        let ((), (), merged) = tokio::join!(counted, asking, merge_until(&database.database, &done));
        let asked = asked.into_inner();
        assert!(asked > 5 && merged > 0, "{asked} {merged}");
        assert_eq!(ask(&database.database, ACME_SECOND).await.tally.count, COMMITS);
        books::check(&database).await;
        assert!(books::rows(&database, "metric_rollup_part").await.is_empty());
    }
}

on_both_databases! {
    async fn only_minutes_that_are_over_are_merged(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let at = |micros| {
            let mut row = candidate(1.0);
            row.timestamp = Some(NOW.floor(MINUTE_MICROS).plus_micros(micros));
            row
        };
        rig.submit(submission(ACME, vec![at(-1), at(0), at(MINUTE_MICROS)])).await.unwrap();
        let minute = NOW.floor(MINUTE_MICROS);
        for (until, merged) in [(minute.plus_micros(-1), 0), (minute, 2), (minute.plus_micros(MINUTE_MICROS - 1), 0)] {
            assert_eq!(compaction::round(&database.database, until).await.unwrap(), merged);
            books::check(&database).await;
        }
        assert_eq!(books::rows(&database, "metric_rollup_part").await.len(), 4);
        // Late data comes into the minute, the hour and the day that are merged already.
        rig.submit(submission(ACME, vec![at(-2)])).await.unwrap();
        assert_eq!(compaction::round(&database.database, minute).await.unwrap(), 2);
        let minutes = books::rows(&database, "metric_rollup_1m").await;
        assert_eq!(minutes.iter().map(|row| (row.n, row.part)).collect::<Vec<_>>(), [(2, 0), (2, 0)]);
        books::check(&database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_on_one_postgres_merge_every_part_once() {
    let database = TestDatabase::postgres().await;
    let (first, second) = (Rig::new(&database).await, Rig::beside(&database).await);
    let others = join_all((0..2).map(|_| database.reopen())).await;
    let (done, also_done) = (AtomicBool::new(false), AtomicBool::new(false));
    let (merging, ..) = tokio::join!(join_all(others.iter().map(|other| merge_until(other, &done))), async {
        tokio::join!(write(&first, 1, &also_done), write(&second, 100, &also_done));
        done.store(true, Ordering::SeqCst);
    },);
    assert!(merging.iter().sum::<usize>() > 1_000, "{merging:?}");
    compaction::round(&database.database, later()).await.unwrap();
    books::check(&database).await;
    assert!(books::rows(&database, "metric_rollup_part").await.is_empty());
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap(), 0);
}

/// While nobody collects statistics, PostgreSQL keeps the plans that it made for empty tables, and such a plan compares all rows
/// with all: a minute for 4,000 of 200,000 rows, instead of 14 ms.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_found_by_their_keys_also_with_plans_made_for_empty_tables() {
    let database = TestDatabase::postgres().await;
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let days = TimeRange::new(NOW.plus_micros(-7 * DAY_MICROS), NOW.plus_micros(3 * DAY_MICROS)).unwrap();
    partitions::ensure_range(&database.database, days).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("SET LOCAL plan_cache_mode = force_generic_plan").await.unwrap();
    // As connections for writes have it.
    transaction.execute("SET LOCAL enable_seqscan = off").await.unwrap();
    let bounds =
        format!("'{{}}', '{{}}', '{{}}', '{{}}', '{{}}', {}, {}", days.from().as_micros(), days.to().as_micros());
    let find = ["metric_rollup_1m", "metric_rollup_5m", "metric_rollup_1h", "metric_rollup_1d"].map(|table| {
        (
            postgres::find_rows(table),
            "bigint[], bigint[], smallint[], bigint[], bigint[], bigint, bigint",
            bounds.as_str(),
        )
    });
    let remove = (
        postgres::REMOVE_PARTS.to_owned(),
        "bigint[], bigint[], smallint[], bigint[], bigint[], bigint[]",
        "'{}', '{}', '{}', '{}', '{}', '{}'",
    );
    for (number, (sql, types, values)) in find.into_iter().chain([remove]).enumerate() {
        transaction.execute(AssertSqlSafe(format!("PREPARE s{number} ({types}) AS {sql}"))).await.unwrap();
        let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE s{number} ({values})"));
        let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *transaction).await.unwrap();
        let plan = plan.join("\n");
        let alias = if sql == postgres::REMOVE_PARTS { "taken" } else { "asked" };
        let by_key = format!("(endpoint_id = {alias}.endpoint_id)");
        assert!(plan.contains("Nested Loop") && plan.contains(&by_key), "{plan}");
        for other in ["Seq Scan", "Hash", "Materialize", "Merge Join", "Join Filter"] {
            assert!(!plan.contains(other), "{other}:\n{plan}");
        }
    }
}

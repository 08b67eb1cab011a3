//! Time partitions on PostgreSQL: there is always one for what arrives, whatever the clock does, however many instances
//! make them, and whatever happens in the middle.

use std::{collections::BTreeSet, time::Duration};

use futures_util::future::join_all;
use perfgraph::{
    clock::Clock,
    db::{Backend, Database},
    error::{Code, Result},
    jobs::{
        compaction,
        partitions::{self, Days},
        schedule,
    },
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{
        TestDatabase, books,
        held::{Held, waiting},
        process::PATIENCE,
    },
    ingest::batches::{ACME, NOW, Rig, candidate, submission},
};

/// As a server has it that is not told otherwise.
const DAYS: Days = Days { past: 7, future: 3 };
const TABLES: [&str; 4] = ["metric_event", "metric_rollup_1m", "metric_rollup_5m", "metric_rollup_1h"];

fn pool(database: &Database) -> &PgPool {
    let Backend::Postgres(pool) = database.backend() else { unreachable!("SQLite has no partitions") };
    pool
}

fn days_on(days: i64) -> Timestamp {
    NOW.plus_micros(days * DAY_MICROS)
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).filter(char::is_ascii_digit).collect()
}

/// The partitions of a table by the names of their first days, without the default one.
async fn made(database: &TestDatabase, table: &str) -> BTreeSet<String> {
    let sql = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass";
    let names: Vec<String> = sqlx::query_scalar(sql).bind(table).fetch_all(pool(&database.database)).await.unwrap();
    let days = names.iter().map(|name| name[table.len() + 1..].to_owned());
    days.filter(|day| day != "default").collect()
}

/// What must be there when days from `first` to `last` are kept ready; hours lie 32 days to a partition.
async fn assert_made(database: &TestDatabase, first: i64, last: i64) {
    let days: BTreeSet<_> = (first..=last).map(|days| day(days_on(days))).collect();
    assert_eq!(made(database, "metric_event").await, days);
    assert_eq!(made(database, "metric_label").await, days);
    assert_eq!(made(database, "metric_rollup_1m").await, days);
    assert_eq!(made(database, "metric_rollup_5m").await, days);
    let slot = |days| days_on(days).as_micros().div_euclid(32 * DAY_MICROS);
    let hours = (slot(first)..=slot(last)).map(|slot| day(Timestamp::from_micros(slot * 32 * DAY_MICROS)));
    assert_eq!(made(database, "metric_rollup_1h").await, hours.collect());
}

/// Stores a row at each end of what is accepted and one now, and merges their rollups.
async fn store(rig: &Rig, database: &TestDatabase) {
    let now = rig.clock.now();
    let rows = [-7 * DAY_MICROS, 0, 10 * MINUTE_MICROS].map(|micros| {
        let mut row = candidate(1.0);
        row.timestamp = Some(now.plus_micros(micros));
        row
    });
    let receipt = rig.submit(submission(ACME, rows.into())).await.unwrap();
    assert_eq!((receipt.accepted, receipt.rejected.len()), (3, 0));
    compaction::round(&database.database, now.plus_micros(DAY_MICROS)).await.unwrap();
}

/// Rows in the default partitions.
async fn in_default(database: &TestDatabase) -> [i64; 3] {
    let mut counts = [0; 3];
    for (count, table) in counts.iter_mut().zip(TABLES) {
        let sql = AssertSqlSafe(format!("SELECT count(*) FROM {table}_default"));
        *count = sqlx::query_scalar(sql).fetch_one(pool(&database.database)).await.unwrap();
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_a_partition_for_every_row_as_days_go_by() {
    let database = TestDatabase::postgres().await;
    let rig = Rig::with_all_rollups(&database).await;
    for passed in 0..40 {
        rig.clock.set(days_on(passed));
        partitions::ensure(&database.database, &rig.clock, DAYS).await.unwrap();
        // Up to three days ahead, but for the rest of the last one.
        assert_made(&database, -7, passed + 3).await;
        store(&rig, &database).await;
        // Each day in its own.
        let sql = "SELECT count(*) FROM metric_event WHERE tableoid::regclass::text <> \
                   'metric_event_' || to_char(to_timestamp(ts / 1000000) AT TIME ZONE 'UTC', 'YYYYMMDD')";
        let misplaced: i64 = sqlx::query_scalar(sql).fetch_one(pool(&database.database)).await.unwrap();
        assert_eq!((misplaced, in_default(&database).await), (0, [0; 3]), "after {passed} days");
    }
    books::check(&database).await;
}

/// One thread, because only there the hours between two looks can be skipped.
#[tokio::test]
async fn the_job_looks_every_hour_until_it_is_stopped() {
    let database = TestDatabase::postgres().await;
    let (clock, stopping) = (Clock::fixed(NOW), CancellationToken::new());
    let job = schedule::partitions(database.database.clone(), clock.clone(), DAYS).start(&stopping);
    tokio::task::yield_now().await;
    for passed in [0, 1, 2, 5] {
        clock.set(days_on(passed));
        let wanted = day(days_on(passed + 3));
        // It may still have been busy with the look before; then another hour goes by.
        let mut looks = 0;
        while !made(&database, "metric_rollup_1m").await.contains(&wanted) {
            if looks % 100 == 0 {
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(3_601)).await;
                tokio::time::resume();
            }
            looks += 1;
            assert!(looks < 10_000, "it looks again");
        }
    }
    stopping.cancel();
    assert!(job.ended(PATIENCE).await, "it ends when the server does");
}

/// Nobody made partitions while the machine slept, and the first rows were quicker than the job.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_came_before_their_partition_move_there() {
    let database = TestDatabase::postgres().await;
    let rig = Rig::with_all_rollups(&database).await;
    partitions::ensure(&database.database, &rig.clock, DAYS).await.unwrap();
    rig.clock.set(days_on(40));
    store(&rig, &database).await;
    assert!(in_default(&database).await.iter().all(|rows| *rows > 0), "{:?}", in_default(&database).await);
    // Rows go on to arrive meanwhile.
    let (made, ()) = tokio::join!(partitions::ensure(&database.database, &rig.clock, DAYS), async {
        for _ in 0..10 {
            store(&rig, &database).await;
        }
    });
    made.unwrap();
    partitions::ensure(&database.database, &rig.clock, DAYS).await.unwrap();
    assert_eq!(in_default(&database).await, [0; 3]);
    store(&rig, &database).await;
    assert_eq!(in_default(&database).await, [0; 3]);
    assert_eq!(books::check(&database).await.values().sum::<i64>(), 36);
    // They are like all others: indexed alike, and gone with the rest of them.
    let sql = "SELECT DISTINCT (SELECT count(*) FROM pg_index WHERE indrelid = inhrelid) FROM pg_inherits \
               WHERE inhparent = $1::regclass";
    for table in TABLES {
        let indexes: Vec<i64> = sqlx::query_scalar(sql).bind(table).fetch_all(pool(&database.database)).await.unwrap();
        assert_eq!(indexes.len(), 1, "{table} {indexes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_instances_create_each_partition_once() {
    let database = TestDatabase::postgres().await;
    let instances = join_all((0..4).map(|_| database.reopen())).await;
    for passed in [0, 20, 40] {
        let clock = Clock::fixed(days_on(passed));
        let made = instances.iter().flat_map(|instance| [instance; 2]);
        for made in join_all(made.map(|instance| partitions::ensure(instance, &clock, DAYS))).await {
            made.unwrap();
        }
    }
    for first in [-7, 13, 33] {
        for passed in first..=first + 10 {
            assert!(made(&database, "metric_event").await.contains(&day(days_on(passed))), "{passed}");
        }
    }
    assert_eq!(made(&database, "metric_rollup_1m").await.len(), 33);
    join_all(instances.iter().map(Database::close)).await;
}

/// Begins to make partitions and waits until the first table has its own; the second is locked.
async fn in_the_middle(database: &TestDatabase, instance: &Database, clock: &Clock) -> JoinHandle<Result<()>> {
    let (instance, clock) = (instance.clone(), clock.clone());
    let making = tokio::spawn(async move { partitions::ensure(&instance, &clock, DAYS).await });
    let is_waiting = async { while waiting(database).await == 0 {} };
    timeout(PATIENCE, is_waiting).await.expect("it comes to the second table");
    assert_eq!(made(database, "metric_event").await.len(), 11);
    making
}

/// Cuts the connections that wait, as a server's are that is killed.
async fn cut(database: &TestDatabase) {
    let sql = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity \
               WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let is_cut: i64 = sqlx::query_scalar(sql).fetch_one(pool(&database.database)).await.unwrap();
    assert_eq!(is_cut, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_creation_is_finished_by_the_next_pass() {
    let database = TestDatabase::postgres().await;
    let (first, second) = (database.reopen().await, database.reopen().await);
    let clock = Clock::fixed(NOW);
    let held = Held::against_everybody(&database, "metric_rollup_1m").await;
    // Once by the end of its task, and once by that of its connection.
    let given_up = in_the_middle(&database, &first, &clock).await;
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    cut(&database).await;
    let broken = in_the_middle(&database, &first, &clock).await;
    cut(&database).await;
    assert_eq!(broken.await.unwrap().unwrap_err().code(), Code::Unavailable);
    assert_eq!((made(&database, "metric_event").await.len(), made(&database, "metric_rollup_1m").await.len()), (11, 0));
    held.release().await;
    partitions::ensure(&second, &clock, DAYS).await.unwrap();
    assert_made(&database, -7, 3).await;
    first.close().await;
    second.close().await;
}

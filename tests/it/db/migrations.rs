//! The schema can be brought up, taken down and brought up again; two processes at once do not collide.

use perfgraph::{
    clock::Clock,
    db::migrate,
    entity::project,
    jobs::retention,
    model::{
        RetainedSince, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{Buckets, Parent, Question, Series, StatisticsNeeded, series},
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder};

use crate::harness::{TestDatabase, server::repository};

async fn up_down_up(database: TestDatabase) {
    migrate::up(&database.database, None).await.unwrap();
    assert_eq!(
        retention::load_bounds(&database.database).await.unwrap(),
        RetainedSince::EVERYTHING,
        "a new database holds all it ever will"
    );
    let status = migrate::status(&database.database).await.unwrap();
    assert!(status.len() >= 7 && status.iter().all(|change| change.is_applied), "{status:?}");
    migrate::down(&database.database, None).await.unwrap();
    let status = migrate::status(&database.database).await.unwrap();
    assert!(status.iter().all(|change| !change.is_applied), "{status:?}");
    migrate::up(&database.database, None).await.unwrap();
    migrate::up(&database.database, None).await.unwrap();
}

async fn two_at_once(database: TestDatabase) {
    let second = database.reopen().await;
    let (first, second) = tokio::join!(migrate::up(&database.database, None), migrate::up(&second, None));
    first.unwrap();
    second.unwrap();
}

/// The changes before the counter of a team, m0007.
const BEFORE_TEAM_SIZE: u32 = 6;

/// Memberships that were there before their counter are counted.
async fn teams_are_counted(database: TestDatabase) {
    migrate::up(&database.database, Some(BEFORE_TEAM_SIZE)).await.unwrap();
    let session = database.writer();
    for statement in [
        "INSERT INTO organization (id, slug, name, created_at, updated_at) VALUES (1, 'o', 'O', 0, 0)",
        "INSERT INTO employee (organization_id, id, name, email, department, created_at, updated_at)
         VALUES (1, 1, 'A', 'a', 'D', 0, 0), (1, 2, 'B', 'b', 'D', 0, 0)",
        "INSERT INTO project (organization_id, id, slug, name, status, created_at, updated_at)
         VALUES (1, 1, 'p', 'P', 0, 0, 0), (1, 2, 'q', 'Q', 0, 0, 0)",
        "INSERT INTO project_member (organization_id, project_id, employee_id, role, joined_at)
         VALUES (1, 1, 1, 'Lead', 0), (1, 1, 2, 'Member', 0)",
    ] {
        session.execute_unprepared(statement).await.unwrap();
    }
    migrate::up(&database.database, None).await.unwrap();
    let projects = project::Entity::find().order_by_asc(project::Column::Id).all(&session).await.unwrap();
    assert_eq!(projects.iter().map(|project| project.team_size).collect::<Vec<_>>(), [2, 0]);
    let changes = u32::try_from(migrate::status(&database.database).await.unwrap().len()).unwrap();
    migrate::down(&database.database, Some(changes - BEFORE_TEAM_SIZE)).await.unwrap();
    migrate::up(&database.database, None).await.unwrap();
}

/// The changes before rollups per five minutes, m0017.
const BEFORE_FIVE_MINUTES: u32 = 16;
const LAST_MINUTE: i64 = 2 * DAY_MICROS + HOUR_MICROS + MINUTE_MICROS;

/// Minutes that were merged before there were five minutes answer for them, and those that instances merge which are still to
/// be replaced.
async fn minutes_stand_in_for_five_minutes(database: TestDatabase) {
    migrate::up(&database.database, Some(BEFORE_FIVE_MINUTES)).await.unwrap();
    let session = database.writer();
    // By hand: this database is older than what the rooms write.
    let nothing = if session.get_database_backend() == DbBackend::Sqlite { "x''" } else { "''" };
    let values = |bucket: i64| format!("(1, 1, 1, {bucket}, 0, 0, 2, 0, 3.0, 1.0, 2.0, {nothing})");
    let statement = format!(
        "INSERT INTO metric_rollup_1m \
         (organization_id, project_id, kind, bucket, endpoint_id, part, n, n_err, sum, min, max, sketch) VALUES {}, {}",
        values(LAST_MINUTE - MINUTE_MICROS),
        values(LAST_MINUTE)
    );
    for statement in [
        "INSERT INTO organization (id, slug, name, created_at, updated_at) VALUES (1, 'o', 'O', 0, 0)",
        "INSERT INTO project (organization_id, id, slug, name, status, created_at, updated_at)
         VALUES (1, 1, 'p', 'P', 0, 0, 0)",
        &statement,
    ] {
        session.execute_unprepared(statement).await.unwrap();
    }
    for _ in 0..2 {
        let before = Clock::system().now();
        migrate::up(&database.database, None).await.unwrap();
        let kept = retention::load_bounds(&database.database).await.unwrap();
        let start = RetainedSince::EVERYTHING.raw;
        let others = RetainedSince { raw: start, minutes: start, hours: start, ..kept };
        assert_eq!(kept, others);
        let day_after_next = |now: Timestamp| now.floor(DAY_MICROS).plus_micros(2 * DAY_MICROS);
        // Nor are there breakdowns of days that older instances may still write into.
        for since in [kept.five_minutes, kept.breakdowns, kept.kept_breakdowns] {
            assert!((day_after_next(before)..=day_after_next(Clock::system().now())).contains(&since));
        }

        let window = TimeRange::new(Timestamp::from_micros(0), Timestamp::from_micros(5 * DAY_MICROS)).unwrap();
        let question = Question::over(window);
        let buckets = Buckets::in_utc(FIVE_MINUTES_MICROS, 10_000);
        let ask = Series { buckets, want: StatisticsNeeded::Scalars };
        let session = database.reader();
        let scope = Scope::everything();
        let series = series::by_parent(&scope, &session, &question, &[Parent::Question], &ask).await.unwrap();
        assert_eq!(series[&Parent::Question].iter().map(|bucket| bucket.stats.tally.count).sum::<u64>(), 4);

        let changes = u32::try_from(migrate::status(&database.database).await.unwrap().len()).unwrap();
        migrate::down(&database.database, Some(changes - BEFORE_FIVE_MINUTES)).await.unwrap();
    }
}

#[tokio::test]
async fn minutes_stand_in_for_five_minutes_on_sqlite() {
    minutes_stand_in_for_five_minutes(TestDatabase::unmigrated_sqlite().await).await;
}

#[tokio::test]
async fn minutes_stand_in_for_five_minutes_on_postgres() {
    minutes_stand_in_for_five_minutes(TestDatabase::unmigrated_postgres().await).await;
}

#[tokio::test]
async fn teams_are_counted_on_sqlite() {
    teams_are_counted(TestDatabase::unmigrated_sqlite().await).await;
}

#[tokio::test]
async fn teams_are_counted_on_postgres() {
    teams_are_counted(TestDatabase::unmigrated_postgres().await).await;
}

#[tokio::test]
async fn up_down_up_on_sqlite() {
    up_down_up(TestDatabase::unmigrated_sqlite().await).await;
}

#[tokio::test]
async fn up_down_up_on_postgres() {
    up_down_up(TestDatabase::unmigrated_postgres().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_once_on_sqlite() {
    two_at_once(TestDatabase::unmigrated_sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_at_once_on_postgres() {
    two_at_once(TestDatabase::unmigrated_postgres().await).await;
}

/// The names that databases have recorded, in order. A name in this list never changes: a database that has recorded it would
/// count as migrated by a newer version.
const RECORDED_NAMES: [&str; 26] = [
    "m0001_organization",
    "m0002_employee",
    "m0003_project",
    "m0004_ingest",
    "m0005_metric_event",
    "m0006_metric_rollup",
    "m0007_team_size",
    "m0008_directory_lists",
    "m0009_rollup_part",
    "m0010_active_everywhere",
    "m0011_metric_tags",
    "m0012_entity_change",
    "m0013_ledger_age",
    "m0013_release",
    "m0015_stream_secret",
    "m0016_metric_late",
    "m0017_five_minutes",
    "m0018_instance_node",
    "m0019_retention_state",
    "m0020_list_orders",
    "m0021_metric_label",
    "m0022_ingest_status",
    "m0023_metric_grain",
    "m0024_grain_index",
    "m0025_breakdown",
    "m0026_kept_breakdown",
];

/// A database that was migrated by an earlier version, whose record is written by hand here, is still up to date.
async fn recorded_migrations_are_recognized(database: TestDatabase) {
    migrate::up(&database.database, None).await.unwrap();
    let session = database.writer();
    session.execute_unprepared("DELETE FROM seaql_migrations").await.unwrap();
    for name in RECORDED_NAMES {
        let insert = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
        session.execute_unprepared(&insert).await.unwrap();
    }
    let status = migrate::status(&database.database).await.unwrap();
    let recorded = status.iter().take(RECORDED_NAMES.len());
    assert_eq!(recorded.map(|change| change.name.as_str()).collect::<Vec<_>>(), RECORDED_NAMES);
    let pending: Vec<_> =
        status.iter().filter(|change| !change.is_applied).map(|change| change.name.as_str()).collect();
    assert!(pending.iter().all(|name| !RECORDED_NAMES.contains(name)), "{pending:?}");
    migrate::up(&database.database, None).await.unwrap();
    migrate::require(&database.database).await.unwrap();
}

#[tokio::test]
async fn recorded_migrations_are_recognized_on_sqlite() {
    recorded_migrations_are_recognized(TestDatabase::unmigrated_sqlite().await).await;
}

#[tokio::test]
async fn recorded_migrations_are_recognized_on_postgres() {
    recorded_migrations_are_recognized(TestDatabase::unmigrated_postgres().await).await;
}

/// The files of migrations with their texts, in order.
fn migration_files() -> Vec<(String, String)> {
    let entries = std::fs::read_dir(repository("migrations")).unwrap().map(|entry| entry.unwrap().path());
    let is_migration = |name: &str| name.starts_with('m') && name.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let mut files: Vec<_> = entries
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&path).unwrap()))
        .filter(|(name, _)| is_migration(name))
        .collect();
    files.sort();
    files
}

#[test]
fn migrations_are_numbered_without_gaps_and_doubles() {
    let numbers: Vec<usize> = migration_files().iter().map(|(name, _)| name[1..5].parse().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
}

/// Tables that every ingest writes.
const INGEST_TABLES: [&str; 7] = [
    "endpoint",
    "ingest_batch",
    "metric_event",
    "metric_label",
    "metric_late",
    "metric_rollup_part",
    "organization_stream",
];

/// Migrations that build an index on such a table without CONCURRENTLY, each with the bound that its file states.
const BOUNDED_BUILDS: [(&str, &str); 1] = [("m0013_ledger_age", "0.3 seconds per million rows")];

/// The tables of `INGEST_TABLES` that a migration indexes although an earlier one created them, without CONCURRENTLY.
fn blocking_builds(text: &str) -> Vec<&'static str> {
    let creates = |table: &str| text.contains(&format!("CREATE TABLE {table} ("));
    let builds = text.split("CREATE ").filter_map(|statement| {
        let statement = statement.strip_prefix("UNIQUE ").unwrap_or(statement).strip_prefix("INDEX ")?;
        let (name, target) = statement.split_once(" ON ")?;
        let table = target.split([' ', '(']).next()?;
        (!name.starts_with("CONCURRENTLY ")).then_some(table)
    });
    let builds: Vec<&str> = builds.collect();
    INGEST_TABLES.into_iter().filter(|table| builds.contains(table) && !creates(table)).collect()
}

#[test]
fn indexes_on_tables_that_ingest_writes_block_writes_for_a_stated_time_only() {
    for (name, text) in migration_files() {
        let bound = BOUNDED_BUILDS.iter().find(|(file, _)| *file == name);
        match bound {
            Some((_, bound)) => assert!(text.contains(bound) && !blocking_builds(&text).is_empty(), "{name}: {bound}"),
            None => assert_eq!(blocking_builds(&text), Vec::<&str>::new(), "{name} builds an index while writers wait"),
        }
    }
    assert_eq!(blocking_builds("CREATE INDEX a ON ingest_batch (seq)"), ["ingest_batch"]);
    assert_eq!(blocking_builds("CREATE UNIQUE INDEX a ON metric_event USING BRIN (id)"), ["metric_event"]);
    assert_eq!(blocking_builds("CREATE INDEX CONCURRENTLY a ON ingest_batch (seq)"), Vec::<&str>::new());
    assert_eq!(blocking_builds("CREATE TABLE endpoint (id); CREATE INDEX a ON endpoint (id)"), Vec::<&str>::new());
}

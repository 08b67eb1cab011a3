//! The schema can be brought up, taken down and brought up again; two processes at once do not collide.

use perfgraph::{
    clock::Clock,
    db::migrate,
    entity::project,
    jobs::retention,
    model::{
        Kept, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::{Buckets, Parent, Question, Series, Want, series},
};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, QueryOrder};

use crate::harness::TestDatabase;

async fn up_down_up(database: TestDatabase) {
    migrate::up(&database.database, None).await.unwrap();
    assert_eq!(
        retention::load_bounds(&database.database).await.unwrap(),
        Kept::EVERYTHING,
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
        assert_eq!(Kept { five_minutes: Kept::EVERYTHING.five_minutes, ..kept }, Kept::EVERYTHING);
        let day_after_next = |now: Timestamp| now.floor(DAY_MICROS).plus_micros(2 * DAY_MICROS);
        assert!((day_after_next(before)..=day_after_next(Clock::system().now())).contains(&kept.five_minutes));

        let window = TimeRange::new(Timestamp::from_micros(0), Timestamp::from_micros(5 * DAY_MICROS)).unwrap();
        let question = Question::over(window);
        let buckets = Buckets { width_micros: FIVE_MINUTES_MICROS, count_max: 10_000 };
        let ask = Series { buckets, want: Want::Scalars };
        let session = database.reader();
        let scope = Scope::everything();
        let series = series::by_parent(&scope, &session, &question, &[Parent::Question], ask).await.unwrap();
        assert_eq!(series[&Parent::Question].iter().map(|bucket| bucket.stats.tally.count).sum::<u64>(), 4);

        migrate::down(&database.database, Some(1)).await.unwrap();
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

//! The schema can be brought up, taken down and brought up again; two processes at once do not collide.

use perfgraph::{db::migrate, entity::project};
use sea_orm::{ConnectionTrait, EntityTrait, QueryOrder};

use crate::harness::TestDatabase;

async fn up_down_up(database: TestDatabase) {
    migrate::up(&database.database, None).await.unwrap();
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

//! The schema can be brought up, taken down and brought up again; two processes at once do not collide.

use perfgraph::db::migrate;

use crate::harness::TestDatabase;

async fn up_down_up(database: TestDatabase) {
    migrate::up(&database.database, None).await.unwrap();
    let status = migrate::status(&database.database).await.unwrap();
    assert!(status.len() >= 6 && status.iter().all(|change| change.is_applied), "{status:?}");
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

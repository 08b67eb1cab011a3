//! SQLite files that nobody writes to at the moment.

use std::fs;

use perfgraph::{clock::Clock, db::instance::sqlite_file};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use crate::{
    harness::{Server, TestDatabase, builders, wait},
    ingest::batches::candidate,
};

/// People copy a file without its log. Soon after the last write, the copy has every row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_an_idle_file_is_whole_without_its_log() {
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), "self_monitoring.enabled = false").await;
    let file = sqlite_file(&server.database.url).unwrap().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let world = server.seed("organizations=1 projects=1").await;
    let copied = async || {
        let copy = folder.path().join("copy.sqlite");
        for ending in ["", "-wal", "-shm"] {
            drop(fs::remove_file(format!("{}{ending}", copy.display())));
        }
        fs::copy(&file, &copy).unwrap();
        let mut connection = SqliteConnectOptions::new().filename(&copy).connect().await.unwrap();
        let rows: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM metric_event").fetch_one(&mut connection).await.unwrap_or(0);
        let sound: String = sqlx::query_scalar("PRAGMA quick_check").fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        (rows, sound)
    };
    // Twice, because the log is overwritten from its start after it was written back.
    for round in 1..=2_i64 {
        let rows = (0..50).map(|_| candidate(1.0)).collect();
        builders::ingest(server.app.core(), world.projects[0].key, rows).await;
        let is_whole = async || copied().await == (50 * round, "ok".to_owned());
        wait::until("a copy of the file alone has all rows", is_whole).await;
    }
    server.stop().await;
}

/// Rows that a report still reads stay in the log: the report and the checkpoint do not wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_of_older_rows_holds_up_no_writer_and_is_not_held_up() {
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), "self_monitoring.enabled = false").await;
    let file = sqlite_file(&server.database.url).unwrap().unwrap();
    let world = server.seed("organizations=1 projects=1").await;
    let mut reader = SqliteConnectOptions::new().filename(&file).read_only(true).connect().await.unwrap();
    let count = "SELECT COUNT(*) FROM metric_event";
    let mut snapshot = reader.begin().await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *snapshot).await.unwrap(), 0);
    let alone = SqliteConnectOptions::new().filename(&file).read_only(true).immutable(true);
    let rows = (0..50).map(|_| candidate(1.0)).collect();
    builders::ingest(server.app.core(), world.projects[0].key, rows).await;
    wait::fixed(std::time::Duration::from_secs(3), "the job comes by several times while the reader reads").await;
    assert_eq!(sqlx::query_scalar::<_, i64>(count).fetch_one(&mut *snapshot).await.unwrap(), 0);
    let rows = vec![candidate(1.0)];
    builders::ingest(server.app.core(), world.projects[0].key, rows).await;
    snapshot.rollback().await.unwrap();
    let is_whole = async || {
        let mut file_alone = alone.connect().await.unwrap();
        let rows = sqlx::query_scalar::<_, i64>(count).fetch_one(&mut file_alone).await.unwrap_or(0);
        file_alone.close().await.unwrap();
        rows == 51
    };
    wait::until("the file has all rows once nobody reads the old ones", is_whole).await;
    server.stop().await;
}

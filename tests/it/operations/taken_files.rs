//! SQLite files that are moved, deleted, replaced or reached by another name under a server that has them open.

use std::{
    fs,
    path::{Path, PathBuf},
};

use perfgraph::db::{file::beside::beside, instance::sqlite_file};
use serde_json::json;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};

use super::crash::{Writer, assert_nothing_lost, prepared, serve};
use crate::harness::{
    Reply, TestDatabase,
    process::{Served, command, run},
    server::{client, send},
    wait,
};

/// A database that nobody has open, its file, and writers to it.
async fn closed() -> (TestDatabase, PathBuf, Vec<Writer>) {
    let (database, writers) = prepared(TestDatabase::sqlite().await).await;
    database.database.close().await;
    let file = sqlite_file(&database.url).unwrap().unwrap();
    (database, file, writers)
}

async fn ready(served: &Served) -> Reply {
    send(client().get(served.url("/readyz"))).await
}

async fn until_ready(served: &Served) {
    wait::until("the server finds its file again", async || ready(served).await.status == 200).await;
}

async fn write(served: &Served, writer: &mut Writer) -> Option<()> {
    writer.send(&client(), &served.url("/graphql")).await
}

async fn assert_taken(file: &Path) {
    let folder = tempfile::tempdir().unwrap();
    let mut serve = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    serve.env("DATABASE_URL", format!("sqlite://{}", file.display()));
    let ended = run(serve).await;
    assert_eq!(ended.code, Some(69), "{} {ended:?}", file.display());
    assert!(ended.stderr.contains("another perfgraph process works on this SQLite file"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_one_servers_alone_under_every_name() {
    let (database, file, mut writers) = closed().await;
    let folder = tempfile::tempdir().unwrap();
    let served = serve(&database, folder.path()).await;
    write(&served, &mut writers[0]).await.unwrap();
    let unlocked = || fs::remove_file(beside(&file, ".lock")).unwrap();

    unlocked();
    assert_taken(&file).await;

    let linked = folder.path().join("linked.sqlite");
    fs::hard_link(&file, &linked).unwrap();
    assert_taken(&linked).await;
    fs::remove_file(&linked).unwrap();

    std::os::unix::fs::symlink(&file, &linked).unwrap();
    assert_taken(&linked).await;

    // On the same file system, as a bind mount or a rename keeps it.
    let moved = beside(&file, ".moved");
    fs::rename(&file, &moved).unwrap();
    assert_taken(&moved).await;

    // A copy in its place finds the log of the server beside it.
    fs::copy(&moved, &file).unwrap();
    unlocked();
    assert_taken(&file).await;

    fs::rename(&moved, &file).unwrap();
    until_ready(&served).await;
    assert_goes_on(served, database, &mut writers).await;
}

async fn assert_books(mut database: TestDatabase, writers: &[Writer]) {
    database.database = database.reopen().await;
    assert_nothing_lost(&database, writers).await;
}

/// The server takes more writes, stops when it is told to, and has lost nothing.
async fn assert_goes_on(served: Served, database: TestDatabase, writers: &mut [Writer]) {
    for writer in &mut *writers {
        write(&served, writer).await.expect("the server goes on");
    }
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
    assert_books(database, writers).await;
}

/// The ending of the victim's name, and how it is taken.
type Way<'a> = (&'a str, &'a dyn Fn(&Path));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_into_a_file_that_was_taken_away() {
    let (database, file, mut writers) = closed().await;
    let folder = tempfile::tempdir().unwrap();
    let mut served = serve(&database, folder.path()).await;
    let copy = |victim: &Path| {
        let copy = beside(victim, ".copy");
        fs::copy(victim, &copy).unwrap();
        fs::rename(copy, victim).unwrap();
    };
    let remove = |victim: &Path| fs::remove_file(victim).unwrap();
    let recreate = |victim: &Path| {
        fs::remove_file(victim).unwrap();
        fs::write(victim, b"").unwrap();
    };
    let ways: [Way<'_>; 5] = [("", &remove), ("", &copy), ("", &recreate), ("-wal", &remove), ("-shm", &copy)];
    for (ending, take) in ways {
        write(&served, &mut writers[0]).await.expect("all is well");
        let victim = if ending.is_empty() { file.clone() } else { beside(&file, ending) };
        // Another name, by which the same file can come back.
        let kept = beside(&file, ".kept");
        fs::hard_link(&victim, &kept).unwrap();
        take(&victim);
        assert_eq!(write(&served, &mut writers[0]).await, None, "{ending}: a write was acknowledged");
        let create = "mutation { createOrganization(input: { name: \"Gone\" }) { organization { id } } }";
        let request = client().post(served.url("/graphql")).json(&json!({ "query": create }));
        let refused = send(request).await;
        assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"), "{ending}: {}", refused.text);
        let (code, message) = refused.error();
        assert!(code == "UNAVAILABLE" && message.contains("the database file was taken away"), "{message}");
        let probe = ready(&served).await;
        assert!(probe.status == 503 && probe.text.contains("the database file was taken away"), "{}", probe.text);
        let said = served.lines_until("the database file was moved, deleted or replaced").await;
        assert!(said.last().unwrap().contains("Move it back"), "{said:?}");

        fs::rename(&kept, &victim).unwrap();
        until_ready(&served).await;
        served.lines_until("the database file is back").await;
    }
    assert_goes_on(served, database, &mut writers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_or_a_folder_that_leads_elsewhere_is_noticed() {
    let (database, file, mut writers) = closed().await;
    let folder = tempfile::tempdir().unwrap();
    let (link, other) = (folder.path().join("link.sqlite"), folder.path().join("other.sqlite"));
    fs::copy(&file, &other).unwrap();
    let point = |target: &Path| {
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink(target, &link).unwrap();
    };
    point(&file);
    let mut start = command(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
    start.env("DATABASE_URL", format!("sqlite://{}", link.display()));
    start.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    let served = Served::start(start).await;
    write(&served, &mut writers[0]).await.expect("all is well");

    point(&other);
    assert_eq!(write(&served, &mut writers[0]).await, None, "the next start would find another file");
    assert_eq!(ready(&served).await.status, 503);
    point(&file);
    until_ready(&served).await;
    write(&served, &mut writers[0]).await.expect("the server goes on");

    let home = file.parent().unwrap();
    let moved = beside(home, ".moved");
    fs::rename(home, &moved).unwrap();
    assert_eq!(write(&served, &mut writers[0]).await, None, "the folder is elsewhere");
    assert_eq!(ready(&served).await.status, 503);
    assert_taken(&moved.join(file.file_name().unwrap())).await;
    fs::rename(&moved, home).unwrap();
    until_ready(&served).await;
    assert_goes_on(served, database, &mut writers).await;
}

/// The locks of the server and those of SQLite do not meet, so tools that use SQLite read and write as before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_can_read_back_up_and_change_a_file_that_is_served() {
    let (database, file, mut writers) = closed().await;
    let folder = tempfile::tempdir().unwrap();
    let served = serve(&database, folder.path()).await;
    write(&served, &mut writers[0]).await.unwrap();

    let backup = folder.path().join("backup.sqlite");
    let mut operator = SqliteConnectOptions::new().filename(&file).connect().await.unwrap();
    let rows = "SELECT count(*) FROM ingest_batch";
    let counted: i64 = sqlx::query_scalar(rows).fetch_one(&mut operator).await.unwrap();
    assert!(counted > 0);
    sqlx::query("VACUUM INTO ?").bind(backup.display().to_string()).execute(&mut operator).await.unwrap();
    sqlx::query("CREATE TABLE note (text TEXT)").execute(&mut operator).await.unwrap();
    sqlx::query("DROP TABLE note").execute(&mut operator).await.unwrap();
    operator.close().await.unwrap();

    assert_eq!(ready(&served).await.status, 200);
    write(&served, &mut writers[0]).await.expect("the server goes on");
    assert_taken(&file).await;
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));

    let mut saved = SqliteConnectOptions::new().filename(&backup).connect().await.unwrap();
    assert_eq!(sqlx::query_scalar::<_, i64>(rows).fetch_one(&mut saved).await.unwrap(), counted);
    saved.close().await.unwrap();
    assert_books(database, &writers).await;
}

/// Whoever moves the database alone leaves the log behind, in which the last commits are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_moved_file_has_everything_that_was_acknowledged() {
    for signal in ["TERM", "KILL"] {
        let (database, file, mut writers) = closed().await;
        let folder = tempfile::tempdir().unwrap();
        let served = serve(&database, folder.path()).await;
        for _ in 0..5 {
            for writer in &mut writers {
                write(&served, writer).await.unwrap();
            }
        }
        let moved = folder.path().join("moved.sqlite");
        fs::rename(&file, &moved).unwrap();
        let log = beside(&file, "-wal");
        if signal == "KILL" {
            let is_empty = async || fs::metadata(&log).unwrap().len() == 0;
            wait::until("the log is written back", is_empty).await;
        }
        served.signal(signal).await;
        let code = served.ended().await;
        assert_eq!(code, (signal == "TERM").then_some(0));
        for name in [log, beside(&file, "-shm")] {
            drop(fs::remove_file(name));
        }
        fs::rename(&moved, &file).unwrap();
        assert_books(database, &writers).await;
    }
}

//! `perfgraph migrate` beside the changes that it makes: what it asks before data is lost, and what it leaves alone.

use std::{fs, path::Path, process::Stdio};

use perfgraph::db::Backend;
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

use crate::{
    harness::{
        Server, TestDatabase,
        process::{Ended, PATIENCE, command, run},
    },
    on_both_databases,
    operations::crash::with_url,
};

/// The names of the files in a folder.
fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.collect();
    names.sort();
    names
}

async fn on(database: &TestDatabase, arguments: &[&str]) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    run(with_url(database, folder.path(), arguments)).await
}

async fn employees(database: &TestDatabase) -> i64 {
    let count = "SELECT COUNT(*) FROM employee";
    match database.database.backend() {
        Backend::Sqlite(pool) => sqlx::query_scalar(count).fetch_one(pool).await.unwrap(),
        Backend::Postgres(pool) => sqlx::query_scalar(count).fetch_one(pool).await.unwrap(),
    }
}

on_both_databases! {
    async fn down_without_a_terminal_reverts_nothing_and_says_what_would_be_lost(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=7 projects=1").await;
        let database = server.stop().await;
        let count = on(&database, &["migrate", "status"]).await.stdout.lines().count().to_string();
        let refused = on(&database, &["migrate", "down", "--steps", &count]).await;
        assert_eq!((refused.code, &*refused.stdout), (Some(2), ""), "{refused:?}");
        for part in ["the table employee (7 rows)", "the column project.team_size", "m0013_ledger_age: no data", "--yes"] {
            assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
        }
        let place = database.url.rsplit('@').next().unwrap();
        assert!(refused.stderr.contains(place), "{place}: {}", refused.stderr);
        assert_eq!(employees(&database).await, 7);
        let reverted = on(&database, &["migrate", "down", "--steps", &count, "--yes"]).await;
        assert!(reverted.code == Some(0) && !reverted.stdout.contains("applied"), "{reverted:?}");
        // Nothing is left to lose, so nothing is asked.
        let again = on(&database, &["migrate", "down"]).await;
        assert!(again.code == Some(0) && again.stderr.is_empty(), "{again:?}");
    }
}

/// At a terminal, which `script` makes.
async fn answered(folder: &Path, answer: &str) -> Ended {
    let mut script = Command::new("script");
    let down = format!("{} migrate down --steps 4", env!("CARGO_BIN_EXE_perfgraph"));
    script
        .args(["--quiet", "--return", "--command", &down, "/dev/null"])
        .current_dir(folder)
        .env_remove("DATABASE_URL");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(answer.as_bytes()).await.unwrap();
    let output = timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    Ended { code: output.status.code(), stdout, stderr: String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn down_at_a_terminal_asks_and_reverts_after_yes_alone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run(command(folder.path(), &["migrate", "up"])).await.code, Some(0));
    for answer in ["no\n", "y\n", "\n"] {
        let refused = answered(folder.path(), answer).await;
        assert_eq!(refused.code, Some(130), "{refused:?}");
        for part in ["sqlite://perfgraph.sqlite", "m0023_metric_grain", "Type yes", "nothing was reverted"] {
            assert!(refused.stdout.contains(part), "{part}: {refused:?}");
        }
    }
    let status = run(command(folder.path(), &["migrate", "status"])).await;
    assert!(!status.stdout.contains("missing"), "{status:?}");
    let reverted = answered(folder.path(), "yes\n").await;
    assert!(reverted.code == Some(0) && reverted.stdout.contains("missing"), "{reverted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_only_read_or_revert_create_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("access.log");
    fs::write(&log, "").unwrap();
    for arguments in [
        &["migrate", "status"][..],
        &["migrate", "down", "--yes"],
        &["import", "access.log", "--project", "a/b", "--format", "ndjson"],
        &["migrate", "status", "--database-url", "sqlite:typo.sqlite"],
        &["migrate", "status", "--database-url", "sqlite://nofolder/typo.sqlite"],
    ] {
        let ended = run(command(folder.path(), arguments)).await;
        assert_eq!((ended.code, &*ended.stdout), (Some(78), ""), "{arguments:?}: {ended:?}");
        let said = ended.stderr.contains("there is no SQLite file") && ended.stderr.contains("perfgraph migrate up");
        assert!(said, "{arguments:?}: {ended:?}");
        assert_eq!(files(folder.path()), ["access.log"], "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_leaves_a_file_and_its_folder_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let (up, status) = (command(folder.path(), &["migrate", "up"]), || command(folder.path(), &["migrate", "status"]));
    let listed = run(up).await.stdout;
    for name in [".lock", ".migrate.lock"] {
        fs::remove_file(folder.path().join(format!("perfgraph.sqlite{name}"))).unwrap();
    }
    let read = || fs::read(folder.path().join("perfgraph.sqlite")).unwrap();
    let before = read();
    let shown = run(status()).await;
    assert_eq!((shown.code, &shown.stdout), (Some(0), &listed), "{shown:?}");
    assert_eq!(files(folder.path()), ["perfgraph.sqlite"]);
    assert!(read() == before);

    // Beside a server, whose last writes are in the log.
    let database = TestDatabase::sqlite().await;
    let server = Server::fixed(database).await;
    let beside = on(&server.database, &["migrate", "status"]).await;
    assert_eq!((beside.code, &beside.stdout), (Some(0), &listed), "{beside:?}");
    server.stop().await;
}

//! Damaged SQLite files: what SQLite's own check finds is refused at the start, and damage that shows later stops the
//! server from answering.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Stdio,
};

use perfgraph::db::{file::beside::beside, instance::sqlite_file};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sqlx::{
    ConnectOptions, Connection, Executor, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStderr, Command},
    time::timeout,
};

use super::crash::{Writer, prepared};
use crate::harness::{
    TestDatabase,
    process::{PATIENCE, Served, command, run},
    server::{client, send},
    wait,
};

const PAGE: usize = 4_096;

fn serve(file: &Path) -> Command {
    let mut serve = command(file.parent().unwrap(), &["serve", "--listen", "127.0.0.1:0"]);
    serve.env("DATABASE_URL", format!("sqlite://{}", file.display()));
    serve.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    serve
}

/// A database with some data and free pages, closed.
async fn sound() -> (TestDatabase, PathBuf, Vec<Writer>) {
    let (database, writers) = prepared(TestDatabase::sqlite().await).await;
    database.database.close().await;
    let file = sqlite_file(&database.url).unwrap().unwrap();
    let mut served = Served::start(serve(&file)).await;
    let mut written = Vec::new();
    for mut writer in writers {
        for _ in 0..30 {
            writer.send(&client(), &served.url("/graphql")).await.unwrap();
        }
        written.push(writer);
    }
    served.signal("TERM").await;
    served.lines_until("SIGTERM received").await;
    assert_eq!(served.ended().await, Some(0));
    let mut connection = open(&file).await;
    for sql in ["CREATE TABLE ballast (number INTEGER PRIMARY KEY, text TEXT)", BALLAST, "DROP TABLE ballast"] {
        connection.execute(sql).await.unwrap();
    }
    connection.close().await.unwrap();
    (database, file, written)
}

const BALLAST: &str = "INSERT INTO ballast WITH RECURSIVE row (number) AS \
    (SELECT 1 UNION ALL SELECT number + 1 FROM row WHERE number < 400) SELECT number, hex(randomblob(400)) FROM row";

async fn open(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

/// What `PRAGMA quick_check` says of a copy, so that looking changes nothing.
async fn is_sound(file: &Path) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.sqlite");
    for ending in ["", "-wal"] {
        drop(fs::copy(beside(file, ending), beside(&copy, ending)));
    }
    let options = SqliteConnectOptions::new().filename(&copy);
    let Ok(mut connection) = options.connect().await else { return false };
    let found = sqlx::query_scalar::<_, String>("PRAGMA quick_check(1)").fetch_one(&mut connection).await;
    found.is_ok_and(|found| found == "ok")
}

async fn refusal(file: &Path) -> String {
    refusal_of(serve(file)).await
}

async fn refusal_of(serve: Command) -> String {
    let ended = run(serve).await;
    assert_eq!(ended.code, Some(65), "{ended:?}");
    ended.stderr
}

/// Root pages of the tables and indexes, from 1.
async fn roots(file: &Path) -> Vec<(String, usize)> {
    let mut connection = open(file).await;
    let sql = "SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0 ORDER BY rootpage";
    let found: Vec<(String, i64)> = sqlx::query_as(sql).fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    found.into_iter().map(|(name, page)| (name, usize::try_from(page).unwrap())).collect()
}

/// A write-ahead log of another database of the same page size.
async fn foreign_log() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("other.sqlite");
    let options = SqliteConnectOptions::new().filename(&file).create_if_missing(true);
    let options = options.journal_mode(SqliteJournalMode::Wal);
    let mut connection = options.connect().await.unwrap();
    for sql in ["CREATE TABLE ballast (number INTEGER PRIMARY KEY, text TEXT)", BALLAST] {
        connection.execute(sql).await.unwrap();
    }
    let log = fs::read(beside(&file, "-wal")).unwrap();
    connection.close().await.unwrap();
    assert!(log.len() > 10 * PAGE);
    log
}

/// Files to look at: a name, the database, and a log beside it.
async fn damages(whole: &[u8], roots: &[(String, usize)]) -> Vec<(String, Vec<u8>, Option<Vec<u8>>)> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut made = Vec::new();
    let mut damage = |name: String, change: &mut dyn FnMut(&mut Vec<u8>)| {
        let mut bytes = whole.to_vec();
        change(&mut bytes);
        made.push((name, bytes, None));
    };
    let pages = whole.len() / PAGE;
    for (name, page) in roots.iter().filter(|(_, page)| *page > 1) {
        let start = (page - 1) * PAGE;
        damage(format!("zeroed root of {name}"), &mut |bytes| bytes[start..start + PAGE].fill(0));
        damage(format!("header of the root of {name}"), &mut |bytes| bytes[start..start + 8].fill(0xa5));
    }
    for number in 0..20 {
        let start = rng.random_range(1..pages) * PAGE;
        damage(format!("overwritten page {number}"), &mut |bytes| bytes[start..start + PAGE].fill(0xff));
        let at = rng.random_range(PAGE..whole.len());
        damage(format!("flipped byte {number}"), &mut |bytes| bytes[at] ^= 0xff);
        damage(format!("torn page {number}"), &mut |bytes| bytes[start + PAGE / 2..start + PAGE].fill(0));
        let other = rng.random_range(1..pages) * PAGE;
        damage(format!("page written to a wrong place {number}"), &mut |bytes| {
            bytes.copy_within(other..other + PAGE, start);
        });
    }
    for (name, at) in [("magic", 0), ("page size", 16), ("schema format", 44), ("encoding", 56), ("free list", 32)] {
        damage(format!("header: {name}"), &mut |bytes| bytes[at..at + 4].fill(0x7f));
    }
    damage("header: count of free pages".to_owned(), &mut |bytes| bytes[39] ^= 0x55);
    for parts in [2, 3, 5] {
        damage(format!("truncated to 1/{parts}"), &mut |bytes| bytes.truncate(pages / parts * PAGE));
    }
    damage("truncated within a page".to_owned(), &mut |bytes| bytes.truncate(whole.len() - PAGE / 2));
    damage("text".to_owned(), &mut |bytes| *bytes = b"not a database, but long enough to be read ".repeat(100));
    damage("noise".to_owned(), &mut |bytes| rng.fill(&mut bytes[..]));
    let log = foreign_log().await;
    made.push(("a log of another database".to_owned(), whole.to_vec(), Some(log)));
    made
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_file_that_the_check_calls_damaged_is_refused() {
    let (_database, file, _) = sound().await;
    let (whole, roots) = (fs::read(&file).unwrap(), roots(&file).await);
    let folder = tempfile::tempdir().unwrap();
    let mut refused = 0;
    for (number, (name, bytes, log)) in damages(&whole, &roots).await.into_iter().enumerate() {
        let file = folder.path().join(format!("{number}.sqlite"));
        fs::write(&file, &bytes).unwrap();
        let log_name = beside(&file, "-wal");
        if let Some(log) = &log {
            fs::write(&log_name, log).unwrap();
        }
        if is_sound(&file).await {
            continue;
        }
        let said = refusal(&file).await;
        let path = file.display().to_string();
        assert!(said.contains(&path) && said.contains("is damaged"), "{name}: {said}");
        assert!(said.contains(".recover | sqlite3") && said.contains(".dump | sed"), "{name}: {said}");
        assert!(fs::read(&file).unwrap() == bytes, "{name}: the refused file is as it was");
        if let Some(log) = log {
            assert!(fs::read(log_name).unwrap() == log, "{name}: so is its log");
        }
        if refused == 0 {
            for arguments in [&["migrate", "up"][..], &["seed"]] {
                let mut other = command(folder.path(), arguments);
                other.env("DATABASE_URL", format!("sqlite://{path}"));
                let ended = run(other).await;
                assert!(ended.code == Some(65) && ended.stderr.contains("is damaged"), "{arguments:?}: {ended:?}");
            }
        }
        refused += 1;
    }
    assert!(refused >= 40, "{refused}");
}

/// The lines of a server that may not come to serve.
fn begin(mut serve: Command) -> (tokio::process::Child, Lines<BufReader<ChildStderr>>) {
    let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, lines)
}

async fn until(lines: &mut Lines<BufReader<ChildStderr>>, part: &str) -> Vec<String> {
    let mut said = Vec::new();
    while !said.last().is_some_and(|line: &String| line.contains(part)) {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("the server says it in time").unwrap();
        said.push(line.unwrap_or_else(|| panic!("the server ended before it said {part:?}: {said:?}")));
    }
    said
}

async fn signal(child: &tokio::process::Child, name: &str) {
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", name, &pid]).status().await.unwrap().success());
}

const UNCLEAN: &str = "the database file was not closed cleanly";
const SERVES: &str = "perfgraph serves on http://";

/// A server for which every file is a large one.
fn serve_large(file: &Path) -> Command {
    let mut serve = serve(file);
    serve.env("PERFGRAPH_DATABASE__CHECK_BYTES_MAX", "0");
    serve
}

/// A connection that keeps all others out of the file, so that a check waits until it is closed.
async fn occupied(file: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(file).locking_mode(SqliteLockingMode::Exclusive);
    let mut connection = options.connect().await.unwrap();
    connection.execute("SELECT count(*) FROM sqlite_schema").await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_file_is_checked_after_an_unclean_stop_while_the_server_is_not_ready() {
    let (_database, file, _) = sound().await;

    // It was changed since the clean stop, and later the server is killed.
    for end in ["KILL", "TERM"] {
        let occupied = occupied(&file).await;
        let (mut child, mut lines) = begin(serve_large(&file));
        let said = until(&mut lines, UNCLEAN).await;
        let line = said.last().unwrap();
        let address = line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap();
        let alive = send(client().get(format!("http://{address}/healthz"))).await;
        let ready = send(client().get(format!("http://{address}/readyz"))).await;
        let asked = send(client().get(format!("http://{address}/graphql?query=%7Bviewer%7Brole%7D%7D"))).await;
        assert_eq!((alive.status.as_u16(), ready.status.as_u16()), (200, 503), "{}", ready.text);
        assert!(ready.text.contains("the database file is being checked"), "{}", ready.text);
        assert_eq!((asked.status.as_u16(), asked.header("retry-after")), (503, "5"), "{}", asked.text);
        assert_eq!(asked.error().0, "UNAVAILABLE");
        occupied.close().await.unwrap();
        let said = until(&mut lines, SERVES).await;
        assert!(said.last().unwrap().contains(address), "on the same address: {said:?}");
        let ready = send(client().get(format!("http://{address}/readyz"))).await;
        assert_eq!(ready.status, 200, "{}", ready.text);
        signal(&child, end).await;
        timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    }

    // A clean stop saves the check.
    let (mut child, mut lines) = begin(serve_large(&file));
    let said = until(&mut lines, SERVES).await;
    assert!(!said.iter().any(|line| line.contains(UNCLEAN)), "{said:?}");
    // A signal ends a check, too.
    signal(&child, "KILL").await;
    timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    let occupied = occupied(&file).await;
    let (mut child, mut lines) = begin(serve_large(&file));
    until(&mut lines, UNCLEAN).await;
    signal(&child, "TERM").await;
    assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(0));
    occupied.close().await.unwrap();

    fs::File::options().write(true).open(&file).unwrap().write_all_at(&[0xff; 1_000], PAGE as u64).unwrap();
    let said = refusal_of(serve_large(&file)).await;
    assert!(said.contains(UNCLEAN) && said.contains("is damaged"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_that_shows_later_stops_the_answers() {
    let (_database, file, mut writers) = sound().await;
    let mut served = Served::start(serve(&file)).await;
    let pages = fs::metadata(&file).unwrap().len() - PAGE as u64;
    let noise = vec![0xff; usize::try_from(pages).unwrap()];
    fs::File::options().write(true).open(&file).unwrap().write_all_at(&noise, PAGE as u64).unwrap();
    let query = "query=%7BmetricStats%7Bcount%7DallEmployees%7Bname%7D%7D";
    wait::until("a statement meets the damage", async || {
        send(client().get(served.url(&format!("/graphql?{query}")))).await.status == 503
    })
    .await;
    let said = served.lines_until("is damaged").await;
    assert!(said.last().unwrap().contains(&file.display().to_string()), "{said:?}");
    let probe = send(client().get(served.url("/readyz"))).await;
    assert!(probe.status == 503 && probe.text.contains("the database file is damaged"), "{}", probe.text);
    assert_eq!(writers[0].send(&client(), &served.url("/graphql")).await, None, "nothing is acknowledged");
    let viewer = send(client().get(served.url(&format!("/graphql?{query}")))).await;
    let (code, message) = viewer.error();
    assert!(code == "UNAVAILABLE" && message.contains("the database file is damaged"), "{message}");
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
    refusal(&file).await;
}

//! Signals and pipes that must not end or stop a server without draining.

use std::process::Stdio;

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{ChildStderr, Command},
    time::timeout,
};

use crate::harness::{
    TestDatabase,
    process::{PATIENCE, Served, command},
    server::{client, send},
};

const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

fn serve(database: &TestDatabase, folder: &std::path::Path) -> Command {
    let mut serve = command(folder, &SERVE);
    serve.env("DATABASE_URL", &database.url);
    serve
}

async fn answers(url: &str) {
    let reply = send(client().get(format!("{url}/graphql?query=%7Bviewer%7Brole%7D%7D"))).await;
    assert_eq!(reply.data()["viewer"]["role"], "OWNER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_drains_and_the_signals_of_users_are_ignored() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let mut served = Served::start(serve(&database, folder.path())).await;
    for name in ["USR1", "USR2", "USR1"] {
        served.signal(name).await;
        served.lines_until(&format!("SIG{name} received and ignored")).await;
    }
    answers(&served.url("")).await;
    served.signal("HUP").await;
    served.lines_until("SIGHUP received, draining").await;
    assert_eq!(served.ended().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hangup_that_was_ignored_at_the_start_stays_ignored() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    // As `nohup` does.
    let mut nohup = Command::new("sh");
    nohup.args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_perfgraph")]).args(SERVE);
    nohup.current_dir(folder.path()).env_clear().env("DATABASE_URL", &database.url).kill_on_drop(true);
    let mut served = Served::start(nohup).await;
    served.signal("HUP").await;
    served.signal("USR1").await;
    served.lines_until("SIGUSR1 received and ignored").await;
    answers(&served.url("")).await;
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
}

async fn line_with(stderr: &mut BufReader<ChildStderr>, part: &str) -> String {
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        let read = timeout(PATIENCE, stderr.read_line(&mut line)).await.expect("the server says it in time").unwrap();
        assert!(read > 0, "the server ended before it said {part:?}");
    }
    line
}

/// A pipe holds 64 KiB, and the log of these requests is several times that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_pipe_that_nobody_reads_stops_neither_requests_nor_the_stop() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let mut serve = serve(&database, folder.path());
    serve.env("PERFGRAPH_LOG__FILTER", "perfgraph=debug").env("PERFGRAPH_LOG__QUEUE_BYTES_MAX", "8192");
    let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let greeting = line_with(&mut stderr, "perfgraph serves on http://").await;
    let url = greeting[greeting.find("http://").unwrap()..].trim().to_owned();
    for _ in 0..2 {
        for _ in 0..1_000 {
            timeout(PATIENCE, answers(&url)).await.expect("no request waits for the reader of the log");
        }
        let notice = line_with(&mut stderr, "log lines were dropped").await;
        let dropped = notice.split("lines=").nth(1).expect("the notice counts them").trim();
        assert!(dropped.parse::<u32>().unwrap() > 100, "{notice}");
    }
    for _ in 0..1_000 {
        answers(&url).await;
    }
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    let ended = timeout(PATIENCE, child.wait()).await.expect("the stop does not wait for the reader").unwrap();
    assert_eq!(ended.code(), Some(0));
    drop(stderr);
}

/// The reader of the log may also go away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_pipe_that_is_closed_stops_nothing() {
    let database = TestDatabase::sqlite().await;
    let folder = tempfile::tempdir().unwrap();
    let mut serve = serve(&database, folder.path());
    serve.env("PERFGRAPH_LOG__FILTER", "perfgraph=debug");
    let mut child = serve.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let greeting = line_with(&mut stderr, "perfgraph serves on http://").await;
    let url = greeting[greeting.find("http://").unwrap()..].trim().to_owned();
    drop(stderr);
    for _ in 0..10 {
        answers(&url).await;
    }
    let pid = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    let ended = timeout(PATIENCE, child.wait()).await.expect("it stops").unwrap();
    assert_eq!(ended.code(), Some(0));
}

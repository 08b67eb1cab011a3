//! `perfgraph watch` with the real binary against a real server.

use std::process::Stdio;

use perfgraph::{
    clock::Clock,
    ingest::Candidate,
    model::{MetricType, timestamp::SECOND_MICROS},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    time::timeout,
};

use crate::harness::{
    Server, TestDatabase, World, builders,
    process::{self, PATIENCE},
};

const SETTINGS: &str = "self_monitoring.enabled = false";

/// A server whose clock goes, with measurements of the last seconds.
async fn measured() -> (Server, World) {
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), SETTINGS).await;
    let world = server.seed("organizations=1 employees=3 projects=2 members=2").await;
    let now = server.app.core().clock.now();
    let one = |number: i32| Candidate {
        kind: MetricType::ApiResponse,
        value: f64::from(number),
        endpoint: if number % 2 == 0 { "GET /slow" } else { "GET /quick" }.to_owned(),
        status: Some(if number == 40 { 500 } else { 200 }),
        timestamp: Some(now.plus_micros(-10 * SECOND_MICROS)),
        name: None,
        release: None,
    };
    let rows = (1..=40).map(|number| one(if number % 2 == 0 { number } else { 1 }));
    builders::ingest(server.app.core(), world.projects[0].key, rows.collect()).await;
    (server, world)
}

async fn watch(server: &Server, arguments: &[&str]) -> process::Ended {
    let (url, folder) = (server.url(""), tempfile::tempdir().unwrap());
    let all = [&["watch", "--url", &url], arguments].concat();
    process::run(process::command(folder.path(), &all)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn once_shows_a_table_and_ends() {
    let (server, world) = measured().await;
    for project in ["organization-1/project-1".to_owned(), world.id("project", 1)] {
        let ended = watch(&server, &["--project", &project, "--once", "--every", "PT1S"]).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert!(lines[0].starts_with("Project 001: slowest endpoints of the last 5 min by p95"), "{ended:?}");
        assert!(lines[2].starts_with("GET /slow") && lines[3].starts_with("GET /quick"), "{ended:?}");
        assert!(lines[2].contains("5.0 %") && lines[2].contains("Employee 001, Employee 002"), "{ended:?}");
    }
    let ended = watch(&server, &["--project", "organization-1/project-2", "--once"]).await;
    assert!(ended.code == Some(0) && ended.stdout.contains("nothing was measured in this time"), "{ended:?}");
    let ended =
        watch(&server, &["--project", "organization-1/project-1", "--once", "--rank-by", "count", "--limit", "1"])
            .await;
    assert!(ended.code == Some(0) && ended.stdout.lines().count() == 3, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_watched_is_said_with_an_exit_code() {
    let (server, _) = measured().await;
    let of = ["--project", "organization-1/project-1"];
    for (arguments, code, says) in [
        (vec!["--project", "organization-1/nothing"], 65, "there is no project"),
        (vec!["--project", "nobody"], 65, "there is no project"),
        ([&of[..], &["--window", "P3650D"]].concat(), 65, "window: is PT87600H"),
        ([&of[..], &["--window", "soon"]].concat(), 65, "--window"),
        ([&of[..], &["--url", "gopher://x"]].concat(), 2, "cannot be used multiple times"),
        ([&of[..], &["--limit", "0"]].concat(), 2, "--limit"),
        (vec![], 2, "--project"),
    ] {
        let ended = watch(&server, &arguments).await;
        assert!(ended.code == Some(code) && ended.stderr.contains(says), "{arguments:?}: {ended:?}");
        assert_eq!(ended.stdout, "", "{arguments:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let nobody = ["watch", "--project", "a/b", "--url", "http://127.0.0.1:9"];
    let ended = process::run(process::command(folder.path(), &nobody)).await;
    assert!(ended.code == Some(69) && ended.stderr.contains("cannot watch ws://127.0.0.1:9/graphql"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_come_until_it_is_interrupted_and_a_lost_server_is_waited_for() {
    let (server, _) = measured().await;
    let (url, folder) = (server.url(""), tempfile::tempdir().unwrap());
    let arguments =
        ["watch", "--url", &url, "--project", "organization-1/project-1", "--every", "PT0.5S", "--window", "PT1M"];
    let mut command = process::command(folder.path(), &arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut talk = BufReader::new(child.stderr.take().unwrap()).lines();
    for _ in 0..4 {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("a line in time").unwrap().unwrap();
        let fields: Vec<_> = line.split('\t').collect();
        assert_eq!(fields.len(), 8, "{line}");
        assert!(["GET /slow", "GET /quick"].contains(&fields[2]) && fields[0].ends_with('Z'), "{line}");
    }
    let database = server.stop().await;
    let said = timeout(PATIENCE, talk.next_line()).await.expect("it says so").unwrap().unwrap();
    assert!(said.contains("is lost") && said.contains("trying again in 0.5 s"), "{said}");
    drop(database);
    let pid = child.id().unwrap().to_string();
    assert!(tokio::process::Command::new("kill").args(["-s", "INT", &pid]).status().await.unwrap().success());
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(130));
}

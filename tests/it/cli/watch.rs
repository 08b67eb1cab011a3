//! `perfgraph watch` with the real binary against a real server.

use std::process::Stdio;

use perfgraph::{
    clock::Clock,
    ingest::Candidate,
    model::{MetricType, timestamp::SECOND_MICROS},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::harness::{
    Server, TestDatabase, World, builders,
    process::{self, PATIENCE},
    wait,
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
        labels: Vec::new(),
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
        assert!(
            lines[0].starts_with("Project 001 of Organization 01: slowest endpoints of the last 5 min by p95"),
            "{ended:?}"
        );
        assert!(lines[2].starts_with("GET /slow") && lines[3].starts_with("GET /quick"), "{ended:?}");
        assert!(lines[2].contains("5.0 %") && lines[2].contains("Employee 001, Employee 002"), "{ended:?}");
    }
    let ended = watch(&server, &["--project", "organization-1/project-2", "--once"]).await;
    assert!(ended.code == Some(0) && ended.stdout.contains("no measurements in this window"), "{ended:?}");
    let ended =
        watch(&server, &["--project", "organization-1/project-1", "--once", "--rank-by", "count", "--limit", "1"])
            .await;
    assert!(ended.code == Some(0) && ended.stdout.lines().count() == 3, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watch_reports_invalid_arguments_with_an_exit_code() {
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
    assert!(ended.code == Some(69) && ended.stderr.contains("cannot watch http://127.0.0.1:9"), "{ended:?}");
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
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().await.unwrap().success());
    let status = timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(130));
}

/// On a terminal of its own, which `script` makes, of 60 columns and 20 lines; it writes down whatever is drawn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_is_drawn_over_and_left_as_it_was() {
    let (server, _) = measured().await;
    let folder = tempfile::tempdir().unwrap();
    let drawn = folder.path().join("drawn");
    let watch = format!(
        "stty cols 60 rows 20; echo pid=$$; exec {} watch --url {} --project organization-1/project-1 --every PT0.5S",
        env!("CARGO_BIN_EXE_perfgraph"),
        server.url("")
    );
    let mut script = Command::new("script");
    script.args(["--quiet", "--flush", "--command", &watch]).arg(&drawn);
    script.env("TERM", "xterm").stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let mut script = script.spawn().unwrap();
    let until = async |part: &str, count: usize| {
        wait::until_some(&format!("{part:?} comes {count} times"), async || {
            let text = std::fs::read_to_string(&drawn).unwrap_or_default();
            (text.matches(part).count() >= count).then_some(text)
        })
        .await
    };
    until("GET /slow", 3).await;
    drop(server.stop().await);
    let text = until("the connection is lost; trying again in", 2).await;
    let pid: String = text.rsplit("pid=").next().unwrap().chars().take_while(char::is_ascii_digit).collect();
    assert!(Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap().success());
    timeout(PATIENCE, script.wait()).await.expect("it ends").unwrap();
    let text = until("stopped watching", 1).await;

    // Each picture is drawn over the one before, and nothing is erased first.
    let (_, text) = text.split_once("\u{1b}[?25l").expect("the cursor is hidden");
    let (pictures, after) = text.split_once("\u{1b}[?25h").expect("the cursor is shown again");
    assert!(after.contains("perfgraph: stopped watching") && !after.contains("\u{1b}[?25l"), "{after}");
    let pictures: Vec<_> = pictures.split("\u{1b}[J").map(console::strip_ansi_codes).collect();
    assert!(!text.contains("\u{1b}[2K") && pictures.len() > 5, "{pictures:?}");
    for line in pictures.iter().flat_map(|picture| picture.lines()) {
        assert!(console::measure_text_width(line.trim_start_matches('\r')) <= 60, "{line:?}");
    }
    assert!(pictures[0].contains("connecting to http://"), "{pictures:?}");
    // What was seen last stays while the server is away.
    let last = pictures.iter().rfind(|picture| !picture.trim().is_empty()).unwrap();
    assert!(last.contains("GET /slow") && last.contains("the connection is lost"), "{last}");
}

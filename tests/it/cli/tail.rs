//! `perfgraph projects` and `perfgraph tail` with the real binary against a real server.

use std::{process::Stdio, time::Duration};

use perfgraph::clock::Clock;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::{
    harness::{
        Server, TestDatabase,
        process::{self, PATIENCE, Served, command},
        wait,
    },
    on_both_databases,
};

const SETTINGS: &str = "self_monitoring.enabled = false\nlive.heartbeat_interval_ms = 50";

async fn server(database: TestDatabase) -> Server {
    let server = Server::start(database, Clock::system(), SETTINGS).await;
    server.seed("organizations=2 employees=3 projects=2 members=2").await;
    server
}

async fn run(arguments: &[&str]) -> process::Ended {
    let folder = tempfile::tempdir().unwrap();
    process::run(command(folder.path(), arguments)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_are_listed_with_the_slugs_that_commands_take() {
    let server = server(TestDatabase::sqlite().await).await;
    let url = server.url("");
    let ended = run(&["projects", "--url", &url]).await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let lines: Vec<Vec<_>> = ended
        .stdout
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(lines[0][0], "PROJECT");
    assert_eq!(lines[1][..4], ["organization-1/project-1", "Project 001", "ACTIVE", "2"]);
    assert_eq!((lines.len(), lines[4][0]), (5, "organization-2/project-2"));
    let ended = run(&["projects", "--json", "--url", &url]).await;
    let first: Value = serde_json::from_str(ended.stdout.lines().next().unwrap()).unwrap();
    assert_eq!((&first["project"], &first["status"]), (&json!("organization-1/project-1"), &json!("ACTIVE")));
    let ended = run(&["projects", "--url", "http://127.0.0.1:9"]).await;
    assert!(
        ended.code == Some(69) && ended.stderr.contains("cannot list the projects of http://127.0.0.1:9"),
        "{ended:?}"
    );
    let ended = run(&["projects", "--url", "127.0.0.1:9"]).await;
    assert!(ended.code == Some(2) && ended.stderr.contains("write http://HOST:PORT"), "{ended:?}");
}

/// A running `perfgraph tail` and its lines.
struct Following {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Following {
    /// Begins behind the cursor of a measurement, so that the order of starting does not matter.
    fn start(url: &str, arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = command(folder.path(), &[&["tail", "--url", url], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        timeout(PATIENCE, self.lines.next_line()).await.expect("a line in time").unwrap().expect("it goes on")
    }
}

/// Records a measurement over HTTP and returns the cursor behind it.
async fn record(url: &str, project: &str, value: u32) -> String {
    let query =
        "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { cursor userErrors { message } } }";
    let metric = json!({ "type": "API_RESPONSE", "endpoint": "GET /a", "value": value, "statusCode": 200, "releaseVersion": "1.4" });
    let body = json!({ "query": query, "variables": { "input": { "projectSlug": project, "metrics": [metric] } } });
    let reply = crate::harness::server::client().post(format!("{url}/graphql")).json(&body).send().await.unwrap();
    let reply: Value = reply.json().await.unwrap();
    reply["data"]["ingestMetrics"]["cursor"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
}

const PROJECT: &str = "organization-1/project-1";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_measurement_is_one_line_until_the_reader_is_gone() {
    let server = server(TestDatabase::sqlite().await).await;
    let url = server.url("");
    let after = record(&url, PROJECT, 1).await;
    let mut text = Following::start(&url, &["--project", PROJECT, "--after", &after]);
    let mut json_lines = Following::start(
        &url,
        &["--json", "--project", PROJECT, "--project", "organization-1/project-2", "--after", &after],
    );
    record(&url, "organization-1/project-2", 2).await;
    record(&url, PROJECT, 3).await;
    record(&url, "organization-2/project-1", 4).await;
    record(&url, PROJECT, 5).await;
    for value in ["3.0", "5.0"] {
        let line = text.line().await;
        assert!(line.ends_with(&format!("Z  API_RESPONSE  GET /a  {value} ms  200  1.4")), "{line}");
    }
    for (value, project) in [(2.0, "organization-1/project-2"), (3.0, PROJECT), (5.0, PROJECT)] {
        let line: Value = serde_json::from_str(&json_lines.line().await).unwrap();
        assert_eq!((&line["value"], &line["project"], &line["unit"]), (&json!(value), &json!(project), &json!("ms")));
    }
    // A reader that has enough ends it without a word.
    drop(text.lines);
    record(&url, PROJECT, 6).await;
    let ended = timeout(PATIENCE, text.child.wait_with_output()).await.expect("it ends").unwrap();
    assert_eq!((ended.status.code(), String::from_utf8(ended.stderr).unwrap()), (Some(0), String::new()));
    // A signal ends it as an interrupt.
    let pid = json_lines.child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-s", "INT", &pid]).status().await.unwrap().success());
    assert_eq!(timeout(PATIENCE, json_lines.child.wait()).await.unwrap().unwrap().code(), Some(130));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tail_reports_invalid_arguments_with_an_exit_code() {
    let server = server(TestDatabase::sqlite().await).await;
    let url = server.url("");
    for (arguments, code, says) in [
        (&["--project", "organization-1/nothing"][..], 65, "there is no project `organization-1/nothing`"),
        (&["--project", "Shop/x"], 65, "write ORGANIZATION/PROJECT"),
        (&["--after", "nonsense"], 65, "after"),
        (&["--every", "x"], 2, "--every"),
    ] {
        let ended = run(&[&["tail", "--url", &url], arguments].concat()).await;
        assert!(ended.code == Some(code) && ended.stderr.contains(says), "{arguments:?}: {ended:?}");
    }
    let ended = run(&["tail", "--url", "http://127.0.0.1:9"]).await;
    assert!(ended.code == Some(69) && ended.stderr.contains("cannot follow http://127.0.0.1:9"), "{ended:?}");
}

on_both_databases! {
    async fn a_server_that_is_killed_costs_no_line_and_repeats_none(database: TestDatabase) {
        let database = server(database).await.stop().await;
        let folder = tempfile::tempdir().unwrap();
        let served = Served::at("127.0.0.1:0", &database, folder.path()).await;
        let (url, address) = (served.url(""), served.address.clone());
        let after = record(&url, PROJECT, 0).await;
        let mut following = Following::start(&url, &["--json", "--project", PROJECT, "--after", &after]);
        let mut expected = Vec::new();
        for value in 1..=3 {
            record(&url, PROJECT, value).await;
            expected.push(f64::from(value));
        }
        let mut found = Vec::new();
        let mut read = async |count: usize| {
            while found.len() < count {
                let line: Value = serde_json::from_str(&following.line().await).unwrap();
                found.push(line["value"].as_f64().unwrap());
            }
            found.clone()
        };
        assert_eq!(read(3).await, expected);
        served.signal("KILL").await;
        served.ended().await;
        let served = Served::at(&address, &database, folder.path()).await;
        // Recorded before the stream is open again.
        for value in 4..=6 {
            record(&url, PROJECT, value).await;
            expected.push(f64::from(value));
        }
        assert_eq!(read(6).await, expected);
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_before_the_first_event_is_followed_again() {
    // No heartbeat comes in time.
    let settings = "self_monitoring.enabled = false\nlive.heartbeat_interval_ms = 60000";
    let server = Server::start(TestDatabase::sqlite().await, Clock::system(), settings).await;
    server.seed("organizations=1 projects=1").await;
    let (url, address) = (server.url(""), server.app.address().to_string());
    let mut following = Following::start(&url, &["--project", PROJECT]);
    let mut said = BufReader::new(following.child.stderr.take().unwrap()).lines();
    wait::until("the subscription runs", async || server.app.engine().subscriptions_running() > 0).await;
    let database = server.stop().await;
    let folder = tempfile::tempdir().unwrap();
    let _served = Served::at(&address, &database, folder.path()).await;
    let mut line = async || timeout(PATIENCE, said.next_line()).await.expect("a line in time").unwrap().unwrap();
    assert!(line().await.contains("the connection is lost; trying again"));
    while !line().await.contains("what was recorded meanwhile is missing") {}
    let recorded = wait::until("the stream is open again", async || {
        record(&url, PROJECT, 7).await;
        timeout(Duration::from_millis(100), following.lines.next_line())
            .await
            .is_ok_and(|line| line.unwrap().is_some_and(|line| line.contains("7.0 ms")))
    });
    recorded.await;
}

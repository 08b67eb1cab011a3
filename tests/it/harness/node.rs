//! Runs the programs of `tests/clients` in Node.js. Some check their results themselves; others print one line of JSON
//! for each event.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{
    process::{self, PATIENCE},
    server::repository,
};

fn command(script: &str, arguments: &[String]) -> Command {
    let mut command = Command::new("node");
    command.arg("--test-reporter=spec").arg(script).args(arguments).current_dir(repository("tests/clients"));
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Runs `tests/clients/<script>` to its end and fails unless it succeeds. Returns its output.
pub async fn run(script: &str, arguments: &[String]) -> String {
    // Twice the time, because some scripts run several clients in turn, or a browser.
    let ended = process::run_within(2 * PATIENCE, command(script, arguments)).await;
    let missing = if ended.stderr.contains("ERR_MODULE_NOT_FOUND") { MISSING } else { "" };
    assert!(ended.code == Some(0), "{script}: {:?}\n{}\n{}{missing}", ended.code, ended.stdout, ended.stderr);
    ended.stdout
}

const MISSING: &str = "(a package is missing? run `make test`, or `npm ci` in tests/clients)";

/// A running script and the lines of its output.
pub struct NodeClient {
    child: Child,
    pub lines: Lines<BufReader<ChildStdout>>,
}

impl NodeClient {
    /// Starts `tests/clients/<script>`.
    pub fn start(script: &str, arguments: &[String]) -> Self {
        let mut command = command(script, arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("node is not in PATH: install Node.js 20.19 or newer");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line. `None` at the end.
    pub async fn line(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("the client says something in time").unwrap();
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    pub async fn next(&mut self) -> Value {
        match self.line().await {
            Some(line) => line,
            None => panic!("the client ended: {}\n{MISSING}", self.stderr().await),
        }
    }

    pub async fn stderr(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }

    pub async fn exit_code(&mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("the client ends in time").unwrap().code()
    }
}

//! The npm clients of `tests/clients`, each a script that prints one line of JSON for everything that happens to it.

use std::process::Stdio;

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use super::{process::PATIENCE, server::repository};

/// A running script, and its lines.
pub struct NodeClient {
    child: Child,
    pub lines: Lines<BufReader<ChildStdout>>,
}

impl NodeClient {
    /// Starts `tests/clients/<script>`.
    pub fn start(script: &str, arguments: &[String]) -> Self {
        let mut command = Command::new("node");
        command.arg(script).args(arguments).current_dir(repository("tests/clients"));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("node is not in PATH: install Node.js 20 or newer and run `make test`");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line, or nothing at the end.
    pub async fn line(&mut self) -> Option<Value> {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("the client says something in time").unwrap();
        line.map(|line| serde_json::from_str(&line).unwrap())
    }

    pub async fn next(&mut self) -> Value {
        match self.line().await {
            Some(line) => line,
            None => panic!(
                "the client ended: {}\n(a package is missing? run `make test`, or `scripts/test-setup` once)",
                self.stderr().await
            ),
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

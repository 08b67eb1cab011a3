//! The real binary as a child process: commands that end, and servers that are stopped by signals.

use std::{path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};

use super::TestDatabase;

/// A timeout longer than any step takes on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A command with an empty environment, because the settings of the person who runs the tests must not apply.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_perfgraph"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

pub async fn run(command: Command) -> Ended {
    run_within(PATIENCE, command).await
}

pub async fn run_within(patience: Duration, mut command: Command) -> Ended {
    let output = timeout(patience, command.output()).await.expect("the command ends in time");
    let output =
        output.unwrap_or_else(|error| panic!("{} did not start: {error}", command.as_std().get_program().display()));
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A server in a process of its own.
pub struct Served {
    child: Child,
    lines: UnboundedReceiver<String>,
    /// The address that it printed, such as `127.0.0.1:40001`.
    pub address: String,
    /// The lines up to the address.
    pub start: Vec<String>,
}

impl Served {
    /// Starts a server and waits until it prints its address.
    #[expect(clippy::print_stderr, reason = "what a server complains about explains why a test failed")]
    pub async fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, lines) = unbounded_channel();
        // Read to the end even without a receiver: a full pipe would stop the server.
        tokio::spawn(async move {
            while let Ok(Some(line)) = stderr.next_line().await {
                // Printed only if the test fails or runs with `--nocapture`.
                if line.contains("ERROR") {
                    eprintln!("the server: {line}");
                }
                drop(sender.send(line));
            }
        });
        let mut served = Self { child, lines, address: String::new(), start: Vec::new() };
        served.start = served.lines_until("perfgraph serves on http://").await;
        served.start.last().unwrap().rsplit('/').next().unwrap().clone_into(&mut served.address);
        served
    }

    /// Starts a server on a database, at this address. It records no requests of its own.
    pub async fn at(listen: &str, database: &TestDatabase, folder: &Path) -> Self {
        let mut command = command(folder, &["serve", "--listen", listen]);
        command.env("DATABASE_URL", &database.url).env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
        Self::start(command).await
    }

    /// Starts a server on a database for reports that take long in a debug build on a busy machine. It records no requests of
    /// its own.
    pub async fn patient(database: &TestDatabase, folder: &Path) -> Self {
        let mut command = command(folder, &["serve", "--listen", "127.0.0.1:0"]);
        command
            .env("DATABASE_URL", &database.url)
            .env("PERFGRAPH_SERVER__REQUEST_TIMEOUT_MS", "60000")
            .env("PERFGRAPH_DATABASE__STATEMENT_TIMEOUT_MS", "60000")
            .env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
        Self::start(command).await
    }

    /// The lines of the log up to and including the first that contains `part`.
    pub async fn lines_until(&mut self, part: &str) -> Vec<String> {
        let mut said = Vec::new();
        loop {
            let Some(line) = timeout(PATIENCE, self.lines.recv()).await.expect("the server says more in time") else {
                panic!("the server ended before it said {part:?}:\n{}", said.join("\n"));
            };
            let is_last = line.contains(part);
            said.push(line);
            if is_last {
                return said;
            }
        }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Its memory, without the pages of files: the code of a debug build comes into memory as it is used.
    pub fn resident_kib(&self) -> u64 {
        self.memory_kib("RssAnon:")
    }

    /// The most memory that it ever had, without the pages of files.
    pub fn peak_kib(&self) -> u64 {
        self.memory_kib("VmHWM:").saturating_sub(self.memory_kib("RssFile:"))
    }

    fn memory_kib(&self, figure: &str) -> u64 {
        let pid = self.child.id().expect("the server still runs");
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(figure)).unwrap();
        line.trim_end_matches("kB").trim().parse().unwrap()
    }

    /// Sends a signal by name: `TERM`, `INT`, `KILL`.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("the server still runs").to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
        assert!(status.success(), "kill -s {name} {pid}");
    }

    /// Waits for the end and returns the exit code. `None` if a signal ended the process.
    pub async fn ended(mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait()).await.expect("the server ends in time").unwrap().code()
    }
}

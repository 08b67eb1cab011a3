//! A server under load as a child process: started, asked for its address, read in `/proc`, killed with its handle.

use std::{fs, net::SocketAddr, path::Path, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{Outcome, cpu};

const START_TIMEOUT: Duration = Duration::from_secs(20);
/// Both servers say where they are in a line with this in it.
const MARK: &str = "serves on http://";

/// A child that serves.
pub struct Server {
    child: Child,
    pid: u32,
    /// The address of the server.
    pub address: SocketAddr,
}

/// The memory of a process in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Now.
    pub resident: u64,
    /// At its worst.
    pub peak: u64,
}

impl Server {
    /// Starts a program and waits until it says where it listens. The environment is empty and the folder its own, so
    /// that no setting of this machine changes the figures.
    pub async fn start(program: &Path, arguments: &[&str], folder: &Path) -> Outcome<Self> {
        let mut child = command(program, arguments, folder).stderr(Stdio::piped()).spawn()?;
        let pid = child.id().ok_or("the server ended at once")?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("no standard error")?).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = timeout(START_TIMEOUT, lines.next_line()).await?? else {
                return Err(format!("{} did not start:\n{said}", program.display()).into());
            };
            if let Some((_, address)) = line.split_once(MARK) {
                break address.trim().parse()?;
            }
            said.push_str(&line);
            said.push('\n');
        };
        // A full pipe would stop the server in the middle of a line.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("ERROR") || line.contains("WARN") {
                    eprintln!("{line}");
                }
            }
        });
        Ok(Self { child, pid, address })
    }

    /// CPU time so far, in seconds.
    pub fn cpu(&self) -> Outcome<f64> {
        Ok(cpu::of(self.pid)?.own)
    }

    /// Memory now and at its worst.
    pub fn memory(&self) -> Outcome<Memory> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid))?;
        let field = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in status")?;
            Ok(line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?)
        };
        Ok(Memory { resident: field("VmRSS")?, peak: field("VmHWM")? })
    }

    /// Kills it and waits until it is gone.
    pub async fn stop(mut self) -> Outcome<()> {
        Ok(self.child.kill().await?)
    }
}

/// Runs a program to its end.
pub async fn run(program: &Path, arguments: &[&str], folder: &Path) -> Outcome<()> {
    let output = command(program, arguments, folder).stderr(Stdio::piped()).output().await?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{} {arguments:?}: {}", program.display(), String::from_utf8_lossy(&output.stderr)).into())
}

fn command(program: &Path, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    command
}

//! A PostgreSQL server that one test may kill, with a folder and a port of its own.

use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::{process::run, wait};

/// A server that stops with its test.
pub struct Cluster {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
    /// Options of `postgres` beyond those of all clusters.
    options: &'static str,
    pub url: String,
}

/// Certificates of a server.
#[derive(Clone, Copy, Debug)]
pub enum Certificate {
    /// Of X.509 version 1, as old instructions make it. Some implementations of TLS refuse to read it.
    Version1,
    /// Of X.509 version 3, signed by nobody else.
    SelfSigned,
}

impl Cluster {
    /// Creates a cluster and starts it. It survives a kill of its processes, not a crash of the machine.
    pub async fn start() -> Self {
        let cluster = Self::create("").await;
        cluster.start_again().await;
        cluster
    }

    /// The same, which counts the pages that statements read, and changes them only when told to.
    pub async fn counting_pages() -> Self {
        let cluster = Self::create("-c shared_preload_libraries=pg_stat_statements -c autovacuum=off").await;
        cluster.start_again().await;
        cluster
    }

    /// The same, for clients that may encrypt their connections.
    pub async fn encrypting(certificate: Certificate) -> Self {
        let cluster = Self::create("-c ssl=on").await;
        let (version, commands): (_, &[&[&str]]) = match certificate {
            Certificate::Version1 => (
                "Version: 1 ",
                &[
                    &[
                        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", "KEY", "-out", "REQUEST", "-subj",
                        "/CN=db",
                    ],
                    &["x509", "-req", "-in", "REQUEST", "-signkey", "KEY", "-days", "2", "-out", "CERTIFICATE"],
                ],
            ),
            Certificate::SelfSigned => (
                "Version: 3 ",
                &[&[
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-keyout",
                    "KEY",
                    "-out",
                    "CERTIFICATE",
                    "-subj",
                    "/CN=db",
                ]],
            ),
        };
        let openssl = async |arguments: &[&str]| {
            let path = |name: &str| cluster.folder.join("data").join(name).display().to_string();
            let arguments = arguments.iter().map(|argument| match *argument {
                "KEY" => path("server.key"),
                "REQUEST" => path("server.csr"),
                "CERTIFICATE" => path("server.crt"),
                other => other.to_owned(),
            });
            let arguments: Vec<_> = arguments.collect();
            let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
            let ended = run(as_server(Path::new("openssl"), &arguments)).await;
            assert_eq!(ended.code, Some(0), "{ended:?}");
            ended.stdout
        };
        for arguments in commands {
            openssl(arguments).await;
        }
        let text = openssl(&["x509", "-in", "CERTIFICATE", "-noout", "-text"]).await;
        assert!(text.contains(version), "{text}");
        cluster.start_again().await;
        cluster
    }

    async fn create(options: &'static str) -> Self {
        let programs = programs();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Created by the user that runs the server, which refuses to run as root.
        let made = run(as_server(Path::new("mktemp"), &["-d", "/tmp/perfgraph-cluster-XXXXXX"])).await;
        let folder = PathBuf::from(made.stdout.trim());
        assert!(folder.is_absolute(), "{made:?}");
        let url = format!("postgres://perfgraph@127.0.0.1:{port}/postgres");
        let cluster = Self { folder, programs, port, options, url };
        let data = cluster.data();
        let arguments = ["-D", &data, "-U", "perfgraph", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
        let ended = run(as_server(&cluster.programs.join("initdb"), &arguments)).await;
        assert_eq!(ended.code, Some(0), "{ended:?}");
        cluster
    }

    fn data(&self) -> String {
        self.folder.join("data").display().to_string()
    }

    /// Starts the server, which recovers from a kill.
    pub async fn start_again(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c max_connections=100 {}",
            self.port, self.options
        );
        let log = self.folder.join("log").display().to_string();
        let data = self.data();
        let arguments = ["start", "-w", "-t", "60", "-D", &data, "-l", &log, "-o", &options];
        let ended = run(as_server(&self.programs.join("pg_ctl"), &arguments)).await;
        assert_eq!(ended.code, Some(0), "{ended:?} {:?}", std::fs::read_to_string(&log));
    }

    /// Kills the server with all its processes, and returns when they are gone.
    pub async fn kill(&mut self) {
        let pid = self.pid().expect("the server runs");
        kill(pid);
        wait::until("the processes of the database end", async || relatives(pid).next().is_none()).await;
        // `pg_ctl` would take a killed process that is still in the process table for a running server.
        std::fs::remove_file(self.folder.join("data/postmaster.pid")).unwrap();
    }

    /// The process id: the first line of a file that exists while the server runs.
    fn pid(&self) -> Option<u32> {
        let file = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            kill(pid);
        }
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A process and its children, without zombies.
fn relatives(pid: u32) -> impl Iterator<Item = u32> {
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(move |entry| {
        let own: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name is in parentheses; state and parent follow it.
        let (_, rest) = stat.rsplit_once(") ")?;
        let (state, rest) = rest.split_once(' ')?;
        let parent: u32 = rest.split(' ').next()?.parse().ok()?;
        (state != "Z" && (own == pid || parent == pid)).then_some(own)
    })
}

/// Kills a server and its children.
fn kill(pid: u32) {
    let all = relatives(pid).map(|one| one.to_string());
    drop(std::process::Command::new("kill").args(["-s", "KILL"]).args(all).stderr(Stdio::null()).status());
}

/// True if the tests run as root, which servers refuse.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// A command that runs as a user who may run PostgreSQL: not as root.
fn as_server(program: &Path, arguments: &[&str]) -> Command {
    let mut command = if is_root() {
        let mut command = Command::new("runuser");
        command.args(["-u", "postgres", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.args(arguments).current_dir("/").stdin(Stdio::null());
    command
}

/// The folder of PostgreSQL's programs: in PATH, or Debian's newest, as `scripts/test-setup` finds it.
fn programs() -> PathBuf {
    let in_path =
        std::env::var_os("PATH").into_iter().flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>());
    let mut versions: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            Some((path.file_name()?.to_str()?.parse().ok()?, path.join("bin")))
        })
        .collect();
    versions.sort_unstable();
    let debian = versions.into_iter().rev().map(|(_, folder)| folder);
    let found = in_path.chain(debian).find(|folder| folder.join("initdb").exists() && folder.join("postgres").exists());
    found.expect("PostgreSQL is installed: scripts/test-setup does it")
}

//! A pgbouncer in transaction mode that belongs to one test, in front of the test PostgreSQL: on a free port, stopped at the end of
//! the test.

use std::{net::TcpListener, process::Stdio};

use sqlx::postgres::PgConnectOptions;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::{cluster::is_root, wait};

pub struct Pooler {
    port: u16,
    folder: TempDir,
    process: Option<Child>,
}

impl Pooler {
    /// Starts a pooler with `connections` connections to each database of this server.
    pub async fn start(server: &PgConnectOptions, connections: u32) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let settings = format!(
            "[databases]\n* = host={} port={} user={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = any\npool_mode = transaction\ndefault_pool_size = {connections}\nmax_client_conn = 200\n\
             unix_socket_dir =\nlogfile =\npidfile =\n",
            server.get_host(),
            server.get_port(),
            server.get_username(),
        );
        std::fs::write(folder.path().join("pgbouncer.ini"), settings).unwrap();
        let mut pooler = Self { port, folder, process: None };
        pooler.begin().await;
        pooler
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Starts it, also after [`Self::kill`], and waits until it accepts connections.
    pub async fn begin(&mut self) {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("pgbouncer");
        command.env("PATH", format!("{path}:/usr/sbin"));
        // It refuses to run as root.
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        command.arg(self.folder.path().join("pgbouncer.ini"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().expect("no pgbouncer: run `make test`, or `scripts/test-setup` once"));
        let is_open = async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        wait::until("the pooler takes connections", is_open).await;
    }

    /// Kills it without a shutdown.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }
}

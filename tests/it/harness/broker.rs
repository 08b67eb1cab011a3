//! A Redis broker that belongs to one test: on a free port, without a file, stopped at the end of the test.

use std::{net::TcpListener, process::Stdio};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
};

use super::wait;

pub struct Broker {
    port: u16,
    process: Option<Child>,
}

impl Broker {
    pub async fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut broker = Self { port, process: None };
        broker.begin().await;
        broker
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Starts the broker, also after [`Self::kill`], and waits until it accepts connections.
    pub async fn begin(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().expect("no redis-server: run `make test`, or `scripts/test-setup` once"));
        let is_open = async || TcpStream::connect(("127.0.0.1", self.port)).await.is_ok();
        wait::until("the broker takes connections", is_open).await;
    }

    /// Kills the broker without a shutdown.
    pub async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.unwrap();
        }
    }
}

//! A path to a server that can break in the worst way: it swallows all bytes of both directions, and tells nobody.

use std::{net::SocketAddr, str::FromStr};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// A proxy that ends with its test.
pub struct Proxy {
    address: SocketAddr,
    path: watch::Sender<Path>,
    accepting: JoinHandle<()>,
}

/// The state of the path.
#[derive(Clone, Copy, Default)]
struct Path {
    swallows: bool,
    /// The number of connections so far.
    opened: u64,
    /// The first connection that is not lost.
    lost_before: u64,
}

impl Path {
    const fn passes(self, connection: u64) -> bool {
        !self.swallows && connection >= self.lost_before
    }
}

impl Proxy {
    /// In front of the PostgreSQL server that the URL names.
    pub async fn before(url: &str) -> Self {
        let options = PgConnectOptions::from_str(url).unwrap();
        Self::before_server(options.get_host().to_owned(), options.get_port()).await
    }

    /// In front of any server.
    pub async fn before_server(host: String, port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let path = watch::Sender::new(Path::default());
        let (counted, seen) = (path.clone(), path.subscribe());
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (host, seen) = (host.clone(), seen.clone());
                let number = seen.borrow().opened;
                counted.send_modify(|path| path.opened += 1);
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect((host, port)).await else { return };
                    drop((client.set_nodelay(true), server.set_nodelay(true)));
                    let ((client_reads, client_writes), (server_reads, server_writes)) =
                        (client.into_split(), server.into_split());
                    tokio::join!(
                        forward(client_reads, server_writes, number, seen.clone()),
                        forward(server_reads, client_writes, number, seen),
                    );
                });
            }
        });
        Self { address, path, accepting }
    }

    /// The same PostgreSQL database through this proxy.
    pub fn url(&self, url: &str) -> String {
        let options = PgConnectOptions::from_str(url).unwrap();
        options.host("127.0.0.1").port(self.address.port()).to_url_lossy().to_string()
    }

    /// The address that clients connect to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Swallows all bytes from now on, also those of new connections.
    pub fn swallow(&self) {
        self.path.send_modify(|path| path.swallows = true);
    }

    /// Swallows all bytes of the connections that are open now, for good. New ones are whole.
    pub fn lose_open(&self) {
        self.path.send_modify(|path| path.lost_before = path.opened);
    }

    /// Passes on what is sent from now on. What was swallowed is gone.
    pub fn heal(&self) {
        self.path.send_modify(|path| path.swallows = false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    connection: u64,
    path: watch::Receiver<Path>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if path.borrow().passes(connection) && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

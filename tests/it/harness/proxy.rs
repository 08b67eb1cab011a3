//! A path to PostgreSQL that can break in the worst way: it swallows all bytes of both directions, and tells nobody.

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
    swallows: watch::Sender<bool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// In front of the server that the URL names.
    pub async fn before(url: &str) -> Self {
        let options = PgConnectOptions::from_str(url).unwrap();
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let swallows = watch::Sender::new(false);
        let seen = swallows.subscribe();
        let accepting = tokio::spawn(async move {
            // Dropped with this task, and the connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, seen) = (server.clone(), seen.clone());
                connections.spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else { return };
                    drop((client.set_nodelay(true), server.set_nodelay(true)));
                    let ((client_reads, client_writes), (server_reads, server_writes)) =
                        (client.into_split(), server.into_split());
                    tokio::join!(
                        forward(client_reads, server_writes, seen.clone()),
                        forward(server_reads, client_writes, seen),
                    );
                });
            }
        });
        Self { address, swallows, accepting }
    }

    /// The same database through this proxy.
    pub fn url(&self, url: &str) -> String {
        let options = PgConnectOptions::from_str(url).unwrap();
        options.host("127.0.0.1").port(self.address.port()).to_url_lossy().to_string()
    }

    /// Swallows all bytes from now on, also those of new connections.
    pub fn swallow(&self) {
        self.swallows.send_replace(true);
    }

    /// Passes on what is sent from now on. What was swallowed is gone.
    pub fn heal(&self) {
        self.swallows.send_replace(false);
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
    swallows: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 65_536];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        if !*swallows.borrow() && to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}

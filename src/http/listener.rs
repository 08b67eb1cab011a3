//! Connections: accepted until the server drains, each bounded in the head of its requests, all awaited at the end.

use std::{io, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::patience::Patient;
use crate::config::Config;

/// How long to wait when the process has no descriptor left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

type Connection = UpgradeableConnection<TokioIo<Patient<TcpStream>>, TowerToHyperService<Router>>;

/// Serves connections until `draining` is cancelled, and then those that are open to the end of their request.
pub async fn serve(listener: TcpListener, router: Router, config: Arc<Config>, draining: CancellationToken) {
    let Config { server, limits, .. } = &*config;
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(server.idle_timeout).max_buf_size(limits.header_bytes_max);
    let service = TowerToHyperService::new(router);
    // Dropped with this future, so nothing outlives the server.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.map(|(stream, _)| stream),
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = draining.cancelled() => break,
        };
        match stream {
            Ok(stream) => {
                let stream = Patient::new(prompt(stream), server.write_timeout);
                let connection = protocol.serve_connection(TokioIo::new(stream), service.clone());
                connections.spawn(finished(connection.with_upgrades(), draining.clone()));
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Serves a connection to its end, which comes after the request under way when the server drains.
async fn finished(connection: Connection, draining: CancellationToken) {
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = draining.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection ended early");
    }
}

/// Answers and events go out when they are written, not when the last packet was acknowledged.
fn prompt(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection waits for full packets");
    }
    stream
}

/// A client that went away before it was accepted costs nothing; anything else would come back at once.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        sleep(EXHAUSTED_PAUSE).await;
    }
}

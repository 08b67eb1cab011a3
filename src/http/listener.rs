//! Accepts connections until the server drains, bounds each of them, and waits for all of them at the end.

use std::{io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1::{self, UpgradeableConnection},
    service::Service,
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::AsyncWrite,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// Pause after an error of `accept`, for instance when the process has no file descriptor left.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

type BoundedStream<S> = Pin<Box<TimeoutWriter<S>>>;
type Connection = UpgradeableConnection<TokioIo<BoundedStream<TcpStream>>, ConnectionService>;

/// Serves connections until `draining` is cancelled, then finishes the requests in progress.
pub async fn serve(listener: TcpListener, router: Router, config: Arc<Config>, draining: CancellationToken) {
    let Config { server, limits, .. } = &*config;
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(server.idle_timeout).max_buf_size(limits.header_bytes_max);
    let router = TowerToHyperService::new(router);
    // Dropped with this future, so no connection outlives the server.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = draining.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let stream = TokioIo::new(bounded(without_delay(stream), server.write_timeout));
                let service = ConnectionService { router: router.clone(), peer };
                let connection = protocol.serve_connection(stream, service);
                connections.spawn(run(connection.with_upgrades(), draining.clone()));
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The service of one connection: the router, with the address of the peer attached to each request.
struct ConnectionService {
    router: TowerToHyperService<Router>,
    peer: SocketAddr,
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Response;
    type Error = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Error;
    type Future = <TowerToHyperService<Router> as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        self.router.call(request)
    }
}

/// Serves a connection. When the server drains, it ends after the request in progress.
async fn run(connection: Connection, draining: CancellationToken) {
    let mut connection = std::pin::pin!(connection);
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

/// Bounds the time in which a client must read what is written to it. Without the bound, a client that opens a stream and
/// never reads would hold its connection forever.
fn bounded<S: AsyncWrite>(stream: S, write_timeout: Duration) -> BoundedStream<S> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(write_timeout));
    Box::pin(stream)
}

/// Sends responses and events at once, without waiting for full packets or acknowledgements.
fn without_delay(stream: TcpStream) -> TcpStream {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set on a connection");
    }
    stream
}

/// Waits after an error of `accept`. A client that disconnected early is not waited for; any other error would repeat at
/// once.
async fn pause(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if !matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        tracing::error!(%error, "a connection could not be accepted");
        sleep(ACCEPT_ERROR_PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_a_client_that_reads_nothing_exceeds_the_write_timeout() {
        let (near, mut far) = duplex(8);
        let mut stream = bounded(near, Duration::from_secs(10));
        let slow = async {
            for _ in 0..20 {
                sleep(Duration::from_secs(9)).await;
                far.read_u8().await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(stream.write_all(&[0; 28]), slow);
        written.unwrap();
        assert_eq!(stream.write_all(&[0; 2]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}

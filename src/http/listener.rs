//! Accepts connections until the server drains, bounds each of them, and waits for all of them at the end.

mod idle;
mod open_files;
mod spelling;

use std::{convert::Infallible, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use futures_util::{FutureExt, TryFutureExt, future::BoxFuture};
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
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_io_timeout::TimeoutWriter;
use tokio_util::sync::CancellationToken;

use self::{
    idle::{IdleConnections, Presence},
    spelling::SpelledConnection,
};
use super::{cors::Cors, fault, request_target};
use crate::{config::Config, error::Error};

/// Seconds after which a client for which there is no place should come back.
const RETRY_AFTER_S: u32 = 1;

/// Timeout for telling a client that there is no place for it.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// Time for which the request of such a client is waited for. Without one it is told all the same.
const ASKED_WITHIN: Duration = Duration::from_millis(100);

/// Clients that are told so at the same time. Further ones are cut off.
const REFUSALS_MAX: usize = 32;

/// The bytes of such a request in which the origin of a page is looked for.
const REFUSED_HEAD_BYTES_MAX: usize = 4_096;

/// The most that is read from such a client.
const REFUSED_BYTES_MAX: usize = 1 << 20;

/// A head that exceeds its limit by less is answered with a body that names the limit. The HTTP library answers larger ones,
/// with a status alone.
const HEAD_BYTES_ABOVE: usize = 16_384;

/// Time for which a new connection waits for the end of one that makes its place.
const CLOSED_WITHIN: Duration = Duration::from_millis(100);

/// Pause after an error of `accept`, for instance when the process has no file descriptor left.
const ACCEPT_ERROR_PAUSE: Duration = Duration::from_millis(100);

type BoundedStream<S> = Pin<Box<TimeoutWriter<S>>>;
type Connection = UpgradeableConnection<TokioIo<BoundedStream<SpelledConnection<TcpStream>>>, ConnectionService>;

/// Serves connections until `draining` is cancelled, then finishes the requests in progress. `sockets` has a permit for each
/// WebSocket that may still be opened.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    config: Arc<Config>,
    sockets: Arc<Semaphore>,
    draining: CancellationToken,
) {
    let Config { server, limits, .. } = &*config;
    let mut protocol = http1::Builder::new();
    let buffer_max = limits.header_bytes_max.saturating_add(HEAD_BYTES_ABOVE);
    protocol.timer(TokioTimer::new()).header_read_timeout(server.idle_timeout).max_buf_size(buffer_max);
    // Names have no case, but some clients look for `Content-Type` alone (gql 4.4 for Python, for instance).
    protocol.title_case_headers(true);
    let router = TowerToHyperService::new(router);
    let mut places = Places::new(&config, sockets);
    // Dropped with this future, so no connection outlives the server.
    let mut connections = JoinSet::new();
    let mut refusals = JoinSet::new();
    let cors = Arc::new(Cors::new(server));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            () = draining.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                // What has ended by now no longer takes a place.
                while connections.try_join_next().is_some() {}
                if !places.make_one(&mut connections).await {
                    while refusals.try_join_next().is_some() {}
                    if refusals.len() < REFUSALS_MAX {
                        refusals.spawn(refuse(stream, Arc::clone(&cors)));
                    }
                    continue;
                }
                let stream = SpelledConnection(without_delay(stream));
                let stream = TokioIo::new(bounded(stream, server.write_timeout));
                let presence = places.idle.enter();
                let service = ConnectionService {
                    router: router.clone(),
                    cors: Arc::clone(&cors),
                    peer,
                    presence: presence.clone(),
                };
                let connection = protocol.serve_connection(stream, service);
                connections.spawn(run(connection.with_upgrades(), presence, draining.clone()));
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// The response to a client for which there is no place. Of its request only the beginning has been looked at.
fn refusal(cors: &Cors, beginning: &[u8]) -> String {
    let fault = Error::Unavailable {
        message: "all connections of the server are taken (limits.connections_max); send the request again",
        retry_after_s: RETRY_AFTER_S,
        source: None,
    };
    let body = fault::body(&fault);
    let headers = cors.headers(cors.origin(&origins(beginning)));
    let headers =
        headers.iter().map(|(name, value)| format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    let headers: String = headers.collect();
    format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nRetry-After: {RETRY_AFTER_S}\r\nConnection: close\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The headers `Origin` at the beginning of a request.
fn origins(beginning: &[u8]) -> HeaderMap {
    let mut origins = HeaderMap::new();
    // What follows the last end of a line may be cut off.
    let whole = beginning.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &beginning[..end]);
    let lines = whole.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    for line in lines.skip(1).take_while(|line| !line.is_empty()) {
        let name = line.iter().position(|byte| *byte == b':').map_or(&[][..], |end| &line[..end]);
        if name.eq_ignore_ascii_case(header::ORIGIN.as_str().as_bytes())
            && let Ok(value) = HeaderValue::from_bytes(line[name.len() + 1..].trim_ascii())
        {
            origins.append(header::ORIGIN, value);
        }
    }
    origins
}

/// Tells a client that there is no place for it, and reads its request: if the server closed the connection before that, the
/// client would see a reset instead of the answer.
async fn refuse(mut stream: TcpStream, cors: Arc<Cors>) {
    let told = async {
        let (mut buffer, mut read) = ([0; REFUSED_HEAD_BYTES_MAX], 0);
        // An answer before the request would be an error to many clients. Readiness alone is also reported without bytes.
        let peeked = timeout(ASKED_WITHIN, stream.peek(&mut buffer)).await;
        let beginning = peeked.ok().and_then(Result::ok).and_then(|bytes| buffer.get(..bytes)).unwrap_or_default();
        stream.write_all(refusal(&cors, beginning).as_bytes()).await?;
        stream.shutdown().await?;
        while read < REFUSED_BYTES_MAX {
            match stream.read(&mut buffer).await? {
                0 => break,
                bytes => read += bytes,
            }
        }
        Ok::<_, io::Error>(())
    };
    let _ = timeout(REFUSED_WITHIN, told).await;
}

/// The places for connections.
struct Places {
    max: usize,
    idle: IdleConnections,
    sockets: Arc<Semaphore>,
    sockets_max: usize,
    /// The log says once that the places are taken, until a tenth of them is free again.
    is_told: bool,
}

impl Places {
    fn new(config: &Config, sockets: Arc<Semaphore>) -> Self {
        open_files::raise_limit();
        let database = config.database.read_connections.saturating_add(config.database.write_connections);
        Self {
            max: open_files::connections_max(config.limits.connections_max, database),
            idle: IdleConnections::default(),
            sockets_max: sockets.available_permits(),
            sockets,
            is_told: false,
        }
    }

    /// Returns whether there is a place for another connection. An idle one makes it.
    async fn make_one(&mut self, connections: &mut JoinSet<()>) -> bool {
        if self.taken(connections) < self.max {
            self.is_told &= self.taken(connections) >= self.max - self.max / 10;
            return true;
        }
        if !self.is_told {
            self.is_told = true;
            tracing::warn!(
                connections = self.taken(connections),
                "all connections are taken (limits.connections_max): idle ones are closed"
            );
        }
        if !self.idle.close_one() {
            return false;
        }
        // Those that are told to close may still write their last response.
        while self.taken(connections) >= self.max + open_files::closing_max(self.max) {
            if !matches!(timeout(CLOSED_WITHIN, connections.join_next()).await, Ok(Some(_))) {
                return false;
            }
        }
        true
    }

    fn taken(&self, connections: &JoinSet<()>) -> usize {
        connections.len() + self.sockets_max.saturating_sub(self.sockets.available_permits())
    }
}

/// The service of one connection: the router, with the address of the peer attached to each request, and with the headers by
/// which pages of other origins may see each response.
struct ConnectionService {
    router: TowerToHyperService<Router>,
    cors: Arc<Cors>,
    peer: SocketAddr,
    presence: Presence,
}

impl Service<Request<Incoming>> for ConnectionService {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(ConnectInfo(self.peer));
        request_target::trim_slashes(&mut request);
        let headers = self.cors.headers(self.cors.origin(request.headers()));
        let busy = self.presence.begin();
        let answered = self.router.call(request).map_ok(move |mut response| {
            for (name, value) in headers {
                response.headers_mut().append(name, value);
            }
            idle::until_sent(response, busy)
        });
        answered.boxed()
    }
}

/// Serves a connection. When the server drains or needs its place, it ends after the request in progress.
async fn run(connection: Connection, presence: Presence, draining: CancellationToken) {
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        // First, so that a request that has arrived is handled.
        biased;
        ended = connection.as_mut() => ended,
        is_draining = async {
            tokio::select! {
                () = draining.cancelled() => true,
                () = presence.closing().cancelled() => false,
            }
        } => {
            connection.as_mut().graceful_shutdown();
            // The library waits for the rest of a head that has begun, and nobody is to wait for that.
            if !is_draining && presence.is_new() {
                return;
            }
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
    use tokio::io::duplex;

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

//! Section `server`: the listener and its patience.

use std::net::{Ipv4Addr, SocketAddr};

use super::origin::Origin;
use super::section::section;

section! {
    /// Where the server listens and how long it waits.
    "server" => Server {
        /// Address and port of the one listener, for example `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000`. Port 0
        /// takes a free one. As long as there is no authentication, only addresses of this machine are accepted.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
        /// Origins at which browsers reach this server through a proxy, for example `["https://perf.example.com"]`. Their
        /// host names are answered to, and their pages count as pages of this server. Without any, only local names are
        /// answered to.
        public_origins: Vec<Origin> = Vec::new(),
        /// Origins of other pages that may read, write and open streams here (CORS), for example
        /// `["https://app.example.com"]`. Each is trusted as far as whoever opens the page.
        cors_origins: Vec<Origin> = Vec::new(),
        /// Whether pages of those origins may send cookies and other credentials along.
        cors_credentials: bool = false,
        /// Whether answers of more than 1,000 bytes are compressed for clients that take zstd, br or gzip.
        compression: bool = true,
        /// Milliseconds that a connection may take to send the head of its next request before it is closed.
        idle_timeout_ms: u64 = 60_000,
        /// Milliseconds that a client may take nothing of what is written to it, before its connection is cut. On a
        /// WebSocket also what it may take to accept one message.
        write_timeout_ms: u64 = 30_000,
        /// Milliseconds after which a request is answered with the code TIMEOUT. Subscriptions are not requests.
        request_timeout_ms: u64 = 10_000,
        /// Milliseconds that a body of metrics for `/ingest/v1/metrics` may take to arrive.
        ingest_body_timeout_ms: u64 = 60_000,
        /// Milliseconds between SIGTERM or Ctrl-C and the end of new requests: `/readyz` already says 503, so that a
        /// balancer has time to look elsewhere.
        drain_delay_ms: u64 = 0,
        /// Milliseconds that requests under way get to finish after SIGTERM or Ctrl-C; 0 waits for nobody.
        drain_timeout_ms: u64 = 10_000,
        /// Milliseconds between the server's pings on a WebSocket; one that lets two go by without a word is closed.
        ping_interval_ms: u64 = 15_000,
        /// Milliseconds of silence after which a stream over HTTP gives a sign of life, so that no proxy takes it for
        /// dead.
        heartbeat_interval_ms: u64 = 12_000,
        /// Number of this instance in the ids it makes, 0 to 255. Unset, it takes the first that is free; a number that
        /// another instance on the same PostgreSQL database holds is refused. 0 is also what `perfgraph seed` uses.
        node: Option<u8> = None,
    }
}

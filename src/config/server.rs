//! Section `server`: listener, browser origins and timeouts.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::header_name::HeaderName;
use super::origin::Origin;
use super::section::section;
use super::setting::Setting;

section! {
    /// Listener, browser origins and timeouts.
    "server" => Server {
        /// Address and port to listen on: `127.0.0.1:8000`, `[::1]:8000` or `localhost:8000`. Port 0 selects a free port.
        /// Only loopback addresses are accepted, because there is no authentication yet.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000)),
        /// Origins under which browsers reach this server through a reverse proxy, such as `["https://perf.example.com"]`.
        /// Requests to their host names are accepted, and their pages are same-origin. Empty: only requests to localhost
        /// and loopback addresses are accepted.
        public_origins: Vec<Origin> = Vec::new(),
        /// Other origins whose pages may send queries, mutations, metrics and subscriptions (CORS), such as
        /// `["https://app.example.com"]`. Their pages act with the rights of the person who opens them.
        cors_origins: Vec<Origin> = Vec::new(),
        /// Request headers that pages of `cors_origins` may send in addition to those that perfgraph knows, such as
        /// `["x-tenant"]` for a proxy.
        cors_headers: Vec<HeaderName> = Vec::new(),
        /// Allows pages of `cors_origins` to send cookies and other credentials.
        cors_credentials: bool = false,
        /// Compresses responses of more than 1000 bytes with br or gzip, or with zstd for browsers and for clients that
        /// accept nothing else, if the client accepts one of them.
        compression: bool = true,
        /// Timeout for the head of the next request on a connection. After it the connection is closed, also an idle one.
        idle_timeout ("idle_timeout_ms"): Duration = Duration::from_mins(1),
        /// Timeout for a client that reads nothing of what is sent to it. After it the connection is closed. On a WebSocket
        /// it also bounds the sending of one message.
        write_timeout ("write_timeout_ms"): Duration = Duration::from_secs(30),
        /// Timeout for a query or mutation. After it the request fails with the error code TIMEOUT. Subscriptions have no
        /// timeout.
        request_timeout ("request_timeout_ms"): Duration = Duration::from_secs(10),
        /// Timeout for receiving the body of a request to `/ingest/v1/metrics`.
        ingest_body_timeout ("ingest_body_timeout_ms"): Duration = Duration::from_mins(1),
        /// Delay between SIGTERM or Ctrl-C and the moment when no new connections are accepted. During the delay requests
        /// are served and `/readyz` returns 503, so that a load balancer stops sending traffic. 0: no delay.
        drain_delay ("drain_delay_ms"): Duration = Duration::ZERO,
        /// Timeout for requests in progress and open WebSockets after the drain delay. 0 does not wait for them.
        drain_timeout ("drain_timeout_ms"): Duration = Duration::from_secs(10),
        /// Interval of the server's pings on a WebSocket. After two pings without any message from the client the socket is
        /// closed.
        ping_interval ("ping_interval_ms"): Duration = Duration::from_secs(15),
        /// Interval of heartbeats on a stream over HTTP (server-sent events, multipart) that has nothing else to send, so
        /// that proxies keep the connection open.
        heartbeat_interval ("heartbeat_interval_ms"): Duration = Duration::from_secs(12),
        /// Number of this instance, 0 to 255: part of every id that it generates. Unset: the first free number. A number
        /// that another instance on the same PostgreSQL database holds is refused. `perfgraph seed` uses 0.
        node: Option<u8> = None,
        /// Sample data: `on` fills a database that holds no data and sends demo traffic to the sample projects, about three
        /// measurements per second, for as long as the server runs. `auto` does so only with the default file of
        /// `database.url`, and `off` never.
        demo: Demo = Demo::Auto,
    }
}

/// The databases that the server fills with sample data and sends demo traffic to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demo {
    /// The default file of `database.url`.
    Auto,
    /// The configured database, whichever it is.
    On,
    /// None.
    Off,
}

impl Setting for Demo {
    const EXPECTED: &'static str = "\"auto\", \"on\" or \"off\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "auto" => Some(Self::Auto),
            "on" => Some(Self::On),
            "off" => Some(Self::Off),
            _ => None,
        }
    }

    fn to_toml(&self, name: &str) -> String {
        let value = match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        };
        format!("{name} = \"{value}\"")
    }
}

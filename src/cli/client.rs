//! Clients of a running server, for the commands that work beside it: its address, GraphQL over a WebSocket, requests over
//! HTTP, and the pauses between attempts to reach it.

pub mod http;
pub mod project;
pub mod websocket;

use std::{fmt, str::FromStr, time::Duration};

use tokio::time::sleep;

use super::failure::Failure;

/// The address of a server on this machine with the default settings.
pub const DEFAULT_URL: &str = "http://127.0.0.1:8000";

/// First and maximum pause before another attempt. The pause doubles with each attempt.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// The error of a request to a server.
#[derive(Debug)]
pub enum ClientError {
    /// The server cannot be reached, or the connection was lost. A retry may succeed.
    Lost(String),
    /// The server refused the request. A retry would fail too.
    Refused(String),
    /// The reader of the output is gone.
    OutputClosed,
}

impl ClientError {
    /// A connection that was lost.
    pub fn lost(why: impl ToString) -> Self {
        Self::Lost(why.to_string())
    }

    /// The failure of a command that does not try again; `doing` says what it could not do.
    pub fn into_failure(self, doing: &str) -> Result<(), Failure> {
        match self {
            Self::OutputClosed => Ok(()),
            Self::Refused(why) => Err(Failure::Data(why)),
            Self::Lost(why) => Err(unreachable(doing, &why)),
        }
    }
}

/// The failure of a command that cannot reach its server; `doing` says what it could not do.
pub fn unreachable(doing: &str, why: &str) -> Failure {
    let advice = if why.contains("Connection refused") {
        ". Does the server run (`perfgraph serve`)? --url names another address"
    } else {
        ""
    };
    Failure::Unavailable(format!("cannot {doing}: {why}{advice}"))
}

/// The address of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host and port, as in the header `Host`.
    pub host: String,
}

impl ServerAddress {
    /// The URL of its WebSocket.
    pub fn websocket(&self) -> String {
        format!("ws://{}/graphql", self.host)
    }

    /// Host and port to connect to.
    pub fn authority(&self) -> String {
        let port = self
            .host
            .rsplit(':')
            .next()
            .filter(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
        // An IPv6 address without a port ends with its bracket.
        if port.is_some() && self.host.contains(':') { self.host.clone() } else { format!("{}:80", self.host) }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.host)
    }
}

impl FromStr for ServerAddress {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(format!("`{url}` has no scheme; write http://HOST:PORT"));
        };
        if !matches!(scheme, "http" | "ws") {
            return Err(format!(
                "{scheme}:// is not supported; write http://HOST:PORT, and use a tunnel to a remote server"
            ));
        }
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        if host.is_empty() || !matches!(path.trim_end_matches('/'), "" | "graphql") {
            return Err(format!("`{url}` is not the address of a server; write http://HOST:PORT"));
        }
        Ok(Self { host: host.to_owned() })
    }
}

/// The pauses between attempts to reach a server.
pub struct Pauses(Duration);

impl Default for Pauses {
    fn default() -> Self {
        Self(PAUSES.0)
    }
}

impl Pauses {
    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.0 = PAUSES.0;
    }

    /// The length of the next pause in seconds.
    pub fn seconds(&self) -> f64 {
        self.0.as_secs_f64()
    }

    /// Waits before the next attempt.
    pub async fn wait(&mut self) {
        sleep(self.0).await;
        self.0 = (self.0 * 2).min(PAUSES.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_parsed() {
        for url in ["http://a:1", "http://a:1/", "ws://a:1/graphql"] {
            let address: ServerAddress = url.parse().unwrap();
            assert_eq!(
                (address.websocket().as_str(), address.authority().as_str()),
                ("ws://a:1/graphql", "a:1"),
                "{url}"
            );
        }
        for (url, authority) in [("http://a", "a:80"), ("http://[::1]", "[::1]:80"), ("http://[::1]:2", "[::1]:2")] {
            assert_eq!(url.parse::<ServerAddress>().unwrap().authority(), authority);
        }
        for url in ["a:1", "ftp://a", "http://", "http://a/elsewhere", "https://a"] {
            assert!(url.parse::<ServerAddress>().is_err(), "{url}");
        }
    }
}

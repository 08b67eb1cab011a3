//! A WebSocket client of the server: graphql-transport-ws with one operation at a time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// Timeout for connecting and for the result of a query.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for the next message. By default the server sends pings more often.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// The error that ends watching.
#[derive(Debug)]
pub enum WatchError {
    /// The server cannot be reached, or the connection was lost. A retry may succeed.
    Lost(String),
    /// The server refused the request. A retry would fail too.
    Refused(String),
    /// The reader of the output is gone.
    OutputClosed,
}

fn lost(why: impl ToString) -> WatchError {
    WatchError::Lost(why.to_string())
}

/// Converts the address of a server to the address of its WebSocket.
pub fn address(url: &str) -> Result<String, String> {
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
    Ok(format!("ws://{host}/graphql"))
}

/// An open and acknowledged connection.
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Connection {
    /// Connects and initialises the connection.
    pub async fn open(url: &str) -> Result<Self, WatchError> {
        let mut request = url.into_client_request().map_err(|error| WatchError::Refused(format!("--url: {error}")))?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let opened = timeout(RESPONSE_TIMEOUT, connect_async(request)).await;
        let (socket, _) = opened.map_err(|_| lost("the server does not respond"))?.map_err(lost)?;
        let mut connection = Self { socket };
        connection.send(&json!({ "type": "connection_init" })).await?;
        match connection.message(RESPONSE_TIMEOUT).await? {
            message if message["type"] == "connection_ack" => Ok(connection),
            message => Err(lost(format!("the server responded with {}", message["type"]))),
        }
    }

    /// Starts an operation. [`Connection::next`] returns its results.
    pub async fn subscribe(&mut self, query: &str, variables: Value) -> Result<(), WatchError> {
        let payload = json!({ "query": query, "variables": variables });
        self.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await
    }

    /// Executes a query.
    pub async fn query(&mut self, query: &str, variables: Value) -> Result<Value, WatchError> {
        self.subscribe(query, variables).await?;
        let answer = self.next().await?;
        while self.message(RESPONSE_TIMEOUT).await?["type"] != "complete" {}
        Ok(answer)
    }

    /// The data of the next result.
    pub async fn next(&mut self) -> Result<Value, WatchError> {
        let mut message = self.message(SILENCE_TIMEOUT).await?;
        match message["type"].as_str() {
            Some("next") => {
                let mut payload = message["payload"].take();
                match payload["errors"].get(0) {
                    Some(error) => Err(refusal(error)),
                    None => Ok(payload["data"].take()),
                }
            }
            Some("error") => Err(refusal(&message["payload"][0])),
            _ => Err(lost("the server ended the stream")),
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), WatchError> {
        self.socket.send(Message::text(message.to_string())).await.map_err(lost)
    }

    /// The next message other than pings and pongs.
    async fn message(&mut self, limit: Duration) -> Result<Value, WatchError> {
        loop {
            let frame = timeout(limit, self.socket.next()).await.map_err(|_| lost("the server is silent"))?;
            match frame.ok_or_else(|| lost("the server closed the connection"))?.map_err(lost)? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).map_err(lost)?;
                    match message["type"].as_str() {
                        Some("ping") => self.send(&json!({ "type": "pong" })).await?,
                        Some("pong") => {}
                        _ => return Ok(message),
                    }
                }
                Message::Close(Some(frame)) => {
                    return Err(lost(format!("the server closed the connection with code {}", frame.code)));
                }
                Message::Close(None) => return Err(lost("the server closed the connection")),
                _ => {}
            }
        }
    }
}

/// Classifies an error of the server as temporary or permanent.
fn refusal(error: &Value) -> WatchError {
    let message = error["message"].as_str().unwrap_or("the server sent an error without a message").to_owned();
    match error["extensions"]["code"].as_str() {
        Some("UNAVAILABLE" | "TIMEOUT" | "RATE_LIMITED") => WatchError::Lost(message),
        _ => WatchError::Refused(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers_are_parsed() {
        for url in ["http://a:1", "http://a:1/", "ws://a:1/graphql"] {
            assert_eq!(address(url).as_deref(), Ok("ws://a:1/graphql"), "{url}");
        }
        for url in ["a:1", "ftp://a", "http://", "http://a/elsewhere", "https://a"] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}

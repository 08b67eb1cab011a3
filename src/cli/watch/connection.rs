//! One WebSocket to the server, and as much of graphql-transport-ws as one question at a time needs.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

/// How long the server may take to let us in, or to answer a question.
const PATIENCE: Duration = Duration::from_secs(10);
/// The server sends a sign of life at least this often, unless it is set otherwise.
const SILENCE: Duration = Duration::from_mins(1);

/// Why there is nothing (more) to see.
#[derive(Debug)]
pub enum Fault {
    /// The server cannot be reached, or went away: trying again may help.
    Lost(String),
    /// The server refuses what was asked.
    Refused(String),
    /// Nobody reads what it says any more.
    Unread,
}

fn lost(why: impl ToString) -> Fault {
    Fault::Lost(why.to_string())
}

/// The WebSocket of a server that is named by its address.
pub fn address(url: &str) -> Result<String, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(format!("`{url}` has no scheme; write http://HOST:PORT"));
    };
    if !matches!(scheme, "http" | "ws") {
        return Err(format!(
            "{scheme}:// is not spoken here; write http://HOST:PORT, and watch through a tunnel if it is far"
        ));
    }
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if host.is_empty() || !matches!(path.trim_end_matches('/'), "" | "graphql") {
        return Err(format!("`{url}` names no server; write http://HOST:PORT"));
    }
    Ok(format!("ws://{host}/graphql"))
}

/// An open and acknowledged connection.
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Connection {
    /// Connects and introduces itself.
    pub async fn open(url: &str) -> Result<Self, Fault> {
        let mut request = url.into_client_request().map_err(|error| Fault::Refused(format!("--url: {error}")))?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let opened = timeout(PATIENCE, connect_async(request)).await;
        let (socket, _) = opened.map_err(|_| lost("it does not answer"))?.map_err(lost)?;
        let mut connection = Self { socket };
        connection.send(&json!({ "type": "connection_init" })).await?;
        match connection.message(PATIENCE).await? {
            message if message["type"] == "connection_ack" => Ok(connection),
            message => Err(lost(format!("it answered {}", message["type"]))),
        }
    }

    /// Asks a question; the answers come by [`Connection::next`].
    pub async fn subscribe(&mut self, query: &str, variables: Value) -> Result<(), Fault> {
        let payload = json!({ "query": query, "variables": variables });
        self.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await
    }

    /// Asks a question that has one answer.
    pub async fn ask(&mut self, query: &str, variables: Value) -> Result<Value, Fault> {
        self.subscribe(query, variables).await?;
        let answer = self.next().await?;
        while self.message(PATIENCE).await?["type"] != "complete" {}
        Ok(answer)
    }

    /// The data of the next answer.
    pub async fn next(&mut self) -> Result<Value, Fault> {
        let mut message = self.message(SILENCE).await?;
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

    async fn send(&mut self, message: &Value) -> Result<(), Fault> {
        self.socket.send(Message::text(message.to_string())).await.map_err(lost)
    }

    /// The next message that is not a sign of life.
    async fn message(&mut self, patience: Duration) -> Result<Value, Fault> {
        loop {
            let frame = timeout(patience, self.socket.next()).await.map_err(|_| lost("it has fallen silent"))?;
            match frame.ok_or_else(|| lost("it hung up"))?.map_err(lost)? {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).map_err(lost)?;
                    match message["type"].as_str() {
                        Some("ping") => self.send(&json!({ "type": "pong" })).await?,
                        Some("pong") => {}
                        _ => return Ok(message),
                    }
                }
                Message::Close(Some(frame)) => return Err(lost(format!("it closed with {}", frame.code))),
                Message::Close(None) => return Err(lost("it hung up")),
                _ => {}
            }
        }
    }
}

/// What cannot be done now may be done later; what is wrong stays wrong.
fn refusal(error: &Value) -> Fault {
    let message = error["message"].as_str().unwrap_or("the server refuses without a word").to_owned();
    match error["extensions"]["code"].as_str() {
        Some("UNAVAILABLE" | "TIMEOUT" | "RATE_LIMITED") => Fault::Lost(message),
        _ => Fault::Refused(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_address() {
        for url in ["http://a:1", "http://a:1/", "ws://a:1/graphql"] {
            assert_eq!(address(url).as_deref(), Ok("ws://a:1/graphql"), "{url}");
        }
        for url in ["a:1", "ftp://a", "http://", "http://a/elsewhere", "https://a"] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}

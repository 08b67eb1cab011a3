//! A WebSocket client of the server: graphql-transport-ws with one operation at a time.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    ClientError, ServerAddress,
    project::{self, Project},
};

/// Timeout for connecting and for the result of a query.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for the next message. By default the server sends pings more often.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// An open and acknowledged connection.
pub struct Connection {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Connection {
    /// Connects and initialises the connection.
    pub async fn open(address: &ServerAddress) -> Result<Self, ClientError> {
        let mut request = address
            .websocket()
            .into_client_request()
            .map_err(|error| ClientError::Refused(format!("--url: {error}")))?;
        let protocol = HeaderValue::from_static("graphql-transport-ws");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let opened = timeout(RESPONSE_TIMEOUT, connect_async(request)).await;
        let (socket, _) =
            opened.map_err(|_| ClientError::lost("the server does not respond"))?.map_err(ClientError::lost)?;
        let mut connection = Self { socket };
        connection.send(&json!({ "type": "connection_init" })).await?;
        match connection.message(RESPONSE_TIMEOUT).await? {
            message if message["type"] == "connection_ack" => Ok(connection),
            message => Err(ClientError::lost(format!("the server responded with {}", message["type"]))),
        }
    }

    /// Starts an operation. [`Connection::next`] returns its results.
    pub async fn subscribe(&mut self, query: &str, variables: Value) -> Result<(), ClientError> {
        let payload = json!({ "query": query, "variables": variables });
        self.send(&json!({ "id": "1", "type": "subscribe", "payload": payload })).await
    }

    /// Executes a query.
    pub async fn query(&mut self, query: &str, variables: Value) -> Result<Value, ClientError> {
        self.subscribe(query, variables).await?;
        let answer = self.next().await?;
        while self.message(RESPONSE_TIMEOUT).await?["type"] != "complete" {}
        Ok(answer)
    }

    /// Finds a project by its slugs or its node id.
    pub async fn project(&mut self, named: &str) -> Result<Project, ClientError> {
        Project::read(&self.query(project::QUERY, project::variables(named)?).await?, named)
    }

    /// The data of the next result.
    pub async fn next(&mut self) -> Result<Value, ClientError> {
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
            _ => Err(ClientError::lost("the server ended the stream")),
        }
    }

    async fn send(&mut self, message: &Value) -> Result<(), ClientError> {
        self.socket.send(Message::text(message.to_string())).await.map_err(ClientError::lost)
    }

    /// The next message other than pings and pongs.
    async fn message(&mut self, limit: Duration) -> Result<Value, ClientError> {
        loop {
            let frame =
                timeout(limit, self.socket.next()).await.map_err(|_| ClientError::lost("the server is silent"))?;
            match frame
                .ok_or_else(|| ClientError::lost("the server closed the connection"))?
                .map_err(ClientError::lost)?
            {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).map_err(ClientError::lost)?;
                    match message["type"].as_str() {
                        Some("ping") => self.send(&json!({ "type": "pong" })).await?,
                        Some("pong") => {}
                        _ => return Ok(message),
                    }
                }
                Message::Close(Some(frame)) => {
                    return Err(ClientError::lost(format!(
                        "the server closed the connection with code {}",
                        frame.code
                    )));
                }
                Message::Close(None) => return Err(ClientError::lost("the server closed the connection")),
                _ => {}
            }
        }
    }
}

/// Classifies an error of the server as temporary or permanent.
pub fn refusal(error: &Value) -> ClientError {
    let message = error["message"].as_str().unwrap_or("the server sent an error without a message").to_owned();
    match error["extensions"]["code"].as_str() {
        Some("UNAVAILABLE" | "TIMEOUT" | "RATE_LIMITED") => ClientError::Lost(message),
        _ => ClientError::Refused(message),
    }
}

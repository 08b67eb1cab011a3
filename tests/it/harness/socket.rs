//! A WebSocket client of graphql-transport-ws that shows single frames, which real clients hide.

use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::frame::CloseFrame},
};

use super::process::PATIENCE;

/// A message from a server to a subscriber.
#[derive(Debug)]
pub enum Said {
    /// A response.
    Next(Value),
    /// The operation could not begin.
    Error(Value),
    /// The operation has ended.
    Complete,
    /// The socket is closed, with the code and the reason if the server sent them.
    Closed(Option<(u16, String)>),
}

impl Said {
    /// The data of an event of `metricStream`.
    #[track_caller]
    pub fn event(self) -> Value {
        match self {
            Self::Next(mut payload) if payload.get("errors").is_none() => payload["data"]["metricStream"].take(),
            other => panic!("no event: {other:?}"),
        }
    }
}

type Frames = WebSocketStream<MaybeTlsStream<TcpStream>>;
pub type Sender = SplitSink<Frames, Message>;
pub type Receiver = SplitStream<Frames>;

/// A socket after `connection_init`.
pub struct Socket(Frames);

impl Socket {
    pub async fn open(url: &str) -> Result<Self, Error> {
        let address = url.trim_start_matches("ws://").split('/').next().unwrap().to_owned();
        Self::over(TcpStream::connect(address).await?, url).await
    }

    /// Opens a socket over an existing connection.
    pub async fn over(stream: TcpStream, url: &str) -> Result<Self, Error> {
        stream.set_nodelay(true)?;
        let mut request = url.into_client_request()?;
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (socket, _) = client_async(request, MaybeTlsStream::Plain(stream)).await?;
        let mut socket = Self(socket);
        socket.say(&json!({ "type": "connection_init" })).await?;
        match socket.0.next().await {
            Some(Ok(Message::Text(_))) => Ok(socket),
            Some(Err(error)) => Err(error),
            _ => Err(Error::ConnectionClosed),
        }
    }

    pub async fn subscribe(&mut self, id: &str, query: &str, variables: &Value) -> Result<(), Error> {
        let payload = json!({ "query": query, "variables": variables });
        self.say(&json!({ "type": "subscribe", "id": id, "payload": payload })).await
    }

    /// Sends any message of the protocol.
    pub async fn say(&mut self, message: &Value) -> Result<(), Error> {
        self.say_text(message.to_string()).await
    }

    /// Sends any text.
    pub async fn say_text(&mut self, text: String) -> Result<(), Error> {
        self.0.send(Message::text(text)).await
    }

    /// The connection of the socket, for tests that read single bytes or nothing.
    pub fn into_connection(self) -> TcpStream {
        match self.0.into_inner() {
            MaybeTlsStream::Plain(connection) => connection,
            _ => unreachable!("it was opened without encryption"),
        }
    }

    /// Both directions of the socket, for tests that send without waiting for messages.
    pub fn into_halves(self) -> (Sender, Receiver) {
        self.0.split()
    }

    /// The next message except for pings.
    pub async fn next(&mut self) -> Said {
        timeout(PATIENCE, self.said()).await.expect("the server says something in time")
    }

    async fn said(&mut self) -> Said {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => {
                    let mut message: Value = serde_json::from_str(&text).unwrap();
                    match message["type"].as_str().unwrap() {
                        "next" => return Said::Next(message["payload"].take()),
                        "error" => return Said::Error(message["payload"].take()),
                        "complete" => return Said::Complete,
                        "ping" => {
                            // If the server hangs up meanwhile, the next frame shows it.
                            let _ = self.say(&json!({ "type": "pong" })).await;
                        }
                        other => panic!("{other}"),
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    let told = |CloseFrame { code, reason }| (u16::from(code), reason.to_string());
                    return Said::Closed(frame.map(told));
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Said::Closed(None),
            }
        }
    }
}

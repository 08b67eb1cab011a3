//! The messages of graphql-transport-ws, and the codes and reasons for closing a socket.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

/// A message from the client.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage {
    /// The first message of a connection.
    ConnectionInit {
        /// Credentials. Not used, because there is no authentication yet.
        #[serde(default, rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    /// Requests a `pong`.
    Ping {
        /// Returned in the `pong`.
        #[serde(default)]
        payload: Option<Map<String, Value>>,
    },
    /// The response to a `ping`.
    Pong {
        /// Not used.
        #[serde(default, rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    /// Starts an operation.
    Subscribe {
        /// The id of the operation, chosen by the client. It can be reused after the operation has ended.
        id: String,
        /// The request, whose properties are not checked yet.
        payload: Map<String, Value>,
    },
    /// Stops an operation.
    Complete {
        /// The id of the operation.
        id: String,
    },
}

/// A message from the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ServerMessage<'a> {
    ConnectionAck,
    Ping,
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a Map<String, Value>>,
    },
    Complete {
        id: &'a str,
    },
}

fn text(message: &ServerMessage<'_>) -> Message {
    // Cannot fail: the messages consist of strings, numbers, and maps with string keys.
    Message::Text(serde_json::to_string(message).unwrap_or_default().into())
}

/// Acknowledges the connection.
pub fn acknowledge() -> Message {
    text(&ServerMessage::ConnectionAck)
}

/// Requests a `pong` from the client.
pub fn ping() -> Message {
    text(&ServerMessage::Ping)
}

/// Responds to a `ping` with its payload.
pub fn pong(payload: Option<&Map<String, Value>>) -> Message {
    text(&ServerMessage::Pong { payload })
}

/// A result of an operation. The payload may be shared by several clients; only the envelope belongs to this one.
pub fn next(id: &str, payload: &str) -> Message {
    envelope("next", id, payload)
}

/// The errors of an operation that could not start. It ends the operation.
pub fn error(id: &str, errors: &str) -> Message {
    envelope("error", id, errors)
}

fn envelope(kind: &str, id: &str, payload: &str) -> Message {
    let id = Value::from(id);
    Message::Text(format!("{{\"type\":\"{kind}\",\"id\":{id},\"payload\":{payload}}}").into())
}

/// The end of an operation.
pub fn complete(id: &str) -> Message {
    text(&ServerMessage::Complete { id })
}

/// The reason for which the server closes a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The client sent something that is not a message of the protocol.
    Malformed(String),
    /// The client violated the WebSocket protocol itself.
    Protocol(String),
    /// A text from the client is not UTF-8.
    NotUtf8,
    /// A message exceeds this number of bytes.
    TooLarge(usize),
    /// The messages of all clients and the bodies of requests take all the room there is.
    NoRoom,
    /// The client started an operation before the connection was acknowledged.
    Unauthorized,
    /// The client did not send `connection_init` in time.
    InitialisationTimeout,
    /// The client started an operation under an id that is in use.
    SubscriberExists(String),
    /// The client sent `connection_init` twice.
    TooManyInitialisations,
    /// The client did not respond to pings.
    Silent,
    /// The client reads too slowly. The stream can resume after this cursor.
    TooSlow(Option<Arc<str>>),
    /// The server stops. If the socket carries exactly one stream, it can resume after this cursor.
    Restart(Option<Arc<str>>),
}

impl CloseReason {
    /// True if the client may be in the middle of a message, which it goes on to send.
    pub const fn is_amid_message(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::NoRoom | Self::Protocol(_) | Self::NotUtf8)
    }

    /// The close frame. A reason is cut to 123 bytes, the maximum of the protocol.
    pub fn frame(&self) -> Message {
        let (code, reason) = match self {
            Self::Malformed(why) => (4400, format!("Invalid message: {why}")),
            Self::Protocol(breach) => (1002, format!("Protocol error: {breach}")),
            Self::NotUtf8 => (1007, "The text is not UTF-8".to_owned()),
            Self::TooLarge(limit) => (1009, format!("Message too large: the maximum is {limit} bytes")),
            Self::NoRoom => (1013, NO_ROOM.to_owned()),
            Self::Unauthorized => (4401, "Unauthorized".to_owned()),
            Self::InitialisationTimeout => (4408, "Connection initialisation timeout".to_owned()),
            Self::SubscriberExists(id) => (4409, format!("Subscriber for {id} already exists")),
            Self::TooManyInitialisations => (4429, "Too many initialisation requests".to_owned()),
            Self::Silent => (1001, "No answer to pings".to_owned()),
            Self::TooSlow(cursor) => (4429, resume("Too slow", cursor.as_deref())),
            Self::Restart(cursor) => (1012, resume("Service restart", cursor.as_deref())),
        };
        Message::Close(Some(CloseFrame { code: CloseCode::from(code), reason: shortened(reason).into() }))
    }
}

/// The reason for a message that finds no room. The code is one after which clients connect again.
const NO_ROOM: &str = "Try again later: too many bytes are being received (limits.bodies_bytes_max)";

/// The reason with the cursor, or without it if it does not fit: a truncated cursor would be invalid.
fn resume(why: &str, cursor: Option<&str>) -> String {
    let named =
        cursor.map(|cursor| format!("{why}; resume after {cursor}")).filter(|text| text.len() <= REASON_BYTES_MAX);
    named.unwrap_or_else(|| format!("{why}; connect again and resume after the last cursor"))
}

/// Maximum size of the reason in a close frame.
const REASON_BYTES_MAX: usize = 123;

fn shortened(mut reason: String) -> String {
    while reason.len() > REASON_BYTES_MAX {
        reason.pop();
    }
    reason
}

/// The content of a frame from the client.
pub enum Received {
    /// A message of the protocol.
    Message(ClientMessage),
    /// A ping or pong, which the WebSocket layer handles.
    Control,
    /// The client closes the connection.
    Closed,
}

/// Some programs write it in front of every text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// Parses a frame.
///
/// # Errors
/// [`CloseReason::Malformed`] with the error.
pub fn read(frame: Message) -> Result<Received, CloseReason> {
    match frame {
        Message::Text(text) => match serde_json::from_str(text.trim_start_matches(BYTE_ORDER_MARK)) {
            Ok(message) => Ok(Received::Message(message)),
            Err(error) => Err(CloseReason::Malformed(error.to_string())),
        },
        Message::Binary(_) => Err(CloseReason::Malformed("binary frames are not supported".to_owned())),
        // Single frames are never read.
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(Received::Control),
        Message::Close(_) => Ok(Received::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_character_boundary() {
        let Message::Close(Some(frame)) = CloseReason::SubscriberExists("ä".repeat(200)).frame() else {
            panic!("no frame")
        };
        assert!(frame.reason.len() <= 123 && frame.reason.ends_with('ä'), "{}", frame.reason.as_str());
    }

    #[test]
    fn unknown_messages_are_refused() {
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"type":"start"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"ping","payload":7}"#,
            r#"{"type":"pong","payload":"x"}"#,
        ] {
            assert!(matches!(read(Message::Text(wrong.into())), Err(CloseReason::Malformed(_))), "{wrong}");
        }
        assert!(read(Message::Text("\u{feff}{\"type\":\"ping\",\"payload\":null}".into())).is_ok());
        assert!(matches!(
            read(Message::Text(r#"{"type":"pong","payload":{"a":1}}"#.into())),
            Ok(Received::Message(ClientMessage::Pong { .. }))
        ));
    }
}

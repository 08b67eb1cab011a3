//! The messages of graphql-transport-ws and the codes that a socket is closed with.

use async_graphql::{Response, ServerError};
use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::graphql::{error::Phase, payload};

/// What a client says.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Incoming {
    /// The first message: who it is.
    ConnectionInit {
        /// Credentials, for servers that want some.
        #[serde(default, rename = "payload")]
        _payload: Option<Map<String, Value>>,
    },
    /// Are you there?
    Ping {
        /// Sent back as it came.
        #[serde(default)]
        payload: Option<Value>,
    },
    /// I am here.
    Pong {},
    /// Run an operation.
    Subscribe {
        /// Chosen by the client, free again after the operation's end.
        id: String,
        /// The operation, not yet checked: what is wrong with it concerns this id alone.
        payload: Map<String, Value>,
    },
    /// I have heard enough of an operation.
    Complete {
        /// Which.
        id: String,
    },
}

/// What the server says.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Outgoing<'a> {
    ConnectionAck,
    Ping,
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<&'a Value>,
    },
    Error {
        id: &'a str,
        payload: &'a [ServerError],
    },
    Complete {
        id: &'a str,
    },
}

fn text(message: &Outgoing<'_>) -> Message {
    // Strings, numbers and maps with string keys: nothing that JSON cannot hold.
    Message::Text(serde_json::to_string(message).unwrap_or_default().into())
}

/// You are welcome.
pub fn acknowledge() -> Message {
    text(&Outgoing::ConnectionAck)
}

/// Are you there?
pub fn ping() -> Message {
    text(&Outgoing::Ping)
}

/// I am here, with what you sent along.
pub fn pong(payload: Option<&Value>) -> Message {
    text(&Outgoing::Pong { payload })
}

/// An answer of an operation.
pub fn next(id: &str, response: &Response) -> Message {
    let (id, payload) = (serde_json::Value::from(id), payload::text(response, Phase::Execution));
    Message::Text(format!("{{\"type\":\"next\",\"id\":{id},\"payload\":{payload}}}").into())
}

/// An operation that could not begin; it is over with this.
pub fn error(id: &str, errors: &[ServerError]) -> Message {
    text(&Outgoing::Error { id, payload: errors })
}

/// An operation has no more answers.
pub fn complete(id: &str) -> Message {
    text(&Outgoing::Complete { id })
}

/// Why a socket is closed by the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Close {
    /// What came is not a message of the protocol.
    Malformed(String),
    /// An operation before the connection was acknowledged.
    Unauthorized,
    /// No introduction in time.
    InitialisationTimeout,
    /// An id that is in use.
    SubscriberExists(String),
    /// A second introduction.
    TooManyInitialisations,
    /// No sign of life.
    Silent,
    /// The server stops; another one goes on.
    Restart,
}

impl Close {
    /// The frame that says so. Reasons are cut to the 123 bytes that fit.
    pub fn frame(&self) -> Message {
        let (code, reason) = match self {
            Self::Malformed(why) => (4400, format!("Invalid message: {why}")),
            Self::Unauthorized => (4401, "Unauthorized".to_owned()),
            Self::InitialisationTimeout => (4408, "Connection initialisation timeout".to_owned()),
            Self::SubscriberExists(id) => (4409, format!("Subscriber for {id} already exists")),
            Self::TooManyInitialisations => (4429, "Too many initialisation requests".to_owned()),
            Self::Silent => (1001, "No answer to pings".to_owned()),
            Self::Restart => {
                (1012, "The server is restarting; connect again and resume after the last cursor".to_owned())
            }
        };
        Message::Close(Some(CloseFrame { code, reason: shortened(reason).into() }))
    }
}

fn shortened(mut reason: String) -> String {
    const BYTES_MAX: usize = 123;
    while reason.len() > BYTES_MAX {
        reason.pop();
    }
    reason
}

/// What a frame holds: a message, nothing of interest, or a breach of the protocol.
pub enum Frame {
    /// A message of the protocol.
    Message(Incoming),
    /// Frames that the WebSocket layer answers by itself.
    Control,
    /// The client closed.
    Closed,
}

/// Reads a frame.
///
/// # Errors
/// [`Close::Malformed`] naming what is wrong.
pub fn read(frame: Message) -> Result<Frame, Close> {
    match frame {
        Message::Text(text) => match serde_json::from_str(&text) {
            Ok(message) => Ok(Frame::Message(message)),
            Err(error) => Err(Close::Malformed(error.to_string())),
        },
        Message::Binary(Bytes { .. }) => Err(Close::Malformed("binary frames are not used here".to_owned())),
        Message::Ping(_) | Message::Pong(_) => Ok(Frame::Control),
        Message::Close(_) => Ok(Frame::Closed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_reasons_fit_into_a_frame_at_a_character_boundary() {
        let Message::Close(Some(frame)) = Close::SubscriberExists("ä".repeat(200)).frame() else { panic!("no frame") };
        assert!(frame.reason.len() <= 123 && frame.reason.ends_with('ä'), "{}", frame.reason.as_str());
    }

    #[test]
    fn messages_that_are_not_of_the_protocol_are_named() {
        for wrong in [
            "",
            "{}",
            "[]",
            r#"{"type":"start"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{a}"}}"#,
        ] {
            assert!(matches!(read(Message::Text(wrong.into())), Err(Close::Malformed(_))), "{wrong}");
        }
        assert!(matches!(
            read(Message::Text(r#"{"type":"pong","payload":{"a":1}}"#.into())),
            Ok(Frame::Message(Incoming::Pong {}))
        ));
    }
}

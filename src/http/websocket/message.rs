//! The messages of graphql-transport-ws and the codes that a socket is closed with.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

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

/// An answer of an operation. Its text is everybody's, and only the envelope is this client's own.
pub fn next(id: &str, payload: &str) -> Message {
    envelope("next", id, payload)
}

/// An operation that could not begin, with the list of reasons; it is over with this.
pub fn error(id: &str, errors: &str) -> Message {
    envelope("error", id, errors)
}

fn envelope(kind: &str, id: &str, payload: &str) -> Message {
    let id = Value::from(id);
    Message::Text(format!("{{\"type\":\"{kind}\",\"id\":{id},\"payload\":{payload}}}").into())
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
    /// A message of more than so many bytes.
    TooLarge(usize),
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
    /// The client takes answers too slowly; the stream goes on behind this cursor.
    TooSlow(Option<Arc<str>>),
    /// The server stops; another one goes on, behind this cursor where there was one stream.
    Restart(Option<Arc<str>>),
}

impl Close {
    /// The frame that says so. Reasons are cut to the 123 bytes that fit.
    pub fn frame(&self) -> Message {
        let (code, reason) = match self {
            Self::Malformed(why) => (4400, format!("Invalid message: {why}")),
            Self::TooLarge(limit) => (1009, format!("Message too large: at most {limit} bytes are taken")),
            Self::Unauthorized => (4401, "Unauthorized".to_owned()),
            Self::InitialisationTimeout => (4408, "Connection initialisation timeout".to_owned()),
            Self::SubscriberExists(id) => (4409, format!("Subscriber for {id} already exists")),
            Self::TooManyInitialisations => (4429, "Too many initialisation requests".to_owned()),
            Self::Silent => (1001, "No answer to pings".to_owned()),
            Self::TooSlow(cursor) => (4429, resume("Too slow", cursor.as_deref())),
            Self::Restart(cursor) => (1012, resume("Service restart", cursor.as_deref())),
        };
        Message::Close(Some(CloseFrame { code, reason: shortened(reason).into() }))
    }
}

/// A cursor that does not fit is not cut: half of one is worse than none.
fn resume(why: &str, cursor: Option<&str>) -> String {
    let named =
        cursor.map(|cursor| format!("{why}; resume after {cursor}")).filter(|text| text.len() <= REASON_BYTES_MAX);
    named.unwrap_or_else(|| format!("{why}; connect again and resume after the last cursor"))
}

/// What a close frame holds besides its code.
const REASON_BYTES_MAX: usize = 123;

fn shortened(mut reason: String) -> String {
    while reason.len() > REASON_BYTES_MAX {
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

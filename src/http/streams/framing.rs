//! The formats of a stream in the body of one response: server-sent events and multipart.

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue},
};

use crate::{
    engine::{
        error::refuse,
        payload,
        watch::{EncodedResponse, ResumeCursor},
    },
    error::Error,
};

/// The header in which an `EventSource` that reconnects sends the last `id` of its stream.
const LAST_EVENT_ID: &str = "Last-Event-ID";

/// The format of a stream over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events in the "distinct connections mode" of GraphQL over SSE.
    EventStream,
    /// `multipart/mixed` as in Apollo's multipart subscription protocol.
    Multipart,
}

impl Framing {
    /// The media type of the response.
    pub const fn media_type(self) -> HeaderValue {
        match self {
            Self::EventStream => HeaderValue::from_static("text/event-stream; charset=utf-8"),
            Self::Multipart => {
                // Without quotes, because gql for Python looks for these words.
                HeaderValue::from_static("multipart/mixed;boundary=graphql;subscriptionSpec=1.0")
            }
        }
    }

    /// The name under which unnamed operations are recorded.
    pub const fn transport(self) -> &'static str {
        match self {
            Self::EventStream => "SSE /graphql",
            Self::Multipart => "multipart /graphql",
        }
    }

    /// The cursor after which the client resumes, if it says so by the means of the format.
    pub fn resumption(self, headers: &HeaderMap) -> Option<ResumeCursor> {
        let id = headers.get(LAST_EVENT_ID).filter(|id| self == Self::EventStream && !id.is_empty())?;
        Some(ResumeCursor { text: String::from_utf8_lossy(id.as_bytes()).into(), header: Some(LAST_EVENT_ID) })
    }

    /// The first bytes, sent at once so that the client knows that the stream is open.
    pub const fn preamble(self) -> Bytes {
        Bytes::from_static(match self {
            Self::EventStream => b":\n\n",
            Self::Multipart => b"\r\n--graphql",
        })
    }

    /// The start of a stream that can resume. Browsers remember the id of a block without data, and report no event.
    pub fn opened(self, cursor: &str) -> Option<Bytes> {
        match self {
            Self::EventStream => Some(format!("id: {cursor}\n\n").into()),
            Self::Multipart => None,
        }
    }

    /// One result. A multipart part ends with the delimiter of the next one, because clients read until they see it.
    pub fn next(self, frame: &EncodedResponse) -> Bytes {
        let payload = &frame.payload;
        match self {
            Self::EventStream => {
                let id = frame.mark.cursor.as_ref().map_or_else(String::new, |cursor| format!("id: {cursor}\n"));
                format!("event: next\n{id}data: {payload}\n\n").into()
            }
            Self::Multipart => part(&format!("{{\"payload\":{payload}}}")),
        }
    }

    /// A heartbeat.
    pub const fn heartbeat(self) -> Bytes {
        Bytes::from_static(match self {
            Self::EventStream => b":\n\n",
            Self::Multipart => b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql",
        })
    }

    /// The end of the operation.
    pub const fn complete(self) -> Bytes {
        Bytes::from_static(match self {
            Self::EventStream => b"event: complete\ndata:\n\n",
            Self::Multipart => b"--\r\n",
        })
    }

    /// The end of the stream before the end of its operation. An event stream ends without `complete`, so that clients
    /// reconnect.
    pub fn interruption(self, reason: Interruption, cursor: Option<&str>) -> Bytes {
        let message = match reason {
            Interruption::Restart => "the server is restarting; reconnect and resume after the last cursor",
            Interruption::SlowClient => "the client reads too slowly; reconnect and resume after the last cursor",
        };
        match self {
            Self::EventStream => {
                let cursor = cursor.map_or_else(String::new, |cursor| format!(", {cursor}"));
                format!(": {message}{cursor}\n\n").into()
            }
            Self::Multipart => {
                let fault = Error::Unavailable { message, retry_after_s: 1, source: None };
                let errors = payload::errors(&refuse(&fault).errors);
                let last = part(&format!("{{\"payload\":null,\"errors\":{errors}}}"));
                [last, self.complete()].concat().into()
            }
        }
    }
}

/// The reason for ending a stream before its operation has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// The server stops.
    Restart,
    /// The client does not keep up and has asked to be disconnected in this case.
    SlowClient,
}

/// One part of the multipart protocol.
fn part(body: &str) -> Bytes {
    format!("\r\ncontent-type: application/json\r\n\r\n{body}\r\n--graphql").into()
}

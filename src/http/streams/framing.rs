//! How a stream of answers is written into the body of one response.

use axum::{body::Bytes, http::HeaderValue};

use crate::{
    engine::{error::refuse, payload, watch::Frame},
    error::Error,
};

/// The two ways in which clients read streams over plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, as in the "distinct connections mode" of GraphQL over SSE.
    EventStream,
    /// Parts of `multipart/mixed`, as in Apollo's subscriptions over multipart.
    Multipart,
}

impl Framing {
    /// The media type of the response.
    pub const fn media_type(self) -> HeaderValue {
        match self {
            Self::EventStream => HeaderValue::from_static("text/event-stream; charset=utf-8"),
            Self::Multipart => {
                HeaderValue::from_static("multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"")
            }
        }
    }

    /// The route under which operations without a name are recorded.
    pub const fn transport(self) -> &'static str {
        match self {
            Self::EventStream => "SSE /graphql",
            Self::Multipart => "multipart /graphql",
        }
    }

    /// The first bytes, which tell the client at once that the stream is open.
    pub const fn opening(self) -> Bytes {
        Bytes::from_static(match self {
            Self::EventStream => b":\n\n",
            Self::Multipart => b"\r\n--graphql",
        })
    }

    /// An answer. A part of multipart ends with the delimiter of the next, because clients read on until they see it.
    pub fn next(self, frame: &Frame) -> Bytes {
        let payload = &frame.payload;
        match self {
            Self::EventStream => format!("event: next\ndata: {payload}\n\n").into(),
            Self::Multipart => part(&format!("{{\"payload\":{payload}}}")),
        }
    }

    /// A sign of life.
    pub const fn heartbeat(self) -> Bytes {
        Bytes::from_static(match self {
            Self::EventStream => b":\n\n",
            Self::Multipart => b"\r\ncontent-type: application/json\r\n\r\n{}\r\n--graphql",
        })
    }

    /// The operation has no more answers.
    pub const fn complete(self) -> Bytes {
        Bytes::from_static(match self {
            Self::EventStream => b"event: complete\ndata:\n\n",
            Self::Multipart => b"--\r\n",
        })
    }

    /// It ends here, and goes on elsewhere or later. An event stream just ends, which makes its clients come back; a
    /// `complete` would tell them that there is nothing more.
    pub fn broken_off(self, why: BrokenOff, cursor: Option<&str>) -> Bytes {
        let message = match why {
            BrokenOff::Restart => "the server is restarting; connect again and resume after the last cursor",
            BrokenOff::TooSlow => "the client takes events too slowly; connect again and resume after the last cursor",
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

/// Why a stream ends before its operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenOff {
    /// The server goes.
    Restart,
    /// The client does not keep up, and wanted to be told.
    TooSlow,
}

/// One part of the multipart protocol: an answer, or why there are no more.
fn part(body: &str) -> Bytes {
    format!("\r\ncontent-type: application/json\r\n\r\n{body}\r\n--graphql").into()
}

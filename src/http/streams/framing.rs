//! How a stream of answers is written into the body of one response.

use axum::{body::Bytes, http::HeaderValue};

use crate::{
    error::Error,
    graphql::{engine::Event, error::refuse, payload},
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
    pub fn next(self, event: &Event) -> Bytes {
        let payload = payload::text(&event.response, event.phase);
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

    /// The server goes, the operation might go on elsewhere. An event stream just ends, which makes its clients come
    /// back; a `complete` would tell them that there is nothing more.
    pub fn restart(self) -> Bytes {
        match self {
            Self::EventStream => Bytes::from_static(b": the server is restarting, resume after the last cursor\n\n"),
            Self::Multipart => {
                let fault = Error::Unavailable {
                    message: "the server is restarting; connect again and resume after the last cursor",
                    retry_after_s: 1,
                    source: None,
                };
                let errors = payload::errors(&refuse(&fault).errors);
                let last = part(&format!("{{\"payload\":null,\"errors\":{errors}}}"));
                [last, self.complete()].concat().into()
            }
        }
    }
}

/// One part of the multipart protocol: an answer, or why there are no more.
fn part(body: &str) -> Bytes {
    format!("\r\ncontent-type: application/json\r\n\r\n{body}\r\n--graphql").into()
}

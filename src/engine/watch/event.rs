//! Events of an operation: responses, encoded once for all subscribers.

use std::sync::Arc;

use async_graphql::Response;

use crate::{
    engine::{
        error::{self, Phase},
        payload,
    },
    model::CommitPositions,
};

/// A response as JSON text.
#[derive(Debug)]
pub struct EncodedResponse {
    /// The whole response.
    pub payload: String,
    /// The phase that the operation reached.
    pub phase: Phase,
    /// The list of errors alone, if nothing was executed.
    pub errors: String,
    /// True if the response has errors: then it may be the last.
    pub is_faulty: bool,
    /// The position of the event, in a stream that can resume.
    pub mark: EventMark,
}

/// The position of an event in its stream.
#[derive(Clone, Debug, Default)]
pub struct EventMark {
    /// The cursor after which the stream continues with the next event.
    pub cursor: Option<Arc<str>>,
    /// The span, in a stream whose events are replayed.
    pub span: Option<EventSpan>,
}

/// The span of an event in a stream.
#[derive(Clone, Debug)]
pub struct EventSpan {
    /// The end of the event before.
    pub from: Arc<CommitPositions>,
    /// The end.
    pub to: Arc<CommitPositions>,
    /// The cursor of `from`.
    pub before: Arc<str>,
    /// The cursor of `to`.
    pub cursor: Arc<str>,
    /// The number of rows that this execution delivered before.
    pub rows_before: u64,
    /// The number of rows in the event.
    pub rows: u64,
}

impl EncodedResponse {
    /// Encodes a finished response.
    pub fn new(response: &Response, phase: Phase, mark: EventMark) -> Self {
        let errors = if phase == Phase::Request { payload::errors(&response.errors) } else { String::new() };
        let is_faulty = !response.errors.is_empty();
        Self { payload: payload::text(response, phase), phase, errors, is_faulty, mark }
    }

    /// A response of one fault.
    pub fn fault(fault: &crate::error::Error, phase: Phase) -> Self {
        Self::new(&error::refuse(fault), phase, EventMark::default())
    }

    /// The approximate backlog in bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.payload.len() + self.errors.len()
    }
}

/// An event of a running operation.
#[derive(Clone, Debug)]
pub enum Event {
    /// The start of a stream that can resume, and the cursor of this position. Comes before all responses, if at all.
    Opened(Arc<str>),
    /// A response.
    Response(Arc<EncodedResponse>),
    /// The end, because the client reads too slowly. The stream continues after this cursor, if it can resume.
    Lagged(Option<Arc<str>>),
}

impl Event {
    /// A response without a position in a stream.
    pub fn response(response: &Response, phase: Phase) -> Self {
        Self::Response(Arc::new(EncodedResponse::new(response, phase, EventMark::default())))
    }

    /// The cursor after the event.
    pub fn cursor(&self) -> Option<&Arc<str>> {
        match self {
            Self::Opened(cursor) => Some(cursor),
            Self::Response(response) => response.mark.cursor.as_ref(),
            Self::Lagged(cursor) => cursor.as_ref(),
        }
    }
}

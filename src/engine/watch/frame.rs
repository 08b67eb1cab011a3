//! An answer as everybody gets it: written once.

use std::sync::Arc;

use async_graphql::Response;

use crate::{
    engine::{
        error::{self, Phase},
        payload,
    },
    model::Positions,
};

/// An answer as JSON text.
#[derive(Debug)]
pub struct Frame {
    /// The whole answer.
    pub payload: String,
    /// Whether the operation began at all.
    pub phase: Phase,
    /// The list of errors alone, where it did not.
    pub errors: String,
    /// Where the stream stands behind it, for streams that can be resumed.
    pub place: Option<Place>,
}

/// Where an event of a stream stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where the event before it ended.
    pub from: Arc<Positions>,
    /// Where it ends.
    pub to: Arc<Positions>,
    /// The cursor of `from`.
    pub before: Arc<str>,
    /// The cursor of `to`.
    pub cursor: Arc<str>,
    /// What this execution delivered before it.
    pub rows_before: u64,
    /// What it holds.
    pub rows: u64,
}

impl Frame {
    /// Writes an answer that the engine has finished.
    pub fn new(response: &Response, phase: Phase, place: Option<Place>) -> Self {
        let errors = if phase == Phase::Request { payload::errors(&response.errors) } else { String::new() };
        Self { payload: payload::text(response, phase), phase, errors, place }
    }

    /// An operation that ends with a fault.
    pub fn fault(fault: &crate::error::Error, phase: Phase) -> Self {
        Self::new(&error::refuse(fault), phase, None)
    }

    /// About how much memory it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.payload.len() + self.errors.len()
    }
}

/// What a running operation says.
#[derive(Clone, Debug)]
pub enum Event {
    /// An answer.
    Answer(Arc<Frame>),
    /// Nothing more, because the client takes answers too slowly. The stream goes on behind this cursor, if it has any.
    TooSlow(Option<Arc<str>>),
}

impl Event {
    /// The one answer of an operation that has no place in a stream.
    pub fn answer(response: &Response, phase: Phase) -> Self {
        Self::Answer(Arc::new(Frame::new(response, phase, None)))
    }

    /// The cursor behind it.
    pub fn cursor(&self) -> Option<&Arc<str>> {
        match self {
            Self::Answer(frame) => frame.place.as_ref().map(|place| &place.cursor),
            Self::TooSlow(cursor) => cursor.as_ref(),
        }
    }
}

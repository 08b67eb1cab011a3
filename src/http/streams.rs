//! Answers that come one after another: what WebSocket, server-sent events and multipart have in common.

mod body;
mod framing;

use std::panic::AssertUnwindSafe;

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::timeout;

pub use self::{body::respond, framing::Framing};
use super::{middleware, router::HttpState};
use crate::{
    clock::Stopwatch,
    error::Error,
    graphql::{
        engine::{Event, Operation},
        error::{Phase, refuse},
    },
};

/// What an operation's stream says: an event, or that it was the last.
pub enum Progress {
    /// An answer.
    Event(Box<Event>),
    /// No more answers.
    Done,
}

/// The answers of an operation and its end. Queries and mutations get as long as in a request of their own, and are
/// recorded alike.
///
/// Nothing is polled before the last answer was taken: a slow client slows its own operation down, and nothing piles up.
pub fn answers(state: &HttpState, transport: &'static str, operation: Operation) -> BoxStream<'static, Progress> {
    let Operation { name, is_subscription, events } = operation;
    let events = contained(events);
    let end = stream::once(async { Progress::Done });
    if is_subscription {
        return events.map(|event| Progress::Event(Box::new(event))).chain(end).boxed();
    }
    let (patience, recorder, watch) = (state.settings.request_timeout, state.recorder.clone(), Stopwatch::start());
    let answers = async move {
        let answers = timeout(patience, events.map(Box::new).collect::<Vec<_>>())
            .await
            .unwrap_or_else(|_| vec![Box::new(Event { response: refuse(&Error::Timeout), phase: Phase::Request })]);
        recorder.record(name.as_deref().unwrap_or(transport), 200, watch.elapsed_ms());
        stream::iter(answers.into_iter().map(Progress::Event))
    };
    stream::once(answers).flatten().chain(end).boxed()
}

/// A panic ends its own operation and no other.
fn contained(events: BoxStream<'static, Event>) -> impl Stream<Item = Event> + Send + 'static {
    AssertUnwindSafe(events).catch_unwind().map(|event| {
        event.unwrap_or_else(|panic| Event {
            response: refuse(&middleware::panicked(panic.as_ref())),
            phase: Phase::Request,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_last_answer_of_its_operation() {
        let event = |number: u32| {
            assert!(number < 2, "planted");
            Event { response: async_graphql::Response::default(), phase: Phase::Execution }
        };
        let events: Vec<_> = contained(stream::iter(1..4).map(event).boxed()).collect().await;
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].phase, events[1].phase), (Phase::Execution, Phase::Request));
        let errors = &events[1].response.errors;
        assert!(!errors[0].message.contains("planted"), "{errors:?}");
    }
}

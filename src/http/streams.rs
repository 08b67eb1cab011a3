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
    engine::{
        Operation,
        error::{Phase, refuse},
        watch::Event,
    },
    error::Error,
};

/// What an operation's stream says: an event, or that it was the last.
pub enum Progress {
    /// An answer, or that the client is too slow for more.
    Event(Event),
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
        return events.map(Progress::Event).chain(end).boxed();
    }
    let (patience, recorder, watch) = (state.config.server.request_timeout, state.recorder.clone(), Stopwatch::start());
    let answers = async move {
        let answers = timeout(patience, events.collect::<Vec<_>>())
            .await
            .unwrap_or_else(|_| vec![Event::answer(&refuse(&Error::Timeout), Phase::Request)]);
        recorder.record(name.as_deref().unwrap_or(transport), 200, watch.elapsed_ms());
        stream::iter(answers.into_iter().map(Progress::Event))
    };
    stream::once(answers).flatten().chain(end).boxed()
}

/// A panic ends its own operation and no other.
fn contained(events: BoxStream<'static, Event>) -> impl Stream<Item = Event> + Send + 'static {
    AssertUnwindSafe(events).catch_unwind().map(|event| {
        event.unwrap_or_else(|panic| Event::answer(&refuse(&middleware::panicked(panic.as_ref())), Phase::Request))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_last_answer_of_its_operation() {
        let event = |number: u32| {
            assert!(number < 2, "planted");
            Event::answer(&async_graphql::Response::default(), Phase::Execution)
        };
        let events: Vec<_> = contained(stream::iter(1..4).map(event).boxed()).collect().await;
        let [Event::Answer(first), Event::Answer(last)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((first.phase, last.phase), (Phase::Execution, Phase::Request));
        assert!(!last.errors.contains("planted"), "{}", last.errors);
    }
}

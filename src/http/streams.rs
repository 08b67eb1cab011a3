//! Streams of results, as WebSocket, server-sent events and multipart have them in common.

mod body;
mod framing;

use std::panic::AssertUnwindSafe;

use futures_util::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::timeout;

pub use self::{body::respond, framing::Framing};
use super::{fault, state::HttpState};
use crate::{
    clock::Stopwatch,
    engine::{
        OperationStream,
        error::{Phase, refuse},
        watch::Event,
    },
    error::Error,
};

/// An item of an operation's stream.
pub enum StreamItem {
    /// A result, or the notice that the client is too slow for further results.
    Event(Event),
    /// The end of the operation.
    End,
}

/// The results of an operation, followed by its end. Queries and mutations have the request timeout and are recorded as in
/// a request of their own.
///
/// The operation is not polled before the previous result was taken: a slow client slows down its own operation, and no
/// results accumulate.
pub fn items(state: &HttpState, transport: &'static str, operation: OperationStream) -> BoxStream<'static, StreamItem> {
    let OperationStream { name, is_subscription, events } = operation;
    let events = catching_panics(events);
    let end = stream::once(async { StreamItem::End });
    if is_subscription {
        return events.map(StreamItem::Event).chain(end).boxed();
    }
    let (limit, recorder, watch) = (state.config.server.request_timeout, state.recorder.clone(), Stopwatch::start());
    let results = async move {
        let results = timeout(limit, events.collect::<Vec<_>>())
            .await
            .unwrap_or_else(|_| vec![Event::response(&refuse(&Error::Timeout), Phase::Request)]);
        recorder.record(name.as_deref().unwrap_or(transport), 200, watch.elapsed_ms());
        stream::iter(results.into_iter().map(StreamItem::Event))
    };
    stream::once(results).flatten().chain(end).boxed()
}

/// Converts a panic to the last event of the operation, so that it does not affect other operations.
fn catching_panics(events: BoxStream<'static, Event>) -> impl Stream<Item = Event> + Send + 'static {
    AssertUnwindSafe(events).catch_unwind().map(|event| {
        event.unwrap_or_else(|panic| Event::response(&refuse(&fault::panicked(panic.as_ref())), Phase::Request))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_the_last_event_of_its_operation() {
        let event = |number: u32| {
            assert!(number < 2, "planted");
            Event::response(&async_graphql::Response::default(), Phase::Execution)
        };
        let events: Vec<_> = catching_panics(stream::iter(1..4).map(event).boxed()).collect().await;
        let [Event::Response(first), Event::Response(last)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((first.phase, last.phase), (Phase::Execution, Phase::Request));
        assert!(!last.errors.contains("planted"), "{}", last.errors);
    }
}

//! A stream as the body of one HTTP response: preamble, events, heartbeats, end.
//!
//! The body is produced as the connection consumes it, so at most one event and the kernel's buffer wait for a slow client.
//! When the client disconnects, the body is dropped together with the operation.

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Interval, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Framing, StreamItem, framing::Interruption, items};
use crate::{
    engine::{OperationStream, watch::Event},
    error::Error,
    http::{fault, logged_request::LoggedRequest, observation::Unrecorded, state::HttpState},
};

/// Tells buffering proxies (nginx) to forward events immediately.
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response whose body is the stream of an operation.
pub fn respond(state: &HttpState, framing: Framing, operation: OperationStream) -> Response {
    let Ok(permit) = state.streams.clone().try_acquire_owned() else {
        let fault = Error::Unavailable {
            message: "too many streams are open (limits.streams_max)",
            retry_after_s: 1,
            source: None,
        };
        return fault::response_by_code(&fault);
    };
    let mut heartbeat = interval(state.config.server.heartbeat_interval);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let body = StreamBody {
        framing,
        is_subscription: operation.is_subscription,
        items: items(state, framing.transport(), operation),
        heartbeat,
        draining: state.draining.clone(),
        stage: Stage::Preamble,
        cursor: None,
        _permit: permit,
    };
    let request = LoggedRequest::current();
    let chunks = stream::unfold(body, move |mut body| {
        let chunk = async move { body.next().await.map(|chunk| (Ok::<_, Infallible>(chunk), body)) };
        LoggedRequest::attribute(request.clone(), chunk)
    });
    let headers = [
        (header::CONTENT_TYPE, framing.media_type()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept")),
        (ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::from_stream(chunks)).into_response();
    response.extensions_mut().insert(Unrecorded);
    response
}

enum Stage {
    Preamble,
    Running,
    Ended,
}

struct StreamBody {
    framing: Framing,
    is_subscription: bool,
    items: BoxStream<'static, StreamItem>,
    heartbeat: Interval,
    draining: CancellationToken,
    stage: Stage,
    /// The cursor after which the stream can resume.
    cursor: Option<Arc<str>>,
    _permit: OwnedSemaphorePermit,
}

impl StreamBody {
    /// The next chunk. `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Preamble => {
                self.stage = Stage::Running;
                return Some(self.framing.preamble());
            }
            Stage::Running => {}
            Stage::Ended => return None,
        }
        loop {
            let chunk = tokio::select! {
                item = self.items.next() => match item {
                    Some(StreamItem::Event(event)) => self.event(event),
                    Some(StreamItem::End) | None => Some(self.end(self.framing.complete())),
                },
                _ = self.heartbeat.tick() => Some(self.framing.heartbeat()),
                // Queries and mutations are finished. Subscriptions end, and can resume on another instance.
                () = self.draining.cancelled(), if self.is_subscription => Some(self.interrupt(Interruption::Restart)),
            };
            if chunk.is_some() {
                return chunk;
            }
        }
    }

    /// The chunk for an event. `None` if the format says nothing about it.
    fn event(&mut self, event: Event) -> Option<Bytes> {
        self.cursor = event.cursor().cloned().or(self.cursor.take());
        match event {
            Event::Opened(cursor) => self.framing.opened(&cursor),
            Event::Response(frame) => {
                self.heartbeat.reset();
                Some(self.framing.next(&frame))
            }
            Event::Lagged(_) => Some(self.interrupt(Interruption::SlowClient)),
        }
    }

    fn interrupt(&mut self, reason: Interruption) -> Bytes {
        self.end(self.framing.interruption(reason, self.cursor.as_deref()))
    }

    fn end(&mut self, last: Bytes) -> Bytes {
        self.stage = Stage::Ended;
        last
    }
}

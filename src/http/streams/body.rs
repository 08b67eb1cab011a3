//! A stream of answers as the body of one response: opening, answers, signs of life, end.
//!
//! The body is made as the connection takes it, so what waits for a slow client is one answer and the kernel's buffer.
//! When the client goes, the body is dropped, and the subscription with it.

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
use tracing::{Instrument, Span};

use super::{Framing, Progress, answers, framing::BrokenOff};
use crate::{
    engine::{Operation, watch::Event},
    error::Error,
    http::{graphql::failure_by_code, middleware::Unmeasured, router::HttpState},
};

/// Tells proxies that collect answers to pass these on as they come.
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The response that carries an operation's answers.
pub fn respond(state: &HttpState, framing: Framing, operation: Operation) -> Response {
    let Ok(permit) = state.streams.clone().try_acquire_owned() else {
        let fault = Error::Unavailable { message: "too many streams are open", retry_after_s: 1, source: None };
        return failure_by_code(&fault);
    };
    let mut heartbeat = interval(state.config.server.heartbeat_interval);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat.reset();
    let feed = Feed {
        framing,
        is_subscription: operation.is_subscription,
        answers: answers(state, framing.transport(), operation),
        heartbeat,
        draining: state.draining.clone(),
        stage: Stage::Opening,
        cursor: None,
        _permit: permit,
    };
    let span = Span::current();
    let chunks = stream::unfold(feed, move |mut feed| {
        async move { feed.next().await.map(|chunk| (Ok::<_, Infallible>(chunk), feed)) }.instrument(span.clone())
    });
    let headers = [
        (header::CONTENT_TYPE, framing.media_type()),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::VARY, HeaderValue::from_static("accept")),
        (ACCEL_BUFFERING.clone(), HeaderValue::from_static("no")),
    ];
    let mut response = (headers, Body::from_stream(chunks)).into_response();
    response.extensions_mut().insert(Unmeasured);
    response
}

enum Stage {
    Opening,
    Running,
    Ended,
}

struct Feed {
    framing: Framing,
    is_subscription: bool,
    answers: BoxStream<'static, Progress>,
    heartbeat: Interval,
    draining: CancellationToken,
    stage: Stage,
    /// Behind the last event that was sent.
    cursor: Option<Arc<str>>,
    _permit: OwnedSemaphorePermit,
}

impl Feed {
    /// What the body goes on with; nothing at its end.
    async fn next(&mut self) -> Option<Bytes> {
        match self.stage {
            Stage::Opening => {
                self.stage = Stage::Running;
                return Some(self.framing.opening());
            }
            Stage::Running => {}
            Stage::Ended => return None,
        }
        tokio::select! {
            progress = self.answers.next() => match progress {
                Some(Progress::Event(event)) => {
                    self.cursor = event.cursor().cloned().or(self.cursor.take());
                    match event {
                        Event::Answer(frame) => {
                            self.heartbeat.reset();
                            Some(self.framing.next(&frame))
                        }
                        Event::TooSlow(_) => Some(self.broken_off(BrokenOff::TooSlow)),
                    }
                }
                Some(Progress::Done) | None => Some(self.end(self.framing.complete())),
            },
            _ = self.heartbeat.tick() => Some(self.framing.heartbeat()),
            // What changes something is finished and told; streams end here and resume elsewhere.
            () = self.draining.cancelled(), if self.is_subscription => Some(self.broken_off(BrokenOff::Restart)),
        }
    }

    fn broken_off(&mut self, why: BrokenOff) -> Bytes {
        self.end(self.framing.broken_off(why, self.cursor.as_deref()))
    }

    fn end(&mut self, last: Bytes) -> Bytes {
        self.stage = Stage::Ended;
        last
    }
}

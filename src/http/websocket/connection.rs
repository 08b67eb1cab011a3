//! One socket, as a state machine over graphql-transport-ws: introduction, operations side by side, signs of life, end.
//!
//! Everything of a socket runs in one task. While a message is being sent no operation is polled: a slow client slows
//! its own operations down, and nothing piles up for it.

use std::{ops::ControlFlow, time::Duration};

use async_graphql::Request;
use axum::extract::ws::{Message, WebSocket};
use futures_util::{StreamExt, stream::BoxStream};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::StreamMap;

use super::message::{self, Close, Frame, Incoming};
use crate::{
    auth::Viewer,
    error::Error,
    graphql::{
        engine::Event,
        error::{Phase, refuse},
    },
    http::router::HttpState,
};

/// How often the server asks for a sign of life.
const PING_INTERVAL: Duration = Duration::from_secs(15);
/// A client that let so many pings go by without a word is gone.
const MISSED_PINGS_MAX: u32 = 2;
/// How long the network may take to accept a message before the client counts as gone.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves a socket until either side ends it.
pub async fn serve(socket: WebSocket, state: HttpState, viewer: Viewer) {
    let mut connection =
        Connection { socket, state, viewer, is_acknowledged: false, operations: StreamMap::new(), missed_pings: 0 };
    if let ControlFlow::Break(Some(close)) = connection.run().await {
        connection.close(&close).await;
    }
}

/// What an operation's stream says: an event, or that it was the last.
enum Progress {
    Event(Box<Event>),
    Done,
}

/// Goes on, or ends: with a close frame, or without when the client is gone.
type Flow = ControlFlow<Option<Close>>;

struct Connection {
    socket: WebSocket,
    state: HttpState,
    viewer: Viewer,
    is_acknowledged: bool,
    operations: StreamMap<String, BoxStream<'static, Progress>>,
    missed_pings: u32,
}

impl Connection {
    async fn run(&mut self) -> Flow {
        let introduction = sleep(self.state.settings.connection_init_timeout);
        tokio::pin!(introduction);
        let mut pings = interval(PING_INTERVAL);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, and a fresh socket needs no ping.
        pings.tick().await;
        let draining = self.state.draining.clone();
        loop {
            tokio::select! {
                frame = self.socket.recv() => match frame {
                    Some(Ok(frame)) => self.hear(frame).await?,
                    // Gone, or a frame beyond the size limit, which the WebSocket layer has answered.
                    Some(Err(_)) | None => return Flow::Break(None),
                },
                Some((id, progress)) = self.operations.next() => self.tell(&id, progress).await?,
                () = &mut introduction, if !self.is_acknowledged => return Flow::Break(Some(Close::InitialisationTimeout)),
                _ = pings.tick() => self.ping().await?,
                () = draining.cancelled() => return Flow::Break(Some(Close::Restart)),
            }
        }
    }

    async fn hear(&mut self, frame: Message) -> Flow {
        self.missed_pings = 0;
        let incoming = match message::read(frame) {
            Ok(Frame::Message(incoming)) => incoming,
            Ok(Frame::Control) => return Flow::Continue(()),
            Ok(Frame::Closed) => return Flow::Break(None),
            Err(close) => return Flow::Break(Some(close)),
        };
        match incoming {
            Incoming::ConnectionInit { .. } if self.is_acknowledged => Flow::Break(Some(Close::TooManyInitialisations)),
            Incoming::ConnectionInit { .. } => {
                self.is_acknowledged = true;
                self.send(message::acknowledge()).await
            }
            Incoming::Ping { payload } => self.send(message::pong(payload.as_ref())).await,
            Incoming::Pong {} => Flow::Continue(()),
            Incoming::Subscribe { .. } if !self.is_acknowledged => Flow::Break(Some(Close::Unauthorized)),
            Incoming::Subscribe { id, payload } => self.start(id, *payload).await,
            Incoming::Complete { id } => {
                self.operations.remove(&id);
                Flow::Continue(())
            }
        }
    }

    async fn start(&mut self, id: String, request: Request) -> Flow {
        if id.is_empty() {
            return Flow::Break(Some(Close::Malformed("an id must not be empty".to_owned())));
        }
        if self.operations.contains_key(&id) {
            return Flow::Break(Some(Close::SubscriberExists(id)));
        }
        let limit = self.state.settings.subscriptions_per_socket_max;
        if self.operations.len() >= limit {
            let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            let response = refuse(&Error::Limit {
                what: "the number of operations on one socket",
                actual: count(limit) + 1,
                limit: count(limit),
                advice: "complete one first, or open another socket",
            });
            return self.send(message::error(&id, &response.errors)).await;
        }
        let events = self.state.engine.subscribe(self.viewer, request);
        let end = futures_util::stream::once(async { Progress::Done });
        self.operations.insert(id, events.map(|event| Progress::Event(Box::new(event))).chain(end).boxed());
        Flow::Continue(())
    }

    async fn tell(&mut self, id: &str, progress: Progress) -> Flow {
        match progress {
            Progress::Event(event) if event.phase == Phase::Request => {
                self.operations.remove(id);
                self.send(message::error(id, &event.response.errors)).await
            }
            Progress::Event(event) => self.send(message::next(id, &event.response)).await,
            Progress::Done => {
                self.operations.remove(id);
                self.send(message::complete(id)).await
            }
        }
    }

    async fn ping(&mut self) -> Flow {
        if self.missed_pings >= MISSED_PINGS_MAX {
            return Flow::Break(Some(Close::Silent));
        }
        self.missed_pings += 1;
        self.send(message::ping()).await
    }

    async fn send(&mut self, message: Message) -> Flow {
        match timeout(SEND_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(_)) | Err(_) => Flow::Break(None),
        }
    }

    async fn close(&mut self, close: &Close) {
        tracing::debug!(?close, "closing a socket");
        // Whether the client still hears it or not, the socket ends here.
        let _ = timeout(SEND_TIMEOUT, self.socket.send(close.frame())).await;
    }
}

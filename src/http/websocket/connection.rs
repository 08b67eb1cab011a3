//! One socket, as a state machine over graphql-transport-ws: introduction, operations side by side, signs of life, end.
//!
//! Everything of a socket runs in one task. While a message is being sent no operation is polled: a slow client slows
//! its own operations down, and nothing piles up for it.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc, time::Duration};

use axum::extract::ws::{Message, WebSocket};
use futures_util::stream::BoxStream;
use serde_json::{Map, Value};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::{StreamExt, StreamMap};
use tokio_tungstenite::tungstenite::{self, error::CapacityError};

use super::message::{self, Close, Frame, Incoming};
use crate::{
    auth::Viewer,
    engine::{
        Request,
        error::{Phase, refuse},
        payload,
        watch::Event,
    },
    error::{Error, Result},
    http::{
        request_body,
        router::HttpState,
        streams::{self, Progress},
    },
};

/// The route under which operations without a name are recorded.
const TRANSPORT: &str = "WebSocket /graphql";
/// A client that let so many pings go by without a word is gone.
const MISSED_PINGS_MAX: u32 = 2;
/// How long the network may take to accept the good-bye: a courtesy, for the socket ends here in any case.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Serves a socket until either side ends it.
pub async fn serve(socket: WebSocket, state: HttpState, viewer: Viewer) {
    let mut connection = Connection {
        socket,
        state,
        viewer,
        is_acknowledged: false,
        operations: StreamMap::new(),
        subscriptions: HashMap::new(),
        last_cursor: None,
        is_draining: false,
        missed_pings: 0,
    };
    if let ControlFlow::Break(Some(close)) = connection.run().await {
        connection.close(&close).await;
    }
}

/// Goes on, or ends: with a close frame, or without when the client is gone.
type Flow = ControlFlow<Option<Close>>;

struct Connection {
    socket: WebSocket,
    state: HttpState,
    viewer: Viewer,
    is_acknowledged: bool,
    operations: StreamMap<String, BoxStream<'static, Progress>>,
    /// Those of the operations that go on until somebody ends them, each with the cursor behind the last event that was
    /// sent.
    subscriptions: HashMap<String, Option<Arc<str>>>,
    /// With which cursor the socket ends, where it ends one stream.
    last_cursor: Option<Arc<str>>,
    is_draining: bool,
    missed_pings: u32,
}

impl Connection {
    async fn run(&mut self) -> Flow {
        let introduction = sleep(self.state.config.limits.connection_init_timeout);
        tokio::pin!(introduction);
        let mut pings = interval(self.state.config.server.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, and a fresh socket needs no ping.
        pings.tick().await;
        let draining = self.state.draining.clone();
        loop {
            // What changes something is finished and told before the socket goes.
            if self.is_draining && self.operations.is_empty() {
                return Flow::Break(Some(Close::Restart(self.last_cursor.take())));
            }
            tokio::select! {
                frame = self.socket.recv() => match frame {
                    Some(Ok(frame)) => self.hear(frame).await?,
                    Some(Err(fault)) => return Flow::Break(self.unreadable(fault)),
                    None => return Flow::Break(None),
                },
                Some((id, progress)) = self.operations.next() => self.tell(&id, progress).await?,
                () = &mut introduction, if !self.is_acknowledged => return Flow::Break(Some(Close::InitialisationTimeout)),
                _ = pings.tick() => self.ping().await?,
                () = draining.cancelled(), if !self.is_draining => self.drain(),
            }
        }
    }

    /// What a client is told whose frame could not be read: nothing when it is gone, or does not speak WebSocket.
    fn unreadable(&self, fault: axum::Error) -> Option<Close> {
        let is_too_large = matches!(
            fault.into_inner().downcast_ref(),
            Some(tungstenite::Error::Capacity(CapacityError::MessageTooLong { .. }))
        );
        is_too_large.then(|| Close::TooLarge(self.state.config.limits.websocket_message_bytes_max))
    }

    /// Streams end here: they resume elsewhere after their last cursor. Queries and mutations go on to their answer.
    fn drain(&mut self) {
        self.is_draining = true;
        self.last_cursor = self.only_cursor();
        for (id, _) in self.subscriptions.drain() {
            self.operations.remove(&id);
        }
    }

    /// The cursor of the only stream; of several a reason could name but one.
    fn only_cursor(&self) -> Option<Arc<str>> {
        let mut cursors = self.subscriptions.values();
        cursors.next().filter(|_| cursors.next().is_none())?.clone()
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
            // Nothing new is begun here any more; the close that follows says so.
            Incoming::Subscribe { .. } if self.is_draining => Flow::Continue(()),
            Incoming::Subscribe { .. } if !self.is_acknowledged => Flow::Break(Some(Close::Unauthorized)),
            Incoming::Subscribe { id, payload } => self.start(id, payload).await,
            Incoming::Complete { id } => {
                self.forget(&id);
                Flow::Continue(())
            }
        }
    }

    fn forget(&mut self, id: &str) {
        self.operations.remove(id);
        self.subscriptions.remove(id);
    }

    async fn start(&mut self, id: String, payload: Map<String, Value>) -> Flow {
        if id.is_empty() {
            return Flow::Break(Some(Close::Malformed("an id must not be empty".to_owned())));
        }
        if self.operations.contains_key(&id) {
            return Flow::Break(Some(Close::SubscriberExists(id)));
        }
        match self.admit(payload) {
            Ok(request) => {
                let operation = self.state.engine.subscribe(self.viewer, request);
                if operation.is_subscription {
                    self.subscriptions.insert(id.clone(), None);
                }
                self.operations.insert(id, streams::answers(&self.state, TRANSPORT, operation));
                Flow::Continue(())
            }
            Err(fault) => self.send(message::error(&id, &payload::errors(&refuse(&fault).errors))).await,
        }
    }

    fn admit(&self, payload: Map<String, Value>) -> Result<Request> {
        let limit = self.state.config.limits.subscriptions_per_socket_max;
        if self.operations.len() >= limit {
            let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            return Err(Error::Limit {
                what: "the number of operations on one socket",
                actual: count(limit) + 1,
                limit: count(limit),
                advice: "complete one first, or open another socket",
            });
        }
        request_body::request(payload)
    }

    async fn tell(&mut self, id: &str, progress: Progress) -> Flow {
        match progress {
            Progress::Event(Event::Answer(frame)) if frame.phase == Phase::Request => {
                self.forget(id);
                self.send(message::error(id, &frame.errors)).await
            }
            Progress::Event(Event::Answer(frame)) => {
                self.send(message::next(id, &frame.payload)).await?;
                // Now it was handed to the network, and not before.
                if let (Some(cursor), Some(place)) = (self.subscriptions.get_mut(id), &frame.place) {
                    *cursor = Some(Arc::clone(&place.cursor));
                }
                Flow::Continue(())
            }
            Progress::Event(Event::TooSlow(cursor)) => Flow::Break(Some(Close::TooSlow(cursor))),
            Progress::Done => {
                self.forget(id);
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
        match timeout(self.state.config.server.write_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(_)) => Flow::Break(None),
            Err(_) => Flow::Break(Some(Close::TooSlow(self.only_cursor()))),
        }
    }

    async fn close(&mut self, close: &Close) {
        tracing::debug!(?close, "closing a socket");
        // Whether the client still hears it or not, the socket ends here.
        let _ = timeout(CLOSE_TIMEOUT, self.socket.send(close.frame())).await;
    }
}

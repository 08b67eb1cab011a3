//! One WebSocket as a state machine over graphql-transport-ws: initialisation, concurrent operations, pings, closing.
//!
//! All work of a socket runs in one task. No operation is polled while a message is being sent, so a slow client slows down
//! only its own operations, and no messages accumulate for it.

use std::{collections::HashMap, io, ops::ControlFlow, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, stream::BoxStream};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{MissedTickBehavior, interval, sleep, timeout},
};
use tokio_stream::StreamMap;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message,
        error::{CapacityError, Error as FrameError, ProtocolError},
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};

use super::{
    BUFFER_BYTES,
    counted::CountedConnection,
    message::{self, ClientMessage, CloseReason, Received},
};
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
        in_flight::{Broken, Held},
        request_body::{self, scan},
        state::HttpState,
        streams::{self, StreamItem},
    },
};

/// The name under which unnamed operations are recorded.
const TRANSPORT: &str = "WebSocket /graphql";
/// Number of unanswered pings after which a client counts as disconnected.
const MISSED_PINGS_MAX: u32 = 2;
/// Timeout for sending the close frame. The socket ends in any case.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The most bytes of one frame to a client.
const FRAME_BYTES_MAX: usize = 16 * 1_024;
/// The most that is read from a client after the close frame.
const DISCARDED_BYTES_MAX: usize = 4 << 20;

/// The WebSocket of a client.
type WebSocket = WebSocketStream<CountedConnection<TokioIo<Upgraded>>>;

/// Serves a socket until either side closes it.
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

/// Continues, or ends: with a close frame, or without one if the client has disconnected.
type Flow = ControlFlow<Option<CloseReason>>;

struct Connection {
    socket: WebSocket,
    state: HttpState,
    viewer: Viewer,
    is_acknowledged: bool,
    operations: StreamMap<String, BoxStream<'static, StreamItem>>,
    /// The ids of the operations that are subscriptions, each with the cursor after which it can resume.
    subscriptions: HashMap<String, Option<Arc<str>>>,
    /// The cursor for the close reason, if the socket carried exactly one subscription when the server began to drain.
    last_cursor: Option<Arc<str>>,
    is_draining: bool,
    missed_pings: u32,
}

impl Connection {
    async fn run(&mut self) -> Flow {
        let initialisation = sleep(self.state.config.limits.connection_init_timeout);
        tokio::pin!(initialisation);
        let mut pings = interval(self.state.config.server.ping_interval);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick is immediate, and a new socket needs no ping.
        pings.tick().await;
        let draining = self.state.draining.clone();
        let without_room = self.socket.get_ref().ended();
        loop {
            // Queries and mutations are finished before the socket is closed.
            if self.is_draining && self.operations.is_empty() {
                return Flow::Break(Some(CloseReason::Restart(self.last_cursor.take())));
            }
            tokio::select! {
                frame = self.socket.next() => match frame {
                    Some(Ok(frame)) => self.receive(frame).await?,
                    Some(Err(fault)) => return Flow::Break(self.unreadable(&fault)),
                    None => return Flow::Break(None),
                },
                Some((id, item)) = self.operations.next() => self.deliver(&id, item).await?,
                () = &mut initialisation, if !self.is_acknowledged => return Flow::Break(Some(CloseReason::InitialisationTimeout)),
                _ = pings.tick() => self.ping().await?,
                () = without_room.cancelled() => return Flow::Break(Some(CloseReason::NoRoom)),
                () = draining.cancelled(), if !self.is_draining => self.drain(),
            }
        }
    }

    /// The reason for closing after a frame that could not be read. `None` if the client has disconnected.
    fn unreadable(&self, fault: &FrameError) -> Option<CloseReason> {
        match fault {
            FrameError::Capacity(CapacityError::MessageTooLong { .. }) => {
                Some(CloseReason::TooLarge(self.state.config.limits.websocket_message_bytes_max))
            }
            FrameError::Utf8(_) => Some(CloseReason::NotUtf8),
            FrameError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
            FrameError::Protocol(breach) => Some(CloseReason::Protocol(breach.to_string())),
            FrameError::Io(fault) => {
                let cause = fault.get_ref().and_then(|cause| cause.downcast_ref());
                matches!(cause, Some(Broken::NoRoom)).then_some(CloseReason::NoRoom)
            }
            _ => None,
        }
    }

    /// Ends subscriptions, which can resume on another instance after their last cursor. Queries and mutations continue to
    /// their result.
    fn drain(&mut self) {
        self.is_draining = true;
        self.last_cursor = self.only_cursor();
        for (id, _) in self.subscriptions.drain() {
            self.operations.remove(&id);
        }
    }

    /// The cursor of the only subscription. A close reason has no room for several.
    fn only_cursor(&self) -> Option<Arc<str>> {
        let mut cursors = self.subscriptions.values();
        cursors.next().filter(|_| cursors.next().is_none())?.clone()
    }

    async fn receive(&mut self, frame: Message) -> Flow {
        self.missed_pings = 0;
        let held = self.socket.get_mut().complete(&frame);
        if let Message::Text(text) = &frame
            && let Err(fault) = scan::check(text.as_bytes(), &self.state.config.limits)
        {
            return Flow::Break(Some(CloseReason::Malformed(fault.to_string())));
        }
        let incoming = match message::read(frame) {
            Ok(Received::Message(incoming)) => incoming,
            Ok(Received::Control) => return Flow::Continue(()),
            Ok(Received::Closed) => {
                // The library sends the answer to a close frame when it is asked for the next frame.
                let _ = timeout(CLOSE_TIMEOUT, self.socket.next()).await;
                return Flow::Break(None);
            }
            Err(close) => return Flow::Break(Some(close)),
        };
        match incoming {
            ClientMessage::ConnectionInit { .. } if self.is_acknowledged => {
                Flow::Break(Some(CloseReason::TooManyInitialisations))
            }
            ClientMessage::ConnectionInit { .. } => {
                self.is_acknowledged = true;
                self.send(message::acknowledge()).await
            }
            ClientMessage::Ping { payload } => self.send(message::pong(payload.as_ref())).await,
            ClientMessage::Pong { .. } => Flow::Continue(()),
            // No operation is started while draining; the close frame follows.
            ClientMessage::Subscribe { .. } if self.is_draining => Flow::Continue(()),
            ClientMessage::Subscribe { .. } if !self.is_acknowledged => Flow::Break(Some(CloseReason::Unauthorized)),
            ClientMessage::Subscribe { id, payload } => self.start(id, payload, held).await,
            ClientMessage::Complete { id } => {
                self.remove(&id);
                Flow::Continue(())
            }
        }
    }

    fn remove(&mut self, id: &str) {
        self.operations.remove(id);
        self.subscriptions.remove(id);
    }

    async fn start(&mut self, id: String, payload: Map<String, Value>, held: Held) -> Flow {
        if id.is_empty() {
            return Flow::Break(Some(CloseReason::Malformed("the id must not be empty".to_owned())));
        }
        if self.operations.contains_key(&id) {
            return Flow::Break(Some(CloseReason::SubscriberExists(id)));
        }
        // A payload of another form is no message of the protocol. An operation that cannot be executed is an error of its own.
        let request = match request_body::request(payload) {
            Ok(request) if request.query.is_none() && !request.names_a_document() => {
                return Flow::Break(Some(CloseReason::Malformed("payload.query: is missing".to_owned())));
            }
            Ok(request) => request,
            Err(fault) => return Flow::Break(Some(CloseReason::Malformed(format!("payload.{fault}")))),
        };
        match self.admit(request) {
            Ok(request) => {
                let operation = self.state.engine.subscribe(self.viewer, request);
                let is_subscription = operation.is_subscription;
                let items = streams::items(&self.state, TRANSPORT, operation);
                let items = if is_subscription {
                    self.subscriptions.insert(id.clone(), None);
                    items
                } else {
                    // The variables that are made of the bytes last as long as the operation, as those of a request do.
                    items.inspect(move |_| _ = &held).boxed()
                };
                self.operations.insert(id, items);
                Flow::Continue(())
            }
            Err(fault) => self.send(message::error(&id, &payload::errors(&refuse(&fault).errors))).await,
        }
    }

    fn admit(&self, request: Request) -> Result<Request> {
        let limit = self.state.config.limits.subscriptions_per_socket_max;
        if self.operations.len() >= limit {
            let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
            return Err(Error::Limit {
                what: "the number of operations on one WebSocket",
                actual: count(limit) + 1,
                limit: count(limit),
                advice: "complete one of them, or open another WebSocket",
            });
        }
        if request.names_a_document() { Ok(request) } else { Err(request_body::no_document()) }
    }

    async fn deliver(&mut self, id: &str, item: StreamItem) -> Flow {
        match item {
            StreamItem::Event(Event::Response(frame)) if frame.phase == Phase::Request => {
                self.remove(id);
                self.send(message::error(id, &frame.errors)).await
            }
            StreamItem::Event(Event::Response(frame)) => {
                self.send(message::next(id, &frame.payload)).await?;
                // Only now is the event handed over to the network.
                self.remember(id, frame.mark.cursor.as_ref());
                Flow::Continue(())
            }
            StreamItem::Event(Event::Opened(cursor)) => {
                self.remember(id, Some(&cursor));
                Flow::Continue(())
            }
            StreamItem::Event(Event::Lagged(cursor)) => Flow::Break(Some(CloseReason::TooSlow(cursor))),
            StreamItem::End => {
                self.remove(id);
                self.send(message::complete(id)).await
            }
        }
    }

    /// Remembers the cursor after which a subscription can resume.
    fn remember(&mut self, id: &str, cursor: Option<&Arc<str>>) {
        if let (Some(last), Some(cursor)) = (self.subscriptions.get_mut(id), cursor) {
            *last = Some(Arc::clone(cursor));
        }
    }

    async fn ping(&mut self) -> Flow {
        if self.missed_pings >= MISSED_PINGS_MAX {
            return Flow::Break(Some(CloseReason::Silent));
        }
        self.missed_pings += 1;
        self.send(message::ping()).await
    }

    async fn send(&mut self, message: Message) -> Flow {
        match timeout(self.state.config.server.write_timeout, write(&mut self.socket, message)).await {
            Ok(Ok(())) => Flow::Continue(()),
            Ok(Err(_)) => Flow::Break(None),
            Err(_) => Flow::Break(Some(CloseReason::TooSlow(self.only_cursor()))),
        }
    }

    async fn close(mut self, close: &CloseReason) {
        tracing::debug!(reason = ?close, "closing a WebSocket");
        let closing = async {
            self.socket.send(close.frame()).await?;
            if close.is_amid_message() {
                drop(self.operations);
                discard(self.socket.into_inner().into_inner()).await?;
            }
            Ok::<_, FrameError>(())
        };
        // The socket ends whether or not the client receives the frame.
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

/// Sends a message, a long one in several frames: the library copies a frame into a buffer that it never makes smaller.
async fn write(socket: &mut WebSocket, message: Message) -> Result<(), FrameError> {
    let Message::Text(text) = message else { return socket.send(message).await };
    let (mut rest, mut kind) = (Bytes::from(text), Data::Text);
    loop {
        let piece = rest.split_to(rest.len().min(FRAME_BYTES_MAX));
        socket.send(Message::Frame(Frame::message(piece, OpCode::Data(kind), rest.is_empty()))).await?;
        if rest.is_empty() {
            return Ok(());
        }
        kind = Data::Continue;
    }
}

/// Reads the rest of what the client sends until it closes the connection. If the server closed it first, a client that is
/// still sending would see a reset instead of the close frame.
async fn discard(mut connection: TokioIo<Upgraded>) -> io::Result<()> {
    let (mut buffer, mut discarded) = ([0; BUFFER_BYTES], 0);
    connection.shutdown().await?;
    while discarded < DISCARDED_BYTES_MAX {
        match connection.read(&mut buffer).await? {
            0 => break,
            bytes => discarded += bytes,
        }
    }
    Ok(())
}

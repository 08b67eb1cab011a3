//! The bytes of request bodies and of messages on WebSockets that are in memory, over all clients: bounded, and counted as
//! they arrive, not as they are declared. When there is no room, clients that stopped sending in the middle make it.

mod arrival;

use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use thiserror::Error;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use self::arrival::Receiving;
use crate::error::Error as Fault;

pub use self::arrival::Arrival;

/// Pause between two looks for a stalled body.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Number of these looks, after which the body that finds no room is refused.
const LOOKS: usize = 10;

/// The room for bodies.
#[derive(Debug)]
pub struct InFlight {
    room: Arc<Semaphore>,
    receiving: Mutex<Receiving>,
}

/// A body that is received.
#[derive(Debug)]
pub struct CountedBody {
    stream: BodyDataStream,
    /// True if the receiver keeps the pieces, so that they take room.
    is_kept: bool,
    arrival: Arrival,
}

/// The room that one body or message takes, until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Held {
    in_flight: Arc<InFlight>,
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// The reason why a body or message was not received to its end.
#[derive(Debug, Error)]
pub enum Broken {
    /// The client or the protocol ended it.
    #[error("ended before it was complete")]
    Early,
    /// There is no room for its bytes, or it gave way to others.
    #[error("there is no room for it")]
    NoRoom,
}

impl InFlight {
    /// Room for this many bytes.
    pub fn new(bytes_max: usize) -> Arc<Self> {
        let room = Arc::new(Semaphore::new(bytes_max.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { room, receiving: Mutex::default() })
    }

    /// Receives a body whose bytes are kept. All of them take room.
    pub fn collect(self: &Arc<Self>, body: Body) -> CountedBody {
        self.receive(body, true)
    }

    /// Receives a body whose pieces are used up one by one. The receiver takes the room for what it makes of them.
    pub fn stream(self: &Arc<Self>, body: Body) -> CountedBody {
        self.receive(body, false)
    }

    fn receive(self: &Arc<Self>, body: Body, is_kept: bool) -> CountedBody {
        CountedBody { stream: body.into_data_stream(), is_kept, arrival: self.arrival() }
    }

    /// Nothing has arrived yet.
    pub fn arrival(self: &Arc<Self>) -> Arrival {
        Arrival::new(Held { in_flight: Arc::clone(self), permit: Arc::default() })
    }

    fn receiving(&self) -> MutexGuard<'_, Receiving> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reserve(&self, bytes: u32) -> Result<OwnedSemaphorePermit, Broken> {
        if let Ok(permit) = Arc::clone(&self.room).try_acquire_many_owned(bytes) {
            return Ok(permit);
        }
        // Keeps its place in the queue between two looks.
        let mut room = pin!(Arc::clone(&self.room).acquire_many_owned(bytes));
        for _ in 0..LOOKS {
            self.receiving().end_stalled();
            if let Ok(permit) = timeout(LOOK_INTERVAL, room.as_mut()).await {
                return permit.map_err(|_| Broken::NoRoom);
            }
        }
        Err(Broken::NoRoom)
    }
}

impl CountedBody {
    /// The room of this body, which outlives it.
    pub fn held(&self) -> Held {
        self.arrival.held().clone()
    }

    /// Gives back the room of the body, then reads and drops the rest of it, up to this many bytes. If the connection closed
    /// earlier, a client that is still sending would see a reset instead of the answer.
    pub async fn discard(mut self, bytes_max: usize) {
        self.arrival.held().release();
        let mut discarded = 0;
        while discarded < bytes_max
            && let Some(Ok(piece)) = self.stream.next().await
        {
            discarded += piece.len();
        }
    }

    /// The next piece.
    ///
    /// # Errors
    /// The body ends early, gives way to others, or finds no room for the piece.
    pub async fn next(&mut self) -> Option<Result<Bytes, Broken>> {
        let piece = if let Some(piece) = self.stream.next().now_or_never() {
            piece?
        } else {
            self.arrival.wait();
            tokio::select! {
                piece = self.stream.next() => piece?,
                () = self.arrival.ended().cancelled() => return Some(Err(Broken::NoRoom)),
            }
        };
        let Ok(piece) = piece else { return Some(Err(Broken::Early)) };
        self.arrival.receive(piece.len());
        if self.is_kept
            && let Err(broken) = self.arrival.held().grow(piece.len()).await
        {
            return Some(Err(broken));
        }
        Some(Ok(piece))
    }
}

impl Held {
    fn permit(&self) -> MutexGuard<'_, Option<OwnedSemaphorePermit>> {
        self.permit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The bytes of room.
    pub fn bytes(&self) -> usize {
        self.permit().as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes room for more bytes.
    ///
    /// # Errors
    /// There is none within a second.
    pub async fn grow(&self, bytes: usize) -> Result<(), Broken> {
        self.add(self.in_flight.reserve(u32::try_from(bytes).map_err(|_| Broken::NoRoom)?).await?);
        Ok(())
    }

    /// Takes room for more bytes if there is some at once. False if there is none.
    pub fn try_grow(&self, bytes: usize) -> bool {
        let room = Arc::clone(&self.in_flight.room);
        let more = u32::try_from(bytes).ok().and_then(|bytes| room.try_acquire_many_owned(bytes).ok());
        more.map(|more| self.add(more)).is_some()
    }

    fn add(&self, more: OwnedSemaphorePermit) {
        let mut permit = self.permit();
        match permit.as_mut() {
            Some(permit) => permit.merge(more),
            None => *permit = Some(more),
        }
    }

    /// Moves this much of the room, or all there is, to a holder of its own.
    #[must_use = "the room is given back when the holder is dropped"]
    pub fn split(&self, bytes: usize) -> Self {
        let mut permit = self.permit();
        let part = permit.as_mut().and_then(|permit| permit.split(bytes.min(permit.num_permits())));
        Self { in_flight: Arc::clone(&self.in_flight), permit: Arc::new(Mutex::new(part)) }
    }

    /// Gives back all room taken so far.
    pub fn release(&self) {
        *self.permit() = None;
    }
}

/// The fault for a body that finds no room.
pub const fn no_room() -> Fault {
    Fault::Unavailable {
        message: "the server receives too many bytes at the moment (limits.bodies_bytes_max); send the request again",
        retry_after_s: 1,
        source: None,
    }
}

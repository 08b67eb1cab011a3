//! The bytes of request bodies that are in memory, over all requests: bounded, and counted as they arrive, not as they are
//! declared. When there is no room, clients that stopped sending in the middle of a body make it.

use std::{
    collections::BTreeMap,
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
use tokio_util::sync::CancellationToken;

use crate::{clock::Stopwatch, error::Error as Fault};

/// A client must send this many bytes per [`STALLED_AFTER`], or it gives way to others when there is no room.
const PROGRESS_BYTES: usize = 16 * 1_024;
/// Time of waiting for the bytes of a client after which its body gives way to others.
const STALLED_AFTER: Duration = Duration::from_secs(1);
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

/// The bodies that wait for bytes of their clients.
#[derive(Debug, Default)]
struct Receiving {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Time for which the body had waited before, since the last progress.
    before: Duration,
    since: Stopwatch,
    held: Held,
    ended: CancellationToken,
}

/// A body that is received.
#[derive(Debug)]
pub struct CountedBody {
    stream: BodyDataStream,
    /// True if the receiver keeps the pieces, so that they take room.
    is_kept: bool,
    held: Held,
    ended: CancellationToken,
    /// Time of waiting for the client, and bytes that it sent, since the last progress.
    waited: Duration,
    arrived: usize,
}

/// The room that one body takes, until the last clone is dropped.
#[derive(Clone, Debug)]
pub struct Held {
    in_flight: Arc<InFlight>,
    permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
}

/// The reason why a body was not received to its end.
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
        CountedBody {
            stream: body.into_data_stream(),
            is_kept,
            held: Held { in_flight: Arc::clone(self), permit: Arc::default() },
            ended: CancellationToken::new(),
            waited: Duration::ZERO,
            arrived: 0,
        }
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
            self.end_stalled();
            if let Ok(permit) = timeout(LOOK_INTERVAL, room.as_mut()).await {
                return permit.map_err(|_| Broken::NoRoom);
            }
        }
        Err(Broken::NoRoom)
    }

    /// Ends the stalled body that takes the most room, and of equal ones the one that has waited for longest.
    fn end_stalled(&self) {
        let mut receiving = self.receiving();
        let stalled = receiving.waiting.iter().filter(|(_, waiting)| waiting.is_stalled());
        let largest = stalled.max_by_key(|(place, waiting)| (waiting.held.bytes(), u64::MAX - **place));
        let Some(place) = largest.map(|(place, _)| *place) else { return };
        if let Some(waiting) = receiving.waiting.remove(&place) {
            waiting.ended.cancel();
        }
    }
}

impl Waiting {
    fn is_stalled(&self) -> bool {
        self.before + self.since.elapsed() >= STALLED_AFTER
    }
}

/// A body in the list of those that wait. Dropped, it is no longer there.
struct Place<'a> {
    in_flight: &'a InFlight,
    number: u64,
    since: Stopwatch,
}

impl<'a> Place<'a> {
    fn take(in_flight: &'a InFlight, held: &Held, before: Duration, ended: &CancellationToken) -> Self {
        let since = Stopwatch::start();
        let mut receiving = in_flight.receiving();
        let number = receiving.next;
        receiving.next += 1;
        receiving.waiting.insert(number, Waiting { before, since, held: held.clone(), ended: ended.clone() });
        Self { in_flight, number, since }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.in_flight.receiving().waiting.remove(&self.number);
    }
}

impl CountedBody {
    /// The room of this body, which outlives it.
    pub fn held(&self) -> Held {
        self.held.clone()
    }

    /// Gives back the room of the body, then reads and drops the rest of it, up to this many bytes. If the connection closed
    /// earlier, a client that is still sending would see a reset instead of the answer.
    pub async fn discard(mut self, bytes_max: usize) {
        self.held.release();
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
            let place = Place::take(&self.held.in_flight, &self.held, self.waited, &self.ended);
            let piece = tokio::select! {
                piece = self.stream.next() => piece?,
                () = self.ended.cancelled() => return Some(Err(Broken::NoRoom)),
            };
            self.waited += place.since.elapsed();
            piece
        };
        let Ok(piece) = piece else { return Some(Err(Broken::Early)) };
        self.arrived += piece.len();
        if self.arrived >= PROGRESS_BYTES {
            (self.arrived, self.waited) = (0, Duration::ZERO);
        }
        if self.is_kept
            && let Err(broken) = self.held.grow(piece.len()).await
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

    fn bytes(&self) -> usize {
        self.permit().as_ref().map_or(0, OwnedSemaphorePermit::num_permits)
    }

    /// Takes room for more bytes.
    ///
    /// # Errors
    /// There is none within a second.
    pub async fn grow(&self, bytes: usize) -> Result<(), Broken> {
        let more = self.in_flight.reserve(u32::try_from(bytes).map_err(|_| Broken::NoRoom)?).await?;
        let mut permit = self.permit();
        match permit.as_mut() {
            Some(permit) => permit.merge(more),
            None => *permit = Some(more),
        }
        Ok(())
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

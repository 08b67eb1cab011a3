//! The bytes that one client sends, as they arrive, and the list of the clients that are waited for in the middle of a body or
//! message.

use std::{collections::BTreeMap, time::Duration};

use tokio_util::sync::CancellationToken;

use super::Held;
use crate::clock::Stopwatch;

/// A client must send this many bytes per [`STALLED_AFTER`], or it gives way to others when there is no room.
const PROGRESS_BYTES: usize = 16 * 1_024;
/// Time of waiting for the bytes of a client after which it gives way to others.
const STALLED_AFTER: Duration = Duration::from_secs(1);

/// The clients whose bytes are waited for.
#[derive(Debug, Default)]
pub struct Receiving {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// Time of waiting before, since the last progress.
    before: Duration,
    since: Stopwatch,
    held: Held,
    ended: CancellationToken,
}

impl Waiting {
    fn is_stalled(&self) -> bool {
        self.before + self.since.elapsed() >= STALLED_AFTER
    }
}

impl Receiving {
    /// Ends the stalled client that takes the most room, and of equal ones the one that was waited for longest.
    pub fn end_stalled(&mut self) {
        let stalled = self.waiting.iter().filter(|(_, waiting)| waiting.is_stalled());
        let largest = stalled.max_by_key(|(place, waiting)| (waiting.held.bytes(), u64::MAX - **place));
        let Some(place) = largest.map(|(place, _)| *place) else { return };
        if let Some(waiting) = self.waiting.remove(&place) {
            waiting.ended.cancel();
        }
    }
}

/// The bytes of one body or of the messages on one WebSocket: the room that they take, and the pace at which they come.
#[derive(Debug)]
pub struct Arrival {
    held: Held,
    ended: CancellationToken,
    /// Time of waiting for the client, and bytes that it sent, since the last progress.
    waited: Duration,
    arrived: usize,
    /// The place in the list of those that are waited for.
    place: Option<(u64, Stopwatch)>,
}

impl Arrival {
    /// Nothing has arrived yet.
    pub fn new(held: Held) -> Self {
        Self { held, ended: CancellationToken::new(), waited: Duration::ZERO, arrived: 0, place: None }
    }

    /// The room that the bytes take.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Cancelled when the client has to give way to others.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Waits for the client from now on. It counts as stalled after a second, and then may have to give way.
    pub fn wait(&mut self) {
        if self.place.is_none() {
            let since = Stopwatch::start();
            let mut receiving = self.held.in_flight.receiving();
            let place = receiving.next;
            receiving.next += 1;
            let (held, ended) = (self.held.clone(), self.ended.clone());
            receiving.waiting.insert(place, Waiting { before: self.waited, since, held, ended });
            self.place = Some((place, since));
        }
    }

    /// The client has sent bytes.
    pub fn receive(&mut self, bytes: usize) {
        if let Some(since) = self.leave() {
            self.waited += since.elapsed();
        }
        self.arrived += bytes;
        if self.arrived >= PROGRESS_BYTES {
            (self.arrived, self.waited) = (0, Duration::ZERO);
        }
    }

    /// Nothing more is due from the client at the moment.
    pub fn complete(&mut self) {
        self.leave();
        (self.arrived, self.waited) = (0, Duration::ZERO);
    }

    fn leave(&mut self) -> Option<Stopwatch> {
        let (place, since) = self.place.take()?;
        self.held.in_flight.receiving().waiting.remove(&place);
        Some(since)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.leave();
    }
}

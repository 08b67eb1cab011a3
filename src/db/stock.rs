//! The connections for one kind of work: a bounded number, handed out in the order of asking. A connection that was idle is
//! tested before it is used again.
//!
//! The driver's own pool pings every connection that comes back, without a deadline: a second round trip for every query,
//! and a connection that never comes back if its path is dead. Here a connection that answered is free at once.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sea_orm::DbBackend;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use super::{
    connection::{Connection, Source},
    recovery,
    taken::Taken,
};
use crate::clock::Stopwatch;

/// Time after the last answer from which a connection to PostgreSQL is tested before it is used again.
const TRUSTED_FOR: Duration = Duration::from_secs(1);
/// Timeout of a ping.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest time of one attempt to open a connection. `database.acquire_timeout_ms` bounds all attempts.
const ATTEMPT_MAX: Duration = Duration::from_secs(2);
/// Time after which a connection is replaced: memory that a backend has taken it does not give back.
const LIFETIME: Duration = Duration::from_mins(30);
/// Time after which an unused connection is closed.
const IDLE_MAX: Duration = Duration::from_mins(10);
/// One of this number of connections is left to queries that are not long.
const LEFT_TO_SHORT: usize = 4;
/// Longest time to close a connection.
const CLOSE_MAX: Duration = Duration::from_millis(500);

/// A bounded number of connections.
#[derive(Debug)]
pub struct Stock {
    source: Source,
    count: u32,
    pub(super) acquire_timeout: Duration,
    /// Time after which a statement without an answer has lost its connection.
    pub(super) answer_timeout: Duration,
    /// One permit for each connection, given in the order of asking.
    room: Arc<Semaphore>,
    /// One permit for each connection that long queries may use at once, given in the order of asking.
    pub(super) long: Semaphore,
    at_hand: Mutex<Vec<Kept>>,
    /// Connections in use or in recovery, which closing waits for.
    pub(super) in_use: TaskTracker,
}

/// A connection between two uses.
#[derive(Debug)]
pub(super) struct Kept {
    pub connection: Connection,
    opened: Stopwatch,
    used: Stopwatch,
}

/// The right to one connection.
#[derive(Debug)]
pub(super) struct Place {
    pub stock: Arc<Stock>,
    _permit: OwnedSemaphorePermit,
    _token: TaskTrackerToken,
}

impl Stock {
    /// At most `count` connections, opened when they are needed. A statement has `answer_timeout` to answer.
    pub fn new(source: Source, count: u32, acquire_timeout: Duration, answer_timeout: Duration) -> Arc<Self> {
        let places = usize::try_from(count).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Arc::new(Self {
            source,
            count,
            acquire_timeout,
            answer_timeout,
            room: Arc::new(Semaphore::new(places)),
            long: Semaphore::new((places - places.div_ceil(LEFT_TO_SHORT)).max(1)),
            at_hand: Mutex::default(),
            in_use: TaskTracker::new(),
        })
    }

    /// The kind of the database.
    pub const fn backend(&self) -> DbBackend {
        self.source.backend()
    }

    /// The statements that begin a transaction, if every statement needs one: behind a pooler in transaction mode.
    pub(super) const fn pooled_begin(&self) -> Option<&Arc<str>> {
        self.source.pooled_begin()
    }

    /// Number of connections.
    pub const fn count(&self) -> u32 {
        self.count
    }

    fn at_hand(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, in the order in which they are asked for.
    ///
    /// # Errors
    /// None is free within `database.acquire_timeout_ms`, or the database cannot be reached.
    pub async fn take(self: &Arc<Self>) -> sqlx::Result<Taken> {
        let place = match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => self.place(permit),
            Err(_) => self.wait().await?,
        };
        while let Some(kept) = self.next_at_hand() {
            if !kept.needs_test() {
                return Ok(Taken::new(place, kept, false));
            }
            if let Some(kept) = Box::pin(self.tested(kept)).await {
                return Ok(Taken::new(place, kept, false));
            }
        }
        // In a box of its own: connecting is rare and would make the future of every query ten times as large.
        let kept = Box::pin(self.connect()).await?;
        Ok(Taken::new(place, kept, true))
    }

    fn next_at_hand(&self) -> Option<Kept> {
        self.at_hand().pop()
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place { stock: Arc::clone(self), _permit: permit, _token: self.in_use.token() }
    }

    async fn wait(self: &Arc<Self>) -> sqlx::Result<Place> {
        let waited = timeout(self.acquire_timeout, Arc::clone(&self.room).acquire_owned()).await;
        let permit = waited.map_err(|_| sqlx::Error::PoolTimedOut)?.map_err(|_| sqlx::Error::PoolClosed)?;
        Ok(self.place(permit))
    }

    /// The connection, if it still answers.
    async fn tested(&self, mut kept: Kept) -> Option<Kept> {
        if let Ok(Ok(())) = timeout(PING_TIMEOUT, kept.connection.ping()).await {
            Some(kept)
        } else {
            self.lost(kept.connection);
            None
        }
    }

    async fn connect(&self) -> sqlx::Result<Kept> {
        let connecting = async {
            let mut pause = Duration::from_millis(10);
            loop {
                match timeout(ATTEMPT_MAX, self.source.connect()).await {
                    // A server that starts refuses for a moment, and a path that was dead may be whole again.
                    Ok(Err(error)) if is_starting(&error) => sleep(pause).await,
                    Err(_) => {}
                    Ok(connected) => return connected,
                }
                pause *= 2;
            }
        };
        let connected = timeout(self.acquire_timeout, connecting).await;
        let connection = connected.map_err(|_| sqlx::Error::PoolTimedOut)??;
        Ok(Kept { connection, opened: Stopwatch::start(), used: Stopwatch::start() })
    }

    /// Keeps a connection at hand that takes the next statement.
    pub(super) fn put_back(&self, mut kept: Kept) {
        kept.used = Stopwatch::start();
        let mut at_hand = self.at_hand();
        at_hand.retain(|kept| kept.used.elapsed() < IDLE_MAX);
        if kept.opened.elapsed() < LIFETIME {
            at_hand.push(kept);
        }
    }

    /// Gives up a connection that does not answer. All others at hand go with it: they have the same path to the same server.
    pub(super) fn lost(&self, connection: Connection) {
        let others = std::mem::take(&mut *self.at_hand());
        recovery::end([connection].into_iter().chain(others.into_iter().map(|kept| kept.connection)));
    }

    /// Hands out no more connections, and waits until all are closed.
    pub async fn close(&self) {
        self.room.close();
        self.in_use.close();
        self.in_use.wait().await;
        let open = std::mem::take(&mut *self.at_hand());
        for kept in open {
            // One that fails to close is closed by being dropped.
            let _ = timeout(CLOSE_MAX, kept.connection.close()).await;
        }
    }
}

impl Kept {
    fn needs_test(&self) -> bool {
        self.connection.is_remote() && self.used.elapsed() >= TRUSTED_FOR
    }
}

/// Returns whether a server that is about to start gave this answer.
fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == io::ErrorKind::ConnectionRefused,
        // 57P03: cannot connect now.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| code == "57P03"),
        _ => false,
    }
}

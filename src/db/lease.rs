//! The ids of an instance: a node that no other instance has, held by a lease in the database, and blocks of ids that the
//! database hands out once each.
//!
//! 1. A row of `instance_node` belongs to the instance that knows its epoch. Taking the node raises the epoch, so that every
//!    later statement of the earlier holder finds nothing; commits of ingest check it in their transaction ([`Lease`]).
//! 2. The row says up to where ids of the node were handed out. An instance makes ids only below the end that it has stored
//!    there, and the next holder begins at that end. So no id is made twice, whatever clocks say, however long a process was
//!    paused, and also if a commit of an earlier holder still gets through.
//! 3. An instance that could not renew its lease in time, by its monotonic clock, makes no ids until it has renewed it or has
//!    taken a node again. On PostgreSQL the lease ends by the clock of the database. An SQLite file is one instance's alone
//!    (`instance`), so its lease has no end.

mod postgres;
mod renewal;
mod sqlite;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use renewal::{LeaseSettings, Renewal};

use crate::{
    clock::Stopwatch,
    error::{Error, Result},
    model::{
        Timestamp,
        id::{IdBlock, IdPlace},
    },
};

/// Seconds after which a refused writer should retry: a lost lease is usually renewed within a second or two of the return of
/// the database.
const RETRY_AFTER_S: u32 = 1;

/// The right to a node, as the database knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The number in the ids.
    pub node: i16,
    /// Raised by everyone who takes the node.
    pub epoch: i64,
}

/// Makes the ids of an instance; clones share the block.
#[derive(Clone, Debug)]
pub struct IdGenerator(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    block: IdBlock,
    /// `None`: nobody else knows the database, and nothing is checked.
    lease: Option<Lease>,
    validity: Validity,
}

#[derive(Clone, Copy, Debug)]
enum Validity {
    Endless,
    /// Ends this long after the last renewal was sent.
    Until(Stopwatch, Duration),
    /// Another instance has the node, or it was given back.
    Lost,
}

impl Validity {
    fn holds(self) -> bool {
        match self {
            Self::Endless => true,
            Self::Until(renewed, lasts) => renewed.elapsed() < lasts,
            Self::Lost => false,
        }
    }
}

impl IdGenerator {
    /// A generator without a lease, for a database that nobody else uses. It never ends and remembers nothing.
    pub fn alone(node: u8) -> Self {
        Self::alone_from(node, IdPlace::from_stored(0))
    }

    /// Like [`Self::alone`], from a place on.
    pub fn alone_from(node: u8, first: IdPlace) -> Self {
        let block = IdBlock::new(node, first, IdPlace::END);
        Self(Arc::new(Mutex::new(State { block, lease: None, validity: Validity::Endless })))
    }

    /// The number of this instance at the moment. It changes if the lease is lost.
    pub fn node(&self) -> u8 {
        self.state().block.node()
    }

    /// The lease to check in the transaction that stores ids made from now on; `None` if there is nothing to check.
    pub fn lease(&self) -> Option<Lease> {
        self.state().lease
    }

    /// The next id.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn next(&self, now: Timestamp) -> Result<i64> {
        self.reserve(now, 1)
    }

    /// The first of `count` consecutive ids. `count` is clamped to [`crate::model::id::RESERVATION_MAX`].
    ///
    /// # Errors
    /// [`Error::Unavailable`] while this instance has no lease.
    pub fn reserve(&self, now: Timestamp, count: u32) -> Result<i64> {
        let mut state = self.state();
        if !state.validity.holds() {
            return Err(lost());
        }
        state.block.reserve(now, count).ok_or_else(lost)
    }

    /// Checks that ids can be made.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while this instance has no lease.
    pub fn check(&self) -> Result<()> {
        if self.state().validity.holds() { Ok(()) } else { Err(lost()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of writes while this instance has no lease.
pub fn lost() -> Error {
    Error::Unavailable {
        message: "the database has not confirmed the lease of this instance, without which it writes nothing; try again",
        retry_after_s: RETRY_AFTER_S,
        source: None,
    }
}

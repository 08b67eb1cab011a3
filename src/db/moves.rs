//! Who changed something says so after the commit, to whoever listens in this process: which organization's log has moved,
//! and how far. Nothing is said of what was rolled back.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

use crate::model::OrganizationId;

/// Moves that a listener may be behind; one that is further behind looks for itself.
const CAPACITY: usize = 1_024;

/// An organization's log of changes, and its last change.
pub type Move = (OrganizationId, i64);

/// Where moves are told; one for each database.
#[derive(Clone, Debug)]
pub struct Moves {
    sender: broadcast::Sender<Move>,
    /// Of the transaction that is under way.
    pending: Arc<Mutex<Vec<Move>>>,
}

impl Default for Moves {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), pending: Arc::default() }
    }
}

impl Moves {
    /// The same for another transaction.
    #[must_use]
    pub fn of_transaction(&self) -> Self {
        Self { sender: self.sender.clone(), pending: Arc::default() }
    }

    /// Everything that is told from now on.
    pub fn listen(&self) -> broadcast::Receiver<Move> {
        self.sender.subscribe()
    }

    /// Tells this when the transaction is committed.
    pub fn note(&self, moves: impl IntoIterator<Item = Move>) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).extend(moves);
    }

    /// It is committed.
    pub fn tell(&self) {
        for told in self.pending.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // An error means that nobody listens.
            let _ = self.sender.send(told);
        }
    }
}

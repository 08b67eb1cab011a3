//! Notices that a transaction sends to listeners in this process after its commit. A rollback discards them.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::broadcast;

/// Number of notices that a listener may lag behind.
const CAPACITY: usize = 1_024;

/// The notices of one database or, with [`Self::of_transaction`], of one transaction.
#[derive(Clone, Debug)]
pub struct CommitNotices<T> {
    sender: broadcast::Sender<T>,
    /// Notices of the open transaction.
    pending: Arc<Mutex<Vec<T>>>,
}

impl<T: Clone> Default for CommitNotices<T> {
    fn default() -> Self {
        Self { sender: broadcast::Sender::new(CAPACITY), pending: Arc::default() }
    }
}

impl<T: Clone> CommitNotices<T> {
    /// The notices of a new transaction.
    #[must_use]
    pub fn of_transaction(&self) -> Self {
        Self { sender: self.sender.clone(), pending: Arc::default() }
    }

    /// All notices from now on.
    pub fn listen(&self) -> broadcast::Receiver<T> {
        self.sender.subscribe()
    }

    /// Adds notices to the transaction.
    pub fn add(&self, notices: impl IntoIterator<Item = T>) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).extend(notices);
    }

    /// Sends the notices of the transaction, after its commit.
    pub fn send(&self) {
        for notice in self.pending.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // An error means that there is no listener.
            let _ = self.sender.send(notice);
        }
    }
}

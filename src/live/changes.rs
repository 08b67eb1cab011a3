//! Changes of the directory, as any instance makes them: read from the log that every change writes in its transaction.
//!
//! What says that a log has moved may be lost; the log is the truth. Its count has no gaps, so a reader that finds one
//! knows exactly what retention has removed, and says so.

mod page;
mod relay;
mod stream;

pub use self::{
    page::{ChangeEvent, Removed},
    relay::Relay,
    stream::{ChangeFilter, watch},
};

use tokio::sync::broadcast;

use crate::{db::moves::Move, model::OrganizationId};

/// Moves that a stream may be behind; one that is further behind looks for itself.
const CAPACITY: usize = 1_024;

/// Says which logs have moved, whoever moved them. Clones say the same.
#[derive(Clone, Debug)]
pub struct Moved(broadcast::Sender<Move>);

impl Default for Moved {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl Moved {
    fn tell(&self, organization: OrganizationId, last: i64) {
        // An error means that nobody watches.
        let _ = self.0.send((organization, last));
    }

    fn listen(&self) -> broadcast::Receiver<Move> {
        self.0.subscribe()
    }

    fn is_heard(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

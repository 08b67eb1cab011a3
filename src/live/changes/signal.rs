//! The signal within one process that the change log of an organization has advanced.

use tokio::sync::broadcast;

use crate::model::{OrganizationId, change::LogPosition};

/// Signals buffered for a stream; one that is further behind reads its log.
const CAPACITY: usize = 1_024;

/// Signals that change logs have advanced, on whichever instance. Clones share their subscribers.
#[derive(Clone, Debug)]
pub struct ChangeSignal(broadcast::Sender<LogPosition>);

impl Default for ChangeSignal {
    fn default() -> Self {
        Self(broadcast::Sender::new(CAPACITY))
    }
}

impl ChangeSignal {
    /// Signals the last entry of an organization's log.
    pub(super) fn send(&self, organization: OrganizationId, last: i64) {
        // An error means that there are no subscribers.
        let _ = self.0.send((organization, last));
    }

    /// Subscribes to all signals from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<LogPosition> {
        self.0.subscribe()
    }

    /// True while there are subscribers.
    pub(super) fn has_subscribers(&self) -> bool {
        self.0.receiver_count() > 0
    }
}

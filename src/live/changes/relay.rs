//! Collects signals that a change log has advanced: from changes of this process, from other instances over the bus and,
//! since both may be lost, from the database once a second while there are subscribers.

use std::time::Duration;

use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{page, signal::ChangeSignal};
use crate::{
    db::Database,
    live::{notice::CommitNotice, publisher::Publisher},
};

/// Polling interval if no other instance writes: it finds only signals that were lost within the process.
const SINGLE_INSTANCE_INTERVAL: Duration = Duration::from_secs(30);

/// Carries signals to streams and to other instances.
pub struct ChangeRelay {
    database: Database,
    publisher: Publisher,
    signal: ChangeSignal,
    interval: Duration,
}

impl ChangeRelay {
    /// Polls the database at this interval; rarely if no other instance writes.
    pub fn new(
        database: Database,
        publisher: Publisher,
        signal: ChangeSignal,
        poll_interval: Option<Duration>,
    ) -> Self {
        Self { database, publisher, signal, interval: poll_interval.unwrap_or(SINGLE_INSTANCE_INTERVAL) }
    }

    /// Runs until the server stops.
    pub async fn run(self, stopping: CancellationToken) {
        let working = Box::pin(async { tokio::join!(self.announce(), self.receive(), self.poll()) });
        stopping.run_until_cancelled(working).await;
    }

    /// Announces the changes of this process to streams and other instances.
    async fn announce(&self) {
        let mut moves = self.database.log_positions();
        loop {
            match moves.recv().await {
                Ok((organization, last)) => {
                    self.publisher.announce(CommitNotice { organization, sequence: None, change: Some(last) });
                }
                Err(RecvError::Lagged(_)) => self.read_all().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn receive(&self) {
        let mut notices = self.publisher.changes();
        loop {
            match notices.recv().await {
                Ok(CommitNotice { organization, change: Some(last), .. }) => self.signal.send(organization, last),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.read_all().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn poll(&self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.signal.has_subscribers() {
                self.read_all().await;
            }
        }
    }

    /// Signals the last entry of every log, as the database has it.
    async fn read_all(&self) {
        match page::last_of_all(&self.database).await {
            Ok(last) => {
                for (organization, last) in last {
                    self.signal.send(organization, last);
                }
            }
            Err(error) => tracing::warn!(%error, "cannot read the change log; changes of other instances are delayed"),
        }
    }
}

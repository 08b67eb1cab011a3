//! Keeps the publisher complete: notifies other instances of commits of this one, and reads theirs once for all streams.
//!
//! It works without a bus, by polling the last commit of each organization once a second. A bus only reduces the delay.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    bus::{POLL_INTERVAL, SharedBus},
    publisher::{MissingCommits, Publisher},
    replay::{self, StoredBatch},
};
use crate::{db::Database, error::Result};

/// Minimum interval between messages to other instances; commits in between are sent together.
const NOTIFY_INTERVAL: Duration = Duration::from_millis(100);
/// Delay before a lost bus or database is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// Timeout of closing the bus.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Organizations of one statement; each is a condition of it.
const ORGANIZATIONS_AT_ONCE: usize = 100;

/// Keeps a publisher complete while it runs.
pub struct Follower {
    database: Database,
    publisher: Publisher,
    bus: SharedBus,
    /// The polling interval; `None` if no other instance writes.
    poll_interval: Option<Duration>,
}

impl Follower {
    /// Starts at the last commit of every organization.
    ///
    /// # Errors
    /// The database fails.
    pub async fn begin(
        database: Database,
        publisher: Publisher,
        bus: SharedBus,
        poll_interval: Option<Duration>,
    ) -> Result<Self> {
        publisher.set_last(replay::last_commits(&database).await?);
        Ok(Self { database, publisher, bus, poll_interval })
    }

    /// Runs until the server stops.
    pub async fn run(self, stopping: CancellationToken) {
        // Boxed, or the future that starts the server would contain all three.
        let working = Box::pin(async { tokio::join!(self.notify(), self.listen(), self.follow()) });
        stopping.run_until_cancelled(working).await;
        if timeout(CLOSE_TIMEOUT, self.bus.close()).await.is_err() {
            tracing::debug!("the bus did not close in time");
        }
    }

    /// Notifies other instances at once, and then not again before the interval is over.
    async fn notify(&self) {
        let mut is_lost = false;
        loop {
            let notices = self.publisher.outgoing().await;
            match self.bus.publish(&notices).await {
                Ok(()) => is_lost = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        tracing::warn!(%error, "cannot notify other instances of commits; they poll once a second");
                    }
                }
            }
            sleep(NOTIFY_INTERVAL).await;
        }
    }

    async fn listen(&self) {
        let mut is_lost = false;
        loop {
            match self.bus.subscribe().await {
                Ok(mut notices) => {
                    if std::mem::take(&mut is_lost) {
                        tracing::info!("the bus is connected again");
                    }
                    while let Some(notices) = notices.next().await {
                        for notice in notices {
                            self.publisher.receive(notice);
                        }
                    }
                    tracing::warn!("the bus is lost; polling the database once a second");
                    is_lost = true;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        tracing::warn!(%error, "the bus cannot be reached; polling the database once a second");
                    }
                }
            }
            sleep(RETRY_INTERVAL).await;
        }
    }

    async fn follow(&self) {
        let mut polls = interval(self.poll_interval.unwrap_or(POLL_INTERVAL));
        polls.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let result = tokio::select! {
                () = self.publisher.wait_for_missing() => self.catch_up().await,
                _ = polls.tick(), if self.poll_interval.is_some() => self.poll().await,
            };
            if let Err(error) = result {
                tracing::warn!(%error, "cannot read commits of other instances; retrying");
                sleep(RETRY_INTERVAL).await;
            }
        }
    }

    async fn poll(&self) -> Result<()> {
        self.publisher.set_last(replay::last_commits(&self.database).await?);
        self.catch_up().await
    }

    async fn catch_up(&self) -> Result<()> {
        loop {
            let missing = self.publisher.take_missing();
            if missing.is_empty() {
                return Ok(());
            }
            for missing in missing.chunks(ORGANIZATIONS_AT_ONCE) {
                let read = self.read(missing).await;
                // If nothing was found, nothing was committed, whatever the notice said.
                if !matches!(read, Ok(0)) {
                    self.publisher.retry(missing);
                }
                read?;
            }
        }
    }

    /// Reads a page of missing batches and publishes them. Returns their number.
    async fn read(&self, missing: &[MissingCommits]) -> Result<usize> {
        let found = replay::committed(&self.database, missing).await?;
        let count = found.len();
        for batch in found {
            match batch {
                StoredBatch::Complete(batch) => self.publisher.relay(&Arc::new(batch)),
                StoredBatch::Incomplete { organization, sequence } => self.publisher.skip(organization, sequence),
            }
        }
        Ok(count)
    }
}

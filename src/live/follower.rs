//! Keeps the publisher complete: tells other instances of our commits, and reads theirs, once for all streams.
//!
//! Right without any bus: once a second the database says how far each organization is. A bus only makes it quicker.

use std::{sync::Arc, time::Duration};

use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Publisher, SharedBus,
    bus::POLL_INTERVAL,
    publisher::Missing,
    replay::{self, Found},
};
use crate::{db::Database, error::Result};

/// How often other instances are told at most; what happens in between goes together.
const TELL_INTERVAL: Duration = Duration::from_millis(100);
/// How long to wait before a bus that was lost is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// How long the bus may take to give back what it holds.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// Organizations that one statement asks about; each is a condition of it.
const ORGANIZATIONS_AT_ONCE: usize = 100;

/// What keeps a publisher complete while it runs.
pub struct Follower {
    database: Database,
    publisher: Publisher,
    bus: SharedBus,
    /// How often the database is asked; never where nobody else writes into it.
    poll_interval: Option<Duration>,
}

impl Follower {
    /// Follows from where the organizations stand now.
    ///
    /// # Errors
    /// When the database cannot say.
    pub async fn begin(
        database: Database,
        publisher: Publisher,
        bus: SharedBus,
        poll_interval: Option<Duration>,
    ) -> Result<Self> {
        publisher.stands(replay::standing(&database).await?);
        Ok(Self { database, publisher, bus, poll_interval })
    }

    /// Runs until the server stops.
    pub async fn run(self, stopping: CancellationToken) {
        // Boxed, or whoever starts a server would carry all three about while it starts.
        let working = Box::pin(async { tokio::join!(self.tell(), self.listen(), self.follow()) });
        stopping.run_until_cancelled(working).await;
        if timeout(CLOSE_TIMEOUT, self.bus.close()).await.is_err() {
            tracing::debug!("the bus did not give back its connections in time");
        }
    }

    /// Tells others at once, and then not again for a moment.
    async fn tell(&self) {
        let mut is_lost = false;
        loop {
            let pokes = self.publisher.outgoing().await;
            match self.bus.publish(&pokes).await {
                Ok(()) => is_lost = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        tracing::warn!(%error, "other instances cannot be told of commits; they ask once a second");
                    }
                }
            }
            sleep(TELL_INTERVAL).await;
        }
    }

    async fn listen(&self) {
        let mut is_lost = false;
        loop {
            match self.bus.subscribe().await {
                Ok(mut pokes) => {
                    if std::mem::take(&mut is_lost) {
                        tracing::info!("other instances are heard again");
                    }
                    while let Some(pokes) = pokes.next().await {
                        for poke in pokes {
                            self.publisher.hear(poke);
                        }
                    }
                    tracing::warn!("the bus is lost; the database is asked once a second");
                    is_lost = true;
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        tracing::warn!(%error, "the bus cannot be reached; the database is asked once a second");
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
            let done = tokio::select! {
                () = self.publisher.until_wanted() => self.catch_up().await,
                _ = polls.tick(), if self.poll_interval.is_some() => self.poll().await,
            };
            if let Err(error) = done {
                tracing::warn!(%error, "commits of other instances cannot be read; trying again");
                sleep(RETRY_INTERVAL).await;
            }
        }
    }

    async fn poll(&self) -> Result<()> {
        self.publisher.stands(replay::standing(&self.database).await?);
        self.catch_up().await
    }

    async fn catch_up(&self) -> Result<()> {
        loop {
            let missing = self.publisher.missing();
            if missing.is_empty() {
                return Ok(());
            }
            for missing in missing.chunks(ORGANIZATIONS_AT_ONCE) {
                let read = self.read(missing).await;
                // Where nothing was found, nothing was committed, whoever said so.
                if !matches!(read, Ok(0)) {
                    self.publisher.still_missing(missing);
                }
                read?;
            }
        }
    }

    /// Reads a page of what is missing and hands it on; answers how many batches that were.
    async fn read(&self, missing: &[Missing]) -> Result<usize> {
        let found = replay::committed(&self.database, missing).await?;
        let count = found.len();
        for batch in found {
            match batch {
                Found::Whole(batch) => self.publisher.relay(&Arc::new(batch)),
                Found::Incomplete { organization, sequence } => self.publisher.pass_over(organization, sequence),
            }
        }
        Ok(count)
    }
}

//! Brings the news together that a log has moved: from changes of this process, from other instances over the bus, and,
//! as both may be lost, from the database once a second while anybody watches.

use std::time::Duration;

use tokio::{
    sync::broadcast::error::RecvError,
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Moved, page};
use crate::{
    db::Database,
    live::{Poke, Publisher},
};

/// How often the database is asked, at most: where nobody else writes into it, only what was lost here is found.
const SELDOM: Duration = Duration::from_secs(30);

/// Carries the news to streams and to other instances.
pub struct Relay {
    database: Database,
    publisher: Publisher,
    moved: Moved,
    interval: Duration,
}

impl Relay {
    /// Asks the database so often; seldom where nobody else writes into it.
    pub fn new(database: Database, publisher: Publisher, moved: Moved, poll_interval: Option<Duration>) -> Self {
        Self { database, publisher, moved, interval: poll_interval.unwrap_or(SELDOM) }
    }

    /// Runs until the server stops.
    pub async fn run(self, stopping: CancellationToken) {
        let working = Box::pin(async { tokio::join!(self.announce(), self.hear(), self.poll()) });
        stopping.run_until_cancelled(working).await;
    }

    /// Tells everybody what this process changed.
    async fn announce(&self) {
        let mut moves = self.database.moves();
        loop {
            match moves.recv().await {
                Ok((organization, last)) => {
                    self.publisher.announce(Poke { organization, sequence: None, change: Some(last) });
                }
                Err(RecvError::Lagged(_)) => self.look().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn hear(&self) {
        let mut pokes = self.publisher.changes();
        loop {
            match pokes.recv().await {
                Ok(Poke { organization, change: Some(last), .. }) => self.moved.tell(organization, last),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.look().await,
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn poll(&self) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.moved.is_heard() {
                self.look().await;
            }
        }
    }

    async fn look(&self) {
        match page::standing(&self.database).await {
            Ok(standing) => {
                for (organization, last) in standing {
                    self.moved.tell(organization, last);
                }
            }
            Err(error) => tracing::warn!(%error, "changes of other instances cannot be seen; trying again"),
        }
    }
}

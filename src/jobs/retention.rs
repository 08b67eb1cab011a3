//! Moves on what is kept: publishes new bounds at the start of each day and removes what lies before them a minute later.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    db::Database,
    error::Result,
    model::{Kept, timestamp::DAY_MICROS},
};

/// How often the published bounds are read: another instance may have moved them.
const INTERVAL: Duration = Duration::from_secs(15);

/// How many times in a row they must have been found unchanged before the rows go. By then every instance has read them,
/// and no statement that was made before still runs.
const TIMES_SEEN: u32 = 4;

/// How many days are kept of what; rollups per day are kept for ever.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// Single measurements.
    pub raw: u32,
    /// Rollups per minute and per five minutes.
    pub minutes: u32,
    /// Rollups per hour, and counts of what came too late.
    pub hours: u32,
    /// The log of what changed in the directory.
    pub changes: u32,
    /// Idempotency keys and places in streams.
    pub keys: u32,
}

/// What one process knows of the published bounds.
#[derive(Debug)]
pub struct Retention {
    database: Database,
    days: Days,
    seen: Kept,
    times: u32,
}

impl Retention {
    /// Nothing is removed before its bounds were found published several times.
    pub const fn new(database: Database, days: Days) -> Self {
        Self { database, days, seen: Kept::EVERYTHING, times: 0 }
    }

    /// One look at the clock and at the bounds.
    ///
    /// # Errors
    /// When the database cannot do it now; the next look tries again.
    pub async fn look(&mut self, clock: &Clock) -> Result<()> {
        let Days { raw, minutes, hours, changes, keys } = self.days;
        self.database.forget_batches_before(clock.now().plus_micros(-i64::from(keys) * DAY_MICROS)).await?;
        let published = self.database.reload_kept().await?;
        let wanted = published.later(Kept::days(clock.now(), raw, minutes, hours));
        if wanted != published {
            self.database.publish_kept(wanted).await?;
            self.database.reload_kept().await?;
            return Ok(());
        }
        if published != self.seen {
            (self.seen, self.times) = (published, 0);
        }
        if self.times + 1 == TIMES_SEEN {
            self.database.remove_before(published).await?;
            let before = clock.now().plus_micros(-i64::from(changes) * DAY_MICROS);
            self.database.remove_changes_before(before).await?;
        }
        // Not before it is done: what failed is tried again.
        self.times = self.times.saturating_add(1).min(TIMES_SEEN);
        Ok(())
    }

    /// Runs until the server stops.
    pub async fn run(mut self, clock: Clock, stopping: CancellationToken) {
        loop {
            match stopping.run_until_cancelled(self.look(&clock)).await {
                Some(Err(error)) => tracing::warn!(%error, "retention could not do its work; it tries again"),
                Some(Ok(())) => {}
                None => return,
            }
            if stopping.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_none() {
                return;
            }
        }
    }
}

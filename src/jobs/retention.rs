//! Moves on what is kept: publishes new bounds at the start of each day and removes what lies before them a minute later.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config,
    db::Database,
    error::Result,
    model::{Kept, timestamp::DAY_MICROS},
};

/// How often the published bounds are read: another instance may have moved them.
const INTERVAL: Duration = Duration::from_secs(15);

/// How many times in a row they must have been found unchanged before the rows go. By then every instance has read them,
/// and no statement that was made before still runs.
const TIMES_SEEN: u32 = 4;

/// What one process knows of the published bounds.
#[derive(Debug)]
pub struct Retention {
    database: Database,
    settings: config::Retention,
    seen: Kept,
    times: u32,
}

impl Retention {
    /// Nothing is removed before its bounds were found published several times.
    pub const fn new(database: Database, settings: config::Retention) -> Self {
        Self { database, settings, seen: Kept::EVERYTHING, times: 0 }
    }

    /// One look at the clock and at the bounds.
    ///
    /// # Errors
    /// When the database cannot do it now; the next look tries again.
    pub async fn look(&mut self, clock: &Clock) -> Result<()> {
        let config::Retention { raw_days, minute_days, hour_days, change_days, key_days } = self.settings;
        self.database.forget_batches_before(clock.now().plus_micros(-i64::from(key_days) * DAY_MICROS)).await?;
        let published = self.database.reload_kept().await?;
        let wanted = published.later(Kept::days(clock.now(), raw_days, minute_days, hour_days));
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
            let before = clock.now().plus_micros(-i64::from(change_days) * DAY_MICROS);
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

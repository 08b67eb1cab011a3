//! Retention: publishes new bounds at the start of each UTC day, and removes data before them a minute later.
//!
//! Two steps, never one. Once the bounds are published, queries ask for nothing before them. The data is removed when every
//! instance has read the bounds and every earlier statement has ended. Bounds only move forward.

mod bounds;
mod late;
mod removal;

pub use self::{
    bounds::{load as load_bounds, publish as publish_bounds},
    removal::metrics_before as remove_metrics_before,
};

use crate::{
    clock::Clock,
    config,
    db::Database,
    error::Result,
    live::changes,
    model::{RetainedSince, timestamp::DAY_MICROS},
};

/// Number of consecutive passes that must find the bounds unchanged before data is removed. At one pass per 15 seconds, every
/// instance has read the bounds by then, and no statement from before still runs.
const UNCHANGED_PASSES: u32 = 4;

/// The state of retention in one process.
#[derive(Debug)]
pub struct Retention {
    database: Database,
    settings: config::Retention,
    seen: RetainedSince,
    unchanged_passes: u32,
}

impl Retention {
    /// Starts without knowledge of earlier passes, so that the first removal follows after several passes.
    pub const fn new(database: Database, settings: config::Retention) -> Self {
        Self { database, settings, seen: RetainedSince::EVERYTHING, unchanged_passes: 0 }
    }

    /// Removes expired idempotency keys, then publishes new bounds or, after enough passes, removes data before them.
    ///
    /// # Errors
    /// The database fails. The next pass retries.
    pub async fn pass(&mut self, clock: &Clock) -> Result<()> {
        let config::Retention { raw_days, minute_days, hour_days, change_days, key_days } = self.settings;
        let days_ago = |days: u32| clock.now().plus_micros(-i64::from(days) * DAY_MICROS);
        removal::batches_before(&self.database, days_ago(key_days)).await?;
        let published = bounds::load(&self.database).await?;
        let wanted = published.later(RetainedSince::days(clock.now(), raw_days, minute_days, hour_days));
        if wanted != published {
            bounds::publish(&self.database, wanted).await?;
            bounds::load(&self.database).await?;
            return Ok(());
        }
        if published != self.seen {
            (self.seen, self.unchanged_passes) = (published, 0);
        }
        if self.unchanged_passes + 1 == UNCHANGED_PASSES {
            removal::metrics_before(&self.database, published).await?;
            changes::remove_before(&self.database, days_ago(change_days)).await?;
        }
        // Counted after the removal, so that a failed removal is retried.
        self.unchanged_passes = self.unchanged_passes.saturating_add(1).min(UNCHANGED_PASSES);
        Ok(())
    }
}

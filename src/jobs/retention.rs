//! Retention: publishes new bounds at the start of each UTC day, and removes data before them a minute later.
//!
//! Two steps, never one. Once the bounds are published, queries read nothing of a table before its bound. The data is removed when
//! every instance has read the bounds and every earlier statement has ended.
//!
//! A clock is believed only if other clocks agree (`trust`); otherwise nothing is published or removed. Bounds move forward,
//! with one exception: bounds in the future, which a wrong clock published, go back to where data is complete.

mod bounds;
mod late;
mod memory;
mod removal;
mod trust;

use std::time::Duration;

pub use self::{
    bounds::{load as load_bounds, publish as publish_bounds},
    removal::metrics_before as remove_metrics_before,
};

use self::trust::{ClockTrust, Doubt, Readings};
use crate::{
    clock::{Clock, Stopwatch},
    config,
    db::Database,
    error::Result,
    jobs::{breakdowns, compaction},
    live::changes,
    model::{
        RetainedSince, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};

/// Number of consecutive passes that must find the bounds unchanged before data is removed. At one pass per 15 seconds, every
/// instance has read the bounds by then, and no statement from before still runs.
const UNCHANGED_PASSES: u32 = 4;

/// The interval at which the believed time is stored.
const MEMORY_INTERVAL_MICROS: i64 = 10 * MINUTE_MICROS;

/// The state of retention in one process.
#[derive(Debug)]
pub struct Retention {
    database: Database,
    settings: config::Retention,
    trust: ClockTrust,
    /// Runs since the start of the process.
    watch: Stopwatch,
    is_doubtful: bool,
    seen: RetainedSince,
    unchanged_passes: u32,
}

impl Retention {
    /// Starts without knowledge of earlier passes, so that the first removal follows after several passes.
    pub fn new(database: Database, settings: config::Retention) -> Self {
        let settle = Duration::from_hours(u64::from(settings.clock_settle_hours));
        Self {
            database,
            settings,
            trust: ClockTrust::new(settle),
            watch: Stopwatch::start(),
            is_doubtful: false,
            seen: RetainedSince::EVERYTHING,
            unchanged_passes: 0,
        }
    }

    /// Removes expired idempotency keys, then publishes new bounds or, after enough passes, removes data before them. With a
    /// clock that is not believed, removes nothing.
    ///
    /// # Errors
    /// The database fails. The next pass retries.
    pub async fn pass(&mut self, clock: &Clock) -> Result<()> {
        let config::Retention { raw_days, minute_days, hour_days, change_days, key_days, .. } = self.settings;
        let published = bounds::load(&self.database).await?;
        let memory = memory::load(&self.database).await?;
        let readings = self.readings(clock, memory.clock).await?;
        let verdict = self.trust.judge(&readings);
        self.tell(readings.now, verdict.err());
        if matches!(verdict, Err(Doubt::Database { .. })) {
            // The instances whose clocks are right publish.
            return Ok(());
        }
        let is_believed = verdict.is_ok();
        // All instances by one clock, so that they agree where days begin.
        let now = readings.database.unwrap_or(readings.now);
        let today = now.floor(DAY_MICROS);
        let days_ago = |days: u32| now.plus_micros(-i64::from(days) * DAY_MICROS);
        let wanted = RetainedSince::days(now, raw_days, minute_days.max(raw_days), hour_days);
        // Removed rows do not return when a setting is raised. From today on, data is complete in any case.
        let removed = memory.removed.earlier(RetainedSince::since(today));
        if is_believed {
            self.remember(&readings, memory, removed).await?;
            removal::batches_before(&self.database, days_ago(key_days)).await?;
            // A clock that was ahead may have left it so.
            breakdowns::reopen_after(&self.database, today, published.raw).await?;
        }
        let target = if published.is_after(today) {
            wanted.later(removed)
        } else if is_believed {
            published.later(wanted).later(removed)
        } else {
            published.later(removed)
        };
        let RetainedSince { breakdowns, kept_breakdowns, .. } = published;
        let target = RetainedSince { breakdowns, kept_breakdowns, ..target };
        if target != published {
            // Another instance is merging or does the same; the next pass goes on.
            if target.raw > published.raw && !self.complete(published.raw, target).await? {
                return Ok(());
            }
            if published.is_after(today) {
                tracing::warn!(%today, "the bounds of retention were in the future; they go back to where data is complete");
                bounds::replace(&self.database, target).await?;
                breakdowns::reopen_after(&self.database, target.raw, target.raw).await?;
            } else {
                bounds::publish(&self.database, target).await?;
            }
            bounds::load(&self.database).await?;
            return Ok(());
        }
        if published != self.seen {
            (self.seen, self.unchanged_passes) = (published, 0);
        }
        if !is_believed {
            return Ok(());
        }
        if self.unchanged_passes + 1 == UNCHANGED_PASSES {
            // Not before what this clock wants, even if other bounds were published.
            let before = RetainedSince { breakdowns, kept_breakdowns, ..published.earlier(wanted) };
            // Once more, for what an import or an instance with other settings wrote since the bounds were published.
            if !self.complete(removed.raw, before).await? {
                return Ok(());
            }
            breakdowns::merge_additions(&self.database, before.raw).await?;
            memory::remember_removed(&self.database, removed.later(before)).await?;
            let file = self.database.file_watch();
            file.look()?;
            file.confirm(removal::metrics_before(&self.database, before).await)?;
            changes::remove_before(&self.database, days_ago(change_days)).await?;
        }
        // Counted after the removal, so that a failed removal is retried.
        self.unchanged_passes = self.unchanged_passes.saturating_add(1).min(UNCHANGED_PASSES);
        Ok(())
    }

    /// Gives all days before the new bound of single measurements what is kept longer. `since` is the bound until now. False if
    /// another instance does the same: then try again later.
    async fn complete(&self, since: Timestamp, kept: RetainedSince) -> Result<bool> {
        Ok(compaction::complete_before(&self.database, since, kept).await?
            && breakdowns::complete_before(&self.database, since, kept.raw).await?)
    }

    async fn readings(&self, clock: &Clock, remembered: Option<Timestamp>) -> Result<Readings> {
        let is_blind = self.trust.is_blind();
        let database = if is_blind { None } else { memory::database_clock(&self.database).await? };
        let newest = if self.trust.is_new() && remembered.is_none() && !is_blind {
            memory::newest_arrival(&self.database).await?
        } else {
            None
        };
        Ok(Readings { now: clock.local(), run: self.watch.elapsed(), database, remembered, newest })
    }

    /// Stores the believed time now and then, and forgets removals in the future, which a wrong clock made.
    async fn remember(&self, readings: &Readings, memory: memory::Memory, removed: RetainedSince) -> Result<()> {
        if removed != memory.removed {
            memory::correct_removed(&self.database, removed).await?;
        }
        let age = |at: Timestamp| readings.now.as_micros().saturating_sub(at.as_micros()).saturating_abs();
        if memory.clock.is_none_or(|at| age(at) >= MEMORY_INTERVAL_MICROS) {
            memory::remember_clock(&self.database, readings.now).await?;
        }
        Ok(())
    }

    /// Writes one warning when doubts begin, and a line when they end.
    fn tell(&mut self, now: Timestamp, doubt: Option<Doubt>) {
        let was_doubtful = std::mem::replace(&mut self.is_doubtful, doubt.is_some());
        match doubt {
            Some(doubt) if !was_doubtful => {
                let hours = self.settings.clock_settle_hours;
                tracing::warn!(
                    "retention removes nothing: the system clock says {now}, but {doubt}. Set the clock if it is wrong. If it is \
                     right, a clock that jumped is believed after {hours} hours (retention.clock_settle_hours); to believe it \
                     at once, restart with retention.clock_settle_hours = 0"
                );
            }
            None if was_doubtful => tracing::info!("the system clock is believed again, and retention goes on"),
            _ => {}
        }
    }
}

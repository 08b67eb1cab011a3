//! Keeps time partitions made ahead of the clock, so that inserts never fall into the default partition.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    config::Config,
    db::{Database, partition},
    error::Result,
    model::timestamp::{DAY_MICROS, TimeRange},
};

/// How often the next days are looked at; days are made well ahead, so an hour is soon enough.
const INTERVAL: Duration = Duration::from_hours(1);

/// How many days to keep ready around now.
#[derive(Clone, Copy, Debug)]
pub struct Days {
    /// Back, for measurements that arrive late.
    pub past: u32,
    /// Ahead.
    pub future: u32,
}

impl From<&Config> for Days {
    fn from(config: &Config) -> Self {
        Self { past: config.ingest.time_window_past_hours.div_ceil(24), future: config.database.partition_days_ahead }
    }
}

/// Makes what is missing now.
///
/// # Errors
/// When the database cannot do it.
pub async fn ensure(database: &Database, clock: &Clock, days: Days) -> Result<()> {
    let now = clock.now();
    let from = now.plus_micros(-i64::from(days.past) * DAY_MICROS);
    let to = now.plus_micros(i64::from(days.future).max(1) * DAY_MICROS);
    partition::ensure(database, TimeRange::new(from, to)?).await
}

/// Runs until the server stops.
pub async fn run(database: Database, clock: Clock, days: Days, stopping: CancellationToken) {
    while stopping.run_until_cancelled(tokio::time::sleep(INTERVAL)).await.is_some() {
        if let Err(error) = ensure(&database, &clock, days).await {
            tracing::warn!(%error, "partitions could not be made ahead; rows go to the default partition");
        }
    }
}

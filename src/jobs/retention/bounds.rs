//! The bounds of retention in the database: the time from which on each metric table is complete.

use sea_orm::{ConnectionTrait, Statement};

use crate::{
    db::{Database, StatementLog},
    error::Result,
    model::{RetainedSince, Timestamp},
};

pub const RAW: &str = "metric_event";
pub const LABELS: &str = "metric_label";
pub const MINUTES: &str = "metric_rollup_1m";
pub const FIVE_MINUTES: &str = "metric_rollup_5m";
pub const HOURS: &str = "metric_rollup_1h";
/// Reports find what is not broken down by the rows of this table, which must have begun before.
const GRAINS: &str = "metric_grain";
const BREAKDOWNS: &str = "metric_breakdown_1h";
const KEPT_BREAKDOWNS: &str = "metric_breakdown_1d";

/// Reads the published bounds and gives them to all new sessions of `database`.
///
/// # Errors
/// The database fails.
pub async fn load(database: &Database) -> Result<RetainedSince> {
    let session = database.reader(StatementLog::default());
    let sql = "SELECT table_name, since FROM metric_kept";
    let rows = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await?;
    let mut kept = RetainedSince::EVERYTHING;
    for row in rows {
        let (table, since): (String, Timestamp) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        match table.as_str() {
            RAW => kept.raw = since,
            MINUTES => kept.minutes = since,
            FIVE_MINUTES => kept.five_minutes = since,
            HOURS => kept.hours = since,
            BREAKDOWNS | GRAINS => kept.breakdowns = kept.breakdowns.max(since),
            KEPT_BREAKDOWNS => kept.kept_breakdowns = since,
            _ => {}
        }
    }
    // Versions without five minutes published and removed minutes only.
    kept.five_minutes = kept.five_minutes.max(kept.minutes);
    kept.kept_breakdowns = kept.kept_breakdowns.max(kept.breakdowns);
    database.set_kept(kept);
    Ok(kept)
}

/// Publishes bounds, except for those of breakdowns. Bounds that are earlier than the published ones have no effect.
///
/// # Errors
/// The database fails.
pub async fn publish(database: &Database, kept: RetainedSince) -> Result<()> {
    store(database, kept, "WHERE excluded.since > metric_kept.since").await
}

/// Publishes bounds that may be earlier than the published ones.
///
/// # Errors
/// The database fails.
pub async fn replace(database: &Database, kept: RetainedSince) -> Result<()> {
    store(database, kept, "").await
}

async fn store(database: &Database, kept: RetainedSince, condition: &str) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let sql = format!(
        "INSERT INTO metric_kept (table_name, since) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) \
         ON CONFLICT (table_name) DO UPDATE SET since = excluded.since {condition}"
    );
    let values = [(RAW, kept.raw), (MINUTES, kept.minutes), (FIVE_MINUTES, kept.five_minutes), (HOURS, kept.hours)];
    let values = values.into_iter().flat_map(|(table, since)| [table.into(), since.as_micros().into()]);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    session.execute_raw(statement).await?;
    Ok(())
}

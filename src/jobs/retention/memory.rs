//! The memory of retention in the database, and the readings that it compares the clock with.

use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};

use super::bounds::{FIVE_MINUTES, HOURS, MINUTES, RAW};
use crate::{
    db::{Database, StatementLog},
    error::Result,
    model::{RetainedSince, Timestamp},
};

/// The name under which the last believed time is stored.
const CLOCK: &str = "clock";

/// The memory of all processes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// The times before which rows of each resolution were removed.
    pub removed: RetainedSince,
    /// The last time at which the clock was believed.
    pub clock: Option<Timestamp>,
}

/// Reads the memory.
pub async fn load(database: &Database) -> Result<Memory> {
    let session = database.reader(StatementLog::default());
    let sql = "SELECT name, at FROM retention_state";
    let rows = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await?;
    let mut memory = Memory { removed: RetainedSince::EVERYTHING, clock: None };
    for row in rows {
        let (name, at): (String, Timestamp) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        match name.as_str() {
            RAW => memory.removed.raw = at,
            MINUTES => memory.removed.minutes = at,
            FIVE_MINUTES => memory.removed.five_minutes = at,
            HOURS => memory.removed.hours = at,
            CLOCK => memory.clock = Some(at),
            _ => {}
        }
    }
    Ok(memory)
}

/// Remembers up to where rows are removed. Written before the removal, because a removal may end half-way. Never goes back: another
/// instance, with other settings, may have removed more.
pub async fn remember_removed(database: &Database, removed: RetainedSince) -> Result<()> {
    remember(database, removed, "WHERE excluded.at > retention_state.at").await
}

/// Replaces what is remembered of removals, also by earlier times.
pub async fn correct_removed(database: &Database, removed: RetainedSince) -> Result<()> {
    remember(database, removed, "").await
}

async fn remember(database: &Database, removed: RetainedSince, condition: &str) -> Result<()> {
    let values =
        [(RAW, removed.raw), (MINUTES, removed.minutes), (FIVE_MINUTES, removed.five_minutes), (HOURS, removed.hours)];
    store(database, "($1, $2), ($3, $4), ($5, $6), ($7, $8)", &values, condition).await
}

/// Remembers that the clock was believed.
pub async fn remember_clock(database: &Database, at: Timestamp) -> Result<()> {
    store(database, "($1, $2)", &[(CLOCK, at)], "").await
}

async fn store(database: &Database, rows: &str, values: &[(&str, Timestamp)], condition: &str) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let sql = format!(
        "INSERT INTO retention_state (name, at) VALUES {rows} ON CONFLICT (name) DO UPDATE SET at = excluded.at {condition}"
    );
    let values = values.iter().flat_map(|(name, at)| [Value::from(*name), at.as_micros().into()]);
    session.execute_raw(Statement::from_sql_and_values(session.get_database_backend(), sql, values)).await?;
    Ok(())
}

/// The clock of the database, where it has one of its own.
pub async fn database_clock(database: &Database) -> Result<Option<Timestamp>> {
    let session = database.reader(StatementLog::default());
    if session.get_database_backend() != DbBackend::Postgres {
        return Ok(None);
    }
    one(&session, "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint").await
}

/// The arrival of the newest batch.
pub async fn newest_arrival(database: &Database) -> Result<Option<Timestamp>> {
    one(&database.reader(StatementLog::default()), "SELECT max(received_at) FROM ingest_batch").await
}

async fn one(session: &impl ConnectionTrait, sql: &str) -> Result<Option<Timestamp>> {
    let row = session.query_one_raw(Statement::from_string(session.get_database_backend(), sql)).await?;
    Ok(row.map(|row| row.try_get_by_index::<Option<Timestamp>>(0)).transpose()?.flatten())
}

//! Removes expired data. PostgreSQL drops partitions; SQLite deletes in chunks, so that ingest never waits long for the write
//! lock.

use sea_orm::{ConnectionTrait, Statement};
use sqlx::{AssertSqlSafe, SqlitePool};

use super::{
    bounds::{FIVE_MINUTES, HOURS, LABELS, MINUTES, RAW},
    late,
};
use crate::{
    db::{Database, StatementLog, Writer},
    error::Result,
    jobs::partitions,
    model::{DayParts, Detail, RetainedSince, Timestamp, timestamp::DAY_MICROS},
};

/// Number of rows per transaction on SQLite, and of ledger rows per statement.
const CHUNK_ROWS: i64 = 5_000;

/// Breakdowns by several columns are looked for this long before the bound of single measurements, which is enough after an
/// installation was off for some weeks. Without a limit, each removal would read all that is kept for years.
const SEVERAL_MICROS: i64 = 60 * DAY_MICROS;

/// Removes metrics before the bounds, and counts of late rows before the bound of hours. The bounds must have been published
/// long enough that no query asks for older data.
///
/// # Errors
/// The database fails. Rows that were removed until then stay removed.
pub async fn metrics_before(database: &Database, kept: RetainedSince) -> Result<()> {
    for (table, column, since) in [
        (RAW, "ts", kept.raw),
        // Behind the rows that they belong to, which would seem to have none.
        (LABELS, "ts", kept.raw),
        (MINUTES, "bucket", kept.minutes),
        // Not the bound of five minutes: incomplete five minutes before it have rows, too.
        (FIVE_MINUTES, "bucket", kept.minutes),
        (HOURS, "bucket", kept.hours),
    ] {
        match database.bulk_writer() {
            Writer::Postgres(stock) => partitions::drop_before(stock, table, column, since).await?,
            Writer::Sqlite(pool) => delete_before(pool, table, column, since).await?,
        }
    }
    // Without single measurements there are breakdowns from the day on that has them of all its hours.
    let incomplete = kept.raw.min(kept.kept_breakdowns);
    for (table, before) in [("metric_breakdown_1h", kept.hours.max(incomplete)), ("metric_breakdown_1d", incomplete)] {
        breakdowns_before(database, table, before, kept.raw).await?;
    }
    grains_before(database, kept.raw).await?;
    late::tidy(database, kept.hours).await
}

/// Those by several columns end with the measurements that they are made from, at `raw`. Series by series, as the key is ordered.
async fn breakdowns_before(database: &Database, table: &str, before: Timestamp, raw: Timestamp) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let backend = session.get_database_backend();
    let next = format!(
        "SELECT organization_id, project_id, kind FROM {table} WHERE (organization_id, project_id, kind) > ($1, $2, $3) \
         ORDER BY organization_id, project_id, kind LIMIT 1"
    );
    let of_series = format!("DELETE FROM {table} WHERE organization_id = $1 AND project_id = $2 AND kind = $3");
    // A day at a time: after a change of the settings there may be years of them.
    let old = format!(
        "{of_series} AND bucket < $4 AND bucket < $5 + (SELECT MIN(bucket) FROM {table} \
         WHERE organization_id = $1 AND project_id = $2 AND kind = $3)"
    );
    let of_several = format!("{of_series} AND bucket >= $4 AND bucket < $5 AND detail = $6");
    let mut series = (i64::MIN, i64::MIN, i16::MIN);
    loop {
        let last = [series.0.into(), series.1.into(), series.2.into()];
        let statement = Statement::from_sql_and_values(backend, &next, last);
        let Some(row) = session.query_one_raw(statement).await? else { return Ok(()) };
        series = (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
        let key = || [series.0.into(), series.1.into(), series.2.into()].into_iter();
        let values = key().chain([before.as_micros().into(), DAY_MICROS.into()]);
        let old = Statement::from_sql_and_values(backend, &old, values);
        while session.execute_raw(old.clone()).await?.rows_affected() > 0 {}
        let range = [before.max(raw.plus_micros(-SEVERAL_MICROS)).as_micros().into(), raw.as_micros().into()];
        let values = key().chain(range).chain([Detail::All.code().into()]);
        session.execute_raw(Statement::from_sql_and_values(backend, &of_several, values)).await?;
    }
}

/// Without single measurements, all series are answered from rollups alone. Leaves the rows that say what is to be merged: a commit may
/// just have written one, so the condition is looked at again when the row is locked.
async fn grains_before(database: &Database, before: Timestamp) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let sql = format!(
        "DELETE FROM metric_grain WHERE (organization_id, project_id, kind, day) IN \
         (SELECT organization_id, project_id, kind, day FROM metric_grain WHERE day < $1 AND (seen_parts & $2) = 0 \
         LIMIT {CHUNK_ROWS}) AND (seen_parts & $2) = 0"
    );
    let values = [before.as_micros().into(), DayParts::ADDED.into()];
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    while session.execute_raw(statement.clone()).await?.rows_affected() > 0 {}
    Ok(())
}

/// Removes ledger rows that were received before `before`. No bound is published for them: a later lookup of such a key finds
/// nothing.
///
/// # Errors
/// The database fails. Rows that were removed until then stay removed.
pub async fn batches_before(database: &Database, before: Timestamp) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let sql = format!(
        "DELETE FROM ingest_batch WHERE (organization_id, source, idem_key) IN \
         (SELECT organization_id, source, idem_key FROM ingest_batch WHERE received_at < $1 LIMIT {CHUNK_ROWS})"
    );
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, [before.as_micros().into()]);
    while session.execute_raw(statement.clone()).await?.rows_affected() > 0 {}
    Ok(())
}

/// Deletes series by series, which is the order of the tables: each chunk is one search in the primary key.
async fn delete_before(pool: &SqlitePool, table: &str, column: &str, before: Timestamp) -> Result<()> {
    let next = format!(
        "SELECT organization_id, project_id, kind FROM {table} WHERE (organization_id, project_id, kind) > (?1, ?2, ?3) \
         ORDER BY organization_id, project_id, kind LIMIT 1"
    );
    let old = format!("organization_id = ?1 AND project_id = ?2 AND kind = ?3 AND {column} < ?4");
    let chunk = format!(
        "DELETE FROM {table} WHERE {old} AND {column} <= \
         coalesce((SELECT {column} FROM {table} WHERE {old} ORDER BY {column} LIMIT 1 OFFSET {CHUNK_ROWS}), ?4)"
    );
    let mut series = (i64::MIN, i64::MIN, i64::MIN);
    loop {
        let query = sqlx::query_as(AssertSqlSafe(next.clone())).bind(series.0).bind(series.1).bind(series.2);
        let Some(found) = query.fetch_optional(pool).await? else {
            return Ok(());
        };
        series = found;
        loop {
            let query = sqlx::query(AssertSqlSafe(chunk.clone())).bind(series.0).bind(series.1).bind(series.2);
            if query.bind(before.as_micros()).execute(pool).await?.rows_affected() == 0 {
                break;
            }
        }
    }
}

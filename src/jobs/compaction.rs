//! Merges the rollup parts of single commits into one row per minute, five minutes, hour and day.
//!
//! Query results are exact at any moment, under concurrent ingest, kills and several instances:
//!
//! 1. Ingest only adds parts to `metric_rollup_part`, in the transaction of the raw rows. It has no closed buckets and reads
//!    no clock, so late data is a part like any other.
//! 2. Compaction deletes parts and merges them into all levels in one transaction. In every snapshot, a part is either among
//!    the parts or in all levels, and all levels aggregate the same measurements. A kill leaves one state or the other.
//! 3. A report is one statement, and so one snapshot. It reads each piece of its window from one level and adds the parts of
//!    the window. Nothing is missed or counted twice, regardless of the progress of compaction; a day can be read from the
//!    rollup of days before the day is over.
//! 4. One transaction at a time rewrites merged rows (an advisory lock on PostgreSQL, the only writer on SQLite). It reads them
//!    while it holds the lock, so no merge is lost. It also counts the parts that it deleted; if another transaction was
//!    faster, the counts differ and it rolls back.
//! 5. Ingest and compaction never touch the same row, so neither waits for the other on PostgreSQL. On SQLite, a transaction
//!    of compaction takes about as long as a commit of ingest.
//!
//! A row is replaced by its merge with the new parts, not by a new sum of the finer level: this costs one row instead of
//! sixty, and remains correct after retention has removed the finer level. Only minutes that ended some time ago are merged,
//! so that a minute is usually merged once; this affects cost, not correctness.

pub mod postgres;
mod rollup_row;
mod sqlite;

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use self::rollup_row::{RollupPart, RollupRow, merged};
use crate::{
    clock::Clock,
    db::{Database, StatementLog, Writer},
    error::Result,
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
};

/// Number of parts per transaction.
const PARTS: usize = 4_000;

/// The tables of the levels, and the duration of their buckets in microseconds.
const LEVELS: [(&str, i64); 4] = [
    ("metric_rollup_1m", MINUTE_MICROS),
    ("metric_rollup_5m", FIVE_MINUTES_MICROS),
    ("metric_rollup_1h", HOUR_MICROS),
    ("metric_rollup_1d", DAY_MICROS),
];

/// An open transaction that holds the right to rewrite merged rows. Dropped without `commit` it rolls back.
trait Transaction: Send + Sized {
    /// Deletes parts and returns the number of deleted rows.
    fn remove(&mut self, parts: &[RollupPart]) -> impl Future<Output = sqlx::Result<usize>> + Send;

    /// The merged rows of a level with the keys of these rows.
    fn stored(&mut self, table: &str, keys: &[RollupRow]) -> impl Future<Output = sqlx::Result<Vec<RollupRow>>> + Send;

    /// Inserts or replaces merged rows of a level.
    fn replace(&mut self, table: &str, rows: &[RollupRow]) -> impl Future<Output = sqlx::Result<()>> + Send;

    fn commit(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Merges the parts of all minutes that ended at least `delay` ago.
///
/// # Errors
/// As [`round`].
pub async fn pass(database: &Database, clock: &Clock, delay: Duration) -> Result<()> {
    let until = clock.now().plus_micros(-i64::try_from(delay.as_micros()).unwrap_or(i64::MAX));
    let parts = round(database, until).await?;
    if parts > 0 {
        tracing::debug!(parts, "rollup parts were merged");
    }
    Ok(())
}

/// Merges the parts of all minutes that end at or before `until`, and returns their number. Ends early if another instance
/// is merging.
///
/// # Errors
/// The database fails, or a stored sketch cannot be decoded. Parts that were merged until then stay merged.
pub async fn round(database: &Database, until: Timestamp) -> Result<usize> {
    let before = until.floor(MINUTE_MICROS);
    let mut total = 0;
    let mut last = None;
    loop {
        let parts = closed(database, last.as_ref(), before).await?;
        if parts.is_empty() {
            return Ok(total);
        }
        let is_ours = merge_once(database, &parts).await;
        let is_ours = database.file_watch().confirm(is_ours)?;
        if !is_ours {
            return Ok(total);
        }
        total += parts.len();
        last = parts.into_iter().next_back();
    }
}

async fn merge_once(database: &Database, parts: &[RollupPart]) -> Result<bool> {
    database.file_watch().look()?;
    match database.bulk_writer() {
        Writer::Sqlite(pool) => merge(Some(sqlite::begin(pool).await?), parts).await,
        Writer::Postgres(stock) => merge(postgres::begin(stock).await?, parts).await,
    }
}

/// The next parts of minutes before `before`, in the order of their keys, after `last`. Read outside of the transaction:
/// only compaction deletes parts, and it counts them.
async fn closed(database: &Database, last: Option<&RollupPart>, before: Timestamp) -> Result<Vec<RollupPart>> {
    const SQL: &str = "SELECT organization_id, project_id, kind, bucket, endpoint_id, n, n_err, sum, min, max, sketch, \
        part FROM metric_rollup_part \
        WHERE (organization_id, project_id, kind, bucket, endpoint_id, part) > ($1, $2, $3, $4, $5, $6) AND bucket < $7 \
        ORDER BY organization_id, project_id, kind, bucket, endpoint_id, part LIMIT $8";
    let session = database.reader(StatementLog::default());
    let limit = i64::try_from(PARTS).unwrap_or(i64::MAX);
    let key = last.map_or(RollupPart::BEFORE_ALL, RollupPart::key);
    let values = [
        key.0.into(),
        key.1.into(),
        key.2.into(),
        key.3.into(),
        key.4.into(),
        key.5.into(),
        before.as_micros().into(),
        limit.into(),
    ];
    let statement = Statement::from_sql_and_values(session.get_database_backend(), SQL, values);
    session.query_all_raw(statement).await?.iter().map(RollupPart::read).collect()
}

/// Deletes the parts and merges them into every level in one transaction. Returns false, and changes nothing, if another
/// instance is merging.
async fn merge(transaction: Option<impl Transaction>, parts: &[RollupPart]) -> Result<bool> {
    let Some(mut transaction) = transaction else { return Ok(false) };
    if transaction.remove(parts).await? != parts.len() {
        return Ok(false);
    }
    let mut rows: Vec<RollupRow> = parts.iter().map(|part| part.row.clone()).collect();
    for (table, width) in LEVELS {
        // The additions to this level are the additions to the finer level, merged into wider buckets.
        rows = merged(rows, width)?;
        let stored = transaction.stored(table, &rows).await?;
        let replaced = merged(stored.into_iter().chain(rows.iter().cloned()), width)?;
        transaction.replace(table, &replaced).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

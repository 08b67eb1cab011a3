//! Merges the rollup parts that commits leave behind into one row per minute, per five minutes, per hour and per day.
//!
//! Why answers are exact at any moment, under concurrent ingest, kills and several instances:
//!
//! 1. Ingest only ever adds parts to `metric_rollup_part`, in the transaction of the raw rows. It knows no closed
//!    buckets and asks no clock, so data can be as late as it likes: it is a part like any other.
//! 2. Compaction takes parts away and merges them into every level that covers them, in one transaction. So in every
//!    snapshot a part stands either in the parts or in all levels, and every level is the aggregation of the same
//!    measurements: those that were merged. A kill leaves one state or the other.
//! 3. A report is one statement, and so one snapshot. It reads each stretch of its window from one level, and adds the
//!    parts of the window. Nothing is missed and nothing counts twice, whatever was compacted when; a day can be read
//!    from the days before it is over.
//! 4. Merged rows are rewritten by one transaction at a time (an advisory lock on PostgreSQL, the only writer on SQLite),
//!    which reads them after it holds the lock: no merge is lost. It also counts the parts that it took away; when
//!    somebody else was faster the counts differ, and everything is undone.
//! 5. Ingest and compaction never touch the same row, so neither waits for the other on PostgreSQL; on SQLite a
//!    transaction takes as long as a commit of ingest does.
//!
//! Rows are replaced by their merge with the new parts instead of being added up again from the finer level: this costs one
//! row instead of sixty, and stays right where retention has removed the finer level. Which buckets are taken is a matter
//! of cost alone: those that have been over for a while, so that a minute is usually merged once.

mod postgres;
mod rollup_row;
mod sqlite;

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use self::rollup_row::{RollupPart, RollupRow, merged};
use crate::{
    clock::Clock,
    db::{Backend, Database, StatementLog},
    error::Result,
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
};

/// Parts of one transaction.
const PARTS: usize = 4_000;

/// What the levels are called and how much time a row of them covers.
const LEVELS: [(&str, i64); 4] = [
    ("metric_rollup_1m", MINUTE_MICROS),
    ("metric_rollup_5m", FIVE_MINUTES_MICROS),
    ("metric_rollup_1h", HOUR_MICROS),
    ("metric_rollup_1d", DAY_MICROS),
];

/// An open transaction that holds the right to rewrite merged rows. Dropped without `commit` it rolls back.
trait Transaction: Send + Sized {
    /// Takes parts away; answers how many were there.
    fn remove(&mut self, parts: &[RollupPart]) -> impl Future<Output = sqlx::Result<usize>> + Send;

    /// The merged rows of a level that stand in the key of these.
    fn stored(&mut self, table: &str, keys: &[RollupRow]) -> impl Future<Output = sqlx::Result<Vec<RollupRow>>> + Send;

    /// Writes merged rows of a level, new ones and in the key of old ones.
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

/// Merges the parts of all minutes that end at or before `until`; answers how many. Ends early where another instance is
/// at it.
///
/// # Errors
/// When the database fails, or a stored sketch cannot be read; what was merged until then stays merged.
pub async fn round(database: &Database, until: Timestamp) -> Result<usize> {
    let before = until.floor(MINUTE_MICROS);
    let mut total = 0;
    let mut last = None;
    loop {
        let parts = closed(database, last.as_ref(), before).await?;
        if parts.is_empty() {
            return Ok(total);
        }
        let is_ours = match database.backend() {
            Backend::Sqlite(pool) => merge(Some(sqlite::begin(pool).await?), &parts).await?,
            Backend::Postgres(pool) => merge(postgres::begin(pool).await?, &parts).await?,
        };
        if !is_ours {
            return Ok(total);
        }
        total += parts.len();
        last = parts.into_iter().next_back();
    }
}

/// Some parts of minutes before a moment, in the order of their key, from behind the last one on. Read outside of the
/// transaction: nobody but compaction removes parts, and it counts them.
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

/// Takes the parts away and merges them into every level, in one transaction; or does nothing where others are at it.
async fn merge(transaction: Option<impl Transaction>, parts: &[RollupPart]) -> Result<bool> {
    let Some(mut transaction) = transaction else { return Ok(false) };
    if transaction.remove(parts).await? != parts.len() {
        return Ok(false);
    }
    let mut rows: Vec<RollupRow> = parts.iter().map(|part| part.row.clone()).collect();
    for (table, width) in LEVELS {
        // What is new per bucket of this level is what is new per bucket of the finer one, added up.
        rows = merged(rows, width)?;
        let stored = transaction.stored(table, &rows).await?;
        let replaced = merged(stored.into_iter().chain(rows.iter().cloned()), width)?;
        transaction.replace(table, &replaced).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

//! Merges the rollup parts of single commits into one row per minute, five minutes, hour and day, as far as a series has these
//! levels on a day (`metric_grain`).
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
//!
//! "All levels" are those of the series on the day. A part has buckets as long as those of the finest one, or shorter ones, never
//! longer ones.

mod completion;
pub mod postgres;
mod rollup_row;
mod sqlite;
mod transaction;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use sea_orm::{ConnectionTrait, Statement};

pub use self::completion::{complete_all, complete_before};

use self::{
    rollup_row::{RollupPart, RollupRow, merged},
    transaction::{LEVELS, Transaction},
};
use crate::{
    clock::Clock,
    db::{Database, StatementLog, Writer},
    error::Result,
    model::{
        EndpointId, Grain, SeriesDay, SeriesGrain, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};

/// Number of parts per transaction.
const PARTS: usize = 4_000;

/// Merges the parts of all buckets that began before the minute that ended at least `delay` ago. `last` is the time up to which
/// the pass before this one merged: parts of today, whose buckets may be longer and still open, are merged once a minute, however
/// often there is a pass.
///
/// # Errors
/// As [`round`].
pub async fn pass(database: &Database, clock: &Clock, delay: Duration, last: &mut Timestamp) -> Result<()> {
    let until = clock.now().plus_micros(-i64::try_from(delay.as_micros()).unwrap_or(i64::MAX));
    let minute = until.floor(MINUTE_MICROS);
    let parts = round(database, if minute == *last { until.floor(DAY_MICROS) } else { minute }).await?;
    *last = minute;
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
    let grains = grains(&mut transaction, parts).await?;
    let mut rows: Vec<RollupRow> = Vec::new();
    for (table, level) in LEVELS {
        let Some(width) = level.width_micros() else { continue };
        // The additions to this level are the additions to the finer level, merged into wider buckets, and those of series that
        // have no finer ones.
        let begin_here = parts.iter().filter(|part| finest(&grains, &part.row) == level).map(|part| part.row.clone());
        rows = merged(rows.into_iter().chain(begin_here), width)?;
        if rows.is_empty() {
            continue;
        }
        let stored = transaction.stored(table, &rows).await?;
        let replaced = merged(stored.into_iter().chain(rows.iter().cloned()), width)?;
        transaction.replace(table, &replaced).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

type Grains = HashMap<SeriesDay, SeriesGrain>;

/// The grains of the series and days of these parts.
async fn grains(transaction: &mut impl Transaction, parts: &[RollupPart]) -> Result<Grains> {
    let series: BTreeSet<_> = parts.iter().map(|part| series_day(&part.row)).collect();
    let rows = transaction.grains(&series.into_iter().collect::<Vec<_>>()).await?;
    Ok(rows.into_iter().map(SeriesGrain::from_columns).collect())
}

/// The finest level of a row's series on its day. A part may be finer, never coarser.
fn finest(grains: &Grains, row: &RollupRow) -> Grain {
    let grain = grains.get(&series_day(row)).copied().unwrap_or_default();
    if row.endpoint == EndpointId::ALL.0 { grain.all_endpoints } else { grain.by_endpoint }
}

const fn series_day(row: &RollupRow) -> SeriesDay {
    let day = Timestamp::from_micros(row.bucket).floor(DAY_MICROS).as_micros();
    SeriesDay { organization: row.organization, project: row.project, kind: row.kind, day }
}

//! Gives a series and day all rollups, before its single measurements are removed.
//!
//! Rollups are made again from the single measurements, in one transaction with the change of the grain. A report sees either
//! state, and both have the same answer.

use std::time::Duration;

use sea_orm::{ConnectionTrait, Statement};

use super::{
    postgres,
    rollup_row::{RollupRow, merged},
    sqlite,
    transaction::{LEVELS, MeasuredColumns, Transaction},
};
use crate::{
    db::{self, Database, StatementLog, Writer},
    error::Result,
    jobs::series_day,
    model::{
        EndpointId, Grain, RetainedSince, SeriesDay, SeriesGrain, Sketch, StoredTally, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};

/// Series and days that are read at a time.
const BATCH: i64 = 500;

/// Rollup rows that are written at a time.
const CHUNK_ROWS: usize = 4_000;

/// Maximum number of times that another instance is found merging; the pause after each. The rest is left for later.
const MISSES_MAX: u32 = 50;
const PAUSE: Duration = Duration::from_millis(100);

/// Completes all days before the new bound of single measurements, with the resolutions that are kept longer. `since` is the bound
/// until now: before it, there may be no measurements to make rollups from. False if another instance is merging: then try again
/// later.
///
/// # Errors
/// The database fails. Days that were completed until then stay complete.
pub async fn complete_before(database: &Database, since: Timestamp, kept: RetainedSince) -> Result<bool> {
    let mut misses = 0;
    loop {
        let incomplete = incomplete(database, since, kept).await?;
        if incomplete.is_empty() {
            return Ok(true);
        }
        for (series, finest) in incomplete {
            while !complete_once(database, series, finest).await? {
                if misses == MISSES_MAX {
                    return Ok(false);
                }
                misses += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Completes all days that have single measurements, with all resolutions. False as for [`complete_before`].
///
/// # Errors
/// As [`complete_before`].
pub async fn complete_all(database: &Database, since: Timestamp) -> Result<bool> {
    let end = Timestamp::from_micros(i64::MAX);
    complete_before(database, since, RetainedSince { raw: end, ..RetainedSince::EVERYTHING }).await
}

/// The next series and days that lack rollups, each with the finest ones that are kept of the day without its single
/// measurements.
async fn incomplete(database: &Database, since: Timestamp, kept: RetainedSince) -> Result<Vec<(SeriesDay, Grain)>> {
    const SQL: &str = "SELECT organization_id, project_id, kind, day, finest FROM \
        (SELECT g.*, CASE WHEN day >= $1 THEN $2 WHEN day >= $3 THEN $4 ELSE $5 END AS finest FROM metric_grain g \
        WHERE day >= $6 AND day < $7) AS expiring WHERE all_endpoints > finest OR by_endpoint > finest ORDER BY day LIMIT $8";
    let session = database.reader(StatementLog::default());
    let values = [
        kept.minutes.as_micros().into(),
        Grain::Minute.code().into(),
        kept.hours.as_micros().into(),
        Grain::Hour.code().into(),
        Grain::Day.code().into(),
        since.as_micros().into(),
        kept.raw.as_micros().into(),
        BATCH.into(),
    ];
    let statement = Statement::from_sql_and_values(session.get_database_backend(), SQL, values);
    let rows = session.query_all_raw(statement).await?;
    rows.iter().map(series_day::read).collect()
}

/// Completes a series and day in a transaction of its own. False if another instance is merging.
async fn complete_once(database: &Database, series: SeriesDay, finest: Grain) -> Result<bool> {
    database.file_watch().look()?;
    let is_ours = match database.bulk_writer() {
        Writer::Sqlite(pool) => complete(Some(sqlite::begin(pool).await?), series, finest).await,
        Writer::Postgres(stock) => complete(postgres::begin_with_snapshot(stock).await?, series, finest).await,
    };
    match database.file_watch().confirm(is_ours) {
        // Another instance merged between the snapshot of this transaction and its lock.
        Err(error) if db::is_rolled_back(&error) => Ok(false),
        result => result,
    }
}

/// Makes all rollups of a series and day again, hour by hour, so that memory stays small. Returns false, and changes nothing, if
/// another instance is merging.
async fn complete(transaction: Option<impl Transaction>, series: SeriesDay, finest: Grain) -> Result<bool> {
    let Some(mut transaction) = transaction else { return Ok(false) };
    // Another instance may have completed the day since it was listed, and even removed its measurements.
    let is_incomplete = |(_, grain): (SeriesDay, SeriesGrain)| grain.all_endpoints.max(grain.by_endpoint) > finest;
    if !transaction.grains(&[series]).await?.into_iter().map(SeriesGrain::from_columns).any(is_incomplete) {
        return Ok(true);
    }
    let Some(width) = finest.width_micros() else { return Ok(true) };
    transaction.clear(series).await?;
    let mut days = Vec::new();
    for hour in 0..DAY_MICROS / HOUR_MICROS {
        let measured = transaction.measured(series, series.day + hour * HOUR_MICROS, width).await?;
        let mut rows: Vec<_> = measured.into_iter().flat_map(|columns| of_bin(series, columns)).collect();
        for (table, level) in LEVELS.into_iter().filter(|(_, level)| *level >= finest && *level < Grain::Day) {
            let Some(width) = level.width_micros() else { continue };
            rows = merged(rows, width)?;
            replace(&mut transaction, table, &rows).await?;
        }
        days = merged(days.into_iter().chain(rows), DAY_MICROS)?;
    }
    let [.., (table, _)] = LEVELS;
    replace(&mut transaction, table, &days).await?;
    transaction.set_grain(series, finest).await?;
    transaction.commit().await?;
    Ok(true)
}

async fn replace(transaction: &mut impl Transaction, table: &str, rows: &[RollupRow]) -> Result<()> {
    for chunk in rows.chunks(CHUNK_ROWS) {
        transaction.replace(table, chunk).await?;
    }
    Ok(())
}

/// Measurements of one bin, as a row of their endpoint and one of all endpoints together.
fn of_bin(series: SeriesDay, columns: MeasuredColumns) -> [RollupRow; 2] {
    let (bucket, endpoint, bin, n, n_err, sum, min, max) = columns;
    let mut sketch = Sketch::new();
    sketch.record(bin, u64::try_from(n).unwrap_or(0));
    let tally = StoredTally::from_columns((n, n_err, sum, min, max, sketch.encode()));
    [endpoint, EndpointId::ALL.0].map(|endpoint| RollupRow {
        organization: series.organization,
        project: series.project,
        kind: series.kind,
        bucket,
        endpoint,
        tally: tally.clone(),
    })
}

//! Counts the measurements of days that are over, and chooses the rollups of each series for later days by them.
//!
//! Rollups of a day that has begun never change; a series that became dense has finer ones on the next day.

use sea_orm::{ConnectionTrait, QueryResult, Statement, Value};

use crate::{
    clock::Clock,
    db::{Database, StatementLog},
    error::Result,
    jobs::series_day,
    model::{
        EndpointId, Grain, SeriesDay, SeriesGrain,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};

/// Series and days that are read at a time.
const BATCH: i64 = 500;

/// Most measurements of a day have arrived by then. The others hardly change the choice.
const SETTLED_MICROS: i64 = HOUR_MICROS;

/// Chooses for all series of days that ended an hour ago or earlier and were not counted yet. `rows_max` is the number of rollup
/// rows per measurement.
///
/// # Errors
/// The database fails. The next pass goes on.
pub async fn pass(database: &Database, clock: &Clock, rows_max: f64) -> Result<()> {
    let today = clock.now().plus_micros(-SETTLED_MICROS).floor(DAY_MICROS).as_micros();
    loop {
        let uncounted = uncounted(database, today).await?;
        if uncounted.is_empty() {
            return Ok(());
        }
        for (series, grain) in uncounted {
            let counts = counts(database, series, grain).await?;
            store(database, series, SeriesGrain::choose(&counts, rows_max)).await?;
        }
    }
}

/// The next series and days before a day that were not counted yet, each with its grain by endpoint.
async fn uncounted(database: &Database, before: i64) -> Result<Vec<(SeriesDay, Grain)>> {
    const SQL: &str = "SELECT organization_id, project_id, kind, day, by_endpoint FROM metric_grain \
        WHERE next_all_endpoints IS NULL AND day < $1 ORDER BY day LIMIT $2";
    rows(database, SQL, [before.into(), BATCH.into()]).await?.iter().map(series_day::read).collect()
}

/// The number of measurements of each endpoint.
async fn counts(database: &Database, series: SeriesDay, grain: Grain) -> Result<Vec<f64>> {
    const OF_ROLLUPS: &str = "SELECT CAST(SUM(n) AS BIGINT) FROM (SELECT endpoint_id, n FROM metric_rollup_1d \
        WHERE organization_id = $1 AND project_id = $2 AND kind = $3 AND bucket >= $4 AND bucket < $5 AND endpoint_id <> $6 \
        UNION ALL SELECT endpoint_id, n FROM metric_rollup_part \
        WHERE organization_id = $1 AND project_id = $2 AND kind = $3 AND bucket >= $4 AND bucket < $5 AND endpoint_id <> $6) \
        AS day GROUP BY endpoint_id";
    const OF_ROWS: &str = "SELECT COUNT(*) FROM metric_event WHERE organization_id = $1 AND project_id = $2 AND kind = $3 \
        AND ts >= $4 AND ts < $5 AND endpoint_id <> $6 GROUP BY endpoint_id";
    let values = [
        series.organization.into(),
        series.project.into(),
        series.kind.into(),
        series.day.into(),
        series.day.saturating_add(DAY_MICROS).into(),
        EndpointId::ALL.0.into(),
    ];
    let sql = if grain == Grain::Raw { OF_ROWS } else { OF_ROLLUPS };
    #[expect(clippy::cast_precision_loss, reason = "measurements of a day")]
    let count = |row: &QueryResult| Ok(row.try_get_by_index::<i64>(0)? as f64);
    rows(database, sql, values).await?.iter().map(count).collect()
}

async fn store(database: &Database, series: SeriesDay, next: SeriesGrain) -> Result<()> {
    const SQL: &str = "UPDATE metric_grain SET next_all_endpoints = $1, next_by_endpoint = $2 \
        WHERE organization_id = $3 AND project_id = $4 AND kind = $5 AND day = $6";
    let session = database.writer(StatementLog::default());
    let values: [Value; 6] = [
        next.all_endpoints.code().into(),
        next.by_endpoint.code().into(),
        series.organization.into(),
        series.project.into(),
        series.kind.into(),
        series.day.into(),
    ];
    session.execute_raw(Statement::from_sql_and_values(session.get_database_backend(), SQL, values)).await?;
    Ok(())
}

async fn rows<const N: usize>(database: &Database, sql: &str, values: [Value; N]) -> Result<Vec<QueryResult>> {
    let session = database.reader(StatementLog::default());
    Ok(session.query_all_raw(Statement::from_sql_and_values(session.get_database_backend(), sql, values)).await?)
}

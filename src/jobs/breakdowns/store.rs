//! The statements of breakdowns, the same on both databases.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::{
    Marks,
    cells::{CellKey, Cells},
};
use crate::{
    db::{Database, Session, StatementLog, Transaction, sum::sum_text},
    error::Result,
    jobs::series_day,
    model::{
        DayParts, Detail, Grain, SeriesDay, StoredTally, Sum, Tally, Timestamp,
        metric::ERROR_STATUS_MIN,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};

/// Series and days that are read at a time.
const BATCH: i64 = 500;

/// Rows that are written at a time.
const CHUNK_ROWS: usize = 64;

/// Maximum number of different status, release, name and bin in an hour. More are not broken down as far: the memory of a pass
/// is bounded, and rows would hardly pay.
const GROUPS_MAX: usize = 50_000;

const OF_SERIES: &str = "organization_id = $1 AND project_id = $2 AND kind = $3";

fn key(series: SeriesDay) -> [Value; 3] {
    [series.organization.into(), series.project.into(), series.kind.into()]
}

/// The next series and days with hours that were not decided about, in the order of their keys. Series with few measurements have
/// none: these are read as fast themselves.
pub async fn unseen(
    database: &Database,
    since: Timestamp,
    until: Timestamp,
    last: Option<SeriesDay>,
) -> Result<Vec<(SeriesDay, Marks)>> {
    const SQL: &str = "SELECT organization_id, project_id, kind, day, all_endpoints, status_parts, release_parts, \
        name_parts, seen_parts FROM metric_grain WHERE (organization_id, project_id, kind, day) > ($1, $2, $3, $4) \
        AND day >= $5 AND day < $6 AND all_endpoints <= $7 AND seen_parts <> $8 \
        ORDER BY organization_id, project_id, kind, day LIMIT $9";
    let SeriesDay { organization, project, kind, day } =
        last.unwrap_or(SeriesDay { organization: i64::MIN, project: i64::MIN, kind: i16::MIN, day: i64::MIN });
    let values = [
        organization.into(),
        project.into(),
        kind.into(),
        day.into(),
        since.as_micros().into(),
        until.as_micros().into(),
        Grain::FiveMinutes.code().into(),
        DayParts::ALL.bits().into(),
        BATCH.into(),
    ];
    let session = database.reader(StatementLog::default());
    let statement = Statement::from_sql_and_values(session.get_database_backend(), SQL, values);
    let read = |row: &QueryResult| Ok((series_day::read(row)?.0, marks(row, 5)?));
    session.query_all_raw(statement).await?.iter().map(read).collect()
}

fn marks(row: &QueryResult, first: usize) -> Result<Marks> {
    let parts = |column: usize| -> Result<DayParts> { Ok(DayParts::from_bits(row.try_get_by_index(first + column)?)) };
    Ok(Marks { status: parts(0)?, release: parts(1)?, name: parts(2)?, seen: parts(3)? })
}

/// Tells all later commits of an organization that there may be rows before `until`. False if it never had a commit, so that
/// there is nothing to tell it by.
pub async fn publish(database: &Database, organization: i64, until: Timestamp) -> Result<bool> {
    const KNOWN: &str = "SELECT breakdowns_before FROM organization_stream WHERE organization_id = $1";
    const PUBLISH: &str = "UPDATE organization_stream SET breakdowns_before = $1 WHERE organization_id = $2 \
        AND (breakdowns_before IS NULL OR breakdowns_before < $1)";
    let session = database.writer(StatementLog::default());
    let backend = session.get_database_backend();
    let known = async |session: &Session| -> Result<Option<i64>> {
        let statement = Statement::from_sql_and_values(backend, KNOWN, [organization.into()]);
        let row = session.query_one_raw(statement).await?;
        Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.flatten())
    };
    if known(&session).await? < Some(until.as_micros()) {
        let values = [until.as_micros().into(), organization.into()];
        session.execute_raw(Statement::from_sql_and_values(backend, PUBLISH, values)).await?;
    }
    Ok(known(&session).await? >= Some(until.as_micros()))
}

/// An attempt to make rows.
#[derive(Debug)]
pub struct Attempt {
    /// Its number: no other one of the series and day has it.
    number: i64,
    /// The marks when it began.
    pub marks: Marks,
}

/// Begins an attempt, which ends any other. Measurements that are read from now on are all there are, unless a commit ends the
/// attempt. `None` if the row of the series and day is gone, or if commits do not know that there may be rows before `until`.
pub async fn begin(database: &Database, series: SeriesDay, until: Timestamp) -> Result<Option<Attempt>> {
    let sql = format!(
        "UPDATE metric_grain SET build = ABS(build) + 1 WHERE {OF_SERIES} AND day = $4 AND EXISTS (SELECT 1 FROM organization_stream \
         WHERE organization_id = $1 AND breakdowns_before >= $5) \
         RETURNING status_parts, release_parts, name_parts, seen_parts, build"
    );
    let session = database.writer(StatementLog::default());
    let values = key(series).into_iter().chain([series.day.into(), until.as_micros().into()]);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    let row = session.query_one_raw(statement).await?;
    row.map(|row| Ok(Attempt { number: row.try_get_by_index(4)?, marks: marks(&row, 0)? })).transpose()
}

/// Adds the measurements of an hour. False if they are too many different ones.
pub async fn add_measurements(
    session: &Session,
    series: SeriesDay,
    hour: u8,
    detail: Detail,
    cells: &mut Cells,
) -> Result<bool> {
    let backend = session.get_database_backend();
    let (release, name) = match detail {
        Detail::Status => ("''", "''"),
        Detail::Release => ("release", "''"),
        Detail::Name => ("release", "name"),
    };
    let sql = format!(
        "SELECT status, {release}, {name}, bin, COUNT(*), COUNT(*) FILTER (WHERE status >= {ERROR_STATUS_MIN}), {}, MIN(value), \
         MAX(value) FROM metric_event WHERE {OF_SERIES} AND ts >= $4 AND ts < $5 GROUP BY 1, 2, 3, 4 LIMIT $6",
        sum_text(backend, "value")
    );
    let from = series.day.saturating_add(i64::from(hour) * HOUR_MICROS);
    let limit = i64::try_from(GROUPS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let values = key(series).into_iter().chain([from.into(), from.saturating_add(HOUR_MICROS).into(), limit.into()]);
    let rows = session.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if rows.len() > GROUPS_MAX {
        return Ok(false);
    }
    for row in rows {
        let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
        let extremes = (row.try_get_by_index(7)?, row.try_get_by_index(8)?);
        let count = unsigned(row.try_get_by_index(4)?);
        let errors = unsigned(row.try_get_by_index(5)?);
        let figures = Tally::new(count, errors, Sum::of(row.try_get_by_index(6)?), Some(extremes), ());
        cells.add_bin(cell_key(&row)?, row.try_get_by_index(3)?, &figures);
    }
    Ok(true)
}

fn cell_key(row: &QueryResult) -> Result<CellKey> {
    Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?))
}

/// Adds the rows of all hours of a day that have at least this detail.
pub async fn add_hours(session: &Session, series: SeriesDay, detail: Detail, cells: &mut Cells) -> Result<()> {
    let sql = format!(
        "SELECT status, release, name, n, n_err, sum, min, max, sketch FROM metric_breakdown_1h \
         WHERE {OF_SERIES} AND bucket >= $4 AND bucket < $5 AND detail >= $6"
    );
    let until = series.day.saturating_add(DAY_MICROS);
    let values = key(series).into_iter().chain([series.day.into(), until.into(), detail.code().into()]);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    for row in session.query_all_raw(statement).await? {
        let figures = (
            row.try_get_by_index(3)?,
            row.try_get_by_index(4)?,
            row.try_get_by_index(5)?,
            row.try_get_by_index(6)?,
            row.try_get_by_index(7)?,
            row.try_get_by_index(8)?,
        );
        cells.add_stored(cell_key(&row)?, &StoredTally::from_columns(figures))?;
    }
    Ok(())
}

/// Stores the rows of an hour or of the day, if there are any, and marks that it was decided about. Stores nothing if the attempt
/// was ended.
pub async fn finish(
    database: &Database,
    series: SeriesDay,
    attempt: &Attempt,
    part: DayParts,
    found: Option<Cells>,
) -> Result<()> {
    let transaction = database.writer(StatementLog::default()).begin_write().await?;
    let backend = transaction.get_database_backend();
    let sql = format!(
        "UPDATE metric_grain SET status_parts = $5, release_parts = $6, name_parts = $7, seen_parts = $8, build = -build \
         WHERE {OF_SERIES} AND day = $4 AND build = $9"
    );
    let marks = attempt.marks.decided(part, found.as_ref().map(Cells::detail));
    let parts = [marks.status, marks.release, marks.name, marks.seen].map(|parts| parts.bits().into());
    let values = key(series).into_iter().chain([series.day.into()]).chain(parts).chain([attempt.number.into()]);
    let marked = transaction.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if marked.rows_affected() == 0 {
        return Ok(());
    }
    if let Some(cells) = found {
        replace(&transaction, series, part, cells).await?;
    }
    transaction.commit().await
}

async fn replace(transaction: &Transaction, series: SeriesDay, part: DayParts, cells: Cells) -> Result<()> {
    let backend = transaction.get_database_backend();
    let (table, bucket) = match part.hours().next() {
        Some(hour) => ("metric_breakdown_1h", series.day.saturating_add(i64::from(hour) * HOUR_MICROS)),
        None => ("metric_breakdown_1d", series.day),
    };
    let clear = format!("DELETE FROM {table} WHERE {OF_SERIES} AND bucket = $4");
    let values = key(series).into_iter().chain([bucket.into()]);
    transaction.execute_raw(Statement::from_sql_and_values(backend, clear, values)).await?;
    let detail = cells.detail();
    let mut rows = cells.into_rows();
    loop {
        let chunk: Vec<_> = rows.by_ref().take(CHUNK_ROWS).collect();
        if chunk.is_empty() {
            return Ok(());
        }
        transaction.execute_raw(insert(backend, table, series, bucket, detail, chunk)).await?;
    }
}

fn insert(
    backend: DbBackend,
    table: &str,
    series: SeriesDay,
    bucket: i64,
    detail: Detail,
    rows: Vec<(CellKey, StoredTally)>,
) -> Statement {
    const COLUMNS: usize = 9;
    let marks = |row: usize| {
        let columns = (0..COLUMNS).map(|column| format!("${}", 6 + row * COLUMNS + column));
        format!("($1, $2, $3, $4, $5, {})", columns.collect::<Vec<_>>().join(", "))
    };
    let sql = format!(
        "INSERT INTO {table} (organization_id, project_id, kind, bucket, detail, status, release, name, n, n_err, sum, min, max, \
         sketch) VALUES {}",
        (0..rows.len()).map(marks).collect::<Vec<_>>().join(", ")
    );
    let of_row = |((status, release, name), tally): (CellKey, StoredTally)| -> [Value; COLUMNS] {
        let (n, n_err, sum) = (tally.n(), tally.n_err(), tally.sum.value());
        let (min, max) = (tally.min(), tally.max());
        [
            status.into(),
            release.into(),
            name.into(),
            n.into(),
            n_err.into(),
            sum.into(),
            min.into(),
            max.into(),
            tally.distribution.into(),
        ]
    };
    let fixed = key(series).into_iter().chain([bucket.into(), detail.code().into()]);
    Statement::from_sql_and_values(backend, sql, fixed.chain(rows.into_iter().flat_map(of_row)))
}

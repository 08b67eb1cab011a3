//! The statements of breakdowns, the same on both databases.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::{
    Found, Marks,
    cells::{CellKey, Cells},
};
use crate::{
    db::{Database, Session, StatementLog, sum::sum_text},
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

/// Maximum number of different hour, status, release, name and bin that are read at a time. Of more, fewer hours are read, and in
/// the end one column alone: the memory of a pass is bounded.
const GROUPS_MAX: usize = 50_000;

const OF_SERIES: &str = "organization_id = $1 AND project_id = $2 AND kind = $3";

fn key(series: SeriesDay) -> [Value; 3] {
    [series.organization.into(), series.project.into(), series.kind.into()]
}

/// The next series and days with hours that were not decided about, in the order of their keys, with the grain for all endpoints.
/// Series with few measurements have
/// none: these are read as fast themselves.
pub async fn unseen(
    database: &Database,
    since: Timestamp,
    until: Timestamp,
    last: Option<SeriesDay>,
) -> Result<Vec<(SeriesDay, Grain, Marks)>> {
    const SQL: &str = "SELECT organization_id, project_id, kind, day, all_endpoints, status_parts, release_parts, \
        name_parts, all_parts, seen_parts FROM metric_grain WHERE (organization_id, project_id, kind, day) > ($1, $2, $3, $4) \
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
    let read = |row: &QueryResult| {
        let (series, grain) = series_day::read(row)?;
        Ok((series, grain, marks(row, 5)?))
    };
    session.query_all_raw(statement).await?.iter().map(read).collect()
}

fn marks(row: &QueryResult, first: usize) -> Result<Marks> {
    let parts = |column: usize| -> Result<DayParts> { Ok(DayParts::from_bits(row.try_get_by_index(first + column)?)) };
    Ok(Marks { made: [parts(0)?, parts(1)?, parts(2)?, parts(3)?], seen: parts(4)? })
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
         RETURNING status_parts, release_parts, name_parts, all_parts, seen_parts, build"
    );
    let session = database.writer(StatementLog::default());
    let values = key(series).into_iter().chain([series.day.into(), until.as_micros().into()]);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    let row = session.query_one_raw(statement).await?;
    row.map(|row| Ok(Attempt { number: row.try_get_by_index(5)?, marks: marks(&row, 0)? })).transpose()
}

/// The measurements of each of these hours by every detail. `None` if they are too many different ones, and several hours.
pub async fn hours(
    session: &Session,
    series: SeriesDay,
    hours: DayParts,
) -> Result<Option<Vec<(DayParts, [Cells; 4])>>> {
    let mut counted: Vec<_> = hours.hours().map(|hour| (DayParts::hour(hour), Detail::EACH.map(Cells::of))).collect();
    if add_by(session, series, hours, Detail::All, &mut counted).await? {
        return Ok(Some(counted));
    }
    if counted.len() > 1 {
        return Ok(None);
    }
    // One column alone may have few values.
    for detail in Detail::EACH {
        if detail == Detail::All || !add_by(session, series, hours, detail, &mut counted).await? {
            let all = counted.iter_mut().flat_map(|(_, of_hour)| of_hour);
            all.filter(|cells| cells.detail() == detail).for_each(Cells::drop_all);
        }
    }
    Ok(Some(counted))
}

/// Adds the measurements of hours, read by these columns, to the rows that they have all columns of. Adds nothing and returns false
/// if they are too many different ones.
async fn add_by(
    session: &Session,
    series: SeriesDay,
    hours: DayParts,
    detail: Detail,
    counted: &mut [(DayParts, [Cells; 4])],
) -> Result<bool> {
    let (Some(first), Some(last)) = (hours.hours().min(), hours.hours().max()) else { return Ok(true) };
    let backend = session.get_database_backend();
    let column = |one: Detail, column: &'static str, none: &'static str| if detail.has(one) { column } else { none };
    let status = column(Detail::Status, "status", "CAST(0 AS SMALLINT)");
    let release = column(Detail::Release, "release", "CAST('' AS TEXT)");
    let name = column(Detail::Name, "name", "CAST('' AS TEXT)");
    let sql = format!(
        "SELECT {status}, {release}, {name}, bin, (ts - $6) / {HOUR_MICROS}, COUNT(*), \
         COUNT(*) FILTER (WHERE status >= {ERROR_STATUS_MIN}), {}, MIN(value), MAX(value) FROM metric_event \
         WHERE {OF_SERIES} AND ts >= $4 AND ts < $5 GROUP BY 1, 2, 3, 4, 5 LIMIT $7",
        sum_text(backend, "value")
    );
    let start = |hour: u8| series.day.saturating_add(i64::from(hour) * HOUR_MICROS);
    let limit = i64::try_from(GROUPS_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let range = [start(first).into(), start(last.saturating_add(1)).into(), series.day.into(), limit.into()];
    let values = key(series).into_iter().chain(range);
    let rows = session.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if rows.len() > GROUPS_MAX {
        return Ok(false);
    }
    for row in rows {
        let unsigned = |count: i64| u64::try_from(count).unwrap_or(0);
        let extremes = (row.try_get_by_index(8)?, row.try_get_by_index(9)?);
        let count = unsigned(row.try_get_by_index(5)?);
        let errors = unsigned(row.try_get_by_index(6)?);
        let figures = Tally::new(count, errors, Sum::of(row.try_get_by_index(7)?), Some(extremes), ());
        let (key, bin, hour) = (cell_key(&row)?, row.try_get_by_index(3)?, row.try_get_by_index::<i64>(4)?);
        let hour = u8::try_from(hour).map(DayParts::hour).unwrap_or_default();
        let Some((_, of_hour)) = counted.iter_mut().find(|(part, _)| *part == hour) else { continue };
        for cells in of_hour.iter_mut().filter(|cells| detail.has(cells.detail())) {
            cells.add_bin(&key, bin, &figures);
        }
    }
    Ok(true)
}

fn cell_key(row: &QueryResult) -> Result<CellKey> {
    Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?))
}

/// Adds the rows of all hours of a day.
pub async fn add_hours(session: &Session, series: SeriesDay, cells: &mut Cells) -> Result<()> {
    let sql = format!(
        "SELECT status, release, name, n, n_err, sum, min, max, sketch FROM metric_breakdown_1h \
         WHERE {OF_SERIES} AND bucket >= $4 AND bucket < $5 AND detail = $6"
    );
    let until = series.day.saturating_add(DAY_MICROS);
    let values = key(series).into_iter().chain([series.day.into(), until.into(), cells.detail().code().into()]);
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
        cells.add_stored(&cell_key(&row)?, &StoredTally::from_columns(figures))?;
    }
    Ok(())
}

/// Stores rows of these hours and of the day, and marks that they were decided about. Stores nothing if the attempt was ended.
pub async fn finish(
    database: &Database,
    series: SeriesDay,
    attempt: &Attempt,
    parts: DayParts,
    found: Vec<Found>,
) -> Result<()> {
    let transaction = database.writer(StatementLog::default()).begin_write().await?;
    let backend = transaction.get_database_backend();
    let sql = format!(
        "UPDATE metric_grain SET status_parts = $5, release_parts = $6, name_parts = $7, all_parts = $8, seen_parts = $9, \
         build = -build WHERE {OF_SERIES} AND day = $4 AND build = $10"
    );
    let Marks { made: [status, release, name, all], seen } = attempt.marks.decided(parts, &found);
    let marks = [status, release, name, all, seen].map(|parts| parts.bits().into());
    let values = key(series).into_iter().chain([series.day.into()]).chain(marks).chain([attempt.number.into()]);
    let marked = transaction.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if marked.rows_affected() == 0 {
        return Ok(());
    }
    for (table, is_of_day) in [("metric_breakdown_1h", false), ("metric_breakdown_1d", true)] {
        let of_table = found.iter().filter(|one| (one.part == DayParts::DAY) == is_of_day);
        let rows: Vec<_> = of_table.flat_map(|Found { part, cells }| rows(series, *part, cells)).collect();
        for chunk in rows.chunks(CHUNK_ROWS) {
            transaction.execute_raw(insert(backend, table, series, chunk)).await?;
        }
    }
    transaction.commit().await
}

/// A row to store: its bucket, the columns it is told apart by, their values, and the measurements.
type Row = (i64, Detail, CellKey, StoredTally);

fn rows(series: SeriesDay, part: DayParts, cells: &Cells) -> impl Iterator<Item = Row> {
    let hour = part.hours().next().unwrap_or(0);
    let bucket = series.day.saturating_add(i64::from(hour) * HOUR_MICROS);
    cells.rows().map(move |(key, tally)| (bucket, cells.detail(), key.clone(), tally))
}

/// Inserts rows. There are none with the same keys.
fn insert(backend: DbBackend, table: &str, series: SeriesDay, rows: &[Row]) -> Statement {
    const COLUMNS: usize = 11;
    let marks = |row: usize| {
        let columns = (0..COLUMNS).map(|column| format!("${}", 4 + row * COLUMNS + column));
        format!("($1, $2, $3, {})", columns.collect::<Vec<_>>().join(", "))
    };
    let sql = format!(
        "INSERT INTO {table} (organization_id, project_id, kind, bucket, detail, status, release, name, n, n_err, sum, min, max, \
         sketch) VALUES {} ON CONFLICT (organization_id, project_id, kind, bucket, detail, status, release, name) \
         DO UPDATE SET n = excluded.n, n_err = excluded.n_err, sum = excluded.sum, min = excluded.min, max = excluded.max, \
         sketch = excluded.sketch",
        (0..rows.len()).map(marks).collect::<Vec<_>>().join(", ")
    );
    let of_row = |(bucket, detail, (status, release, name), tally): &Row| -> [Value; COLUMNS] {
        [
            (*bucket).into(),
            detail.code().into(),
            (*status).into(),
            release.clone().into(),
            name.clone().into(),
            tally.n().into(),
            tally.n_err().into(),
            tally.sum.value().into(),
            tally.min().into(),
            tally.max().into(),
            tally.distribution.clone().into(),
        ]
    };
    Statement::from_sql_and_values(backend, sql, key(series).into_iter().chain(rows.iter().flat_map(of_row)))
}

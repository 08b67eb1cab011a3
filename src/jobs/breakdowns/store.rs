//! The statements about rows of breakdowns and their marks, the same on both databases.

use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement, Value};

use super::{
    Found, Marks,
    cells::{CellKey, Cells},
};
use crate::{
    db::{Database, Session, StatementLog},
    error::Result,
    jobs::series_day,
    model::{
        DayParts, Detail, Grain, SeriesDay, StoredTally, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};

/// Series and days that are read at a time.
const BATCH: i64 = 500;

/// Rows that are written at a time.
const CHUNK_ROWS: usize = 64;

/// The condition for rows of `metric_grain` that lack rows by a column of some hours.
fn is_incomplete() -> String {
    let lacks = |detail: Detail| format!("{} <> {}", detail.parts_column(), DayParts::ALL.bits());
    format!("({})", Detail::ONE_COLUMN.map(lacks).join(" OR "))
}

pub const OF_SERIES: &str = "organization_id = $1 AND project_id = $2 AND kind = $3";

pub fn key(series: SeriesDay) -> [Value; 3] {
    [series.organization.into(), series.project.into(), series.kind.into()]
}

/// The key of a series and day, for what comes after it; for what comes first if there is none.
pub fn after(last: Option<SeriesDay>) -> [Value; 4] {
    let first = SeriesDay { organization: i64::MIN, project: i64::MIN, kind: i16::MIN, day: i64::MIN };
    let last = last.unwrap_or(first);
    [last.organization.into(), last.project.into(), last.kind.into(), last.day.into()]
}

/// The key of a series, and where the day begins and ends.
pub fn of_day(series: SeriesDay) -> impl Iterator<Item = Value> {
    let until = series.day.saturating_add(DAY_MICROS);
    key(series).into_iter().chain([series.day.into(), until.into()])
}

/// The next series and days with hours that were not decided about, in the order of their keys, with the grain for all endpoints.
/// Series with few measurements are not among them: these are read as fast themselves.
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
    let bounds = [since.as_micros().into(), until.as_micros().into()];
    let others = [Grain::FiveMinutes.code().into(), DayParts::ALL.bits().into(), BATCH.into()];
    let values = after(last).into_iter().chain(bounds).chain(others);
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
         WHERE organization_id = $1 AND breakdowns_before >= $5 AND (raw_since IS NULL OR raw_since <= $4)) \
         RETURNING status_parts, release_parts, name_parts, all_parts, seen_parts, build"
    );
    let session = database.writer(StatementLog::default());
    let values = key(series).into_iter().chain([series.day.into(), until.as_micros().into()]);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    let row = session.query_one_raw(statement).await?;
    row.map(|row| Ok(Attempt { number: row.try_get_by_index(5)?, marks: marks(&row, 0)? })).transpose()
}

pub fn cell_key(row: &QueryResult) -> Result<CellKey> {
    Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?))
}

/// Adds the rows of all hours of a day.
pub async fn add_hours(session: &Session, series: SeriesDay, cells: &mut Cells) -> Result<()> {
    let sql = format!(
        "SELECT status, release, name, n, n_err, sum, min, max, sketch FROM metric_breakdown_1h \
         WHERE {OF_SERIES} AND bucket >= $4 AND bucket < $5 AND detail = $6"
    );
    let values = of_day(series).chain([cells.detail().code().into()]);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    for row in session.query_all_raw(statement).await? {
        cells.add_stored(&cell_key(&row)?, &stored_tally(&row)?)?;
    }
    Ok(())
}

/// The measurements of a row, whose first columns are those of its key.
pub fn stored_tally(row: &QueryResult) -> Result<StoredTally> {
    Ok(StoredTally::from_columns((
        row.try_get_by_index(3)?,
        row.try_get_by_index(4)?,
        row.try_get_by_index(5)?,
        row.try_get_by_index(6)?,
        row.try_get_by_index(7)?,
        row.try_get_by_index(8)?,
    )))
}

/// Stores rows of hours and of the day, and the marks that these have then. Those by the columns of `replaced` replace all that there
/// are of the day. Stores nothing and returns false if the attempt was ended.
pub async fn finish(
    database: &Database,
    series: SeriesDay,
    attempt: &Attempt,
    marks: Marks,
    replaced: &[Detail],
    found: &[Found],
) -> Result<bool> {
    let transaction = database.writer(StatementLog::default()).begin_write().await?;
    let backend = transaction.get_database_backend();
    let sql = format!(
        "UPDATE metric_grain SET status_parts = $5, release_parts = $6, name_parts = $7, all_parts = $8, \
         seen_parts = $9 | (seen_parts & {}), \
         build = -build WHERE {OF_SERIES} AND day = $4 AND build = $10",
        DayParts::ADDED
    );
    let Marks { made: [status, release, name, all], seen } = marks;
    let marks = [status, release, name, all, seen].map(|parts| parts.bits().into());
    let values = key(series).into_iter().chain([series.day.into()]).chain(marks).chain([attempt.number.into()]);
    let marked = transaction.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if marked.rows_affected() == 0 {
        return Ok(false);
    }
    replace(&transaction, series, replaced, found).await?;
    transaction.commit().await?;
    Ok(true)
}

/// Stores rows of hours and of the day. Those by the columns of `replaced` replace all that there are of the day.
pub async fn replace(
    transaction: &impl ConnectionTrait,
    series: SeriesDay,
    replaced: &[Detail],
    found: &[Found],
) -> Result<()> {
    let backend = transaction.get_database_backend();
    for (table, is_of_day) in [("metric_breakdown_1h", false), ("metric_breakdown_1d", true)] {
        for detail in replaced {
            let sql = format!("DELETE FROM {table} WHERE {OF_SERIES} AND bucket >= $4 AND bucket < $5 AND detail = $6");
            let values = of_day(series).chain([detail.code().into()]);
            transaction.execute_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
        }
        let of_table = found.iter().filter(|one| (one.part == DayParts::DAY) == is_of_day);
        let rows: Vec<_> = of_table.flat_map(|Found { part, cells }| rows(series, *part, cells)).collect();
        for chunk in rows.chunks(CHUNK_ROWS) {
            transaction.execute_raw(insert(backend, table, series, chunk)).await?;
        }
    }
    Ok(())
}

/// A row to store: its bucket, the columns it is told apart by, their values, and the measurements.
type Row = (i64, Detail, CellKey, StoredTally);

fn rows(series: SeriesDay, part: DayParts, cells: &Cells) -> impl Iterator<Item = Row> {
    let hour = part.hours().next().unwrap_or(0);
    let bucket = series.day.saturating_add(i64::from(hour) * HOUR_MICROS);
    cells.rows().map(move |(key, tally)| (bucket, cells.detail(), key.clone(), tally))
}

/// Inserts rows, instead of any with the same keys.
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

/// The next series and days from `since` until `before` that lack rows by a column of some hours, in the order of their keys.
pub async fn incomplete(
    database: &Database,
    since: Timestamp,
    before: Timestamp,
    last: Option<SeriesDay>,
) -> Result<Vec<SeriesDay>> {
    let sql = format!(
        "SELECT organization_id, project_id, kind, day, all_endpoints FROM metric_grain AS g \
         WHERE (organization_id, project_id, kind, day) > ($1, $2, $3, $4) AND day >= $5 AND day < $6 AND {} \
         AND EXISTS (SELECT 1 FROM organization_stream AS s WHERE s.organization_id = g.organization_id \
         AND (s.raw_since IS NULL OR s.raw_since <= g.day)) \
         ORDER BY organization_id, project_id, kind, day LIMIT $7",
        is_incomplete()
    );
    let bounds = [since.as_micros().into(), before.as_micros().into(), BATCH.into()];
    let values = after(last).into_iter().chain(bounds);
    let session = database.reader(StatementLog::default());
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    let rows = session.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(series_day::read(row)?.0)).collect()
}

/// Tells the later commits of every organization that measurements before `before` are removed soon, so that they add theirs to the
/// rows. False, with some organizations left, if one has incomplete days again.
pub async fn close(database: &Database, since: Timestamp, before: Timestamp) -> Result<bool> {
    const OPEN: &str = "SELECT organization_id, raw_since FROM organization_stream \
        WHERE raw_since IS NULL OR raw_since < $1 ORDER BY organization_id";
    const CLOSE: &str = "UPDATE organization_stream SET raw_since = $1, breakdowns_before = \
        CASE WHEN breakdowns_before > $1 THEN breakdowns_before ELSE $1 END \
        WHERE organization_id = $2 AND (raw_since IS NULL OR raw_since < $1)";
    let left = format!(
        "SELECT 1 FROM metric_grain WHERE organization_id = $1 AND day >= $2 AND day < $3 AND {} LIMIT 1",
        is_incomplete()
    );
    let session = database.reader(StatementLog::default());
    let backend = session.get_database_backend();
    let open = Statement::from_sql_and_values(backend, OPEN, [before.as_micros().into()]);
    for row in session.query_all_raw(open).await? {
        let (organization, closed): (i64, Option<i64>) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        // This waits for a commit that is under way, and the next statement sees what it has done.
        let transaction = database.writer(StatementLog::default()).begin_write().await?;
        let values = [before.as_micros().into(), organization.into()];
        if transaction.execute_raw(Statement::from_sql_and_values(backend, CLOSE, values)).await?.rows_affected() == 0 {
            // Another instance was faster.
            continue;
        }
        let since = since.as_micros().max(closed.unwrap_or(i64::MIN));
        let values = [organization.into(), since.into(), before.as_micros().into()];
        if transaction.query_one_raw(Statement::from_sql_and_values(backend, &left, values)).await?.is_some() {
            return Ok(false);
        }
        transaction.commit().await?;
    }
    Ok(true)
}

/// Tells later commits that there are single measurements from `raw_since` on, where they were said to end after `after`.
///
/// # Errors
/// The database fails.
pub async fn reopen_after(database: &Database, after: Timestamp, raw_since: Timestamp) -> Result<()> {
    // Asked first: it is hardly ever so, and on SQLite a write would wait for all others.
    const ANY: &str = "SELECT 1 FROM organization_stream WHERE raw_since > $1 LIMIT 1";
    const REOPEN: &str = "UPDATE organization_stream SET raw_since = $1 WHERE raw_since > $2";
    let reader = database.reader(StatementLog::default());
    let backend = reader.get_database_backend();
    let any = Statement::from_sql_and_values(backend, ANY, [after.as_micros().into()]);
    if reader.query_one_raw(any).await?.is_some() {
        let values = [raw_since.as_micros().into(), after.as_micros().into()];
        let writer = database.writer(StatementLog::default());
        writer.execute_raw(Statement::from_sql_and_values(backend, REOPEN, values)).await?;
    }
    Ok(())
}

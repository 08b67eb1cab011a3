//! The single measurements of a series, counted by hour, status, release and name.

use sea_orm::{ConnectionTrait, Statement};

use super::{
    cells::Cells,
    store::{OF_SERIES, cell_key, key},
};
use crate::{
    db::{Session, sum::sum_text},
    error::Result,
    model::{DayParts, Detail, SeriesDay, Sum, Tally, metric::ERROR_STATUS_MIN, timestamp::HOUR_MICROS},
};

/// The value that stands for all that are not told apart.
pub const OTHERS: &str = "__other__";

/// Maximum number of releases, and of names, of a day that are told apart when its single measurements are removed.
pub const TOLD_APART_MAX: usize = 100;

/// Maximum number of different hour, status, release, name and bin that are read at a time. Of more, fewer hours are read, and in
/// the end one column alone: the memory of a pass is bounded.
const GROUPS_MAX: usize = 50_000;

/// The measurements of each of these hours by every detail. `None` if they are too many different ones, and several hours.
pub async fn hours(
    session: &Session,
    series: SeriesDay,
    hours: DayParts,
) -> Result<Option<Vec<(DayParts, [Cells; 4])>>> {
    let mut counted: Vec<_> = hours.hours().map(|hour| (DayParts::hour(hour), Detail::EACH.map(Cells::of))).collect();
    let each = |detail| ByColumns { detail, told_apart: None, are_few: false };
    if add_by(session, series, hours, each(Detail::All), &mut counted).await? {
        return Ok(Some(counted));
    }
    if counted.len() > 1 {
        return Ok(None);
    }
    // One column alone may have few values.
    for detail in Detail::EACH {
        if detail == Detail::All || !add_by(session, series, hours, each(detail), &mut counted).await? {
            let all = counted.iter_mut().flat_map(|(_, of_hour)| of_hour);
            all.filter(|cells| cells.detail() == detail).for_each(Cells::drop_all);
        }
    }
    Ok(Some(counted))
}

/// The columns by which measurements are read.
#[derive(Clone, Copy)]
struct ByColumns<'a> {
    detail: Detail,
    /// The values of one column that are told apart; all others are [`OTHERS`].
    told_apart: Option<&'a [String]>,
    /// True if these are few, so that an hour is read in any case.
    are_few: bool,
}

impl ByColumns<'_> {
    /// The column, or what stands for it if it is none of these. The values that are told apart are parameters from `first` on.
    fn column(self, one: Detail, column: &'static str, none: &'static str, first: usize) -> String {
        if !self.detail.has(one) {
            return none.to_owned();
        }
        let Some(told_apart) = self.told_apart else { return column.to_owned() };
        let values: Vec<_> = (first..).take(told_apart.len()).map(|number| format!("${number}")).collect();
        format!("CASE WHEN {column} IN ({}) THEN {column} ELSE '{OTHERS}' END", values.join(", "))
    }
}

/// Adds the measurements of hours, read by these columns, to the rows that they have all columns of. Adds nothing and returns false
/// if they are too many different ones.
async fn add_by(
    session: &Session,
    series: SeriesDay,
    hours: DayParts,
    columns: ByColumns<'_>,
    counted: &mut [(DayParts, impl AsMut<[Cells]>)],
) -> Result<bool> {
    let (Some(first), Some(last)) = (hours.hours().min(), hours.hours().max()) else { return Ok(true) };
    let backend = session.get_database_backend();
    let status = columns.column(Detail::Status, "status", "CAST(0 AS SMALLINT)", 8);
    let release = columns.column(Detail::Release, "release", "CAST('' AS TEXT)", 8);
    let name = columns.column(Detail::Name, "name", "CAST('' AS TEXT)", 8);
    let sql = format!(
        "SELECT {status}, {release}, {name}, bin, (ts - $6) / {HOUR_MICROS}, COUNT(*), \
         COUNT(*) FILTER (WHERE status >= {ERROR_STATUS_MIN}), {}, MIN(value), MAX(value) FROM metric_event \
         WHERE {OF_SERIES} AND ts >= $4 AND ts < $5 GROUP BY 1, 2, 3, 4, 5 LIMIT $7",
        sum_text(backend, "value")
    );
    let start = |hour: u8| series.day.saturating_add(i64::from(hour) * HOUR_MICROS);
    // The number of bins bounds a single hour of few values.
    let is_bounded = columns.are_few && first == last;
    let limit = if is_bounded { i64::MAX } else { i64::try_from(GROUPS_MAX).unwrap_or(i64::MAX).saturating_add(1) };
    let range = [start(first).into(), start(last.saturating_add(1)).into(), series.day.into(), limit.into()];
    let told_apart = columns.told_apart.into_iter().flatten().map(|value| value.as_str().into());
    let values = key(series).into_iter().chain(range).chain(told_apart);
    let rows = session.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    if rows.len() > GROUPS_MAX && !is_bounded {
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
        for cells in of_hour.as_mut().iter_mut().filter(|cells| columns.detail.has(cells.detail())) {
            cells.add_bin(&key, bin, &figures);
        }
    }
    Ok(true)
}

/// The measurements of each of these hours by one column. `None` if they are too many different ones, and several hours. Of the column
/// these values are told apart, if there are more.
pub async fn hours_by(
    session: &Session,
    series: SeriesDay,
    hours: DayParts,
    detail: Detail,
    told_apart: Option<&[String]>,
) -> Result<Option<Vec<(DayParts, [Cells; 1])>>> {
    let mut counted: Vec<_> = hours.hours().map(|hour| (DayParts::hour(hour), [Cells::of(detail)])).collect();
    let is_counted =
        add_by(session, series, hours, ByColumns { detail, told_apart, are_few: true }, &mut counted).await?;
    Ok(is_counted.then_some(counted))
}

/// The values of a column in these hours with their number of measurements, the most frequent first: one more than are told apart.
pub async fn most_frequent(
    session: &Session,
    series: SeriesDay,
    hours: DayParts,
    detail: Detail,
) -> Result<Vec<(String, i64)>> {
    let column = match detail {
        Detail::Release => "release",
        Detail::Name => "name",
        // Statuses are few.
        Detail::Status | Detail::All => return Ok(Vec::new()),
    };
    let (Some(first), Some(last)) = (hours.hours().min(), hours.hours().max()) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT {column}, COUNT(*) FROM metric_event WHERE {OF_SERIES} AND ts >= $4 AND ts < $5 GROUP BY {column} \
         ORDER BY 2 DESC, 1 LIMIT $6"
    );
    let start = |hour: u8| series.day.saturating_add(i64::from(hour) * HOUR_MICROS);
    let limit = i64::try_from(TOLD_APART_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let range = [start(first).into(), start(last.saturating_add(1)).into(), limit.into()];
    let values = key(series).into_iter().chain(range);
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
    let rows = session.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?))).collect()
}

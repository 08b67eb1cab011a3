//! Merges the rows that commits added to the breakdowns of days without single measurements (`ingest/breakdown`) into those that
//! are there.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, Statement};

use super::{
    Found,
    cells::{CellKey, Cells},
    completion::most_frequent,
    measured::{OTHERS, TOLD_APART_MAX},
    store::{self, OF_SERIES, after, cell_key, key, of_day, stored_tally},
};
use crate::{
    db::{Database, StatementLog},
    error::Result,
    jobs::series_day,
    model::{DayParts, Detail, SeriesDay, StoredTally, Timestamp},
};

/// Series and days that are read at a time.
const BATCH: i64 = 500;

/// Merges the rows of all days before `before` that were added since they were completed.
///
/// # Errors
/// The database fails. What was merged stays; what cannot be merged is left for another time.
pub async fn merge_additions(database: &Database, before: Timestamp) -> Result<()> {
    const SQL: &str = "SELECT organization_id, project_id, kind, day, all_endpoints FROM metric_grain \
        WHERE (organization_id, project_id, kind, day) > ($1, $2, $3, $4) AND day < $5 AND (seen_parts & $6) <> 0 \
        ORDER BY organization_id, project_id, kind, day LIMIT $7";
    let session = database.reader(StatementLog::default());
    // Once through: an import may add rows faster than they are merged.
    let mut last = None;
    loop {
        let conditions = [before.as_micros().into(), DayParts::ADDED.into(), BATCH.into()];
        let values = after(last).into_iter().chain(conditions);
        let statement = Statement::from_sql_and_values(session.get_database_backend(), SQL, values);
        let rows = session.query_all_raw(statement).await?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let series = series_day::read(&row)?.0;
            last = Some(series);
            if let Err(error) = merge(database, series).await {
                // Answers are right without it, and others must not wait for it.
                let SeriesDay { project, kind, day, .. } = series;
                tracing::warn!(project, kind, day, %error, "rows of late measurements are merged another time");
            }
        }
    }
}

/// Merges the rows of a series and day. The row of the organization is locked meanwhile, so that commits and other instances wait.
async fn merge(database: &Database, series: SeriesDay) -> Result<()> {
    const LOCK: &str = "UPDATE organization_stream SET raw_since = raw_since WHERE organization_id = $1";
    let transaction = database.writer(StatementLog::default()).begin_write().await?;
    let lock = Statement::from_sql_and_values(transaction.get_database_backend(), LOCK, [series.organization.into()]);
    transaction.execute_raw(lock).await?;
    let days = rows(&transaction, series, "metric_breakdown_1d").await?;
    let hours = rows(&transaction, series, "metric_breakdown_1h").await?;
    let mut told_apart = HashMap::new();
    for detail in [Detail::Release, Detail::Name] {
        let mut counts: HashMap<&str, i64> = HashMap::new();
        for row in days.iter().filter(|row| row.detail == detail && row.value() != OTHERS) {
            *counts.entry(row.value()).or_default() += row.tally.n();
        }
        if counts.len() > TOLD_APART_MAX {
            told_apart.insert(detail, most_frequent(counts).into_iter().map(str::to_owned).collect::<HashSet<_>>());
        }
    }
    let mut merged: BTreeMap<(u8, Detail), Found> = BTreeMap::new();
    for (part, row) in days.iter().map(|row| (DayParts::DAY, row)).chain(hours.iter().map(Row::with_hour)) {
        let is_told_apart = told_apart.get(&row.detail).is_none_or(|values: &HashSet<_>| values.contains(row.value()));
        let key = if is_told_apart { row.key.clone() } else { (0, OTHERS.to_owned(), OTHERS.to_owned()) };
        let number = part.hours().next().unwrap_or(u8::MAX);
        let empty = || Found { part, cells: Cells::of(row.detail) };
        merged.entry((number, row.detail)).or_insert_with(empty).cells.add_stored(&key, &row.tally)?;
    }
    let merged: Vec<_> = merged.into_values().collect();
    store::replace(&transaction, series, &Detail::ONE_COLUMN, &merged).await?;
    let marked = format!("UPDATE metric_grain SET seen_parts = $5 WHERE {OF_SERIES} AND day = $4");
    let values = key(series).into_iter().chain([series.day.into(), DayParts::ALL.bits().into()]);
    transaction.execute_raw(Statement::from_sql_and_values(transaction.get_database_backend(), marked, values)).await?;
    transaction.commit().await
}

/// A stored row by one column.
struct Row {
    bucket: i64,
    detail: Detail,
    key: CellKey,
    tally: StoredTally,
}

impl Row {
    /// The release or the name.
    fn value(&self) -> &str {
        let (_, release, name) = &self.key;
        if self.detail == Detail::Release { release } else { name }
    }

    fn with_hour(&self) -> (DayParts, &Self) {
        let hour = DayParts::around(Timestamp::from_micros(self.bucket)).without(DayParts::DAY);
        (hour, self)
    }
}

/// The rows by one column of a series and day.
async fn rows(session: &impl ConnectionTrait, series: SeriesDay, table: &str) -> Result<Vec<Row>> {
    let sql = format!(
        "SELECT status, release, name, n, n_err, sum, min, max, sketch, bucket, detail FROM {table} \
         WHERE {OF_SERIES} AND bucket >= $4 AND bucket < $5"
    );
    let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, of_day(series));
    let mut rows = Vec::new();
    for row in session.query_all_raw(statement).await? {
        let detail: i16 = row.try_get_by_index(10)?;
        if let Some(detail) = Detail::ONE_COLUMN.into_iter().find(|one| one.code() == detail) {
            let (key, tally) = (cell_key(&row)?, stored_tally(&row)?);
            rows.push(Row { bucket: row.try_get_by_index(9)?, detail, key, tally });
        }
    }
    Ok(rows)
}

//! Gives every series and day breakdowns by each single column, before its single measurements are removed.
//!
//! All hours and the day get rows, whether they pay or not: there will be nothing else to answer from. Of releases and names, the
//! most frequent ones of the day are told apart.

use std::collections::HashMap;

use super::{Found, cells::Cells, measured, store};
use crate::{
    db::{Database, StatementLog, is_too_long},
    error::Result,
    model::{DayParts, Detail, SeriesDay, Timestamp, timestamp::DAY_MICROS},
};

/// Maximum number of times that all series are gone through: late measurements and other instances end attempts.
const ROUNDS_MAX: u32 = 5;

/// Gives all days before the new bound of single measurements their rows, and tells ingest to add to them from then on. `since` is
/// the bound until now: before it, there may be no measurements to make rows from. False if late measurements arrive again and again,
/// or if other instances do the same: then try again later.
///
/// # Errors
/// The database fails. What was made stays.
pub async fn complete_before(database: &Database, since: Timestamp, before: Timestamp) -> Result<bool> {
    let since = since.max(database.kept().kept_breakdowns);
    if since >= before {
        return Ok(true);
    }
    for _ in 0..ROUNDS_MAX {
        let mut last = None;
        loop {
            let incomplete = store::incomplete(database, since, before, last).await?;
            let Some(next) = incomplete.last() else { break };
            last = Some(*next);
            for series in incomplete {
                complete(database, series).await?;
            }
        }
        if store::close(database, since, before).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the rows of a series and day. Makes none if another attempt or a late measurement ends this one.
async fn complete(database: &Database, series: SeriesDay) -> Result<()> {
    let until = Timestamp::from_micros(series.day.saturating_add(DAY_MICROS));
    if !store::publish(database, series.organization, until).await? {
        return Ok(());
    }
    let Some(attempt) = store::begin(database, series, until).await? else { return Ok(()) };
    let mut marks = attempt.marks;
    // Once it was complete, there may be no measurements to count: later ones were added.
    let missing: Vec<_> = Detail::ONE_COLUMN.into_iter().filter(|one| marks.at(*one) != DayParts::ALL).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut found = Vec::new();
    for detail in &missing {
        count(database, series, *detail, &mut found).await?;
        marks = marks.complete(*detail);
    }
    store::finish(database, series, &attempt, marks, &missing, &found).await?;
    Ok(())
}

/// Adds the rows of all hours and of the day by a column.
async fn count(database: &Database, series: SeriesDay, detail: Detail, found: &mut Vec<Found>) -> Result<()> {
    let session = database.reader(StatementLog::default());
    let mut counts: HashMap<String, i64> = HashMap::new();
    let mut chunks = Chunks::of(series);
    while let Some(hours) = chunks.next() {
        let listed = measured::most_frequent(&session, series, hours, detail).await.map(Some);
        for (value, count) in chunks.read(hours, listed)?.into_iter().flatten() {
            *counts.entry(value).or_default() += count;
        }
    }
    // Also if they are all: an hour that could not be listed may have others.
    let told_apart = (!counts.is_empty()).then(|| most_frequent(counts));
    let mut of_day = Cells::of(detail);
    let mut chunks = Chunks::of(series);
    while let Some(hours) = chunks.next() {
        let counted = measured::hours_by(&session, series, hours, detail, told_apart.as_deref()).await;
        for (part, [cells]) in chunks.read(hours, counted)?.into_iter().flatten() {
            of_day.merge(&cells);
            found.push(Found { part, cells });
        }
    }
    found.push(Found { part: DayParts::DAY, cells: of_day });
    Ok(())
}

/// As many values as are told apart. The same ones if it is asked again.
pub fn most_frequent<T: Ord>(counts: HashMap<T, i64>) -> Vec<T> {
    let mut values: Vec<_> = counts.into_iter().map(|(value, count)| (-count, value)).collect();
    values.sort_unstable();
    values.truncate(measured::TOLD_APART_MAX);
    values.into_iter().map(|(_, value)| value).collect()
}

/// The hours of a day, as many at once as can be read.
struct Chunks {
    series: SeriesDay,
    left: DayParts,
    hours_max: usize,
}

impl Chunks {
    const fn of(series: SeriesDay) -> Self {
        Self { series, left: DayParts::HOURS, hours_max: usize::MAX }
    }

    /// The hours to read next; `None` after the last.
    fn next(&self) -> Option<DayParts> {
        (!self.left.is_empty()).then(|| self.left.first_hours(self.hours_max))
    }

    /// Takes what was read of these hours. If they were too many, they are read again, fewer at once. An hour that takes longer than a
    /// statement may is left out, so that it does not keep all others from being removed.
    fn read<T>(&mut self, hours: DayParts, result: Result<Option<T>>) -> Result<Option<T>> {
        let count = hours.hours().count();
        let read = match result {
            Ok(Some(read)) => Some(read),
            Err(error) if !is_too_long(&error) => return Err(error),
            Ok(None) | Err(_) if count > 1 => {
                self.hours_max = count / 2;
                return Ok(None);
            }
            Ok(None) => None,
            Err(error) => {
                let SeriesDay { project, kind, day, .. } = self.series;
                tracing::warn!(
                    project, kind, day, ?hours, %error, "measurements are not kept by status, release and name"
                );
                None
            }
        };
        self.left = self.left.without(hours);
        Ok(read)
    }
}

//! Makes the rows of breakdowns: the measurements of an hour and of a day by status, release and name.
//!
//! Reports are exact at any moment, under concurrent ingest, kills and several instances:
//!
//! 1. A report is one statement, and so one snapshot. It reads the rows of the hours and days that `metric_grain` marks, and the
//!    single measurements of all others. Rows and marks change in one transaction.
//! 2. Before rows of an organization are made up to some time, that time is published in its row of `organization_stream`, which
//!    every commit locks last. A commit that had the lock before is visible to what is read here later. One that gets the lock
//!    afterwards learns the time from it; if it has older measurements, it looks at the rows of `metric_grain` of their series,
//!    removes what was made of their hours and days, clears the marks, and ends attempts that are under way (`ingest/write`).
//! 3. An attempt begins with a number in that row (`build`), then reads the measurements, without a lock. Its rows are stored only if
//!    the number is still there.
//!
//! Before the single measurements of a day are removed, it gets the rows by one column of all its hours ([`complete_before`]). From
//! then on later measurements are added to them.
//!
//! So live traffic costs nothing but a comparison. Hours are looked at once they have been over for some minutes, so that few
//! measurements come later; this affects cost, not correctness.

mod additions;
mod cells;
mod completion;
mod measured;
mod store;

use crate::{
    clock::Clock,
    db::{Database, StatementLog},
    error::Result,
    model::{
        DayParts, Detail, Grain, SeriesDay, Timestamp,
        timestamp::{HOUR_MICROS, MINUTE_MICROS},
    },
};

pub use self::{additions::merge_additions, completion::complete_before, store::reopen_after};

use self::cells::Cells;

/// Most measurements of an hour have arrived by then.
const SETTLE_MICROS: i64 = 5 * MINUTE_MICROS;

/// Number of measurements that a statement reads in a fraction of its time.
const MEASUREMENTS_AT_ONCE: usize = 200_000;

/// What `metric_grain` says about the rows of a series and day.
#[derive(Clone, Copy, Debug)]
struct Marks {
    /// For each of [`Detail::EACH`], the hours, and the day, that have rows, or have no measurements.
    made: [DayParts; 4],
    /// Those that were decided about.
    seen: DayParts,
}

impl Marks {
    /// Those that are over and were not decided about.
    fn due(&self, series: SeriesDay, until: Timestamp) -> DayParts {
        DayParts::over(series.day, until).without(self.seen)
    }

    /// With all parts by a column.
    fn complete(mut self, of: Detail) -> Self {
        for (made, detail) in self.made.iter_mut().zip(Detail::EACH) {
            if detail == of {
                *made = DayParts::ALL;
            }
        }
        Self { seen: DayParts::ALL, ..self }
    }

    fn at(&self, detail: Detail) -> DayParts {
        Detail::EACH
            .into_iter()
            .zip(self.made)
            .find(|(one, _)| *one == detail)
            .map_or_else(DayParts::default, |one| one.1)
    }

    /// With what was found of these parts.
    fn decided(mut self, parts: DayParts, found: &[Found]) -> Self {
        for Found { part, cells } in found {
            for (made, detail) in self.made.iter_mut().zip(Detail::EACH) {
                if detail == cells.detail() {
                    *made = made.with(*part);
                }
            }
        }
        Self { seen: self.seen.with(parts), ..self }
    }
}

/// Rows that pay.
struct Found {
    /// An hour, or the day.
    part: DayParts,
    /// Its rows; none if there are no measurements.
    cells: Cells,
}

/// Makes the rows of all hours and days that are over.
///
/// # Errors
/// The database fails. What was made stays.
pub async fn pass(database: &Database, clock: &Clock) -> Result<()> {
    let until = clock.now().plus_micros(-SETTLE_MICROS).floor(HOUR_MICROS);
    let kept = database.kept();
    let since = kept.raw.max(kept.breakdowns);
    let mut last = None;
    loop {
        let batch = store::unseen(database, since, until, last).await?;
        let Some((next, ..)) = batch.last() else { return Ok(()) };
        last = Some(*next);
        let mut published = None;
        for (series, grain, marks) in batch {
            if marks.due(series, until).is_empty() {
                continue;
            }
            if published.is_none_or(|(organization, _)| organization != series.organization) {
                published = Some((series.organization, store::publish(database, series.organization, until).await?));
            }
            if published.is_some_and(|(_, is_published)| is_published) {
                break_down(database, series, grain, until).await?;
            }
        }
    }
}

/// Makes the rows of a series on a day.
async fn break_down(database: &Database, series: SeriesDay, grain: Grain, until: Timestamp) -> Result<()> {
    let mut attempts = 0;
    // An hour of a busy series may be as much as a statement reads in its time.
    let mut hours_max = if grain == Grain::Minute { 1 } else { usize::MAX };
    // Another instance does the same, or late measurements arrive again and again: the next pass goes on.
    while attempts <= DayParts::ALL.bits().count_ones() {
        attempts += 1;
        let Some(attempt) = store::begin(database, series, until).await? else { return Ok(()) };
        let due = attempt.marks.due(series, until);
        if due.is_empty() {
            return Ok(());
        }
        let mut parts = due.first_hours(hours_max);
        let found = loop {
            match count(database, series, attempt.marks, parts).await {
                Ok(Some(found)) => {
                    let each = found.measurements / parts.hours().count().max(1);
                    hours_max = (MEASUREMENTS_AT_ONCE / each.max(1)).max(1);
                    break found.rows;
                }
                Ok(None) => parts = parts.first_half(),
                Err(_) if parts != parts.first_hours(1) => parts = parts.first_half(),
                Err(error) => {
                    // What takes longer than a statement may is left alone, so that others get their turn.
                    let SeriesDay { project, kind, day, .. } = series;
                    tracing::warn!(
                        project, kind, day, ?parts, %error, "measurements are not broken down by status, release and name"
                    );
                    break Vec::new();
                }
            }
        };
        let marks = attempt.marks.decided(parts, &found);
        store::finish(database, series, &attempt, marks, &[], &found).await?;
    }
    Ok(())
}

/// What hours and a day have.
struct Counted {
    /// The rows that pay.
    rows: Vec<Found>,
    /// The number of measurements of the hours.
    measurements: usize,
}

/// The rows of hours and of the day that pay, for each detail by itself. `None` if these are too many hours at once.
async fn count(database: &Database, series: SeriesDay, marks: Marks, parts: DayParts) -> Result<Option<Counted>> {
    let session = database.reader(StatementLog::default());
    let mut found = Vec::new();
    let Some(counted) = measured::hours(&session, series, parts.without(DayParts::DAY)).await? else { return Ok(None) };
    if parts.contains(DayParts::DAY) {
        let mut all = Detail::EACH.map(Cells::of);
        for cells in &mut all {
            for one in counted.iter().flat_map(|(_, of_hour)| of_hour) {
                cells.merge(one);
            }
        }
        // Hours that were decided about before have rows already, or are counted again.
        for cells in &mut all {
            if !marks.at(cells.detail()).without(DayParts::DAY).is_empty() {
                store::add_hours(&session, series, cells).await?;
            }
        }
        for hour in DayParts::HOURS.without(parts).hours().map(DayParts::hour) {
            let is_missing = |cells: &&mut Cells| !marks.at(cells.detail()).contains(hour);
            let missing: Vec<_> = all.iter_mut().filter(is_missing).collect();
            if !missing.is_empty() {
                let counted = measured::hours(&session, series, hour).await?.unwrap_or_default();
                for cells in missing {
                    for one in counted.iter().flat_map(|(_, of_hour)| of_hour) {
                        cells.merge(one);
                    }
                }
            }
        }
        found.extend(all.map(|cells| Found { part: DayParts::DAY, cells }));
    }
    let in_hour = |of_hour: &[Cells; 4]| of_hour.iter().map(Cells::measurements).max().unwrap_or(0);
    let measurements: u64 = counted.iter().map(|(_, of_hour)| in_hour(of_hour)).sum();
    for (part, of_hour) in counted {
        found.extend(of_hour.map(|cells| Found { part, cells }));
    }
    found.retain(|one| one.cells.pay() || one.cells.is_empty());
    Ok(Some(Counted { rows: found, measurements: usize::try_from(measurements).unwrap_or(usize::MAX) }))
}

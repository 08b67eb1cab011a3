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
//! So live traffic costs nothing but a comparison. Hours are looked at once they have been over for some minutes, so that few
//! measurements come later; this affects cost, not correctness.

mod cells;
mod store;

use crate::{
    clock::Clock,
    db::{Database, StatementLog},
    error::Result,
    model::{
        DayParts, Detail, SeriesDay, Timestamp,
        timestamp::{HOUR_MICROS, MINUTE_MICROS},
    },
};

use self::cells::Cells;

/// Most measurements of an hour have arrived by then.
const SETTLE_MICROS: i64 = 5 * MINUTE_MICROS;

/// What `metric_grain` says about the rows of a series and day.
#[derive(Clone, Copy, Debug)]
struct Marks {
    /// The hours, and the day, that have rows that tell the status apart, or have no measurements.
    status: DayParts,
    /// Those whose rows tell the release apart as well.
    release: DayParts,
    /// Those whose rows tell the name apart as well.
    name: DayParts,
    /// Those that were decided about.
    seen: DayParts,
}

impl Marks {
    /// Those that are over and were not decided about.
    fn due(&self, series: SeriesDay, until: Timestamp) -> DayParts {
        DayParts::over(series.day, until).without(self.seen)
    }

    const fn at(&self, detail: Detail) -> DayParts {
        match detail {
            Detail::Status => self.status,
            Detail::Release => self.release,
            Detail::Name => self.name,
        }
    }

    /// With rows of a part, if they pay.
    fn decided(self, part: DayParts, rows: Option<Detail>) -> Self {
        let marked = |parts: DayParts, detail| if rows >= Some(detail) { parts.with(part) } else { parts };
        Self {
            status: marked(self.status, Detail::Status),
            release: marked(self.release, Detail::Release),
            name: marked(self.name, Detail::Name),
            seen: self.seen.with(part),
        }
    }
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
        let Some((next, _)) = batch.last() else { return Ok(()) };
        last = Some(*next);
        let mut published = None;
        for (series, marks) in batch {
            if marks.due(series, until).is_empty() {
                continue;
            }
            if published.is_none_or(|(organization, _)| organization != series.organization) {
                published = Some((series.organization, store::publish(database, series.organization, until).await?));
            }
            if published.is_some_and(|(_, is_published)| is_published) {
                break_down(database, series, until).await?;
            }
        }
    }
}

/// Makes the rows of a series on a day, part by part.
async fn break_down(database: &Database, series: SeriesDay, until: Timestamp) -> Result<()> {
    let mut parts = 0;
    // Another instance does the same, or late measurements arrive again and again: the next pass goes on.
    while parts <= DayParts::ALL.bits().count_ones() {
        parts += 1;
        let Some(attempt) = store::begin(database, series, until).await? else { return Ok(()) };
        let due = attempt.marks.due(series, until);
        let next_hour = due.hours().next().map(DayParts::hour);
        let Some(part) = next_hour.or_else(|| (!due.is_empty()).then_some(DayParts::DAY)) else { return Ok(()) };
        let found = match best(database, series, attempt.marks, part).await {
            Ok(found) => found,
            Err(error) => {
                // Measurements that take longer than a statement may are left alone, so that those after them get their turn.
                let SeriesDay { project, kind, day, .. } = series;
                tracing::warn!(project, kind, day, ?part, %error, "measurements are not broken down by status, release and name");
                None
            }
        };
        store::finish(database, series, &attempt, part, found).await?;
    }
    Ok(())
}

/// The rows of an hour or of the day that answer most, among those that pay. `None` if none do.
async fn best(database: &Database, series: SeriesDay, marks: Marks, part: DayParts) -> Result<Option<Cells>> {
    for detail in Detail::FINEST_FIRST {
        // Without measurements, no rows are all rows.
        match count(database, series, marks, part, detail).await? {
            Some(cells) if cells.pay() || cells.is_empty() => return Ok(Some(cells)),
            _ => {}
        }
    }
    Ok(None)
}

/// The measurements of an hour or of the day; `None` if they are too many different ones.
async fn count(
    database: &Database,
    series: SeriesDay,
    marks: Marks,
    part: DayParts,
    detail: Detail,
) -> Result<Option<Cells>> {
    let session = database.reader(StatementLog::default());
    let mut cells = Cells::of(detail);
    let hours = if part == DayParts::DAY { DayParts::HOURS } else { part };
    let single = hours.without(marks.at(detail));
    if single != hours {
        store::add_hours(&session, series, detail, &mut cells).await?;
    }
    for hour in single.hours() {
        if cells.are_too_many() || !store::add_measurements(&session, series, hour, detail, &mut cells).await? {
            return Ok(None);
        }
    }
    Ok((!cells.are_too_many()).then_some(cells))
}

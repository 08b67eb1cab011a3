//! The plan of a window: which table answers which segment of it. Pure: no database, no clock.
//!
//! Whole days are read from the daily rollups, whole hours from the hourly ones, then whole five minutes, then whole
//! minutes, and the edges from raw rows. The rollup parts that compaction has not merged yet are read as well: every
//! measurement is either in a part or in all levels of rollups. A series that is too sparse for a level has none of it on that
//! day ([`Grain`]); there, its raw rows are read instead. Questions about status, release or name are cut into whole days and hours
//! of breakdowns likewise, and raw rows of what is not broken down. Where retention has removed the rows that an edge needs, the
//! plan widens the window to the next coarser bucket that is retained, and says which window it answers.

mod bounds;
mod resolution;
#[cfg(test)]
mod tests;

pub(super) use bounds::between;
pub use resolution::Resolution;

use crate::model::{Detail, Grain, RetainedSince, TimeRange, Timestamp, timestamp::MINUTE_MICROS};

/// The rollups from coarse to fine. A window is cut at the bounds of the first; the rest goes to the next, finally to raw
/// rows.
const LADDER: [Resolution; 4] = [Resolution::Day, Resolution::Hour, Resolution::FiveMinutes, Resolution::Minute];

/// The breakdowns from coarse to fine, which are cut likewise.
const BREAKDOWNS: [Resolution; 2] = [Resolution::BreakdownDay, Resolution::BreakdownHour];

/// Windows shorter than this are read from raw rows: at most one minute of them could come from a rollup.
const RAW_BELOW_MICROS: i64 = 2 * MINUTE_MICROS;

/// A range of a window and the table that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The table.
    pub resolution: Resolution,
    /// The range of time; its bounds are bucket bounds of the table.
    pub range: TimeRange,
}

/// Rows of a rollup table. Every measurement is in one row of each choice, so a statement reads one choice, never both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointRows {
    /// One row for all endpoints of a project.
    Combined,
    /// One row per endpoint.
    Separate,
}

/// The tables that may answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableChoice {
    /// All tables: rollups where they fit, raw rows for the rest.
    Any,
    /// Only rollups whose rows each lie in one bucket of this length in microseconds, and raw rows.
    Aligned(i64),
    /// Rollups up to hours, which narrow the search for raw rows.
    IntoRaw,
    /// Breakdowns by these columns where they fit, raw rows for the rest.
    Breakdowns(Detail),
    /// Only breakdowns by these columns whose rows each lie in one bucket of this length in microseconds, and raw rows.
    AlignedBreakdowns(Detail, i64),
    /// Only raw rows: the question is about endpoints and a column that rollups by endpoint do not have, or about exact values.
    RawOnly,
}

impl TableChoice {
    /// The retention of these tables.
    pub fn kept(self, kept: RetainedSince) -> RetainedSince {
        match self {
            Self::Breakdowns(detail) | Self::AlignedBreakdowns(detail, _) => kept.of_breakdowns(detail),
            Self::Any | Self::Aligned(_) | Self::IntoRaw | Self::RawOnly => kept,
        }
    }

    /// The time from which these tables, or else the raw rows, are complete.
    pub fn since(self, kept: RetainedSince) -> Timestamp {
        match self {
            // Without raw rows there is no answer.
            Self::IntoRaw | Self::RawOnly => kept.raw,
            Self::Any | Self::Aligned(_) | Self::Breakdowns(_) | Self::AlignedBreakdowns(..) => {
                let kept = self.kept(kept);
                self.ladder().iter().map(|resolution| since(*resolution, kept)).fold(kept.raw, Timestamp::min)
            }
        }
    }

    /// The tables from coarse to fine, before raw rows.
    fn ladder(self) -> &'static [Resolution] {
        match self {
            Self::Any => &LADDER,
            Self::Aligned(width) => aligned(&LADDER, width),
            Self::IntoRaw => &LADDER[1..],
            Self::Breakdowns(_) => &BREAKDOWNS,
            Self::AlignedBreakdowns(_, width) => aligned(&BREAKDOWNS, width),
            Self::RawOnly => &[],
        }
    }
}

/// The segments that answer a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The answered window: the one asked for, unless retention has removed the rows that its edges need.
    pub covers: TimeRange,
    /// The segments of that window in order of time, without overlap or gap, and last the range of the rollups among them
    /// twice: for the raw rows of series that have none so fine, and for unmerged parts. With breakdowns, last their range once, as
    /// far as there are raw rows, for those of what is not broken down.
    pub segments: Vec<Segment>,
}

impl Plan {
    /// The ranges in which a series of a coarser grain has no rows of the tables that the plan reads, so that its raw rows are
    /// read. The ranges of each grain are in order of time and disjoint.
    pub fn unrolled(&self) -> Vec<(Grain, TimeRange)> {
        let mut ranges: Vec<(Grain, TimeRange)> = Vec::new();
        for grain in Grain::coarser() {
            for Segment { resolution, range } in &self.segments {
                if resolution.grain().is_none_or(|finest| grain <= finest) {
                    continue;
                }
                match ranges.last_mut() {
                    Some((same, before)) if *same == grain && before.to() == range.from() => {
                        *before = TimeRange::new(before.from(), range.to()).unwrap_or(*before);
                    }
                    _ => ranges.push((grain, *range)),
                }
            }
        }
        ranges
    }
}

/// Cuts a window into segments; `None` where none of the allowed tables retains any of it.
pub fn plan(window: TimeRange, tables: TableChoice, kept: RetainedSince) -> Option<Plan> {
    // Where only coarser rows are kept, which may lie in two buckets, the time is left out.
    let window = TimeRange::new(window.from().max(tables.since(kept)), window.to()).ok()?;
    let kept = tables.kept(kept);
    let covers = widened(window, kept);
    let ladder = if is_raw(covers, kept) { &[] } else { tables.ladder() };
    let mut segments = Vec::with_capacity(2 + 2 * ladder.len());
    cut((covers.from(), covers.to()), ladder, kept, &mut segments);
    Some(with_parts(covers, segments, kept))
}

/// True for a window that is so short that it is read from raw rows.
fn is_raw(covers: TimeRange, kept: RetainedSince) -> bool {
    covers.length_micros() < RAW_BELOW_MICROS && covers.from() >= kept.raw
}

/// Adds the unmerged parts of the rollups, and the raw rows of series without them or without breakdowns.
fn with_parts(covers: TimeRange, mut segments: Vec<Segment>, kept: RetainedSince) -> Plan {
    let rollups =
        || segments.iter().filter(|segment| segment.resolution != Resolution::Raw).map(|segment| segment.range);
    if let (Some(first), Some(last)) = (rollups().next(), rollups().next_back())
        && let Ok(range) = TimeRange::new(first.from(), last.to())
    {
        if segments.iter().any(|segment| segment.resolution.is_breakdown()) {
            // Where there are no single measurements, all of it is broken down.
            let measured = TimeRange::new(range.from().max(kept.raw), range.to());
            segments.extend(measured.map(|range| Segment { resolution: Resolution::NotBrokenDown, range }));
        } else {
            let others = [Resolution::Unrolled, Resolution::Part];
            segments.extend(others.map(|resolution| Segment { resolution, range }));
        }
    }
    Plan { covers, segments }
}

/// The moment moved to the nearest bucket bound of the finest rollup that is retained there; of two equally near ones, to
/// the earlier one.
pub fn nearest_kept(at: Timestamp, kept: RetainedSince) -> Timestamp {
    let width = finest(at, kept).width_micros().max(MINUTE_MICROS);
    at.plus_micros(-width / 2).ceil(width)
}

/// Those tables whose rows each lie in one bucket of this length.
fn aligned(ladder: &'static [Resolution], width_micros: i64) -> &'static [Resolution] {
    let fits = ladder.iter().position(|resolution| width_micros % resolution.width_micros() == 0);
    fits.and_then(|first| ladder.get(first..)).unwrap_or_default()
}

/// The coarsest table that can answer buckets of this length.
pub fn coarsest(width_micros: i64) -> Resolution {
    aligned(&LADDER, width_micros).first().copied().unwrap_or(Resolution::Raw)
}

/// The time from which a table is complete, given the retention of the [tables](TableChoice::kept) that a plan may read.
pub fn since(resolution: Resolution, kept: RetainedSince) -> Timestamp {
    match resolution {
        Resolution::Raw | Resolution::Unrolled | Resolution::NotBrokenDown => kept.raw,
        Resolution::Minute => kept.minutes,
        Resolution::FiveMinutes => kept.five_minutes,
        Resolution::Hour => kept.hours,
        Resolution::Day | Resolution::Part => Timestamp::from_micros(i64::MIN),
        Resolution::BreakdownHour => kept.breakdowns.max(kept.hours),
        Resolution::BreakdownDay => kept.breakdowns,
    }
}

/// The window with each end moved outward to a bucket bound of the finest table that is retained there.
fn widened(window: TimeRange, kept: RetainedSince) -> TimeRange {
    let (from, to) = (window.from(), window.to());
    let from = from.floor(finest(from, kept).width_micros());
    let to = to.ceil(finest(to.plus_micros(-1), kept).width_micros());
    TimeRange::new(from, to).unwrap_or(window)
}

/// The finest table that retains this moment.
fn finest(at: Timestamp, kept: RetainedSince) -> Resolution {
    let finer = [(kept.raw, Resolution::Raw), (kept.minutes, Resolution::Minute), (kept.hours, Resolution::Hour)];
    finer.into_iter().find(|(since, _)| at >= *since).map_or(Resolution::Day, |(_, resolution)| resolution)
}

// Retention ends at the start of a day. So all of an edge, which is shorter than a day, is retained alike, and after widening
// none of it needs a finer table than there is. Where five minutes are not complete, minutes are.
fn cut((from, to): (Timestamp, Timestamp), ladder: &[Resolution], kept: RetainedSince, segments: &mut Vec<Segment>) {
    // An empty edge is no segment.
    let Ok(range) = TimeRange::new(from, to) else { return };
    let Some((&resolution, finer)) = ladder.split_first() else {
        segments.push(Segment { resolution: Resolution::Raw, range });
        return;
    };
    let width = resolution.width_micros();
    match TimeRange::new(from.max(since(resolution, kept)).ceil(width), to.floor(width)) {
        Ok(range) => {
            cut((from, range.from()), finer, kept, segments);
            segments.push(Segment { resolution, range });
            cut((range.to(), to), finer, kept, segments);
        }
        Err(_) => cut((from, to), finer, kept, segments),
    }
}

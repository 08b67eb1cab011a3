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

pub(super) use bounds::between;
pub use resolution::Resolution;

use crate::model::{Grain, RetainedSince, TimeRange, Timestamp, timestamp::MINUTE_MICROS};

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
    /// Breakdowns by status, release and name where they fit, raw rows for the rest.
    Breakdowns,
    /// Only breakdowns whose rows each lie in one bucket of this length in microseconds, and raw rows.
    AlignedBreakdowns(i64),
    /// Only raw rows: the question is about endpoints and a column that rollups by endpoint do not have, or about exact values.
    RawOnly,
}

impl TableChoice {
    /// The tables from coarse to fine, before raw rows.
    fn ladder(self) -> &'static [Resolution] {
        match self {
            Self::Any => &LADDER,
            Self::Aligned(width) => aligned(&LADDER, width),
            Self::IntoRaw => &LADDER[1..],
            Self::Breakdowns => &BREAKDOWNS,
            Self::AlignedBreakdowns(width) => aligned(&BREAKDOWNS, width),
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
    /// twice: for the raw rows of series that have none so fine, and for unmerged parts. With breakdowns, last their range once,
    /// for the raw rows of what is not broken down.
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
    let ladder = tables.ladder();
    let covers = match tables {
        // Coarser rows would lie in two buckets, so a time that only they retain is left out.
        TableChoice::Any | TableChoice::Aligned(_) => {
            let since = any_since(ladder, kept);
            widened(TimeRange::new(window.from().max(since), window.to()).ok()?, kept)
        }
        TableChoice::IntoRaw | TableChoice::Breakdowns | TableChoice::AlignedBreakdowns(_) | TableChoice::RawOnly => {
            TimeRange::new(window.from().max(kept.raw), window.to()).ok()?
        }
    };
    let ladder = if is_raw(covers, kept) { &[] } else { ladder };
    let mut segments = Vec::with_capacity(2 + 2 * ladder.len());
    cut((covers.from(), covers.to()), ladder, kept, &mut segments);
    Some(with_parts(covers, segments))
}

/// True for a window that is so short that it is read from raw rows.
fn is_raw(covers: TimeRange, kept: RetainedSince) -> bool {
    covers.length_micros() < RAW_BELOW_MICROS && covers.from() >= kept.raw
}

/// Adds the unmerged parts of the rollups, and the raw rows of series without them or without breakdowns.
fn with_parts(covers: TimeRange, mut segments: Vec<Segment>) -> Plan {
    let rollups =
        || segments.iter().filter(|segment| segment.resolution != Resolution::Raw).map(|segment| segment.range);
    if let (Some(first), Some(last)) = (rollups().next(), rollups().next_back())
        && let Ok(range) = TimeRange::new(first.from(), last.to())
    {
        let is_breakdown = segments.iter().any(|segment| segment.resolution.is_breakdown());
        let others: &[Resolution] =
            if is_breakdown { &[Resolution::NotBrokenDown] } else { &[Resolution::Unrolled, Resolution::Part] };
        segments.extend(others.iter().map(|resolution| Segment { resolution: *resolution, range }));
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

/// The coarsest table that can answer buckets of this length, and the time from which they can be answered.
pub fn coarsest(width_micros: i64, kept: RetainedSince) -> (Resolution, Timestamp) {
    let ladder = aligned(&LADDER, width_micros);
    (ladder.first().copied().unwrap_or(Resolution::Raw), any_since(ladder, kept))
}

/// The time from which one of these tables, or else the raw rows, is complete.
fn any_since(ladder: &[Resolution], kept: RetainedSince) -> Timestamp {
    ladder.iter().map(|resolution| since(*resolution, kept)).min().unwrap_or(kept.raw)
}

/// The time from which a table is complete.
pub fn since(resolution: Resolution, kept: RetainedSince) -> Timestamp {
    match resolution {
        Resolution::Raw | Resolution::Unrolled | Resolution::NotBrokenDown => kept.raw,
        Resolution::Minute => kept.minutes,
        Resolution::FiveMinutes => kept.five_minutes,
        Resolution::Hour => kept.hours,
        Resolution::Day | Resolution::Part => Timestamp::from_micros(i64::MIN),
        Resolution::BreakdownHour | Resolution::BreakdownDay => kept.breakdowns.max(kept.raw),
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS};

    fn range(from: i64, length: i64) -> TimeRange {
        let from = Timestamp::from_micros(from);
        TimeRange::new(from, from.plus_micros(length)).unwrap()
    }

    fn from() -> impl Strategy<Value = i64> {
        prop_oneof![
            -4_000_000_000_000_000..4_000_000_000_000_000_i64,
            -40 * DAY_MICROS..40 * DAY_MICROS,
            (-60_000..60_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
            (-1_000..1_000_i64).prop_map(|hours| hours * HOUR_MICROS),
            (-40..40_i64).prop_map(|days| days * DAY_MICROS),
        ]
    }

    fn length() -> impl Strategy<Value = i64> {
        prop_oneof![
            1..10_i64,
            1..4 * MINUTE_MICROS,
            1..3 * HOUR_MICROS,
            1..50 * DAY_MICROS,
            (1..5_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
            (1..100_i64).prop_map(|hours| hours * HOUR_MICROS),
            (1..60_i64).prop_map(|days| days * DAY_MICROS),
            1..3_000_000_000_000_000_i64,
        ]
    }

    fn kept() -> impl Strategy<Value = RetainedSince> {
        let day = |day: i64| Timestamp::from_micros(day * DAY_MICROS);
        prop_oneof![
            1 => Just(RetainedSince::EVERYTHING),
            3 => (-40..40_i64, 0..30_i64, 0..30_i64, 0..60_i64).prop_map(move |(raw, minutes, hours, later)| RetainedSince {
                raw: day(raw),
                minutes: day(raw - minutes),
                five_minutes: day(raw - minutes + later),
                hours: day(raw - minutes - hours),
                breakdowns: day(raw + later - 30),
            }),
        ]
    }

    fn tables() -> impl Strategy<Value = TableChoice> {
        let widths = prop_oneof![
            1..3 * DAY_MICROS,
            (1..10_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
            (1..200_i64).prop_map(|hours| hours * HOUR_MICROS),
            (1..10_i64).prop_map(|days| days * DAY_MICROS),
        ];
        prop_oneof![
            Just(TableChoice::Any),
            Just(TableChoice::IntoRaw),
            Just(TableChoice::RawOnly),
            Just(TableChoice::Breakdowns),
            widths.clone().prop_map(TableChoice::Aligned),
            widths.prop_map(TableChoice::AlignedBreakdowns),
        ]
    }

    proptest! {
        #[test]
        fn pieces_are_ordered_disjoint_kept_and_cover_exactly_what_the_plan_says(
            from in from(),
            length in length(),
            kept in kept(),
            tables in tables(),
        ) {
            let window = range(from, length);
            let Some(Plan { covers, segments: all }) = plan(window, tables, kept) else {
                let needed = if let TableChoice::Aligned(width) = tables { coarsest(width, kept).1 } else { kept.raw };
                prop_assert!(tables != TableChoice::Any && window.to() <= needed);
                return Ok(());
            };
            let (extra, segments): (Vec<Segment>, Vec<Segment>) =
                all.iter().partition(|segment| {
                    let resolution = segment.resolution;
                    matches!(resolution, Resolution::Part | Resolution::Unrolled | Resolution::NotBrokenDown)
                });
            let is_broken_down = matches!(tables, TableChoice::Breakdowns | TableChoice::AlignedBreakdowns(_));
            prop_assert!(segments.len() <= 9);
            prop_assert_eq!(segments[0].range.from(), covers.from());
            prop_assert_eq!(segments[segments.len() - 1].range.to(), covers.to());
            for pair in segments.windows(2) {
                prop_assert_eq!(pair[0].range.to(), pair[1].range.from());
                prop_assert_ne!(pair[0].resolution, pair[1].resolution);
            }
            for Segment { resolution, range } in &segments {
                let (from, to, width) = (range.from(), range.to(), resolution.width_micros());
                prop_assert_eq!((from.floor(width), to.floor(width)), (from, to), "bounds are bucket bounds");
                prop_assert!(from >= since(*resolution, kept), "{:?} is not kept in {:?}", resolution, range);
                let answered = covers.to().as_micros() - covers.from().as_micros();
                let is_short = answered < RAW_BELOW_MICROS || tables == TableChoice::RawOnly;
                let fits = |coarser: Resolution| match tables {
                    TableChoice::Aligned(bucket) | TableChoice::AlignedBreakdowns(bucket) => {
                        bucket % coarser.width_micros() == 0
                    }
                    TableChoice::IntoRaw => coarser != Resolution::Day,
                    TableChoice::Any | TableChoice::Breakdowns | TableChoice::RawOnly => true,
                };
                if let TableChoice::Aligned(bucket) | TableChoice::AlignedBreakdowns(bucket) = tables {
                    prop_assert_eq!(bucket % width, 0, "no row lies in two buckets");
                }
                if *resolution != Resolution::Raw {
                    prop_assert_eq!(resolution.is_breakdown(), is_broken_down);
                }
                let is_optional = |one: Resolution| one == Resolution::FiveMinutes || one.is_breakdown();
                let is_there = |one: Resolution| !is_optional(one) || from >= since(one, kept);
                let ladder = if is_broken_down { &BREAKDOWNS[..] } else { &LADDER };
                let coarser =
                    ladder.iter().rev().find(|one| one.width_micros() > width && fits(**one) && is_there(**one));
                let coarser = coarser.map_or(i64::MAX, |one| one.width_micros());
                prop_assert!(is_short || to.as_micros() - from.as_micros() < coarser.saturating_mul(2), "coarse where it fits");
            }
            // The ranges of parts and of series without rollups span all rollups and nothing else.
            let rollups: Vec<_> = segments.iter().filter(|segment| segment.resolution != Resolution::Raw).collect();
            let spanned = rollups.first().map(|first| (first.range.from(), rollups[rollups.len() - 1].range.to()));
            for extra in &extra {
                prop_assert_eq!(Some((extra.range.from(), extra.range.to())), spanned);
            }
            let added: Vec<_> = extra.iter().map(|extra| extra.resolution).collect();
            let expected = match (spanned, is_broken_down) {
                (None, _) => vec![],
                (Some(_), true) => vec![Resolution::NotBrokenDown],
                (Some(_), false) => vec![Resolution::Unrolled, Resolution::Part],
            };
            prop_assert_eq!(added, expected);

            // A series of any grain is read once: from the rollups that it has, elsewhere from its raw rows.
            let rollups: Vec<_> = rollups.into_iter().filter(|segment| !segment.resolution.is_breakdown()).collect();
            let unrolled = Plan { covers, segments: all.clone() }.unrolled();
            for grain in [Grain::Minute, Grain::FiveMinutes, Grain::Hour, Grain::Day, Grain::Raw] {
                let raw: Vec<_> = unrolled.iter().filter(|(one, _)| *one == grain).map(|(_, range)| *range).collect();
                prop_assert!(raw.windows(2).all(|pair| pair[0].to() < pair[1].from()));
                let finer = rollups.iter().filter(|segment| segment.resolution.grain() < Some(grain));
                for segment in &rollups {
                    let is_read_raw = raw.iter().any(|range| range.common(segment.range) == Some(segment.range));
                    prop_assert_eq!(is_read_raw, segment.resolution.grain() < Some(grain), "{:?} of {:?}", grain, segment);
                }
                let length: i64 = raw.iter().map(|range| range.length_micros()).sum();
                prop_assert_eq!(length, finer.map(|segment| segment.range.length_micros()).sum::<i64>());
            }

            if let TableChoice::Any | TableChoice::Aligned(_) = tables {
                let needed = if let TableChoice::Aligned(width) = tables { coarsest(width, kept).1 } else { window.from() };
                let window = TimeRange::new(window.from().max(needed), window.to()).unwrap();
                prop_assert!(covers.from() <= window.from() && window.to() <= covers.to());
                if window.from() >= kept.raw {
                    prop_assert_eq!(covers, window);
                }
                let wider = |left: Timestamp, right: Timestamp| left.as_micros() - right.as_micros();
                prop_assert!(wider(window.from(), covers.from()) < DAY_MICROS);
                prop_assert!(wider(covers.to(), window.to()) < DAY_MICROS);
            } else {
                prop_assert_eq!((covers.from(), covers.to()), (window.from().max(kept.raw), window.to()));
                prop_assert!(segments.iter().all(|segment| segment.resolution != Resolution::Day));
            }
        }

        #[test]
        fn raw_only_is_one_raw_piece(from in from(), length in length()) {
            let window = range(from, length);
            let raw = Segment { resolution: Resolution::Raw, range: window };
            let planned = plan(window, TableChoice::RawOnly, RetainedSince::EVERYTHING);
            prop_assert_eq!(planned, Some(Plan { covers: window, segments: vec![raw] }));
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let recent = RetainedSince::days(Timestamp::from_millis(1_790_000_000_000), 7, 14, 400);
        for (from, to) in [
            (i64::MIN, i64::MAX),
            (i64::MIN, i64::MIN + 1),
            (i64::MAX - 1, i64::MAX),
            (i64::MIN, i64::MIN + RAW_BELOW_MICROS),
            (i64::MAX - RAW_BELOW_MICROS, i64::MAX),
        ] {
            let window = TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(to)).unwrap();
            let Plan { covers, segments } = plan(window, TableChoice::Any, RetainedSince::EVERYTHING).unwrap();
            assert_eq!((segments[0].range.from(), covers), (window.from(), window));
            plan(window, TableChoice::Any, recent).unwrap();
        }
    }

    #[test]
    fn thirty_days_are_a_few_segments() {
        use Resolution::{Day, FiveMinutes, Hour, Minute, Part, Raw, Unrolled};
        let resolutions = |from: i64, length: i64, kept| {
            let plan = plan(range(from, length), TableChoice::Any, kept).unwrap();
            plan.segments.iter().map(|segment| segment.resolution).collect::<Vec<_>>()
        };
        let ragged = 92 * MINUTE_MICROS + 1;
        assert_eq!(
            resolutions(ragged, 30 * DAY_MICROS, RetainedSince::EVERYTHING),
            [Raw, Minute, FiveMinutes, Hour, Day, Hour, FiveMinutes, Minute, Raw, Unrolled, Part]
        );
        assert_eq!(resolutions(0, 30 * DAY_MICROS, RetainedSince::EVERYTHING), [Day, Unrolled, Part]);
        let weeks = RetainedSince::days(Timestamp::from_micros(30 * DAY_MICROS), 7, 14, 400);
        assert_eq!(
            resolutions(ragged, 29 * DAY_MICROS, weeks),
            [Hour, Day, Hour, FiveMinutes, Minute, Raw, Unrolled, Part]
        );
    }

    #[test]
    fn where_five_minutes_are_not_complete_minutes_answer() {
        use Resolution::{FiveMinutes, Minute, Part, Unrolled};
        let today = Timestamp::from_micros(DAY_MICROS);
        let upgraded = RetainedSince { five_minutes: today, ..RetainedSince::EVERYTHING };
        let resolutions = |from: i64| {
            let tables = TableChoice::Aligned(FIVE_MINUTES_MICROS);
            let plan = plan(range(from, HOUR_MICROS), tables, upgraded).unwrap();
            plan.segments.iter().map(|segment| (segment.resolution, segment.range.from())).collect::<Vec<_>>()
        };
        let yesterday = Timestamp::from_micros(DAY_MICROS - 30 * MINUTE_MICROS);
        let both = [(Minute, yesterday), (FiveMinutes, today), (Unrolled, yesterday), (Part, yesterday)];
        assert_eq!(resolutions(yesterday.as_micros()), both);
        let start = Timestamp::from_micros(0);
        assert_eq!(resolutions(0), [(Minute, start), (Unrolled, start), (Part, start)]);
        assert_eq!(coarsest(FIVE_MINUTES_MICROS, upgraded), (FiveMinutes, RetainedSince::EVERYTHING.minutes));
    }
}

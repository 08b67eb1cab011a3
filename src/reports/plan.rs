//! Which table answers which stretch of a window. Pure: no database, no clock.
//!
//! Whole days come from the days, whole hours from the hours, whole five minutes from theirs, the rest from minutes, and the
//! ragged edges from raw rows. Beside them stand the parts of the same whole minutes that compaction has not merged yet:
//! every measurement is either in a part or in all levels of rollups. Where retention has removed what an edge needs, the
//! window is widened to the next coarser bucket that is kept, and the plan says which window it answers.

use crate::model::{
    Kept, TimeRange, Timestamp,
    timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
};

/// A table of measurements, by how finely it knows the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Single measurements.
    Raw,
    /// Sums and sketches per commit and minute, as long as they are not merged into the others.
    Part,
    /// Sums and sketches per minute.
    Minute,
    /// The same per five minutes: of a ragged hour, a dozen rows instead of sixty.
    FiveMinutes,
    /// The same per hour.
    Hour,
    /// The same per day.
    Day,
}

/// The rollups from coarse to fine. A window is cut along the first; what sticks out goes to the next, at last to raw.
const LADDER: [Resolution; 4] = [Resolution::Day, Resolution::Hour, Resolution::FiveMinutes, Resolution::Minute];

/// Windows shorter than this are read from raw rows: at most one minute of them could come from a rollup.
const RAW_BELOW_MICROS: i64 = 2 * MINUTE_MICROS;

impl Resolution {
    /// The table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw => "metric_event",
            Self::Part => "metric_rollup_part",
            Self::Minute => "metric_rollup_1m",
            Self::FiveMinutes => "metric_rollup_5m",
            Self::Hour => "metric_rollup_1h",
            Self::Day => "metric_rollup_1d",
        }
    }

    /// The column that places a row in time.
    pub const fn time_column(self) -> &'static str {
        match self {
            Self::Raw => "ts",
            Self::Part | Self::Minute | Self::FiveMinutes | Self::Hour | Self::Day => "bucket",
        }
    }

    /// How much time one row covers, in microseconds.
    pub const fn width_micros(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Part | Self::Minute => MINUTE_MICROS,
            Self::FiveMinutes => FIVE_MINUTES_MICROS,
            Self::Hour => HOUR_MICROS,
            Self::Day => DAY_MICROS,
        }
    }
}

/// A stretch of a window and the table that answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which table.
    pub resolution: Resolution,
    /// Which time; bounds are bucket bounds of the table.
    pub range: TimeRange,
}

/// Which tables may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// Rollups where they fit.
    Any,
    /// Rollups whose rows each lie in one bucket of this length in microseconds.
    Aligned(i64),
    /// Rollups up to hours, which say where to look among the raw rows.
    IntoRaw,
    /// Raw rows alone: the question has a condition that rollups cannot judge.
    RawOnly,
}

/// Which tables answer a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The window that is answered: the one asked for, unless retention has removed what its edges need.
    pub covers: TimeRange,
    /// The pieces of that window in order of time, without overlap or gap, and at last the parts that are still to be
    /// merged into those of them that are rollups.
    pub pieces: Vec<Piece>,
}

/// Cuts a window into pieces, or answers nothing where nothing of what may answer is kept any more.
pub fn plan(window: TimeRange, tables: Tables, kept: Kept) -> Option<Plan> {
    let ladder = match tables {
        Tables::Any => &LADDER[..],
        Tables::Aligned(width) => aligned(width),
        Tables::IntoRaw => &LADDER[1..],
        Tables::RawOnly => &[],
    };
    let covers = match tables {
        // Coarser rows would be in two buckets, so what only they hold is left out.
        Tables::Any | Tables::Aligned(_) => {
            let since = any_since(ladder, kept);
            widened(TimeRange::new(window.from().max(since), window.to()).ok()?, kept)
        }
        Tables::IntoRaw | Tables::RawOnly => TimeRange::new(window.from().max(kept.raw), window.to()).ok()?,
    };
    let is_short = covers.length_micros() < RAW_BELOW_MICROS;
    let ladder = if is_short && covers.from() >= kept.raw { &[] } else { ladder };
    let mut pieces = Vec::with_capacity(2 + 2 * ladder.len());
    cut((covers.from(), covers.to()), ladder, kept, &mut pieces);
    let rollups = || pieces.iter().filter(|piece| piece.resolution != Resolution::Raw).map(|piece| piece.range);
    if let (Some(first), Some(last)) = (rollups().next(), rollups().next_back()) {
        let parts = TimeRange::new(first.from(), last.to()).map(|range| Piece { resolution: Resolution::Part, range });
        pieces.extend(parts);
    }
    Some(Plan { covers, pieces })
}

/// The rollups whose rows each lie in one bucket of this length.
fn aligned(width_micros: i64) -> &'static [Resolution] {
    let fits = LADDER.iter().position(|resolution| width_micros % resolution.width_micros() == 0);
    &LADDER[fits.unwrap_or(LADDER.len())..]
}

/// The coarsest table that can answer buckets of this length, and from when on they can be answered.
pub fn coarsest(width_micros: i64, kept: Kept) -> (Resolution, Timestamp) {
    let ladder = aligned(width_micros);
    (ladder.first().copied().unwrap_or(Resolution::Raw), any_since(ladder, kept))
}

/// From when on one of these tables, or else the raw rows, is complete.
fn any_since(ladder: &[Resolution], kept: Kept) -> Timestamp {
    ladder.iter().map(|resolution| since(*resolution, kept)).min().unwrap_or(kept.raw)
}

/// From when on a table is complete.
pub const fn since(resolution: Resolution, kept: Kept) -> Timestamp {
    match resolution {
        Resolution::Raw => kept.raw,
        Resolution::Minute => kept.minutes,
        Resolution::FiveMinutes => kept.five_minutes,
        Resolution::Hour => kept.hours,
        Resolution::Day | Resolution::Part => Timestamp::from_micros(i64::MIN),
    }
}

/// The window with each end moved outward to where the finest table that is kept there can end.
fn widened(window: TimeRange, kept: Kept) -> TimeRange {
    let (from, to) = (window.from(), window.to());
    let from = from.floor(finest(from, kept).width_micros());
    let to = to.ceil(finest(to.plus_micros(-1), kept).width_micros());
    TimeRange::new(from, to).unwrap_or(window)
}

/// The finest table that still holds this moment.
fn finest(at: Timestamp, kept: Kept) -> Resolution {
    let finer = [(kept.raw, Resolution::Raw), (kept.minutes, Resolution::Minute), (kept.hours, Resolution::Hour)];
    finer.into_iter().find(|(since, _)| at >= *since).map_or(Resolution::Day, |(_, resolution)| resolution)
}

// What is kept begins with a day. So all of a ragged edge, which is shorter than a day, is kept alike, and after widening
// none of it needs a finer table than there is. Before five minutes are complete, minutes are.
fn cut((from, to): (Timestamp, Timestamp), ladder: &[Resolution], kept: Kept, pieces: &mut Vec<Piece>) {
    // An edge of no length is no piece.
    let Ok(range) = TimeRange::new(from, to) else { return };
    let Some((&resolution, finer)) = ladder.split_first() else {
        pieces.push(Piece { resolution: Resolution::Raw, range });
        return;
    };
    let width = resolution.width_micros();
    match TimeRange::new(from.max(since(resolution, kept)).ceil(width), to.floor(width)) {
        Ok(range) => {
            cut((from, range.from()), finer, kept, pieces);
            pieces.push(Piece { resolution, range });
            cut((range.to(), to), finer, kept, pieces);
        }
        Err(_) => cut((from, to), finer, kept, pieces),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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

    fn kept() -> impl Strategy<Value = Kept> {
        let day = |day: i64| Timestamp::from_micros(day * DAY_MICROS);
        prop_oneof![
            1 => Just(Kept::EVERYTHING),
            3 => (-40..40_i64, 0..30_i64, 0..30_i64, 0..60_i64).prop_map(move |(raw, minutes, hours, later)| Kept {
                raw: day(raw),
                minutes: day(raw - minutes),
                five_minutes: day(raw - minutes + later),
                hours: day(raw - minutes - hours),
            }),
        ]
    }

    fn tables() -> impl Strategy<Value = Tables> {
        let widths = prop_oneof![
            1..3 * DAY_MICROS,
            (1..10_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
            (1..200_i64).prop_map(|hours| hours * HOUR_MICROS),
            (1..10_i64).prop_map(|days| days * DAY_MICROS),
        ];
        prop_oneof![Just(Tables::Any), Just(Tables::IntoRaw), Just(Tables::RawOnly), widths.prop_map(Tables::Aligned),]
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
            let Some(Plan { covers, pieces: all }) = plan(window, tables, kept) else {
                let needed = if let Tables::Aligned(width) = tables { coarsest(width, kept).1 } else { kept.raw };
                prop_assert!(tables != Tables::Any && window.to() <= needed);
                return Ok(());
            };
            let (parts, pieces): (Vec<Piece>, Vec<Piece>) =
                all.iter().partition(|piece| piece.resolution == Resolution::Part);
            prop_assert!(pieces.len() <= 9);
            prop_assert_eq!(pieces[0].range.from(), covers.from());
            prop_assert_eq!(pieces[pieces.len() - 1].range.to(), covers.to());
            for pair in pieces.windows(2) {
                prop_assert_eq!(pair[0].range.to(), pair[1].range.from());
                prop_assert_ne!(pair[0].resolution, pair[1].resolution);
            }
            for Piece { resolution, range } in &pieces {
                let (from, to, width) = (range.from(), range.to(), resolution.width_micros());
                prop_assert_eq!((from.floor(width), to.floor(width)), (from, to), "bounds are bucket bounds");
                prop_assert!(from >= since(*resolution, kept), "{:?} is not kept in {:?}", resolution, range);
                let answered = covers.to().as_micros() - covers.from().as_micros();
                let is_short = answered < RAW_BELOW_MICROS || tables == Tables::RawOnly;
                let fits = |coarser: Resolution| match tables {
                    Tables::Aligned(bucket) => bucket % coarser.width_micros() == 0,
                    Tables::IntoRaw => coarser != Resolution::Day,
                    Tables::Any | Tables::RawOnly => true,
                };
                if let Tables::Aligned(bucket) = tables {
                    prop_assert_eq!(bucket % width, 0, "no row lies in two buckets");
                }
                let is_there = |one: Resolution| one != Resolution::FiveMinutes || from >= since(one, kept);
                let coarser =
                    LADDER.iter().rev().find(|one| one.width_micros() > width && fits(**one) && is_there(**one));
                let coarser = coarser.map_or(i64::MAX, |one| one.width_micros());
                prop_assert!(is_short || to.as_micros() - from.as_micros() < coarser.saturating_mul(2), "coarse where it fits");
            }
            // The parts stand beside all that is rolled up, and beside nothing else.
            let rollups: Vec<_> = pieces.iter().filter(|piece| piece.resolution != Resolution::Raw).collect();
            let spanned = rollups.first().map(|first| (first.range.from(), rollups[rollups.len() - 1].range.to()));
            prop_assert_eq!(parts.first().map(|piece| (piece.range.from(), piece.range.to())), spanned);
            prop_assert!(parts.len() <= 1);

            if let Tables::Any | Tables::Aligned(_) = tables {
                let needed = if let Tables::Aligned(width) = tables { coarsest(width, kept).1 } else { window.from() };
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
                prop_assert!(pieces.iter().all(|piece| piece.resolution != Resolution::Day));
            }
        }

        #[test]
        fn raw_only_is_one_raw_piece(from in from(), length in length()) {
            let window = range(from, length);
            let raw = Piece { resolution: Resolution::Raw, range: window };
            let planned = plan(window, Tables::RawOnly, Kept::EVERYTHING);
            prop_assert_eq!(planned, Some(Plan { covers: window, pieces: vec![raw] }));
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let recent = Kept::days(Timestamp::from_millis(1_790_000_000_000), 7, 14, 400);
        for (from, to) in [
            (i64::MIN, i64::MAX),
            (i64::MIN, i64::MIN + 1),
            (i64::MAX - 1, i64::MAX),
            (i64::MIN, i64::MIN + RAW_BELOW_MICROS),
            (i64::MAX - RAW_BELOW_MICROS, i64::MAX),
        ] {
            let window = TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(to)).unwrap();
            let Plan { covers, pieces } = plan(window, Tables::Any, Kept::EVERYTHING).unwrap();
            assert_eq!((pieces[0].range.from(), covers), (window.from(), window));
            plan(window, Tables::Any, recent).unwrap();
        }
    }

    #[test]
    fn thirty_days_are_a_few_stretches() {
        use Resolution::{Day, FiveMinutes, Hour, Minute, Part, Raw};
        let resolutions = |from: i64, length: i64, kept| {
            let plan = plan(range(from, length), Tables::Any, kept).unwrap();
            plan.pieces.iter().map(|piece| piece.resolution).collect::<Vec<_>>()
        };
        let ragged = 92 * MINUTE_MICROS + 1;
        assert_eq!(
            resolutions(ragged, 30 * DAY_MICROS, Kept::EVERYTHING),
            [Raw, Minute, FiveMinutes, Hour, Day, Hour, FiveMinutes, Minute, Raw, Part]
        );
        assert_eq!(resolutions(0, 30 * DAY_MICROS, Kept::EVERYTHING), [Day, Part]);
        let weeks = Kept::days(Timestamp::from_micros(30 * DAY_MICROS), 7, 14, 400);
        assert_eq!(resolutions(ragged, 29 * DAY_MICROS, weeks), [Hour, Day, Hour, FiveMinutes, Minute, Raw, Part]);
    }

    #[test]
    fn where_five_minutes_are_not_complete_minutes_answer() {
        use Resolution::{FiveMinutes, Minute, Part};
        let today = Timestamp::from_micros(DAY_MICROS);
        let upgraded = Kept { five_minutes: today, ..Kept::EVERYTHING };
        let resolutions = |from: i64| {
            let tables = Tables::Aligned(FIVE_MINUTES_MICROS);
            let plan = plan(range(from, HOUR_MICROS), tables, upgraded).unwrap();
            plan.pieces.iter().map(|piece| (piece.resolution, piece.range.from())).collect::<Vec<_>>()
        };
        let yesterday = Timestamp::from_micros(DAY_MICROS - 30 * MINUTE_MICROS);
        let both = [(Minute, yesterday), (FiveMinutes, today), (Part, yesterday)];
        assert_eq!(resolutions(yesterday.as_micros()), both);
        assert_eq!(resolutions(0), [(Minute, Timestamp::from_micros(0)), (Part, Timestamp::from_micros(0))]);
        assert_eq!(coarsest(FIVE_MINUTES_MICROS, upgraded), (FiveMinutes, Kept::EVERYTHING.minutes));
    }
}

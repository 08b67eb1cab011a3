//! Which table answers which stretch of a window. Pure: no database, no clock.
//!
//! Whole buckets come from rollups, the coarsest that fit; the ragged edges come from raw rows.

use crate::model::{TimeRange, Timestamp, timestamp::MINUTE_MICROS};

/// A table of measurements, by how finely it knows the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Single measurements.
    Raw,
    /// Sums and sketches per minute.
    Minute,
}

/// The rollups from coarse to fine. A window is cut along the first; what sticks out goes to the next, at last to raw.
const LADDER: [Resolution; 1] = [Resolution::Minute];

/// Windows shorter than this are read from raw rows: at most one minute of them could come from a rollup.
const RAW_BELOW_MICROS: i64 = 2 * MINUTE_MICROS;

impl Resolution {
    /// The table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw => "metric_event",
            Self::Minute => "metric_rollup_1m",
        }
    }

    /// The column that places a row in time.
    pub const fn time_column(self) -> &'static str {
        match self {
            Self::Raw => "ts",
            Self::Minute => "bucket",
        }
    }

    /// How much time one row covers, in microseconds.
    pub const fn width_micros(self) -> i64 {
        match self {
            Self::Raw => 1,
            Self::Minute => MINUTE_MICROS,
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
    /// Raw rows alone: the question has a condition that rollups cannot judge.
    RawOnly,
}

/// Cuts a window into pieces in order of time that neither overlap nor leave a gap.
pub fn plan(window: TimeRange, tables: Tables) -> Vec<Piece> {
    let is_short = window.to().as_micros().saturating_sub(window.from().as_micros()) < RAW_BELOW_MICROS;
    let ladder: &[Resolution] = if is_short || tables == Tables::RawOnly { &[] } else { &LADDER };
    let mut pieces = Vec::with_capacity(1 + 2 * ladder.len());
    cut(window.from(), window.to(), ladder, &mut pieces);
    pieces
}

fn cut(from: Timestamp, to: Timestamp, ladder: &[Resolution], pieces: &mut Vec<Piece>) {
    // An edge of no length is no piece.
    let Ok(range) = TimeRange::new(from, to) else { return };
    let Some((&resolution, finer)) = ladder.split_first() else {
        pieces.push(Piece { resolution: Resolution::Raw, range });
        return;
    };
    let width = resolution.width_micros();
    match TimeRange::new(from.ceil(width), to.floor(width)) {
        Ok(range) => {
            cut(from, range.from(), finer, pieces);
            pieces.push(Piece { resolution, range });
            cut(range.to(), to, finer, pieces);
        }
        Err(_) => cut(from, to, finer, pieces),
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

    fn length() -> impl Strategy<Value = i64> {
        prop_oneof![
            1..10_i64,
            1..4 * MINUTE_MICROS,
            (1..5_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
            1..3_000_000_000_000_000_i64,
        ]
    }

    proptest! {
        #[test]
        fn pieces_are_ordered_disjoint_and_cover_exactly_the_window(
            from in prop_oneof![
                -4_000_000_000_000_000..4_000_000_000_000_000_i64,
                (-1_000_000..1_000_000_i64).prop_map(|minutes| minutes * MINUTE_MICROS),
            ],
            length in length(),
        ) {
            let window = range(from, length);
            let pieces = plan(window, Tables::Any);
            prop_assert!(pieces.len() <= 3);
            prop_assert_eq!(pieces[0].range.from(), window.from());
            prop_assert_eq!(pieces[pieces.len() - 1].range.to(), window.to());
            for pair in pieces.windows(2) {
                prop_assert_eq!(pair[0].range.to(), pair[1].range.from());
                prop_assert_ne!(pair[0].resolution, pair[1].resolution);
            }
            for piece in &pieces {
                let (from, to, width) =
                    (piece.range.from(), piece.range.to(), piece.resolution.width_micros());
                prop_assert_eq!((from.floor(width), to.floor(width)), (from, to), "bounds are bucket bounds");
                if piece.resolution == Resolution::Raw && length >= RAW_BELOW_MICROS {
                    prop_assert!(to.as_micros() - from.as_micros() < MINUTE_MICROS, "raw only at the edges");
                }
            }
            prop_assert!(length >= RAW_BELOW_MICROS || pieces.iter().all(|piece| piece.resolution == Resolution::Raw));
        }

        #[test]
        fn raw_only_is_one_raw_piece(from in any::<i32>(), length in length()) {
            let window = range(from.into(), length);
            prop_assert_eq!(
                plan(window, Tables::RawOnly),
                vec![Piece { resolution: Resolution::Raw, range: window }]
            );
        }
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for (from, to) in [
            (i64::MIN, i64::MAX),
            (i64::MIN, i64::MIN + 1),
            (i64::MAX - 1, i64::MAX),
            (i64::MIN, i64::MIN + RAW_BELOW_MICROS),
            (i64::MAX - RAW_BELOW_MICROS, i64::MAX),
        ] {
            let window = TimeRange::new(Timestamp::from_micros(from), Timestamp::from_micros(to)).unwrap();
            let pieces = plan(window, Tables::Any);
            assert_eq!(pieces[0].range.from(), window.from());
            assert_eq!(pieces[pieces.len() - 1].range.to(), window.to());
        }
    }
}

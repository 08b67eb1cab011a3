//! The tables of measurements, by their resolution in time.

use crate::model::{
    Grain,
    timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
};

/// A table of measurements, by its resolution in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// Single measurements.
    Raw,
    /// Single measurements of series that have no rollups as fine as the plan reads.
    Unrolled,
    /// Tallies per commit and bucket of the finest rollups of a series, until compaction merges them into the rollups.
    Part,
    /// Tallies per minute.
    Minute,
    /// Tallies per five minutes: a partial hour takes a dozen rows instead of sixty.
    FiveMinutes,
    /// Tallies per hour.
    Hour,
    /// Tallies per day.
    Day,
    /// Tallies per hour, status, release and name.
    BreakdownHour,
    /// Tallies per day, status, release and name.
    BreakdownDay,
    /// Single measurements of hours and days without such tallies.
    NotBrokenDown,
}

impl Resolution {
    /// The name of the table.
    pub const fn table(self) -> &'static str {
        match self {
            Self::Raw | Self::Unrolled | Self::NotBrokenDown => "metric_event",
            Self::Part => "metric_rollup_part",
            Self::Minute => "metric_rollup_1m",
            Self::FiveMinutes => "metric_rollup_5m",
            Self::Hour => "metric_rollup_1h",
            Self::Day => "metric_rollup_1d",
            Self::BreakdownHour => "metric_breakdown_1h",
            Self::BreakdownDay => "metric_breakdown_1d",
        }
    }

    /// The column with the time of a row.
    pub const fn time_column(self) -> &'static str {
        match self {
            Self::Raw | Self::Unrolled | Self::NotBrokenDown => "ts",
            Self::Part
            | Self::Minute
            | Self::FiveMinutes
            | Self::Hour
            | Self::Day
            | Self::BreakdownHour
            | Self::BreakdownDay => "bucket",
        }
    }

    /// True for tables of single measurements.
    pub const fn is_raw(self) -> bool {
        matches!(self, Self::Raw | Self::Unrolled | Self::NotBrokenDown)
    }

    /// True for tables of breakdowns.
    pub const fn is_breakdown(self) -> bool {
        matches!(self, Self::BreakdownHour | Self::BreakdownDay)
    }

    /// The coarsest grain that still has rows of this table; `None` for tables that do not depend on it.
    pub const fn grain(self) -> Option<Grain> {
        match self {
            Self::Raw
            | Self::Unrolled
            | Self::Part
            | Self::BreakdownHour
            | Self::BreakdownDay
            | Self::NotBrokenDown => None,
            Self::Minute => Some(Grain::Minute),
            Self::FiveMinutes => Some(Grain::FiveMinutes),
            Self::Hour => Some(Grain::Hour),
            Self::Day => Some(Grain::Day),
        }
    }

    /// The time that one row covers, in microseconds. A part may cover more, up to the finest rollups of its series.
    pub const fn width_micros(self) -> i64 {
        match self {
            Self::Raw | Self::Unrolled | Self::NotBrokenDown => 1,
            Self::Part | Self::Minute => MINUTE_MICROS,
            Self::FiveMinutes => FIVE_MINUTES_MICROS,
            Self::Hour | Self::BreakdownHour => HOUR_MICROS,
            Self::Day | Self::BreakdownDay => DAY_MICROS,
        }
    }
}

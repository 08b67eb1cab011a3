//! The time from which each resolution of the measurements is complete. Before it, retention may have removed rows, or rows
//! were compacted before the resolution existed.

use super::{Detail, Timestamp, timestamp::DAY_MICROS};

/// The first moment that each resolution retains, always the start of a day. Daily rollups are retained forever.
///
/// Moves back only where a wrong clock put it into the future. A finer resolution is never retained longer than a coarser one, except that rollups per five minutes may
/// begin later than rollups per minute, which then replace them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetainedSince {
    /// Single measurements.
    pub raw: Timestamp,
    /// Rollups per minute.
    pub minutes: Timestamp,
    /// Rollups per five minutes.
    pub five_minutes: Timestamp,
    /// Rollups per hour.
    pub hours: Timestamp,
    /// Days from this one on may have breakdowns. It does not move.
    pub breakdowns: Timestamp,
    /// Days from this one on keep breakdowns by one column when their single measurements are removed, those of hours as long as
    /// rollups per hour. It does not move.
    pub kept_breakdowns: Timestamp,
}

impl RetainedSince {
    /// Nothing was removed.
    pub const EVERYTHING: Self = {
        let start = Timestamp::from_micros(i64::MIN);
        Self {
            raw: start,
            minutes: start,
            five_minutes: start,
            hours: start,
            breakdowns: start,
            kept_breakdowns: start,
        }
    };

    /// The retention at `now`, in days per resolution. Five minutes are retained as long as minutes.
    pub fn days(now: Timestamp, raw: u32, minutes: u32, hours: u32) -> Self {
        let since = |days: u32| now.plus_micros(-i64::from(days) * DAY_MICROS).floor(DAY_MICROS);
        Self {
            raw: since(raw),
            minutes: since(minutes),
            five_minutes: since(minutes),
            hours: since(hours),
            ..Self::EVERYTHING
        }
    }

    /// The same time for every resolution.
    pub const fn since(time: Timestamp) -> Self {
        Self { raw: time, minutes: time, five_minutes: time, hours: time, ..Self::EVERYTHING }
    }

    /// True if a resolution begins after `now`. Rollups per five minutes do so for a day or two after they are introduced.
    pub fn is_after(&self, now: Timestamp) -> bool {
        self.raw > now || self.minutes > now || self.hours > now
    }

    /// The retention of breakdowns by these columns: `breakdowns` is where those of days begin, and there is nothing finer than
    /// hours but single measurements.
    #[must_use]
    pub fn of_breakdowns(self, detail: Detail) -> Self {
        let breakdowns = if detail.is_one_column() && self.kept_breakdowns < self.raw {
            self.kept_breakdowns
        } else {
            self.breakdowns.max(self.raw)
        };
        Self { minutes: self.raw, five_minutes: self.raw, breakdowns, ..self }
    }

    /// The earlier time for each resolution.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self {
            raw: self.raw.min(other.raw),
            minutes: self.minutes.min(other.minutes),
            five_minutes: self.five_minutes.min(other.five_minutes),
            hours: self.hours.min(other.hours),
            breakdowns: self.breakdowns.min(other.breakdowns),
            kept_breakdowns: self.kept_breakdowns.min(other.kept_breakdowns),
        }
    }

    /// The later time for each resolution: removed rows do not return when a setting is raised.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self {
            raw: self.raw.max(other.raw),
            minutes: self.minutes.max(other.minutes),
            five_minutes: self.five_minutes.max(other.five_minutes),
            hours: self.hours.max(other.hours),
            breakdowns: self.breakdowns.max(other.breakdowns),
            kept_breakdowns: self.kept_breakdowns.max(other.kept_breakdowns),
        }
    }
}

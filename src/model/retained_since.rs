//! The time from which each resolution of the measurements is complete. Before it, retention may have removed rows, or rows
//! were compacted before the resolution existed.

use super::{Timestamp, timestamp::DAY_MICROS};

/// The first moment that each resolution retains, always the start of a day. Daily rollups are retained forever.
///
/// Never moves back. A finer resolution is never retained longer than a coarser one, except that rollups per five minutes may
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
}

impl RetainedSince {
    /// Nothing was removed.
    pub const EVERYTHING: Self = {
        let start = Timestamp::from_micros(i64::MIN);
        Self { raw: start, minutes: start, five_minutes: start, hours: start }
    };

    /// The retention at `now`, in days per resolution. Five minutes are retained as long as minutes.
    pub fn days(now: Timestamp, raw: u32, minutes: u32, hours: u32) -> Self {
        let since = |days: u32| now.plus_micros(-i64::from(days) * DAY_MICROS).floor(DAY_MICROS);
        Self { raw: since(raw), minutes: since(minutes), five_minutes: since(minutes), hours: since(hours) }
    }

    /// The later time for each resolution: removed rows do not return when a setting is raised.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self {
            raw: self.raw.max(other.raw),
            minutes: self.minutes.max(other.minutes),
            five_minutes: self.five_minutes.max(other.five_minutes),
            hours: self.hours.max(other.hours),
        }
    }
}

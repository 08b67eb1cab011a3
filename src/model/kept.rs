//! From when on each resolution of the measurements is complete. What lies before, retention may have removed.

use super::{Timestamp, timestamp::DAY_MICROS};

/// The first moment that each resolution still holds, always the start of a day. Days are kept for ever.
///
/// Never moves back, and a finer resolution is never kept longer than a coarser one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Single measurements.
    pub raw: Timestamp,
    /// Rollups per minute.
    pub minutes: Timestamp,
    /// Rollups per hour.
    pub hours: Timestamp,
}

impl Kept {
    /// Nothing was ever removed.
    pub const EVERYTHING: Self = {
        let start = Timestamp::from_micros(i64::MIN);
        Self { raw: start, minutes: start, hours: start }
    };

    /// What is kept `now` of each, in days.
    pub fn days(now: Timestamp, raw: u32, minutes: u32, hours: u32) -> Self {
        let since = |days: u32| now.plus_micros(-i64::from(days) * DAY_MICROS).floor(DAY_MICROS);
        Self { raw: since(raw), minutes: since(minutes), hours: since(hours) }
    }

    /// The later of both, each resolution by itself: what was removed does not come back when a setting is raised.
    #[must_use]
    pub fn later(self, other: Self) -> Self {
        Self {
            raw: self.raw.max(other.raw),
            minutes: self.minutes.max(other.minutes),
            hours: self.hours.max(other.hours),
        }
    }
}

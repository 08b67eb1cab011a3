//! From when on each resolution of the measurements is complete. What lies before, retention may have removed, or it was
//! merged before there was this resolution.

use super::{Timestamp, timestamp::DAY_MICROS};

/// The first moment that each resolution still holds, always the start of a day. Days are kept for ever.
///
/// Never moves back. A finer resolution is never kept longer than a coarser one, but where five minutes begin later than
/// minutes, minutes answer for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Single measurements.
    pub raw: Timestamp,
    /// Rollups per minute.
    pub minutes: Timestamp,
    /// Rollups per five minutes.
    pub five_minutes: Timestamp,
    /// Rollups per hour.
    pub hours: Timestamp,
}

impl Kept {
    /// Nothing was ever removed.
    pub const EVERYTHING: Self = {
        let start = Timestamp::from_micros(i64::MIN);
        Self { raw: start, minutes: start, five_minutes: start, hours: start }
    };

    /// What is kept `now` of each, in days; of five minutes as much as of minutes.
    pub fn days(now: Timestamp, raw: u32, minutes: u32, hours: u32) -> Self {
        let since = |days: u32| now.plus_micros(-i64::from(days) * DAY_MICROS).floor(DAY_MICROS);
        Self { raw: since(raw), minutes: since(minutes), five_minutes: since(minutes), hours: since(hours) }
    }

    /// The later of both, each resolution by itself: what was removed does not come back when a setting is raised.
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

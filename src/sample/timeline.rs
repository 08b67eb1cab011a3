//! The span of the sample data.

use crate::model::{Timestamp, timestamp::MINUTE_MICROS};

/// A span of time, with moments given as shares of it.
#[derive(Clone, Copy, Debug)]
pub struct Timeline {
    from: Timestamp,
    until: Timestamp,
}

impl Timeline {
    /// The span of this length that ends at `until`.
    pub const fn before(until: Timestamp, micros: i64) -> Self {
        Self { from: until.plus_micros(-micros), until }
    }

    /// An empty span: everything that happens in it has happened, so the latest releases run from `now` on.
    pub const fn over(now: Timestamp) -> Self {
        Self { from: now, until: now }
    }

    /// The start.
    pub const fn from(self) -> Timestamp {
        self.from
    }

    /// The end.
    pub const fn until(self) -> Timestamp {
        self.until
    }

    /// The moment after this share of the span, at the start of a minute, because comparisons of releases read whole minutes.
    pub fn at(self, share: f64) -> Timestamp {
        let micros = self.until.as_micros() - self.from.as_micros();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share of a span of days")]
        let after = (micros as f64 * share) as i64;
        self.from.plus_micros(after).floor(MINUTE_MICROS)
    }
}

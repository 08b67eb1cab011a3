//! Amounts of sample data.

use crate::model::timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS};

/// The amount of sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 20 people an organization and a day of metrics: enough to look around.
    Small,
    /// 200 people an organization and a million metrics.
    Medium,
    /// 1,000 people an organization and 10 million metrics: enough to measure with.
    Large,
    /// 1,000 people an organization and 100 million metrics: enough to plan a large installation with.
    Huge,
}

impl Size {
    /// Employees of each organization.
    pub const fn employees(self) -> usize {
        match self {
            Self::Small => 20,
            Self::Medium => 200,
            Self::Large | Self::Huge => 1_000,
        }
    }

    /// Metrics, approximately.
    pub const fn rows(self) -> u64 {
        match self {
            Self::Small => 20_000,
            Self::Medium => 1_000_000,
            Self::Large => 10_000_000,
            Self::Huge => 100_000_000,
        }
    }

    /// The time that the metrics span, inside the ingest window of seven days.
    pub const fn span_micros(self) -> i64 {
        match self {
            Self::Small => DAY_MICROS,
            // The same days, so that what ten times as many measurements cost can be compared.
            Self::Medium | Self::Large | Self::Huge => 6 * DAY_MICROS,
        }
    }

    /// The time whose metrics are generated at once: at most 100,000. They fit in memory, and reach the database about in the
    /// order in which they happened.
    pub const fn chunk_micros(self) -> i64 {
        match self {
            Self::Small => DAY_MICROS,
            Self::Medium | Self::Large => HOUR_MICROS,
            Self::Huge => 6 * MINUTE_MICROS,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_of_any_size_fits_in_memory_and_the_span_in_the_ingest_window() {
        for size in [Size::Small, Size::Medium, Size::Large, Size::Huge] {
            let chunks = size.span_micros() / size.chunk_micros();
            assert!(size.rows() / u64::try_from(chunks).unwrap() <= 100_000, "{size:?}");
            assert!(size.span_micros() < 7 * DAY_MICROS, "{size:?}");
        }
    }
}

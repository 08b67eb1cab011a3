//! Amounts of sample data.

use crate::model::timestamp::{DAY_MICROS, HOUR_MICROS};

/// The amount of sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 20 people an organization and a day of metrics: enough to look around.
    Small,
    /// 200 people an organization and about a million metrics.
    Medium,
    /// 1,000 people an organization and 10 million metrics: enough to measure with.
    Large,
}

impl Size {
    /// Employees of each organization.
    pub const fn employees(self) -> usize {
        match self {
            Self::Small => 20,
            Self::Medium => 200,
            Self::Large => 1_000,
        }
    }

    /// Metrics, approximately.
    pub const fn rows(self) -> u64 {
        match self {
            Self::Small => 20_000,
            Self::Medium => 1_000_000,
            Self::Large => 10_000_000,
        }
    }

    /// The time that the metrics span, inside the ingest window of seven days.
    pub const fn span_micros(self) -> i64 {
        match self {
            Self::Small => DAY_MICROS,
            // The same days, so that what ten times as many measurements cost can be compared.
            Self::Medium | Self::Large => 6 * DAY_MICROS,
        }
    }

    /// The time whose metrics are generated at once. Short, so that they fit in memory and reach the database about in the
    /// order in which they happened.
    pub const fn chunk_micros(self) -> i64 {
        match self {
            Self::Small => DAY_MICROS,
            Self::Medium | Self::Large => HOUR_MICROS,
        }
    }
}

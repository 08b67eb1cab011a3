//! Metric types with their units, and the measurement as it travels from a door to the database.

use super::{Key, MetricId, ProjectId, Timestamp};

/// What a measurement is about. Closed on purpose: a type carries its unit and its good direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricType {
    /// Time until a page is usable, in milliseconds.
    PageLoad,
    /// Time until an API answered, in milliseconds.
    ApiResponse,
    /// Time that a database took, in milliseconds.
    Database,
    /// Share of cache lookups that hit, in percent; higher is better.
    CacheHit,
    /// Anything else; the unit is the sender's.
    Custom,
}

impl MetricType {
    /// Every type, in the order of [`Self::code`].
    pub const ALL: [Self; 5] = [Self::PageLoad, Self::ApiResponse, Self::Database, Self::CacheHit, Self::Custom];

    /// The types that measure a duration, in milliseconds.
    pub const DURATIONS: [Self; 3] = [Self::PageLoad, Self::ApiResponse, Self::Database];

    /// The number stored in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::PageLoad => 0,
            Self::ApiResponse => 1,
            Self::Database => 2,
            Self::CacheHit => 3,
            Self::Custom => 4,
        }
    }

    /// The type behind a stored number.
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| Self::ALL.get(index)).copied()
    }

    /// The name in every format that clients send.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageLoad => "PAGE_LOAD",
            Self::ApiResponse => "API_RESPONSE",
            Self::Database => "DATABASE",
            Self::CacheHit => "CACHE_HIT",
            Self::Custom => "CUSTOM",
        }
    }

    /// The type of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The unit of every value of this type.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::PageLoad | Self::ApiResponse | Self::Database => "ms",
            Self::CacheHit => "%",
            Self::Custom => "",
        }
    }

    /// The largest value that makes sense, if there is one.
    pub const fn value_max(self) -> Option<f64> {
        match self {
            Self::CacheHit => Some(100.0),
            _ => None,
        }
    }
}

/// One valid measurement: checked by `ingest::validate`, not yet stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What was measured.
    pub kind: MetricType,
    /// In the unit of the type; finite and not negative.
    pub value: f64,
    /// The route, page, query or cache that was measured.
    pub endpoint: String,
    /// HTTP status, or 0 where there is none.
    pub status: i16,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Which of several things of its endpoint was measured, such as `LCP`; empty for none.
    pub name: String,
    /// The version of the software that was running; empty where it is not known.
    pub release: String,
}

impl Measurement {
    /// Whether it says which thing or which release it is about.
    pub const fn is_tagged(&self) -> bool {
        !self.name.is_empty() || !self.release.is_empty()
    }
}

/// A measurement that is in the database, as streams carry it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedMetric {
    /// Its own id.
    pub id: MetricId,
    /// Where it was recorded.
    pub project: Key<ProjectId>,
    /// What was measured.
    pub measurement: Measurement,
    /// When the server took it in.
    pub received_at: Timestamp,
}

/// Where a recorded measurement stands: all that its primary key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    /// The project.
    pub project: Key<ProjectId>,
    /// The type.
    pub kind: MetricType,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Its own id.
    pub id: MetricId,
}

/// The lowest HTTP status that counts as an error in error rates.
pub const ERROR_STATUS_MIN: i16 = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip() {
        for kind in MetricType::ALL {
            assert_eq!(MetricType::from_code(kind.code()), Some(kind));
            assert_eq!(MetricType::named(kind.name()), Some(kind));
        }
        assert_eq!(MetricType::from_code(-1), None);
        assert_eq!(MetricType::from_code(5), None);
    }
}

//! Metric types with their units, and the measurement on its way from the ingest API to the database.

use super::{Key, Labels, MetricId, ProjectId, Timestamp, sketch::VALUE_MAX};

/// The direction in which values of a type get better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoodDirection {
    /// Lower values are better, as of durations.
    Lower,
    /// Higher values are better, as of hit rates.
    Higher,
}

/// The type of a measurement. A closed set, because a type determines the unit and the good direction of its values.
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
    /// A measurement in a unit of the sender.
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

    /// The type with a stored number; `None` for an unknown number.
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| Self::ALL.get(index)).copied()
    }

    /// The name in all formats of the ingest API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PageLoad => "PAGE_LOAD",
            Self::ApiResponse => "API_RESPONSE",
            Self::Database => "DATABASE",
            Self::CacheHit => "CACHE_HIT",
            Self::Custom => "CUSTOM",
        }
    }

    /// The type with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The unit of every value of this type; empty for [`Self::Custom`], whose unit only the sender knows.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::PageLoad | Self::ApiResponse | Self::Database => "ms",
            Self::CacheHit => "%",
            Self::Custom => "",
        }
    }

    /// The unit that values of several types share; `None` for types of different units, or without a type.
    pub fn common_unit(kinds: &[Self]) -> Option<&'static str> {
        let (first, others) = kinds.split_first()?;
        others.iter().all(|kind| kind.unit() == first.unit()).then(|| first.unit())
    }

    /// The direction in which values get better; `None` for [`Self::Custom`], about which only the sender knows.
    pub const fn good_direction(self) -> Option<GoodDirection> {
        match self {
            Self::PageLoad | Self::ApiResponse | Self::Database => Some(GoodDirection::Lower),
            Self::CacheHit => Some(GoodDirection::Higher),
            Self::Custom => None,
        }
    }

    /// The direction in which values of several types get better; `None` for types that differ or are not known.
    pub fn common_direction(kinds: &[Self]) -> Option<GoodDirection> {
        let (first, others) = kinds.split_first()?;
        first.good_direction().filter(|one| others.iter().all(|kind| kind.good_direction() == Some(*one)))
    }

    /// The largest value that is accepted.
    pub const fn value_max(self) -> f64 {
        match self {
            Self::CacheHit => 100.0,
            _ => VALUE_MAX,
        }
    }
}

/// One valid measurement: checked by `ingest::validate`, not yet stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// The metric type.
    pub kind: MetricType,
    /// The value in the unit of the type; finite and not negative.
    pub value: f64,
    /// The route, page, query or cache that was measured.
    pub endpoint: String,
    /// The HTTP status; 0 if there is none.
    pub status: i16,
    /// The time of the measurement.
    pub timestamp: Timestamp,
    /// The name of the measured quantity within its endpoint, such as `LCP`; empty if there is none.
    pub name: String,
    /// The release version of the software; empty if it is unknown.
    pub release: String,
    /// The labels.
    pub labels: Labels,
}

impl Measurement {
    /// True when the measurement has a name or a release.
    pub const fn is_tagged(&self) -> bool {
        !self.name.is_empty() || !self.release.is_empty()
    }
}

/// A measurement that is in the database, as streams push it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedMetric {
    /// The id of the measurement.
    pub id: MetricId,
    /// The project that it was recorded for.
    pub project: Key<ProjectId>,
    /// The measurement.
    pub measurement: Measurement,
    /// The time at which the server received it.
    pub received_at: Timestamp,
}

/// The primary key of a recorded measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MetricKey {
    /// The project.
    pub project: Key<ProjectId>,
    /// The type.
    pub kind: MetricType,
    /// The time of the measurement.
    pub timestamp: Timestamp,
    /// The id of the measurement.
    pub id: MetricId,
}

/// The lowest HTTP status that counts as an error.
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

    #[test]
    fn types_that_agree_share_a_unit_and_a_direction() {
        use MetricType::{ApiResponse, CacheHit, Custom, PageLoad};
        for (kinds, unit, direction) in [
            (&[][..], None, None),
            (&[PageLoad], Some("ms"), Some(GoodDirection::Lower)),
            (&MetricType::DURATIONS, Some("ms"), Some(GoodDirection::Lower)),
            (&[CacheHit, CacheHit], Some("%"), Some(GoodDirection::Higher)),
            (&[ApiResponse, CacheHit], None, None),
            (&[Custom], Some(""), None),
            (&[ApiResponse, Custom], None, None),
            (&MetricType::ALL, None, None),
        ] {
            assert_eq!(MetricType::common_unit(kinds), unit, "{kinds:?}");
            assert_eq!(MetricType::common_direction(kinds), direction, "{kinds:?}");
        }
    }
}

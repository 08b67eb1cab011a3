//! The question of a report: a set of measurements, as plain values. No SQL, no database.

use crate::model::{
    Detail, Key, MetricType, OrganizationId, ProjectId, TimeRange, Timestamp,
    filter::TextFilter,
    timestamp::{HOUR_MICROS, MINUTE_MICROS},
};

/// Windows until now of at least this length are aligned to whole minutes.
const WHOLE_MINUTES_FROM_MICROS: i64 = HOUR_MICROS;

/// The window used when a filter is left out: the last 24 hours.
const WINDOW_DEFAULT_MICROS: i64 = 24 * HOUR_MICROS;

/// The window of the last `micros` microseconds.
///
/// A window of one hour or more ends with the current minute and begins at a whole minute: its length is rounded up. "The
/// last day" does not mean its ends to the microsecond, and only raw rows know the parts of a minute: from rollups alone, an
/// answer costs little more when there are more measurements.
pub fn until_now(micros: i64, now: Timestamp) -> TimeRange {
    if micros < WHOLE_MINUTES_FROM_MICROS {
        return TimeRange::last(micros, now);
    }
    let end = now.ceil(MINUTE_MICROS);
    let from = end.plus_micros(-micros).floor(MINUTE_MICROS);
    TimeRange::new(from, end).unwrap_or_else(|_| TimeRange::last(micros, now))
}

/// A set of measurements. A measurement belongs to it when it meets all conditions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The window of time of the measurements.
    pub window: TimeRange,
    /// The projects of the measurements.
    pub projects: Projects,
    /// The metric types; an empty list means every type.
    pub kinds: Vec<MetricType>,
    /// A condition on the path of the endpoint.
    pub endpoint: Option<TextFilter>,
    /// A condition on the HTTP status. Rollups have no status, so such a question is answered from raw rows.
    pub status: Option<StatusFilter>,
    /// The names of the measurements, from raw rows. `""` matches measurements without a name; an empty list matches nothing.
    pub names: Option<Vec<String>>,
    /// The release versions of the measurements, from raw rows, with the same rules as `names`.
    pub releases: Option<Vec<String>>,
    /// Makes the distribution exact by reading single measurements: at most this many in one statement.
    pub exact: Option<u32>,
    /// A project and one of its release versions, from raw rows.
    pub release: Option<(Key<ProjectId>, String)>,
}

impl Question {
    /// All measurements of a window that the caller's scope reaches, except for the server's own.
    pub const fn over(window: TimeRange) -> Self {
        Self {
            window,
            projects: Projects::All,
            kinds: Vec::new(),
            endpoint: None,
            status: None,
            names: None,
            releases: None,
            exact: None,
            release: None,
        }
    }

    /// All measurements of the last 24 hours: the question of a report without a filter.
    pub fn recent(now: Timestamp) -> Self {
        Self::over(until_now(WINDOW_DEFAULT_MICROS, now))
    }

    /// The breakdowns that have the columns of conditions which not all rollups have, one for each.
    pub(super) fn details(&self) -> impl Iterator<Item = Detail> {
        let has_release = self.releases.is_some() || self.release.is_some();
        let columns = [
            (self.status.is_some(), Detail::Status),
            (has_release, Detail::Release),
            (self.names.is_some(), Detail::Name),
        ];
        columns.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, detail)| detail)
    }

    /// True when a condition is on a column that not all rollups have.
    pub(super) fn needs_breakdown(&self) -> bool {
        self.details().next().is_some()
    }

    /// The metric types asked for, each once.
    pub(super) fn kinds(&self) -> Vec<MetricType> {
        let mut kinds = self.kinds.clone();
        if kinds.is_empty() {
            kinds.extend(MetricType::ALL);
        }
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

/// The projects of a question. Projects outside of the caller's scope count as absent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Projects {
    /// Every project that the caller sees, except for those of the server's own organization, unless the caller sees no
    /// other one. With [`Question::release`], the project of the release.
    All,
    /// The projects of these organizations.
    Organizations(Vec<OrganizationId>),
    /// These projects.
    Keys(Vec<Key<ProjectId>>),
}

impl Projects {
    /// True when a project is one of them.
    pub(super) fn contains(&self, project: Key<ProjectId>) -> bool {
        match self {
            Self::All => true,
            Self::Organizations(ids) => ids.contains(&project.organization),
            Self::Keys(keys) => keys.contains(&project),
        }
    }

    /// Those of the projects that belong to these organizations.
    pub(super) fn of_organizations(&self, ids: Vec<OrganizationId>) -> Self {
        match self {
            Self::All => Self::Organizations(ids),
            Self::Organizations(own) => Self::Organizations(ids.into_iter().filter(|id| own.contains(id)).collect()),
            Self::Keys(keys) => {
                Self::Keys(keys.iter().filter(|key| ids.contains(&key.organization)).copied().collect())
            }
        }
    }
}

/// Conditions on the HTTP status; it is 0 for measurements without one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusFilter {
    /// Equal to.
    pub eq: Option<i32>,
    /// One of these; an empty list matches nothing.
    pub one_of: Option<Vec<i32>>,
    /// Greater than.
    pub gt: Option<i32>,
    /// Greater than or equal to.
    pub gte: Option<i32>,
    /// Less than.
    pub lt: Option<i32>,
    /// Less than or equal to.
    pub lte: Option<i32>,
}

/// The statistics that a report fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StatisticsNeeded {
    /// Count, errors, sum, minimum and maximum: added up in the database, which returns one row per group.
    Scalars,
    /// Those and percentiles: the sketch of every rollup row is fetched and merged here.
    Percentiles,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_until_now_have_the_length_asked_for_and_end_with_the_current_minute(
            now in any::<i64>(),
            micros in prop_oneof![1..=3 * HOUR_MICROS, (1..=100_i64).prop_map(|hours| hours * HOUR_MICROS), 1..=i64::MAX],
        ) {
            let now = Timestamp::from_micros(now);
            let window = until_now(micros, now);
            let (from, to) = (window.from().as_micros(), window.to().as_micros());
            if micros < HOUR_MICROS {
                prop_assert_eq!(window, TimeRange::last(micros, now));
            } else if (i64::MIN / 2..i64::MAX / 2).contains(&now.as_micros()) && micros < i64::MAX / 4 {
                prop_assert_eq!((from % MINUTE_MICROS, to % MINUTE_MICROS), (0, 0));
                prop_assert!((0..MINUTE_MICROS).contains(&(to - now.as_micros())), "the running minute is the last");
                prop_assert!((0..MINUTE_MICROS).contains(&(to - from - micros)), "and not a minute too long");
            }
        }
    }
}

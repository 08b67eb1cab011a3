//! What can be asked of the measurements. Plain values: no SQL, no database.

use crate::model::{
    Key, MetricType, OrganizationId, ProjectId, TimeRange, Timestamp,
    filter::TextFilter,
    timestamp::{HOUR_MICROS, MINUTE_MICROS},
};

/// Windows until now of so much time consist of whole minutes.
const WHOLE_MINUTES_FROM_MICROS: i64 = HOUR_MICROS;

/// The window of so many microseconds until now.
///
/// One of an hour or more ends with the minute that is running and begins with a minute: it is as long as asked for, rounded
/// up. Nobody who asks for "the last day" means its ends to the microsecond, and only single measurements know what is in a
/// part of a minute: without them an answer hardly costs more where there are more.
pub fn until_now(micros: i64, now: Timestamp) -> TimeRange {
    if micros < WHOLE_MINUTES_FROM_MICROS {
        return TimeRange::last(micros, now);
    }
    let end = now.ceil(MINUTE_MICROS);
    let from = end.plus_micros(-micros).floor(MINUTE_MICROS);
    TimeRange::new(from, end).unwrap_or_else(|_| TimeRange::last(micros, now))
}

/// A set of measurements. Conditions narrow each other: a measurement counts when it meets all of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// When they happened.
    pub window: TimeRange,
    /// Where they were recorded.
    pub projects: Projects,
    /// What they are about; none named means every type.
    pub kinds: Vec<MetricType>,
    /// Which endpoints they belong to.
    pub endpoint: Option<TextFilter>,
    /// Which status they carry. Rollups do not know it, so such a question is answered from raw rows.
    pub status: Option<StatusFilter>,
    /// Which names they carry, as `status`; `""` is that of measurements without one, and an empty list matches nothing.
    pub names: Option<Vec<String>>,
    /// Which releases they carry, as `names`.
    pub releases: Option<Vec<String>>,
    /// Percentiles and all else that hangs on the distribution are to be exact: from single measurements, at most so many
    /// in one statement.
    pub exact: Option<u32>,
    /// Which release of which project they carry, as `names`.
    pub release: Option<(Key<ProjectId>, String)>,
}

impl Question {
    /// Everything that was recorded in a window, as far as the caller's scope reaches.
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

    /// Whether a condition is one that rollups cannot judge.
    pub(super) const fn needs_raw(&self) -> bool {
        self.status.is_some() || self.names.is_some() || self.releases.is_some() || self.release.is_some()
    }

    /// The types asked for: the named ones once each, or all.
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

/// The projects that a question is about. What lies outside of the caller's scope is as good as not there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Projects {
    /// Every project that the caller sees.
    All,
    /// The projects of these organizations.
    Organizations(Vec<OrganizationId>),
    /// These projects.
    Keys(Vec<Key<ProjectId>>),
}

impl Projects {
    /// Whether a project is one of them.
    pub(super) fn contains(&self, project: Key<ProjectId>) -> bool {
        match self {
            Self::All => true,
            Self::Organizations(ids) => ids.contains(&project.organization),
            Self::Keys(keys) => keys.contains(&project),
        }
    }
}

/// Conditions on the HTTP status; measurements without one carry 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct StatusFilter {
    /// Is this.
    pub eq: Option<i32>,
    /// Is one of these; an empty list matches nothing.
    pub one_of: Option<Vec<i32>>,
    /// Is greater.
    pub gt: Option<i32>,
    /// Is greater or equal.
    pub gte: Option<i32>,
    /// Is less.
    pub lt: Option<i32>,
    /// Is less or equal.
    pub lte: Option<i32>,
}

/// How much of an answer is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Want {
    /// Count, errors, sum, minimum and maximum: added up in the database, one row comes back.
    Scalars,
    /// Those and percentiles: the sketch of every rollup cell is fetched and merged here.
    Percentiles,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn windows_until_now_are_as_long_as_asked_for_and_end_with_this_minute(
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

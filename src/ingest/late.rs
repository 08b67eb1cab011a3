//! Counts of measurements that were rejected as too old, by type and by the UTC day of the measurement. Pure.

use std::collections::BTreeMap;

use crate::model::{Key, MetricType, ProjectId, Timestamp, timestamp::DAY_MICROS};

/// Measurements older than this many days are counted under [`OLDEST_DAY`]. The bound keeps the table small: one call with
/// a different time in every row adds at most this many rows and two per type.
const DAYS_MAX: i64 = 400;

/// The day of all measurements older than [`DAYS_MAX`], such as those of a clock that was never set.
const OLDEST_DAY: Timestamp = Timestamp::from_micros(0);

/// Number of late measurements of one submission, by type and day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateCounts(BTreeMap<(MetricType, Timestamp), i64>);

impl LateCounts {
    /// Counts a measurement of time `happened` that was rejected at `now`.
    pub fn add(&mut self, kind: MetricType, happened: Timestamp, now: Timestamp) {
        let oldest = now.plus_micros(-DAYS_MAX * DAY_MICROS);
        let day = if happened < oldest { OLDEST_DAY } else { happened.floor(DAY_MICROS) };
        *self.0.entry((kind, day)).or_default() += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A row of the table `metric_late`, without its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRow {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    /// The start of the day.
    pub bucket: i64,
    pub n: i64,
}

/// The sum of the counts of several submissions, in the order of the table's key.
pub fn rows<'a>(submissions: impl IntoIterator<Item = (Key<ProjectId>, &'a LateCounts)>) -> Vec<LateRow> {
    let mut counts: BTreeMap<(Key<ProjectId>, i16, Timestamp), i64> = BTreeMap::new();
    for (project, late) in submissions {
        for ((kind, day), n) in &late.0 {
            *counts.entry((project, kind.code(), *day)).or_default() += n;
        }
    }
    let rows = counts.into_iter().map(|((project, kind, day), n)| LateRow {
        organization: project.organization.0,
        project: project.id.0,
        kind,
        bucket: day.as_micros(),
        n,
    });
    rows.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

    #[test]
    fn the_number_of_days_is_bounded() {
        let mut late = LateCounts::default();
        for days in 0..10_000 {
            late.add(MetricType::Custom, NOW.plus_micros(-days * DAY_MICROS), NOW);
        }
        late.add(MetricType::Custom, Timestamp::from_micros(i64::MIN), NOW);
        late.add(MetricType::Database, NOW, NOW);
        assert_eq!(late.0.len(), 1 + 1 + 401);
        assert_eq!(late.0[&(MetricType::Custom, OLDEST_DAY)], 10_000 - 401 + 1);
        assert_eq!(late.0[&(MetricType::Database, NOW.floor(DAY_MICROS))], 1);
    }
}

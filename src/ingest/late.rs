//! What comes too late is refused, and counted: by its type and by the UTC day on which it happened. Pure.

use std::collections::BTreeMap;

use super::group::Entry;
use crate::model::{Key, MetricType, ProjectId, Timestamp, timestamp::DAY_MICROS};

/// What happened longer ago than so many days is counted on [`FIRST_DAY`]: without that bound one call with a time of its own
/// in every row would leave a row of the table for each of them, with it at most this many and two for each type.
const DAYS_MAX: i64 = 400;

/// The day of what happened too long ago to have a day of its own. Clocks that were never set show it, too.
const FIRST_DAY: Timestamp = Timestamp::from_micros(0);

/// How many measurements of one submission came too late.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Late(BTreeMap<(MetricType, Timestamp), i64>);

impl Late {
    /// Counts a measurement that was refused `now`.
    pub fn note(&mut self, kind: MetricType, happened: Timestamp, now: Timestamp) {
        let oldest = now.plus_micros(-DAYS_MAX * DAY_MICROS);
        let day = if happened < oldest { FIRST_DAY } else { happened.floor(DAY_MICROS) };
        *self.0.entry((kind, day)).or_default() += 1;
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A row of the table, without its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LateRow {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    /// The start of the day.
    pub bucket: i64,
    pub n: i64,
}

/// What came too late in all of these together, in the order of the table.
pub fn rows<'a, 'j: 'a>(entries: impl IntoIterator<Item = &'a Entry<'j>>) -> Vec<LateRow> {
    let mut counts: BTreeMap<(Key<ProjectId>, i16, Timestamp), i64> = BTreeMap::new();
    for job in entries.into_iter().map(|entry| entry.job) {
        for ((kind, day), n) in &job.late.0 {
            *counts.entry((job.project, kind.code(), *day)).or_default() += n;
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
    fn days_are_few_however_many_times_are_sent() {
        let mut late = Late::default();
        for days in 0..10_000 {
            late.note(MetricType::Custom, NOW.plus_micros(-days * DAY_MICROS), NOW);
        }
        late.note(MetricType::Custom, Timestamp::from_micros(i64::MIN), NOW);
        late.note(MetricType::Database, NOW, NOW);
        assert_eq!(late.0.len(), 1 + 1 + 401);
        assert_eq!(late.0[&(MetricType::Custom, FIRST_DAY)], 10_000 - 401 + 1);
        assert_eq!(late.0[&(MetricType::Database, NOW.floor(DAY_MICROS))], 1);
    }
}

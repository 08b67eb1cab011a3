//! The question of a comparison, as plain values.

use crate::{
    model::{Key, MetricType, ProjectId, TimeRange},
    reports::Statistic,
};

/// Two releases of a project, and the statistic that they are compared by.
#[derive(Clone, Debug, PartialEq)]
pub struct ComparisonQuestion {
    /// The project.
    pub project: Key<ProjectId>,
    /// The metric type.
    pub kind: MetricType,
    /// The statistic: a percentile, the average or the error rate.
    pub statistic: Statistic,
    /// The time during which the baseline release ran. Its last minutes are compared: as many as of the candidate, at least
    /// an hour.
    pub baseline: TimeRange,
    /// The time during which the candidate release runs. Its first minutes are compared.
    pub candidate: TimeRange,
}

//! How many measurements a series will have on a day, estimated from one commit that reaches over a longer time, as those of
//! imports do. Pure.

use std::collections::HashMap;

use crate::{
    ingest::job::Job,
    model::{
        EndpointId, SeriesDay, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};

/// The shortest time of a commit that says anything about a day. The measurements of live traffic are seconds apart.
const SPREAD_MIN_MICROS: i64 = 30 * MINUTE_MICROS;

/// Measurements that are younger on arrival are live traffic: they tell nothing, and other jobs may share their commit.
const LIVE_MICROS: i64 = 30 * MINUTE_MICROS;

/// The imported measurements of a commit by series and endpoint, and what they are of a day.
pub struct Estimate {
    /// Days per duration of the commit; `None` if that is too short.
    scale: Option<f64>,
    counts: HashMap<(i64, i64, i16), HashMap<EndpointId, u32>>,
    endpoints_max: usize,
}

impl Estimate {
    /// Counts the measurements of a commit. `endpoints_max` is the number of endpoints of a project at most.
    pub fn of(jobs: &[&Job], endpoints: &[Vec<EndpointId>], endpoints_max: usize) -> Self {
        let is_imported = |job: &Job, at: Timestamp| at < job.received_at.plus_micros(-LIVE_MICROS);
        let times = jobs.iter().flat_map(|job| {
            let times = job.measurements.iter().map(|one| one.timestamp);
            times.filter(|at| is_imported(job, *at)).map(Timestamp::as_micros)
        });
        let mut times: Vec<i64> = times.collect();
        let mut estimate = Self { scale: scale(&mut times), counts: HashMap::new(), endpoints_max };
        if estimate.scale.is_none() {
            return estimate;
        }
        for (job, endpoints) in jobs.iter().zip(endpoints) {
            let project = job.project;
            let of_job = job.measurements.iter().zip(endpoints);
            for (measurement, endpoint) in of_job.filter(|(one, _)| is_imported(job, one.timestamp)) {
                let series = (project.organization.0, project.id.0, measurement.kind.code());
                *estimate.counts.entry(series).or_default().entry(*endpoint).or_default() += 1;
            }
        }
        estimate
    }

    /// The numbers of measurements by endpoint on a day; `None` if the commit has none of the series, or is too short to tell.
    ///
    /// What endpoints were seen once will have, others that were not seen will have: their share is that of those seen once
    /// (Good, "The population frequencies of species and the estimation of population parameters", Biometrika 40, 1953).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "measurements of a commit, and days in a part of one"
    )]
    pub fn day(&self, series: &SeriesDay) -> Option<Vec<f64>> {
        let scale = self.scale?;
        let counts = self.counts.get(&(series.organization, series.project, series.kind))?;
        let (once, often): (Vec<u32>, Vec<u32>) = counts.values().partition(|count| **count == 1);
        let mut endpoints: Vec<f64> = often.into_iter().map(|count| f64::from(count) * scale).collect();
        let of_rare = once.len() as f64 * scale;
        let rare = (of_rare.ceil() as usize).clamp(once.len(), self.endpoints_max.max(once.len()));
        endpoints.extend(std::iter::repeat_n(of_rare / (rare as f64).max(1.0), rare));
        Some(endpoints)
    }
}

/// The length of a day in durations of a commit. Twice the middle half of the times, so that a few late measurements do not
/// make live traffic look like an import.
#[expect(clippy::cast_precision_loss, reason = "times within a few years")]
fn scale(times: &mut [i64]) -> Option<f64> {
    times.sort_unstable();
    let at = |quarter: usize| times.get(times.len() * quarter / 4).copied();
    let spread = at(3)?.checked_sub(at(1)?)?.checked_mul(2)?;
    (spread >= SPREAD_MIN_MICROS).then(|| DAY_MICROS as f64 / spread as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimated(counts: &[u32], scale: f64) -> Vec<f64> {
        let by_endpoint = (1..).map(EndpointId).zip(counts.iter().copied()).collect();
        let estimate =
            Estimate { scale: Some(scale), counts: HashMap::from([((1, 2, 3), by_endpoint)]), endpoints_max: 50 };
        let mut day = estimate.day(&SeriesDay { organization: 1, project: 2, kind: 3, day: 0 }).unwrap();
        day.sort_by(|a, b| b.total_cmp(a));
        day
    }

    #[test]
    fn endpoints_seen_once_stand_for_those_not_seen() {
        assert_eq!(estimated(&[5, 2], 10.0), [50.0, 20.0]);
        assert_eq!(estimated(&[5, 1], 10.0), [50.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        let many = estimated(&[1; 20], 10.0);
        assert_eq!(
            (many.len(), many[0], many.iter().sum::<f64>()),
            (50, 4.0, 200.0),
            "not more than a project may have"
        );
        let few = estimated(&[1; 60], 0.5);
        assert_eq!((few.len(), few[0]), (60, 0.5));
    }

    #[test]
    fn only_commits_over_a_longer_time_say_anything() {
        let minutes = |minutes: &[i64]| minutes.iter().map(|minute| minute * MINUTE_MICROS).collect::<Vec<_>>();
        assert_eq!(scale(&mut []), None);
        assert_eq!(scale(&mut minutes(&[7])), None);
        assert_eq!(scale(&mut minutes(&[0, 1, 2, 3])), None);
        let live_with_a_late_one: Vec<i64> = std::iter::repeat_n(600, 20).chain([1]).collect();
        assert_eq!(scale(&mut minutes(&live_with_a_late_one)), None);
        let hour: Vec<i64> = (0..60).rev().collect();
        assert_eq!(scale(&mut minutes(&hour)), Some(24.0));
        assert_eq!(scale(&mut [i64::MIN, i64::MAX]), None);
    }
}

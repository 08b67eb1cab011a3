//! Estimates the measurements of a series on a day from one commit that reaches over a longer time, as those of imports do. Pure.

use std::collections::HashMap;

use crate::{
    ingest::job::Job,
    model::{
        EndpointId, SeriesDay, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};

/// The shortest time that says anything about a day.
const SPREAD_MIN_MICROS: i64 = 5 * MINUTE_MICROS;

/// Measurements that are younger on arrival are live traffic: they tell nothing, and other jobs may share their commit.
const LIVE_MICROS: i64 = 30 * MINUTE_MICROS;

/// As many measurements of a series have a duration of their own; fewer are taken to be spread as the whole commit.
const OWN_MIN: usize = 100;

/// The imported measurements of a commit by series, and what they are of a day.
pub struct Estimate {
    /// Commits of this duration per day; `None` if it is too short.
    scale: Option<f64>,
    series: HashMap<(i64, i64, i16), SeriesSample>,
    endpoints_max: usize,
}

/// The measurements of a series in a commit.
#[derive(Default)]
struct SeriesSample {
    times: Vec<i64>,
    endpoints: HashMap<EndpointId, u32>,
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
        let mut estimate = Self { scale: scale(&mut times), series: HashMap::new(), endpoints_max };
        if estimate.scale.is_none() {
            return estimate;
        }
        for (job, endpoints) in jobs.iter().zip(endpoints) {
            let project = job.project;
            let of_job = job.measurements.iter().zip(endpoints);
            for (measurement, endpoint) in of_job.filter(|(one, _)| is_imported(job, one.timestamp)) {
                let series = (project.organization.0, project.id.0, measurement.kind.code());
                let sample = estimate.series.entry(series).or_default();
                sample.times.push(measurement.timestamp.as_micros());
                *sample.endpoints.entry(*endpoint).or_default() += 1;
            }
        }
        estimate
    }

    /// The numbers of measurements by endpoint on a day; `None` if the commit has none of the series, or is too short to tell.
    ///
    /// Endpoints that the commit does not have get the share of those that it has once
    /// (Good, "The population frequencies of species and the estimation of population parameters", Biometrika 40, 1953).
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "measurements of a commit, and days in a part of one"
    )]
    pub fn day(&self, series: &SeriesDay) -> Option<Vec<f64>> {
        let sample = self.series.get(&(series.organization, series.project, series.kind))?;
        let scale = if sample.times.len() < OWN_MIN { self.scale } else { scale(&mut sample.times.clone()) }?;
        let (once, often): (Vec<u32>, Vec<u32>) = sample.endpoints.values().partition(|count| **count == 1);
        let mut endpoints: Vec<f64> = often.into_iter().map(|count| f64::from(count) * scale).collect();
        let of_rare = once.len() as f64 * scale;
        let rare = (of_rare.ceil() as usize).clamp(once.len(), self.endpoints_max.max(once.len()));
        endpoints.extend(std::iter::repeat_n(of_rare / (rare as f64).max(1.0), rare));
        Some(endpoints)
    }
}

/// The number of durations like that of these times in a day; `None` if they are too short. The duration is taken from nine tenths
/// of them, because a few may be much older.
#[expect(clippy::cast_precision_loss, reason = "times within a few years")]
fn scale(times: &mut [i64]) -> Option<f64> {
    times.sort_unstable();
    let at = |place: usize| times.get(place).copied();
    let beyond = times.len() / 20;
    let most = at(times.len().checked_sub(1 + beyond)?)?.checked_sub(at(beyond)?)?;
    let spread = most as f64 / 0.9;
    (most >= SPREAD_MIN_MICROS).then(|| DAY_MICROS as f64 / spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn estimated(counts: &[u32], scale: f64) -> Vec<f64> {
        let by_endpoint = (1..).map(EndpointId).zip(counts.iter().copied()).collect();
        let sample = SeriesSample { times: Vec::new(), endpoints: by_endpoint };
        let estimate = Estimate { scale: Some(scale), series: HashMap::from([((1, 2, 3), sample)]), endpoints_max: 50 };
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
        let hour: Vec<i64> = (0..=60).rev().collect();
        assert_eq!(scale(&mut minutes(&hour)), Some(24.0));
        let with_an_old_one: Vec<i64> = (600_000..=600_060).chain([1]).collect();
        assert!((20.0..=24.0).contains(&scale(&mut minutes(&with_an_old_one)).unwrap()));
        assert_eq!(scale(&mut [i64::MIN, i64::MAX]), None);
    }
}

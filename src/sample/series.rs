//! Series of measurements: one per endpoint, drawn from its distribution in the order of time.

use rand::{Rng, RngExt};
use rand_distr::{Distribution, Poisson};

use super::{
    Sample,
    description::{Endpoint, Kind, Organization, Project},
    normal::quantile,
    strata::Strata,
    timeline::Timeline,
};
use crate::{
    error::{Error, Result},
    model::{
        Measurement, MetricType, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};

/// Strata of the values of a series: one of them lies above the 95th percentile.
const VALUE_STRATA: u32 = 20;

/// The series of a project.
#[derive(Clone, Debug)]
pub struct ProjectSeries {
    /// The slug of the organization.
    pub organization: String,
    /// The slug of the project.
    pub project: String,
    /// A series for each of its endpoints.
    pub series: Vec<Series>,
}

/// The measurements of one endpoint.
#[derive(Clone, Debug)]
pub struct Series {
    endpoint: Endpoint,
    /// Measurements of an average minute.
    per_minute: f64,
    /// The versions with the time of their deployment, oldest first.
    releases: Vec<(Timestamp, String)>,
    /// The factor on its values from this time on.
    slower: Option<(f64, Timestamp)>,
    values: Strata,
    failures: Strata,
}

/// The series of all projects. Together they have `per_minute` measurements in an average minute; endpoints take part in
/// them by their weights.
///
/// # Errors
/// The description names a project that it does not contain, which the tests rule out.
pub fn all_series(sample: &Sample, timeline: Timeline, per_minute: f64) -> Result<Vec<ProjectSeries>> {
    let mut all = Vec::new();
    for organization in &sample.organizations {
        for slug in &organization.projects {
            let series = project_series(sample, organization, slug, timeline)?;
            all.push(ProjectSeries { organization: organization.slug.clone(), project: slug.clone(), series });
        }
    }
    let weights: f64 = all.iter().flat_map(|project| &project.series).map(|series| series.endpoint.weight).sum();
    for series in all.iter_mut().flat_map(|project| &mut project.series) {
        series.per_minute = per_minute * series.endpoint.weight / weights;
    }
    Ok(all)
}

fn project_series(sample: &Sample, organization: &Organization, slug: &str, timeline: Timeline) -> Result<Vec<Series>> {
    let project: &Project = sample.project(slug)?;
    let releases: Vec<_> =
        project.releases.iter().map(|release| (timeline.at(release.at), release.version.clone())).collect();
    let regression = &sample.regression;
    let is_regressed = regression.organization == organization.slug && regression.project == slug;
    let slower = |endpoint: &Endpoint| {
        let deployed = releases.iter().find(|(_, version)| *version == regression.version);
        deployed
            .filter(|_| is_regressed && regression.endpoint == endpoint.path)
            .map(|(at, _)| (regression.factor, *at))
    };
    let series = project.endpoints.iter().map(|endpoint| Series {
        per_minute: 0.0,
        releases: releases.clone(),
        slower: slower(endpoint),
        values: Strata::new(VALUE_STRATA),
        failures: Strata::new(failure_strata(endpoint.error_share)),
        endpoint: endpoint.clone(),
    });
    Ok(series.collect())
}

/// As many strata as measurements with one failure among them.
fn failure_strata(error_share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bounded above, and shares are positive"
    )]
    let strata = error_share.recip().min(1_000.0) as u32;
    strata
}

/// The relative load at a time of day: low at night, highest in the early afternoon, 1 on average.
fn rhythm(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
    let share = at.as_micros().rem_euclid(DAY_MICROS) as f64 / DAY_MICROS as f64;
    1.0 - 0.7 * (std::f64::consts::TAU * (share - 1.0 / 12.0)).cos()
}

impl Series {
    /// Appends the measurements from a time to another. Their number follows the time of day. Calls must go forward in time.
    ///
    /// # Errors
    /// The weight of the endpoint is not a positive number, which the tests rule out.
    pub fn measure(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        random: &mut impl Rng,
        measured: &mut Vec<Measurement>,
    ) -> Result<()> {
        let mut start = from;
        while start < to {
            let end = start.plus_micros(MINUTE_MICROS).min(to);
            let micros = start.as_micros()..end.as_micros();
            #[expect(clippy::cast_precision_loss, reason = "at most a minute")]
            let minutes = (micros.end - micros.start) as f64 / MINUTE_MICROS as f64;
            let events = Poisson::new(self.per_minute * minutes * rhythm(start)).map_err(Error::internal)?;
            let mut left: f64 = events.sample(random);
            while left >= 1.0 {
                let at = Timestamp::from_micros(random.random_range(micros.clone()));
                measured.push(self.next(at, random));
                left -= 1.0;
            }
            start = end;
        }
        Ok(())
    }

    /// The next measurement, taken at this time.
    pub fn next(&mut self, at: Timestamp, random: &mut impl Rng) -> Measurement {
        let Endpoint { path, kind, median, sigma, error_share, .. } = &self.endpoint;
        let normal = quantile(self.values.next(random));
        let (kind, value) = match kind {
            Kind::PageLoad => (MetricType::PageLoad, latency(*median, *sigma, normal)),
            Kind::ApiResponse => (MetricType::ApiResponse, latency(*median, *sigma, normal)),
            Kind::Database => (MetricType::Database, latency(*median, *sigma, normal)),
            Kind::CacheHit => (MetricType::CacheHit, (median * sigma.mul_add(normal, 1.0)).clamp(0.0, 100.0)),
        };
        let slower = self.slower.filter(|(_, from)| at >= *from).map_or(1.0, |(factor, _)| factor);
        let status = match kind {
            MetricType::ApiResponse if self.failures.next(random) < *error_share => 500,
            MetricType::ApiResponse => 200,
            _ => 0,
        };
        let running = self.releases.iter().rev().find(|(deployed, _)| *deployed <= at);
        Measurement {
            kind,
            value: value * slower,
            endpoint: path.clone(),
            status,
            timestamp: at,
            name: String::new(),
            release: running.map(|(_, version)| version.clone()).unwrap_or_default(),
        }
    }
}

/// Latencies are skewed to the right: log-normal around a median.
fn latency(median: f64, sigma: f64, normal: f64) -> f64 {
    median * (sigma * normal).exp()
}

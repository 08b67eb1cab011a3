//! Series of measurements: one per endpoint, drawn from its distribution in the order of time.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};

use super::{
    Sample,
    description::{Endpoint, Kind, Organization, Project},
    normal::quantile,
    strata::Strata,
    timeline::Timeline,
};
use crate::{
    error::Result,
    model::{
        Labels, Measurement, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};

/// Strata of the values of a series: one of them lies above the 95th percentile.
const VALUE_STRATA: u32 = 20;

/// The golden ratio, whose multiples are spread evenly between whole numbers.
const GOLDEN_RATIO: f64 = 0.618_033_988_749_895;

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
    /// The names of its measurements, which take turns; at least one.
    names: Vec<Named>,
    /// The number of its measurements relative to other series, until the number of all is known.
    weight: f64,
    /// Measurements of an average minute.
    per_minute: f64,
    /// The part of a measurement that was due in 1970.
    phase: f64,
    /// The versions with the time of their deployment, oldest first.
    releases: Vec<(Timestamp, String)>,
    /// The factor on its values from this time on.
    slower: Option<(f64, Timestamp)>,
    failures: Strata,
}

/// The measurements of one name.
#[derive(Clone, Debug)]
struct Named {
    /// Empty if the measurements have no name.
    name: String,
    /// The factor on their values.
    factor: f64,
    values: Strata,
}

impl Named {
    fn new(name: &str, factor: f64) -> Self {
        Self { name: name.to_owned(), factor, values: Strata::new(VALUE_STRATA) }
    }
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
    let weights: f64 = all.iter().flat_map(|project| &project.series).map(|series| series.weight).sum();
    let mut phase: f64 = 0.0;
    for series in all.iter_mut().flat_map(|project| &mut project.series) {
        series.per_minute = per_minute * series.weight / weights;
        // Spread evenly, so that rare series do not take their first measurements at the same time.
        phase = (phase + GOLDEN_RATIO).fract();
        series.phase = phase;
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
        names: names(sample, endpoint.kind),
        weight: endpoint.weight * organization.weight,
        per_minute: 0.0,
        phase: 0.0,
        releases: releases.clone(),
        slower: slower(endpoint),
        failures: Strata::new(failure_strata(endpoint.error_share)),
        endpoint: paced(endpoint, organization.pace),
    });
    Ok(series.collect())
}

fn names(sample: &Sample, kind: Kind) -> Vec<Named> {
    match sample.names.get(&kind).filter(|names| !names.is_empty()) {
        Some(names) => names.iter().map(|(name, factor)| Named::new(name, *factor)).collect(),
        None => vec![Named::new("", 1.0)],
    }
}

/// The endpoint with its durations in another pace.
fn paced(endpoint: &Endpoint, pace: f64) -> Endpoint {
    let factor = if endpoint.kind == Kind::CacheHit { 1.0 } else { pace };
    Endpoint { median: endpoint.median * factor, ..endpoint.clone() }
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

/// The swing of the load around its average.
const SWING: f64 = 0.5;

const MINUTES_OF_DAY: f64 = 1_440.0;

/// The load since 1970 in average minutes. It is low at night and highest in the early afternoon.
fn load(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 are exact")]
    let days = at.as_micros() as f64 / DAY_MICROS as f64;
    (days - SWING / TAU * (TAU * (days - 1.0 / 12.0)).sin()) * MINUTES_OF_DAY
}

impl Series {
    /// Appends the measurements from a time to another. Their number follows the time of day. Calls should go forward in time.
    ///
    /// The number follows from the times alone, and only the moments within a minute are random: otherwise the share of slow
    /// endpoints among all would vary, and with it the percentiles of a project.
    pub fn measure(&mut self, from: Timestamp, to: Timestamp, random: &mut impl Rng, measured: &mut Vec<Measurement>) {
        let mut start = from;
        while start < to {
            let end = start.plus_micros(MINUTE_MICROS).min(to);
            for number in self.count(start)..self.count(end) {
                let at = Timestamp::from_micros(random.random_range(start.as_micros()..end.as_micros()));
                measured.push(self.take(number, at, random));
            }
            start = end;
        }
    }

    /// The number of measurements from 1970 to a time.
    fn count(&self, at: Timestamp) -> u64 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, far below 2^53")]
        let count = self.per_minute.mul_add(load(at), self.phase) as u64;
        count
    }

    /// The measurement of this number, taken at a time.
    fn take(&mut self, number: u64, at: Timestamp, random: &mut impl Rng) -> Measurement {
        let turn = usize::try_from(number).unwrap_or_default() % self.names.len();
        let Named { name, factor, values } = &mut self.names[turn];
        let Endpoint { path, kind, median, sigma, error_share, .. } = &self.endpoint;
        let normal = quantile(values.next(random));
        let slower = self.slower.filter(|(_, from)| at >= *from).map_or(1.0, |(factor, _)| factor);
        let value = match kind {
            Kind::CacheHit => (median * sigma.mul_add(normal, 1.0)).clamp(0.0, 100.0),
            // Latencies are skewed to the right: log-normal around a median.
            _ => median * (sigma * normal).exp() * *factor * slower,
        };
        let status = match kind {
            Kind::ApiResponse if self.failures.next(random) < *error_share => 500,
            Kind::ApiResponse => 200,
            _ => 0,
        };
        let running = self.releases.iter().rev().find(|(deployed, _)| *deployed <= at);
        Measurement {
            kind: (*kind).into(),
            value,
            endpoint: path.clone(),
            status,
            timestamp: at,
            name: name.clone(),
            release: running.map(|(_, version)| version.clone()).unwrap_or_default(),
            labels: Labels::default(),
        }
    }
}

//! Sample data: organizations, employees, projects and a realistic week of metrics, created through directory and ingest like
//! by any client. The same plan on the same clock creates the same rows.

use std::collections::BTreeMap;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, LogNormal, Normal, Poisson};
use serde::Deserialize;

use crate::{
    app::Core,
    auth,
    db::StatementLog,
    directory::{
        self, Organization, OrganizationFields, ProjectStatus, employee, organization, project, release, team,
    },
    error::{Error, Result},
    ingest::{Candidate, Mode, Submission},
    model::{
        EmployeeId, Key, MetricType, OrganizationId, ProjectId, ReleaseId, Scope, Timestamp,
        page::{ListRequest, PageRequest},
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
};

/// The names and distributions of the sample data.
const SAMPLE: &str = include_str!("../seed/sample.json");

/// The versions of every project.
const RELEASES: [&str; 2] = ["2.4.0", "2.5.0"];

/// The amount of sample data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 20 people an organization and a day of metrics: enough to look around.
    Small,
    /// 200 people an organization and about a million metrics.
    Medium,
    /// 1,000 people an organization and 10 million metrics: enough to measure with.
    Large,
}

impl Size {
    const fn employees(self) -> usize {
        match self {
            Self::Small => 20,
            Self::Medium => 200,
            Self::Large => 1_000,
        }
    }

    const fn rows(self) -> u64 {
        match self {
            Self::Small => 20_000,
            Self::Medium => 1_000_000,
            Self::Large => 10_000_000,
        }
    }

    /// Inside the ingest window of seven days.
    const fn span_micros(self) -> i64 {
        match self {
            Self::Small => DAY_MICROS,
            // The same days, so that what ten times as many measurements cost can be compared.
            Self::Medium | Self::Large => 6 * DAY_MICROS,
        }
    }
}

/// The size and the seed of the sample data.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The amount of data.
    pub size: Size,
    /// The seed of the random numbers.
    pub rng_seed: u64,
}

#[derive(Deserialize)]
struct Sample {
    departments: Vec<String>,
    roles: Vec<String>,
    team_roles: Vec<String>,
    organizations: Vec<SampleOrganization>,
    projects: BTreeMap<String, SampleProject>,
    regression: Regression,
}

#[derive(Deserialize)]
struct SampleOrganization {
    slug: String,
    name: String,
    projects: Vec<String>,
}

#[derive(Deserialize)]
struct SampleProject {
    name: String,
    endpoints: Vec<SampleEndpoint>,
}

#[derive(Deserialize)]
struct SampleEndpoint {
    path: String,
    #[serde(rename = "type")]
    kind: SampleType,
    median: f64,
    sigma: f64,
    weight: f64,
    error_share: f64,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum SampleType {
    PageLoad,
    ApiResponse,
    Database,
    CacheHit,
}

#[derive(Deserialize)]
struct Regression {
    organization: String,
    project: String,
    endpoint: String,
    factor: f64,
    last_share: f64,
}

/// A series of measurements of one endpoint.
struct Series<'a> {
    endpoint: &'a SampleEndpoint,
    /// Events of an average minute.
    rate: f64,
    /// The factor by which it becomes slower, and the time of the change.
    regression: Option<(f64, Timestamp)>,
}

/// Returns whether the database holds no data but the server's own.
///
/// # Errors
/// The database fails.
pub async fn is_empty(core: &Core) -> Result<bool> {
    let db = core.database.writer(StatementLog::default());
    let page = PageRequest::from_start(0, 2);
    let list = ListRequest { filter: None, order: Vec::new(), page };
    let found = directory::list::<Organization>(&auth::server_scope(), &db, &list, OrganizationFields::SLUG).await?;
    for row in &found.rows {
        if row.slug()? != organization::OWN_SLUG {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The approximate number of metrics of a plan; the exact number depends on its random numbers.
pub const fn expected_rows(plan: &Plan) -> u64 {
    plan.size.rows()
}

/// Creates sample data up to the core's clock and returns the number of metrics. Calls `progress` with the number so far.
///
/// # Errors
/// A room refuses the data, or the database fails. Data that was created until then stays.
pub async fn fill(core: &Core, plan: &Plan, progress: &mut (dyn FnMut(u64) + Send)) -> Result<u64> {
    let sample: Sample = serde_json::from_str(SAMPLE).map_err(Error::internal)?;
    let mut random = StdRng::seed_from_u64(plan.rng_seed);
    let until = core.clock.now();
    let from = until.plus_micros(-plan.size.span_micros());
    let mut projects = Vec::new();
    for organization in &sample.organizations {
        projects.extend(make_organization(core, plan, &sample, organization, &mut random, from).await?);
    }
    for (project, ..) in &projects {
        make_releases(core, *project, [from, slower_from(plan, &sample, until)]).await?;
    }
    fill_metrics(core, plan, &sample, &projects, &mut random, progress).await
}

/// One from the start, and one when something becomes slower: only one project's second release is to blame.
async fn make_releases(core: &Core, project: Key<ProjectId>, deployed_at: [Timestamp; 2]) -> Result<()> {
    let db = core.database.writer(StatementLog::default());
    for (version, deployed_at) in RELEASES.into_iter().zip(deployed_at) {
        let new = release::NewRelease {
            id: ReleaseId(core.ids.next(deployed_at)?),
            version: version.to_owned(),
            version_bytes_max: core.ingest.release_version_bytes_max(),
            deployed_at: Some(deployed_at),
            commit: None,
            author: None,
        };
        release::create(&auth::server_scope(), &db, project, new, core.clock.now()).await?;
    }
    Ok(())
}

/// The time of the second release.
fn slower_from(plan: &Plan, sample: &Sample, until: Timestamp) -> Timestamp {
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share of a span of days")]
    until.plus_micros(-((plan.size.span_micros() as f64 * sample.regression.last_share) as i64))
}

async fn make_organization<'a>(
    core: &Core,
    plan: &Plan,
    sample: &'a Sample,
    shape: &'a SampleOrganization,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<Vec<(Key<ProjectId>, &'a SampleOrganization, &'a str)>> {
    let scope = auth::server_scope();
    let db = core.database.writer(StatementLog::default());
    let id = OrganizationId(core.ids.next(now)?);
    let new = organization::NewOrganization { id, slug: Some(shape.slug.clone()), name: shape.name.clone() };
    organization::create(&scope, &db, new, now).await?;
    let employees = make_employees(core, plan, sample, shape, random, now)?;
    employee::create(&scope, &db, id, &employees, now).await?;
    let mut projects = Vec::new();
    for slug in &shape.projects {
        let described = sample.projects.get(slug).ok_or_else(|| Error::internal(format!("no project {slug}")))?;
        let team: Vec<_> = (0..random.random_range(3..=8_usize))
            .map(|place| {
                let who = random.random_range(0..employees.len());
                (employees[who].id, sample.team_roles[place % sample.team_roles.len()].clone())
            })
            .collect();
        let new = project::NewProject {
            id: ProjectId(core.ids.next(now)?),
            slug: Some(slug.clone()),
            name: described.name.clone(),
            status: ProjectStatus::Active,
            members: distinct(team)
                .into_iter()
                .map(|(employee, role)| team::NewMember { employee: Key::new(id, employee), role })
                .collect(),
        };
        let key = project::create(&scope, &db, id, new, now).await?;
        projects.push((key, shape, slug.as_str()));
    }
    Ok(projects)
}

fn make_employees(
    core: &Core,
    plan: &Plan,
    sample: &Sample,
    shape: &SampleOrganization,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<Vec<employee::NewEmployee>> {
    (0..plan.size.employees())
        .map(|number| {
            let department = &sample.departments[number % sample.departments.len()];
            let role = &sample.roles[number / sample.departments.len() % sample.roles.len()];
            let name = format!("{department} {role} {:03}", number + 1);
            Ok(employee::NewEmployee {
                id: EmployeeId(core.ids.next(now)?),
                email: format!("{}@{}.example", name.to_lowercase().replace(' ', "."), shape.slug),
                name,
                department: department.clone(),
                salary: Some(f64::from(random.random_range(40..140_u32)) * 1_000.0),
            })
        })
        .collect()
}

fn distinct(mut team: Vec<(EmployeeId, String)>) -> Vec<(EmployeeId, String)> {
    team.sort_by_key(|(id, _)| *id);
    team.dedup_by_key(|(id, _)| *id);
    team
}

async fn fill_metrics(
    core: &Core,
    plan: &Plan,
    sample: &Sample,
    projects: &[(Key<ProjectId>, &SampleOrganization, &str)],
    random: &mut StdRng,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64> {
    let scope = auth::server_scope();
    let until = core.clock.now();
    let span = plan.size.span_micros();
    let series = all_series(plan, sample, projects, until);
    let mut rows = 0;
    // Chunks of time, so that rows reach the database about in the order in which they happened.
    let chunk = if plan.size == Size::Small { DAY_MICROS } else { HOUR_MICROS };
    let mut start = until.plus_micros(-span);
    while start < until {
        let end = start.plus_micros(chunk).min(until);
        for (project, series) in &series {
            let candidates = measure(series, start, end, random)?;
            for part in candidates.chunks(5_000) {
                rows += submit(core, &scope, *project, part.to_vec()).await?;
                progress(rows);
            }
        }
        start = end;
    }
    Ok(rows)
}

fn all_series<'a>(
    plan: &Plan,
    sample: &'a Sample,
    projects: &[(Key<ProjectId>, &'a SampleOrganization, &'a str)],
    until: Timestamp,
) -> Vec<(Key<ProjectId>, Vec<Series<'a>>)> {
    let endpoints = |slug: &str| sample.projects.get(slug).map_or(&[][..], |project| &project.endpoints);
    let weights: f64 = projects.iter().flat_map(|(_, _, slug)| endpoints(slug)).map(|endpoint| endpoint.weight).sum();
    #[expect(clippy::cast_precision_loss, reason = "rates need no more than a float's precision")]
    let rows_per_minute = plan.size.rows() as f64 / (plan.size.span_micros() / MINUTE_MICROS) as f64;
    let slow_from = slower_from(plan, sample, until);
    let regression = |organization: &SampleOrganization, slug: &str, endpoint: &SampleEndpoint| {
        let wanted = &sample.regression;
        (wanted.organization == organization.slug && wanted.project == slug && wanted.endpoint == endpoint.path)
            .then_some((wanted.factor, slow_from))
    };
    projects
        .iter()
        .map(|(key, organization, slug)| {
            let series = endpoints(slug).iter().map(|endpoint| Series {
                endpoint,
                rate: rows_per_minute * endpoint.weight / weights,
                regression: regression(organization, slug, endpoint),
            });
            (*key, series.collect())
        })
        .collect()
}

/// The relative load at a time of day: low at night, highest in the early afternoon, 1 on average.
fn rhythm(at: Timestamp) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share of a day")]
    let share = at.as_micros().rem_euclid(DAY_MICROS) as f64 / DAY_MICROS as f64;
    1.0 - 0.7 * (std::f64::consts::TAU * (share - 1.0 / 12.0)).cos()
}

fn measure(series: &[Series<'_>], from: Timestamp, to: Timestamp, random: &mut StdRng) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for series in series {
        let mut minute = from;
        while minute < to {
            let end = minute.plus_micros(MINUTE_MICROS).min(to);
            let events = Poisson::new(series.rate * rhythm(minute)).map_err(Error::internal)?.sample(random);
            let mut left = events;
            while left >= 1.0 {
                candidates.push(one(series, random.random_range(minute.as_micros()..end.as_micros()), random)?);
                left -= 1.0;
            }
            minute = end;
        }
    }
    candidates.sort_by_key(|candidate| candidate.timestamp);
    Ok(candidates)
}

fn one(series: &Series<'_>, micros: i64, random: &mut StdRng) -> Result<Candidate> {
    let SampleEndpoint { path, kind, median, sigma, error_share, .. } = series.endpoint;
    let timestamp = Timestamp::from_micros(micros);
    let (kind, value, has_status) = match kind {
        SampleType::PageLoad => (MetricType::PageLoad, latency(*median, *sigma, random)?, false),
        SampleType::ApiResponse => (MetricType::ApiResponse, latency(*median, *sigma, random)?, true),
        SampleType::Database => (MetricType::Database, latency(*median, *sigma, random)?, false),
        SampleType::CacheHit => {
            let share = Normal::new(*median, *median * *sigma).map_err(Error::internal)?.sample(random);
            (MetricType::CacheHit, share.clamp(0.0, 100.0), false)
        }
    };
    let slower = series.regression.filter(|(_, from)| timestamp >= *from).map_or(1.0, |(factor, _)| factor);
    let status = has_status.then(|| if random.random_bool(*error_share) { 500 } else { 200 });
    Ok(Candidate {
        kind,
        value: value * slower,
        endpoint: path.clone(),
        status,
        timestamp: Some(timestamp),
        name: None,
        release: None,
        labels: Vec::new(),
    })
}

/// Latencies are skewed to the right: log-normal around a median, in milliseconds.
fn latency(median: f64, sigma: f64, random: &mut StdRng) -> Result<f64> {
    Ok(LogNormal::new(median.ln(), sigma).map_err(Error::internal)?.sample(random))
}

async fn submit(core: &Core, scope: &Scope, project: Key<ProjectId>, candidates: Vec<Candidate>) -> Result<u64> {
    let submission =
        Submission { project, candidates, idempotency_key: None, source: "seed".to_owned(), mode: Mode::Atomic };
    let receipt = core.ingest.submit(scope, submission, &StatementLog::default()).await?;
    match receipt.rejected.first() {
        Some(row) => Err(Error::internal(format!("sample data was refused: {}", row.error))),
        None => Ok(u64::from(receipt.accepted)),
    }
}

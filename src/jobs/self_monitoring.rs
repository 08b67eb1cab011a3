//! Self-monitoring: requests to the server become metrics of a project of its own, through the same write path as all
//! metrics. Reports and streams that do not name this project or its organization leave them out.
//!
//! Of a frequent operation only a uniform sample is stored, which suffices for percentiles, so that a busy server does not
//! spend its time writing about itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    clock::Clock,
    db::{IdGenerator, Session, StatementLog},
    directory::{ProjectFields, ProjectStatus, organization, project},
    error::{Error, Result},
    ingest::{Candidate, Ingest, Mode, Submission},
    model::{Key, MetricType, OrganizationId, ProjectId, Scope, Timestamp},
    random::Random,
};

/// The slug of the organization and of its project.
const SLUG: &str = organization::OWN_SLUG;

/// Number of rows per submission, below any sensible limit of rows per call.
const SUBMISSION_ROWS: usize = 500;

/// Maximum length of an endpoint in bytes; operation names can be as long as a document.
const ENDPOINT_BYTES_MAX: usize = 200;

/// Maximum number of different endpoints. Clients choose operation names, so further ones share one endpoint.
const ENDPOINTS_MAX: usize = 200;
const OTHER_ENDPOINTS: &str = "other operations";

/// A request that was served.
#[derive(Clone, Copy, Debug)]
struct Served {
    status: u16,
    elapsed_ms: f64,
    at: Timestamp,
}

/// The requests of one operation since the last flush: all of them, or a uniform sample
/// (algorithm R in Vitter, "Random sampling with a reservoir", ACM Transactions on Mathematical Software 11, 1985).
#[derive(Debug, Default)]
struct Reservoir {
    served: usize,
    kept: Vec<Served>,
}

impl Reservoir {
    fn offer(&mut self, served: Served, kept_max: usize, random: &Random) {
        self.served += 1;
        if self.kept.len() < kept_max {
            self.kept.push(served);
        } else if let Some(replaced) = self.kept.get_mut(random.below(self.served)) {
            *replaced = served;
        }
    }
}

type Sample = Mutex<HashMap<String, Reservoir>>;

fn locked(sample: &Sample) -> MutexGuard<'_, HashMap<String, Reservoir>> {
    sample.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records served requests. Cloning is cheap; recording never waits for the database.
#[derive(Clone, Debug)]
pub struct Recorder {
    sample: Option<Arc<Sample>>,
    kept_max: usize,
    clock: Clock,
    random: Random,
}

impl Recorder {
    /// A recorder that discards requests, for servers without self-monitoring.
    pub const fn disabled(clock: Clock) -> Self {
        Self { sample: None, kept_max: 0, clock, random: Random::system() }
    }

    /// A recorder that keeps at most `kept_max` requests per operation until the next flush, and its inbox.
    pub fn new(clock: Clock, random: Random, kept_max: usize) -> (Self, Inbox) {
        let sample = Arc::<Sample>::default();
        (Self { sample: Some(Arc::clone(&sample)), kept_max, clock, random }, Inbox(sample))
    }

    /// Records a request that was answered with `status` after `elapsed_ms`.
    pub fn record(&self, endpoint: &str, status: u16, elapsed_ms: f64) {
        let Some(sample) = &self.sample else { return };
        let served = Served { status, elapsed_ms, at: self.clock.now() };
        let mut sample = locked(sample);
        let endpoint = &endpoint[..endpoint.floor_char_boundary(ENDPOINT_BYTES_MAX)];
        if let Some(reservoir) = sample.get_mut(endpoint) {
            return reservoir.offer(served, self.kept_max, &self.random);
        }
        let endpoint = if sample.len() < ENDPOINTS_MAX { endpoint } else { OTHER_ENDPOINTS };
        sample.entry(endpoint.to_owned()).or_default().offer(served, self.kept_max, &self.random);
    }
}

/// The recorded requests that were not written yet. Endpoints stay after a flush, so that their number remains bounded.
#[derive(Debug)]
pub struct Inbox(Arc<Sample>);

impl Inbox {
    fn take(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (endpoint, reservoir) in locked(&self.0).iter_mut() {
            let served = std::mem::take(reservoir).kept;
            candidates.extend(served.into_iter().map(|served| candidate(endpoint, served)));
        }
        candidates
    }
}

/// Writes recorded requests as metrics of the server's own project.
#[derive(Debug)]
pub struct OwnMetrics {
    /// The recorded requests.
    pub inbox: Inbox,
    /// The server's own scope.
    pub scope: Scope,
    /// The write path.
    pub ingest: Ingest,
    /// The server's own project.
    pub project: Key<ProjectId>,
}

impl OwnMetrics {
    /// Writes the requests that were recorded since the last call.
    ///
    /// # Errors
    /// The first error of the write path. All requests are submitted once and then forgotten, whether stored or not.
    pub async fn flush(&self) -> Result<()> {
        let mut flushed = Ok(());
        for candidates in self.inbox.take().chunks(SUBMISSION_ROWS) {
            let submission = Submission {
                project: self.project,
                candidates: candidates.to_vec(),
                idempotency_key: None,
                source: "self".to_owned(),
                mode: Mode::Partial,
            };
            match self.ingest.submit(&self.scope, submission, &StatementLog::default()).await {
                Ok(receipt) => {
                    for rejection in receipt.rejected {
                        tracing::warn!(reason = %rejection.error, "one of the server's own metrics was refused");
                    }
                }
                Err(error) => flushed = flushed.and(Err(error)),
            }
        }
        flushed
    }
}

fn candidate(endpoint: &str, served: Served) -> Candidate {
    Candidate {
        kind: MetricType::ApiResponse,
        value: served.elapsed_ms,
        endpoint: endpoint.to_owned(),
        status: Some(i32::from(served.status)),
        timestamp: Some(served.at),
        name: None,
        release: None,
        labels: Vec::new(),
    }
}

/// The project of the server's own metrics. Created with its organization on the first start.
///
/// # Errors
/// The database fails.
pub async fn own_project(scope: &Scope, db: &Session, ids: &IdGenerator, now: Timestamp) -> Result<Key<ProjectId>> {
    let organization = own_organization(scope, db, now).await?;
    let find = async || {
        let found = project::by_slug(scope, db, organization, SLUG, ProjectFields::empty()).await?;
        Ok(found.map(|found| found.key))
    };
    if let Some(found) = find().await? {
        return Ok(found);
    }
    let new = project::NewProject {
        id: ProjectId(ids.next(now)?),
        slug: Some(SLUG.to_owned()),
        name: "perfgraph server".to_owned(),
        status: ProjectStatus::Active,
        members: Vec::new(),
    };
    unless_taken(project::create(scope, db, organization, new, now).await, find).await
}

async fn own_organization(scope: &Scope, db: &Session, now: Timestamp) -> Result<OrganizationId> {
    let find = async || organization::find_own(scope, db).await;
    if let Some(found) = find().await? {
        return Ok(found);
    }
    let new = organization::NewOrganization {
        id: OrganizationId::OWN,
        slug: Some(SLUG.to_owned()),
        name: "perfgraph".to_owned(),
    };
    unless_taken(organization::create(scope, db, new, now).await, find).await
}

/// The created row, or the one that another instance created at the same time.
async fn unless_taken<T>(made: Result<T>, find: impl AsyncFnOnce() -> Result<Option<T>>) -> Result<T> {
    match made {
        Err(error) if error.is_taken() => find().await?.ok_or_else(|| Error::not_found("the server's own project")),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(names: impl Iterator<Item = String>, kept_max: usize) -> Vec<Candidate> {
        let (recorder, inbox) = Recorder::new(Clock::system(), Random::seeded(1), kept_max);
        for (place, name) in (0_u32..).zip(names) {
            recorder.record(&name, 200, f64::from(place));
        }
        let taken = inbox.take();
        assert!(inbox.take().is_empty(), "nothing is written twice");
        taken
    }

    #[test]
    fn frequent_operations_are_sampled_uniformly() {
        assert_eq!(served((0..50).map(|_| "query A".to_owned()), 50).len(), 50, "few are all kept");
        let names = (0..10_000).map(|place| if place % 100 == 0 { "query B" } else { "query A" }.to_owned());
        let taken = served(names, 100);
        let of = |name| taken.iter().filter(|one| one.endpoint == name).map(|one| one.value).collect::<Vec<_>>();
        assert_eq!((of("query A").len(), of("query B").len()), (100, 100), "a rare operation keeps its place");
        let late = of("query A").iter().filter(|value| **value >= 5_000.0).count();
        // Half of a hundred, give or take five standard deviations.
        assert!((25..=75).contains(&late), "{late} of 100 came in the second half");
    }

    #[test]
    fn endpoints_are_bounded_in_number_and_length() {
        let taken = served((0..300).map(|place| format!("query Q{place:0>300}")), 1_000);
        let others = taken.iter().filter(|one| one.endpoint == OTHER_ENDPOINTS).count();
        assert!(taken.iter().all(|one| one.endpoint.len() <= ENDPOINT_BYTES_MAX));
        assert_eq!((taken.len(), others), (300, 0), "names with an equal beginning of the maximum length are one");
        let taken = served((0..300).map(|place| format!("query Q{place}")), 1_000);
        let others = taken.iter().filter(|one| one.endpoint == OTHER_ENDPOINTS).count();
        assert_eq!((taken.len(), others), (300, 100));
    }
}

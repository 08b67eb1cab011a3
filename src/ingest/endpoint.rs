//! Resolves paths to endpoint ids: a bounded cache per project in front of the database.
//!
//! The number of endpoints per project is limited; measurements of further paths are stored under [`OTHER_ENDPOINTS`].
//! New paths are inserted in a transaction of their own before the commit: an endpoint without rows does no harm, and the
//! commit's transaction stays short.

mod store;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
};

use quick_cache::sync::Cache;

use self::store::{EndpointPath, Lookup};
use super::job::Job;
use crate::{
    clock::Clock,
    db::{Database, IdGenerator, StatementLog},
    directory::reach::{self, PROJECT},
    error::Result,
    model::{EndpointId, Key, ProjectId},
};

pub use self::store::OTHER_ENDPOINTS;

/// Maximum number of projects in the cache.
const PROJECTS_MAX: usize = 500;

/// The cached endpoints of a project. Bounded, because only endpoints that are in the database are cached.
#[derive(Debug, Default)]
struct ProjectEndpoints {
    ids: HashMap<Box<str>, EndpointId>,
    /// The endpoint of all paths that are not in `ids`. Set when the project is full and `ids` holds all its endpoints.
    other: Option<EndpointId>,
}

impl ProjectEndpoints {
    fn get(&self, path: &str) -> Option<ResolvedEndpoint> {
        match self.ids.get(path) {
            Some(id) => Some(ResolvedEndpoint::Own(*id)),
            None => self.other.map(ResolvedEndpoint::Other),
        }
    }
}

/// The endpoint of a path: its own, or [`OTHER_ENDPOINTS`].
#[derive(Clone, Copy, Debug)]
enum ResolvedEndpoint {
    Own(EndpointId),
    Other(EndpointId),
}

type SharedEndpoints = Arc<RwLock<ProjectEndpoints>>;

/// Resolves paths to endpoint ids.
#[derive(Clone, Debug)]
pub struct EndpointIds {
    database: Database,
    ids: IdGenerator,
    clock: Clock,
    /// Maximum number of endpoints per project, not counting [`OTHER_ENDPOINTS`].
    endpoints_max: usize,
    cache: Arc<Cache<Key<ProjectId>, SharedEndpoints>>,
}

impl EndpointIds {
    pub fn new(database: Database, ids: IdGenerator, clock: Clock, endpoints_max: usize) -> Self {
        Self { database, ids, clock, endpoints_max, cache: Arc::new(Cache::new(PROJECTS_MAX)) }
    }

    /// The endpoint of every measurement, per job. All unknown paths are looked up in one transaction. Measurements that are
    /// stored under [`OTHER_ENDPOINTS`] are renamed, so that streams show the same endpoint as the database.
    pub async fn resolve(&self, jobs: &mut [&mut Job]) -> Result<Vec<Vec<EndpointId>>> {
        // Held until the end, because the cache may evict a project meanwhile.
        let mut projects: BTreeMap<Key<ProjectId>, SharedEndpoints> = BTreeMap::new();
        for job in &*jobs {
            if let Entry::Vacant(vacant) = projects.entry(job.project) {
                vacant.insert(self.cached(job.project));
            }
        }
        let missing = missing(jobs, &projects);
        if !missing.is_empty() {
            let log = jobs.first().map(|job| job.log.clone()).unwrap_or_default();
            self.look_up(&missing, &projects, &log).await?;
        }
        jobs.iter_mut().map(|job| endpoint_ids(job, projects.get(&job.project))).collect()
    }

    fn cached(&self, project: Key<ProjectId>) -> SharedEndpoints {
        let cached = self.cache.get_or_insert_with(&project, || Ok::<_, Infallible>(SharedEndpoints::default()));
        cached.unwrap_or_else(|never| match never {})
    }

    /// Inserts new paths within the limit of their projects, reads all paths back and caches them.
    async fn look_up(
        &self,
        missing: &MissingPaths,
        projects: &BTreeMap<Key<ProjectId>, SharedEndpoints>,
        log: &StatementLog,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut paths = Vec::new();
        for (project, names) in missing {
            // OTHER_ENDPOINTS is always looked up: only under the database's lock it turns out whether the project is full.
            let names = names.iter().map(String::as_str).filter(|name| *name != OTHER_ENDPOINTS);
            let names = names.chain([OTHER_ENDPOINTS]);
            for path in names {
                paths.push(EndpointPath { project: *project, path, id: EndpointId(self.ids.next(now)?) });
            }
        }
        let Lookup { found, full } =
            store::look_up(self.database.bulk_writer(), log, &paths, self.endpoints_max).await?;
        for (project, path, id) in found {
            if let Some(known) = projects.get(&project) {
                let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
                known.ids.insert(path.into_boxed_str(), id);
            }
        }
        for (project, known) in full.iter().filter_map(|project| Some((project, projects.get(project)?))) {
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            known.other = known.ids.get(OTHER_ENDPOINTS).copied();
            tracing::warn!(
                organization = project.organization.0,
                project = project.id.0,
                endpoints = self.endpoints_max,
                "the project has reached ingest.endpoints_max: measurements of new endpoints are stored under \
                 {OTHER_ENDPOINTS}. Usually the endpoints contain ids: replace these by a placeholder, or raise the limit"
            );
        }
        Ok(())
    }
}

/// Paths that are not cached, in the order in which their projects are locked.
type MissingPaths = BTreeMap<Key<ProjectId>, BTreeSet<String>>;

fn missing(jobs: &[&mut Job], projects: &BTreeMap<Key<ProjectId>, SharedEndpoints>) -> MissingPaths {
    let mut missing = MissingPaths::new();
    for job in jobs {
        let Some(known) = projects.get(&job.project) else { continue };
        let known = known.read().unwrap_or_else(PoisonError::into_inner);
        for measurement in job.measurements.iter().filter(|one| known.get(&one.endpoint).is_none()) {
            let paths = missing.entry(job.project).or_default();
            if !paths.contains(&measurement.endpoint) {
                paths.insert(measurement.endpoint.clone());
            }
        }
    }
    missing
}

/// The endpoint of every measurement of a job. It is missing only if the project was deleted meanwhile.
fn endpoint_ids(job: &mut Job, known: Option<&SharedEndpoints>) -> Result<Vec<EndpointId>> {
    let known = known.ok_or_else(|| reach::unknown(PROJECT))?.read().unwrap_or_else(PoisonError::into_inner);
    let mut ids = Vec::with_capacity(job.measurements.len());
    for measurement in &mut job.measurements {
        ids.push(match known.get(&measurement.endpoint).ok_or_else(|| reach::unknown(PROJECT))? {
            ResolvedEndpoint::Own(id) => id,
            ResolvedEndpoint::Other(id) => {
                OTHER_ENDPOINTS.clone_into(&mut measurement.endpoint);
                id
            }
        });
    }
    Ok(ids)
}

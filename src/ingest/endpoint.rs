//! From paths to endpoint ids: a bounded memory per (organization, project), and the database for what it lacks.
//!
//! A project has so many endpoints and no more; measurements of further paths are kept under one name for all of them.
//! New paths are inserted in a transaction of their own before the commit: an endpoint without rows does no harm, and the
//! commit's transaction stays short.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    sync::{Arc, PoisonError, RwLock},
};

use moka::future::Cache;

use super::{batch::Job, write};
use crate::{
    clock::Clock,
    db::{Database, StatementLog},
    directory::reach::{self, PROJECT},
    error::Result,
    model::{EndpointId, IdGenerator, Key, ProjectId},
};

/// The endpoint that stands for all beyond a project's bound.
pub const OTHER_ENDPOINTS: &str = "__other__";

const PROJECTS_MAX: u64 = 500;

/// What is remembered of a project. Bounded, because only what is in the database is remembered.
#[derive(Debug, Default)]
struct Known {
    ids: HashMap<Box<str>, EndpointId>,
    /// Where everything that is not in `ids` goes: set once the project has all the endpoints it may have, and all of
    /// them are in `ids`.
    other: Option<EndpointId>,
}

impl Known {
    fn get(&self, path: &str) -> Option<Place> {
        match self.ids.get(path) {
            Some(id) => Some(Place::Own(*id)),
            None => self.other.map(Place::Other),
        }
    }
}

/// Where a measurement's endpoint stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Own(EndpointId),
    Other(EndpointId),
}

type Shared = Arc<RwLock<Known>>;

/// A path that has to be looked up, with the id that it gets if it is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    pub project: Key<ProjectId>,
    pub path: &'a str,
    pub id: EndpointId,
}

/// A path as the database has it.
pub type Found = (Key<ProjectId>, String, EndpointId);

/// What the database answers to a look-up.
#[derive(Debug, Default)]
pub struct LookedUp {
    /// The asked paths that have an endpoint; of full projects all paths that have one.
    pub found: Vec<Found>,
    /// The projects that take no further endpoints.
    pub full: BTreeSet<Key<ProjectId>>,
}

/// Resolves paths.
#[derive(Clone, Debug)]
pub struct Endpoints {
    database: Database,
    ids: Arc<IdGenerator>,
    clock: Clock,
    /// Endpoints of one project, without the one for others.
    endpoints_max: usize,
    known: Cache<Key<ProjectId>, Shared>,
}

impl Endpoints {
    pub fn new(database: Database, ids: Arc<IdGenerator>, clock: Clock, endpoints_max: usize) -> Self {
        Self { database, ids, clock, endpoints_max, known: Cache::new(PROJECTS_MAX) }
    }

    /// The endpoint of every measurement, per job; all that are missing cost a few statements together. Measurements
    /// that find their project full are renamed, so that streams say what the database says.
    pub async fn resolve(&self, jobs: &mut [&mut Job]) -> Result<Vec<Vec<EndpointId>>> {
        // Held from here on: the cache may let go of a project in the middle.
        let mut projects: BTreeMap<Key<ProjectId>, Shared> = BTreeMap::new();
        for job in &*jobs {
            if let Entry::Vacant(vacant) = projects.entry(job.project) {
                vacant.insert(self.known.get_with(job.project, async { Shared::default() }).await);
            }
        }
        let missing = missing(jobs, &projects);
        if !missing.is_empty() {
            let log = jobs.first().map(|job| job.log.clone()).unwrap_or_default();
            self.look_up(&missing, &projects, &log).await?;
        }
        jobs.iter_mut().map(|job| places(job, projects.get(&job.project))).collect()
    }

    /// Inserts what is new as far as there is room, reads all back and remembers it.
    async fn look_up(
        &self,
        missing: &Missing,
        projects: &BTreeMap<Key<ProjectId>, Shared>,
        log: &StatementLog,
    ) -> Result<()> {
        let now = self.clock.now();
        let mut paths = Vec::new();
        for (project, names) in missing {
            // The name for others is always asked for: whether it is needed shows only under the database's lock.
            let names = names.iter().map(String::as_str).filter(|name| *name != OTHER_ENDPOINTS);
            let names = names.chain([OTHER_ENDPOINTS]);
            paths.extend(names.map(|path| Path { project: *project, path, id: EndpointId(self.ids.next(now)) }));
        }
        let LookedUp { found, full } =
            write::endpoints(self.database.backend(), log, &paths, self.endpoints_max).await?;
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
                "a project has as many endpoints as ingest.endpoints_max allows: measurements of further ones are kept \
                 under {OTHER_ENDPOINTS}; mostly there are ids in their names"
            );
        }
        Ok(())
    }
}

/// The paths that nobody remembers, in the order of locks.
type Missing = BTreeMap<Key<ProjectId>, BTreeSet<String>>;

fn missing(jobs: &[&mut Job], projects: &BTreeMap<Key<ProjectId>, Shared>) -> Missing {
    let mut missing = Missing::new();
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

/// The endpoint of every measurement of a job. Only a project that went away meanwhile lacks one.
fn places(job: &mut Job, known: Option<&Shared>) -> Result<Vec<EndpointId>> {
    let known = known.ok_or_else(|| reach::unknown(PROJECT))?.read().unwrap_or_else(PoisonError::into_inner);
    let mut ids = Vec::with_capacity(job.measurements.len());
    for measurement in &mut job.measurements {
        ids.push(match known.get(&measurement.endpoint).ok_or_else(|| reach::unknown(PROJECT))? {
            Place::Own(id) => id,
            Place::Other(id) => {
                OTHER_ENDPOINTS.clone_into(&mut measurement.endpoint);
                id
            }
        });
    }
    Ok(ids)
}

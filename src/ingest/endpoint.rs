//! From paths to endpoint ids: a bounded memory per (organization, project), and the database for what it lacks.
//!
//! New paths are inserted in a statement of their own before the commit: an endpoint without rows does no harm, and the
//! commit's transaction stays short.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

use moka::future::Cache;

use super::{batch::Job, write};
use crate::{
    clock::Clock,
    db::Database,
    error::Result,
    model::{EndpointId, IdGenerator, Key, ProjectId},
};

const PROJECTS_MAX: u64 = 500;
/// Paths remembered per project; a project with more starts over rather than grow without bound.
const PATHS_MAX: usize = 4_000;

type Known = Arc<RwLock<HashMap<Box<str>, EndpointId>>>;

/// A path that has to be looked up, with the id that it gets if it is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<'a> {
    pub project: Key<ProjectId>,
    pub path: &'a str,
    pub id: EndpointId,
}

/// A path as the database has it.
pub type Found = (Key<ProjectId>, String, EndpointId);

/// Resolves paths.
#[derive(Clone, Debug)]
pub struct Endpoints {
    database: Database,
    ids: Arc<IdGenerator>,
    clock: Clock,
    known: Cache<Key<ProjectId>, Known>,
}

impl Endpoints {
    pub fn new(database: Database, ids: Arc<IdGenerator>, clock: Clock) -> Self {
        Self { database, ids, clock, known: Cache::new(PROJECTS_MAX) }
    }

    /// The endpoint of every measurement, per job; all that are missing cost two statements together.
    pub async fn resolve(&self, jobs: &[&Job]) -> Result<Vec<Vec<EndpointId>>> {
        let mut answers = Vec::with_capacity(jobs.len());
        let mut missing = BTreeMap::new();
        for job in jobs {
            let known = self.known(job.project).await;
            let known = known.read().unwrap_or_else(PoisonError::into_inner);
            let ids = job.measurements.iter().map(|measurement| {
                let path = measurement.endpoint.as_str();
                known.get(path).copied().unwrap_or_else(|| {
                    missing.insert((job.project, path), EndpointId::ALL);
                    EndpointId::ALL
                })
            });
            answers.push(ids.collect::<Vec<_>>());
        }
        if missing.is_empty() {
            return Ok(answers);
        }
        let found = self.look_up(missing.into_keys(), jobs).await?;
        for (job, ids) in jobs.iter().zip(&mut answers) {
            for (measurement, id) in job.measurements.iter().zip(ids) {
                if *id == EndpointId::ALL {
                    let of_project = found.get(&job.project);
                    *id = of_project
                        .and_then(|paths| paths.get(measurement.endpoint.as_str()))
                        .copied()
                        .ok_or_else(super::accept::unknown_project)?;
                }
            }
        }
        Ok(answers)
    }

    /// Inserts what is new, reads all back and remembers it. The order of `paths` is the order of locks.
    async fn look_up<'a>(
        &self,
        paths: impl Iterator<Item = (Key<ProjectId>, &'a str)>,
        jobs: &[&Job],
    ) -> Result<HashMap<Key<ProjectId>, HashMap<Box<str>, EndpointId>>> {
        let now = self.clock.now();
        let paths: Vec<Path<'a>> =
            paths.map(|(project, path)| Path { project, path, id: EndpointId(self.ids.next(now)) }).collect();
        let log = jobs.first().map(|job| job.log.clone()).unwrap_or_default();
        let mut found: HashMap<_, HashMap<Box<str>, EndpointId>> = HashMap::new();
        for (project, path, id) in write::endpoints(self.database.backend(), &log, &paths).await? {
            found.entry(project).or_default().insert(path.into_boxed_str(), id);
        }
        for (project, paths) in &found {
            let known = self.known(*project).await;
            let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
            if known.len() + paths.len() > PATHS_MAX {
                known.clear();
            }
            known.extend(paths.iter().take(PATHS_MAX).map(|(path, id)| (path.clone(), *id)));
        }
        Ok(found)
    }

    async fn known(&self, project: Key<ProjectId>) -> Known {
        self.known.get_with(project, async { Known::default() }).await
    }
}

//! Endpoints in the database: under a lock on their projects, what is new is inserted as far as a project has room, so
//! that no number of instances together passes the bound. What the steps mean is here; how a database spells them below.

mod postgres;
mod sqlite;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use crate::{
    db::{Backend, StatementLog},
    directory::reach::{self, PROJECT},
    error::Result,
    ingest::endpoint::{Found, LookedUp, OTHER_ENDPOINTS, Path},
    model::{EndpointId, Key, OrganizationId, ProjectId},
};

type Projects = [Key<ProjectId>];

/// A row of the answer to [`Transaction::read`]: a path with its id, or without a path how many there are.
type Row = (i64, i64, Option<String>, i64);

/// An open transaction of one database. Dropped without `commit` it rolls back.
trait Transaction: Send + Sized {
    /// Keeps others from adding endpoints to these projects (ascending) until the end.
    fn lock(&mut self, projects: &Projects) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// Those of the paths that are there, and of each project how many there are.
    fn read(&mut self, projects: &Projects, paths: &[Path<'_>]) -> impl Future<Output = sqlx::Result<Vec<Row>>> + Send;

    fn insert(&mut self, paths: &[&Path<'_>]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// All there are.
    fn all(&mut self, projects: &Projects) -> impl Future<Output = sqlx::Result<Vec<Row>>> + Send;

    fn commit(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Finds `paths`, ascending by project, and inserts those that are new as far as there is room. The name for all others
/// must be among the paths of each project.
pub async fn look_up(
    backend: &Backend,
    log: &StatementLog,
    paths: &[Path<'_>],
    endpoints_max: usize,
) -> Result<LookedUp> {
    let looked_up = match backend {
        Backend::Sqlite(pool) => within(sqlite::begin(pool, log.clone()).await?, paths, endpoints_max).await,
        Backend::Postgres(pool) => within(postgres::begin(pool, log.clone()).await?, paths, endpoints_max).await,
    };
    looked_up.map_err(|error| match &error {
        // Its project went away while it was still remembered as known.
        sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => reach::unknown(PROJECT),
        _ => error.into(),
    })
}

async fn within(mut transaction: impl Transaction, paths: &[Path<'_>], endpoints_max: usize) -> sqlx::Result<LookedUp> {
    let projects: Vec<_> = paths.iter().map(|path| path.project).collect::<BTreeSet<_>>().into_iter().collect();
    transaction.lock(&projects).await?;
    let mut found = BTreeMap::new();
    let mut counts = BTreeMap::new();
    for (organization, project, path, number) in transaction.read(&projects, paths).await? {
        let project = key(organization, project);
        match path {
            Some(path) => drop(found.insert((project, path), EndpointId(number))),
            None => drop(counts.insert(project, usize::try_from(number).unwrap_or(0))),
        }
    }
    let is_found = |path: &Path<'_>| found.contains_key(&(path.project, path.path.to_owned()));
    let mut room: BTreeMap<_, _> = projects
        .iter()
        .map(|project| {
            let others = usize::from(found.contains_key(&(*project, OTHER_ENDPOINTS.to_owned())));
            let taken = counts.get(project).map_or(0, |count| count - others);
            (*project, endpoints_max.saturating_sub(taken))
        })
        .collect();
    let mut fresh: Vec<&Path<'_>> = Vec::new();
    let mut full = BTreeSet::new();
    for path in paths.iter().filter(|path| path.path != OTHER_ENDPOINTS && !is_found(path)) {
        match room.get_mut(&path.project) {
            Some(room) if *room > 0 => {
                *room -= 1;
                fresh.push(path);
            }
            _ => drop(full.insert(path.project)),
        }
    }
    let named = |path: &&Path<'_>| path.path == OTHER_ENDPOINTS && !is_found(path) && full.contains(&path.project);
    fresh.extend(paths.iter().filter(named));
    if !fresh.is_empty() {
        transaction.insert(&fresh).await?;
    }
    let full_projects: Vec<_> = full.iter().copied().collect();
    let of_full = if full.is_empty() { Vec::new() } else { transaction.all(&full_projects).await? };
    transaction.commit().await?;
    let of_full = of_full
        .into_iter()
        .filter_map(|(organization, project, path, id)| Some((key(organization, project), path?, EndpointId(id))));
    let inserted = fresh.iter().map(|path| (path.project, path.path.to_owned(), path.id));
    let found = found.into_iter().map(|((project, path), id)| (project, path, id));
    let found: Vec<Found> = found.chain(inserted).chain(of_full).collect();
    Ok(LookedUp { found, full })
}

const fn key(organization: i64, project: i64) -> Key<ProjectId> {
    Key::new(OrganizationId(organization), ProjectId(project))
}

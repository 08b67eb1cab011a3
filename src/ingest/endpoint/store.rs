//! Endpoints in the database. New paths are inserted under a lock on their projects, so that all instances together stay
//! within the limit of endpoints per project. This file holds the steps; `postgres` and `sqlite` hold their SQL.

mod postgres;
mod sqlite;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
};

use crate::{
    db::{StatementLog, Writer},
    directory::reach::{self, PROJECT},
    error::Result,
    model::{EndpointId, Key, OrganizationId, ProjectId},
};

/// The endpoint that collects measurements of paths beyond a project's limit.
pub const OTHER_ENDPOINTS: &str = "__other__";

/// A path to look up, with its id in case it is new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPath<'a> {
    pub project: Key<ProjectId>,
    pub path: &'a str,
    pub id: EndpointId,
}

/// A stored path.
pub type StoredPath = (Key<ProjectId>, String, EndpointId);

/// The result of a lookup.
#[derive(Debug, Default)]
pub struct Lookup {
    /// The requested paths that have an endpoint, and all paths of full projects.
    pub found: Vec<StoredPath>,
    /// The projects that have reached their limit.
    pub full: BTreeSet<Key<ProjectId>>,
}

type Projects = [Key<ProjectId>];

/// A row of [`Transaction::read`]: (organization, project, path, id), or without a path the project's number of endpoints.
type EndpointRow = (i64, i64, Option<String>, i64);

/// An open transaction. Dropped without `commit` it rolls back.
trait Transaction: Send + Sized {
    /// Locks these projects (ascending) against new endpoints until the end of the transaction.
    fn lock(&mut self, projects: &Projects) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// The paths that exist, and the number of endpoints of each project.
    fn read(
        &mut self,
        projects: &Projects,
        paths: &[EndpointPath<'_>],
    ) -> impl Future<Output = sqlx::Result<Vec<EndpointRow>>> + Send;

    fn insert(&mut self, paths: &[&EndpointPath<'_>]) -> impl Future<Output = sqlx::Result<()>> + Send;

    /// All endpoints of these projects.
    fn all(&mut self, projects: &Projects) -> impl Future<Output = sqlx::Result<Vec<EndpointRow>>> + Send;

    fn commit(self) -> impl Future<Output = sqlx::Result<()>> + Send;
}

/// Finds `paths`, ascending by project, and inserts new ones within the limit of their project. The paths of each project
/// must contain [`OTHER_ENDPOINTS`].
pub async fn look_up(
    writer: &Writer,
    log: &StatementLog,
    paths: &[EndpointPath<'_>],
    endpoints_max: usize,
) -> Result<Lookup> {
    let looked_up = match writer {
        Writer::Sqlite(pool) => within(sqlite::begin(pool, log.clone()).await?, paths, endpoints_max).await,
        Writer::Postgres(stock) => within(postgres::begin(stock, log.clone()).await?, paths, endpoints_max).await,
    };
    looked_up.map_err(|error| match &error {
        // The project was deleted while the cache still knew it.
        sqlx::Error::Database(cause) if cause.is_foreign_key_violation() => reach::unknown(PROJECT),
        _ => error.into(),
    })
}

async fn within(
    mut transaction: impl Transaction,
    paths: &[EndpointPath<'_>],
    endpoints_max: usize,
) -> sqlx::Result<Lookup> {
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
    let is_found = |path: &EndpointPath<'_>| found.contains_key(&(path.project, path.path.to_owned()));
    let mut room: BTreeMap<_, _> = projects
        .iter()
        .map(|project| {
            let others = usize::from(found.contains_key(&(*project, OTHER_ENDPOINTS.to_owned())));
            let taken = counts.get(project).map_or(0, |count| count - others);
            (*project, endpoints_max.saturating_sub(taken))
        })
        .collect();
    let mut fresh: Vec<&EndpointPath<'_>> = Vec::new();
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
    let is_other =
        |path: &&EndpointPath<'_>| path.path == OTHER_ENDPOINTS && !is_found(path) && full.contains(&path.project);
    fresh.extend(paths.iter().filter(is_other));
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
    let found: Vec<StoredPath> = found.chain(inserted).chain(of_full).collect();
    Ok(Lookup { found, full })
}

const fn key(organization: i64, project: i64) -> Key<ProjectId> {
    Key::new(OrganizationId(organization), ProjectId(project))
}

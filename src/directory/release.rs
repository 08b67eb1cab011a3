//! Releases: the versions of a project's software, each with the moment from which it ran.

mod change;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use sea_orm::{
    ConnectionTrait, DbErr, QueryResult,
    sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement},
};

pub use change::{NewRelease, create};

use super::{
    filter::Condition,
    narrow,
    noun::{self, ListOf, Noun, add_columns, choose, keep, organizations_of},
    order::ReleaseOrderField,
    page::{self, LISTED},
    row::row,
};
use crate::{
    db::Session,
    error::Result,
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, ReleaseId, Scope, TimeRange, Timestamp, filter::Filter, page::Page,
    },
};

row! {
    /// A release as read.
    Release, ReleaseFields, release, Key<ReleaseId>, ReleaseCondition, ReleaseOrderField;
    /// The project.
    PROJECT = 0, project_id: ProjectId, ProjectId;
    /// What measurements are tagged with, unique in the project.
    VERSION = 1, version: String, Version;
    /// From when on it ran.
    DEPLOYED_AT = 2, deployed_at: Timestamp, DeployedAt;
    /// The commit that it was built from; empty where nobody said.
    COMMIT = 3, commit: String, CommitHash;
    /// Who made it; zero where nobody said.
    AUTHOR = 4, author_id: EmployeeId, AuthorId;
}

/// Releases are looked up and listed, never filtered: nothing can be asked of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseCondition {}

impl Condition for ReleaseCondition {
    fn sql(&self, _: &Scope, _: &'static str) -> Result<Cond> {
        match *self {}
    }
}

/// A version of a project.
pub type Version = (Key<ProjectId>, String);

impl Release {
    /// The project.
    ///
    /// # Errors
    /// When the field was not among those asked for.
    pub fn project(&self) -> Result<Key<ProjectId>> {
        Ok(Key::new(self.key.organization, *self.project_id()?))
    }

    /// Who made it, where somebody said so.
    ///
    /// # Errors
    /// As [`Self::project`].
    pub fn author(&self) -> Result<Option<Key<EmployeeId>>> {
        let id = *self.author_id()?;
        Ok((id != NOBODY).then(|| Key::new(self.key.organization, id)))
    }
}

/// No id is zero.
const NOBODY: EmployeeId = EmployeeId(0);

/// The releases of these versions; those that nobody created are not in the answer. One statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_versions(
    scope: &Scope,
    db: &Session,
    versions: &[Version],
    fields: ReleaseFields,
) -> Result<HashMap<Version, Release>> {
    let asked: HashSet<&Version> = versions.iter().collect();
    let keys: Vec<Key<ProjectId>> = versions.iter().map(|(project, _)| *project).collect();
    let texts: BTreeSet<&str> = versions.iter().map(|(_, version)| version.as_str()).collect();
    // The lists find the rows by index; versions of one project that were asked of another fall out below.
    let condition = of_projects(&keys).add(Expr::col((LISTED, "version")).is_in(texts));
    let fields = fields | ReleaseFields::PROJECT | ReleaseFields::VERSION;
    let mut found = HashMap::new();
    for release in noun::all_where::<Release>(scope, db, condition, fields).await? {
        let version = (release.project()?, release.version()?.clone());
        if asked.contains(&version) {
            found.insert(version, release);
        }
    }
    Ok(found)
}

/// The same page of several projects' releases, in one statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_projects(
    scope: &Scope,
    db: &Session,
    projects: &[Key<ProjectId>],
    list: &ListOf<Release>,
    fields: ReleaseFields,
) -> Result<HashMap<Key<ProjectId>, Page<Arc<Release>>>> {
    let mut select = listed(scope, projects);
    select.column((LISTED, "project_id"));
    add_columns::<Release>(&mut select, fields);
    choose::<Release>(&mut select, scope, list)?;
    page::many(db, projects, select, (LISTED, "project_id"), list, |row| {
        let release = Arc::new(Release::read(row, 1, fields)?);
        Ok((Key::new(release.key.organization, row.try_get_by_index(0)?), release))
    })
    .await
}

/// How many releases each of several projects has, in one statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn counts(
    scope: &Scope,
    db: &Session,
    projects: &[Key<ProjectId>],
    filter: Option<&Filter<ReleaseCondition>>,
) -> Result<HashMap<Key<ProjectId>, u64>> {
    let key = [(LISTED, "organization_id"), (LISTED, "project_id")];
    let mut select = listed(scope, projects);
    select.columns(key).expr(Expr::cust("COUNT(*)")).group_by_columns(key);
    keep(&mut select, scope, filter)?;
    let read =
        |row: &QueryResult| -> Result<_, DbErr> { Ok(Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?)) };
    page::counts(db, &select, 2, read).await
}

/// What ran when: a release, the time from its deployment to the next one's (or until `now`), and which came before it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its key.
    pub key: Key<ReleaseId>,
    /// The project.
    pub project: Key<ProjectId>,
    /// What measurements are tagged with.
    pub version: String,
    /// From its deployment to the next, or until `now`; `None` for one that is yet to be deployed, or was replaced in
    /// the same moment.
    pub window: Option<TimeRange>,
    /// The release before it.
    pub previous: Option<Key<ReleaseId>>,
}

/// When these releases ran. One statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn runs(
    scope: &Scope,
    db: &Session,
    keys: &[Key<ReleaseId>],
    now: Timestamp,
) -> Result<HashMap<Key<ReleaseId>, Run>> {
    let column = |table: &'static str, name: &'static str| Expr::col((table, name));
    // One look to each side along the index of deployments, whatever the number of releases.
    let neighbour = |columns: &'static str, is_later: bool| {
        let place = |table| Expr::tuple([column(table, "deployed_at"), column(table, "id")]);
        let mut select = Query::select();
        select
            .column(("o", columns))
            .from_as("release", "o")
            .and_where(column("o", "organization_id").equals((LISTED, "organization_id")))
            .and_where(column("o", "project_id").equals((LISTED, "project_id")))
            .limit(1);
        let order = if is_later {
            select.and_where(place("o").gt(place(LISTED)));
            sea_orm::sea_query::Order::Asc
        } else {
            select.and_where(place("o").lt(place(LISTED)));
            sea_orm::sea_query::Order::Desc
        };
        select.order_by(("o", "deployed_at"), order.clone()).order_by(("o", "id"), order);
        select
    };
    let mut select = Query::select();
    select
        .columns(["organization_id", "id", "project_id", "version", "deployed_at"].map(|name| (LISTED, name)))
        .expr(Expr::SubQuery(None, Box::new(neighbour("deployed_at", true).into())))
        .expr(Expr::SubQuery(None, Box::new(neighbour("id", false).into())))
        .from_as("release", LISTED)
        .cond_where(<Key<ReleaseId> as noun::RowKey>::among(keys));
    narrow(&mut select, scope, (LISTED, "organization_id"));
    let mut found = HashMap::new();
    for row in db.query_all(&select).await? {
        let organization: OrganizationId = row.try_get_by_index(0)?;
        let key = Key::new(organization, row.try_get_by_index(1)?);
        let deployed_at: Timestamp = row.try_get_by_index(4)?;
        let replaced_at: Option<Timestamp> = row.try_get_by_index(5)?;
        let previous: Option<ReleaseId> = row.try_get_by_index(6)?;
        found.insert(
            key,
            Run {
                key,
                project: Key::new(organization, row.try_get_by_index(2)?),
                version: row.try_get_by_index(3)?,
                window: TimeRange::new(deployed_at, replaced_at.map_or(now, |at| Ord::min(at, now))).ok(),
                previous: previous.map(|id| Key::new(organization, id)),
            },
        );
    }
    Ok(found)
}

fn of_projects(projects: &[Key<ProjectId>]) -> Cond {
    Cond::all()
        .add(Expr::col((LISTED, "organization_id")).is_in(organizations_of(projects)))
        .add(Expr::col((LISTED, "project_id")).is_in(projects.iter().map(|key| key.id)))
}

/// The releases of projects, without columns.
fn listed(scope: &Scope, projects: &[Key<ProjectId>]) -> SelectStatement {
    let mut select = noun::seen::<Release>(scope);
    select.cond_where(of_projects(projects));
    select
}

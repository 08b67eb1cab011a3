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
    keyset::LISTED,
    order::{OrderField, SortKind},
    page,
    reach::narrow,
    record::{self, ListOf, Record, RecordKey, add_columns, choose, keep, organizations_of},
    row::row,
};
use crate::{
    db::Session,
    error::Result,
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, ReleaseId, Scope, TimeRange, Timestamp,
        filter::Filter,
        order::{OrderBy, Sort, SortValue},
        page::Page,
    },
};

row! {
    /// A release.
    Release, ReleaseFields, release, Key<ReleaseId>, ReleaseCondition, ReleaseOrderField;
    /// The project.
    PROJECT = 0, project_id: ProjectId, ProjectId;
    /// The version that measurements are tagged with, unique in the project.
    VERSION = 1, version: String, Version;
    /// The time of the deployment.
    DEPLOYED_AT = 2, deployed_at: Timestamp, DeployedAt;
    /// The commit that the release was built from; empty if unknown.
    COMMIT = 3, commit: String, CommitHash;
    /// The author; zero if unknown.
    AUTHOR = 4, author_id: EmployeeId, AuthorId;
}

/// Sort keys of releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseOrderField {
    /// The time of the deployment.
    DeployedAt,
}

impl OrderField for ReleaseOrderField {
    type Row = Release;
    type Fields = ReleaseFields;
    const LIST: u8 = b'r';
    const ALL: &'static [Self] = &[Self::DeployedAt];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::DeployedAt, sort: Sort::Descending }];

    fn column(self) -> &'static str {
        "deployed_at"
    }

    fn kind(self) -> SortKind {
        SortKind::Integer
    }

    fn fields(self) -> ReleaseFields {
        ReleaseFields::DEPLOYED_AT
    }

    fn value(self, row: &Release) -> Result<SortValue<&str>> {
        Ok(SortValue::Integer(row.deployed_at()?.as_micros()))
    }
}

/// Conditions on releases. There are none: releases are read by key and listed, never filtered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReleaseCondition {}

impl Condition for ReleaseCondition {
    fn sql(&self, _: &Scope, _: &'static str) -> Result<Cond> {
        match *self {}
    }
}

/// A project and a version of it.
pub type Version = (Key<ProjectId>, String);

impl Release {
    /// The project.
    ///
    /// # Errors
    /// The field was not requested.
    pub fn project(&self) -> Result<Key<ProjectId>> {
        Ok(Key::new(self.key.organization, *self.project_id()?))
    }

    /// The author, if known.
    ///
    /// # Errors
    /// As [`Self::project`].
    pub fn author(&self) -> Result<Option<Key<EmployeeId>>> {
        let id = *self.author_id()?;
        Ok((id != UNKNOWN_AUTHOR).then(|| Key::new(self.key.organization, id)))
    }
}

/// The stored id of an unknown author; no employee has the id zero.
const UNKNOWN_AUTHOR: EmployeeId = EmployeeId(0);

/// Reads the releases of these versions in one statement; versions without a release are left out.
///
/// # Errors
/// The database fails.
pub async fn by_versions(
    scope: &Scope,
    db: &Session,
    versions: &[Version],
    fields: ReleaseFields,
) -> Result<HashMap<Version, Release>> {
    let asked: HashSet<&Version> = versions.iter().collect();
    let keys: Vec<Key<ProjectId>> = versions.iter().map(|(project, _)| *project).collect();
    let texts: BTreeSet<&str> = versions.iter().map(|(_, version)| version.as_str()).collect();
    // The index serves the two lists; combinations that were not asked for are dropped below.
    let condition = of_projects(&keys).add(Expr::col((LISTED, "version")).is_in(texts));
    let fields = fields | ReleaseFields::PROJECT | ReleaseFields::VERSION;
    let mut found = HashMap::new();
    for release in record::all_where::<Release>(scope, db, condition, fields).await? {
        let version = (release.project()?, release.version()?.clone());
        if asked.contains(&version) {
            found.insert(version, release);
        }
    }
    Ok(found)
}

/// Reads the same page of several projects' releases, in one statement.
///
/// # Errors
/// The database fails.
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

/// Counts the releases of each of several projects, in one statement.
///
/// # Errors
/// The database fails.
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

/// The period in which a release was deployed: from its deployment to the next one's, or until now.
#[derive(Clone, Debug)]
pub struct ReleaseRun {
    /// The key of the release.
    pub key: Key<ReleaseId>,
    /// The project.
    pub project: Key<ProjectId>,
    /// The version that measurements are tagged with.
    pub version: String,
    /// The period; `None` for a release that is not deployed yet, or was replaced at the moment of its deployment.
    pub window: Option<TimeRange>,
    /// The release before it.
    pub previous: Option<Key<ReleaseId>>,
}

/// Reads the periods in which these releases were deployed, in one statement.
///
/// # Errors
/// The database fails.
pub async fn runs(
    scope: &Scope,
    db: &Session,
    keys: &[Key<ReleaseId>],
    now: Timestamp,
) -> Result<HashMap<Key<ReleaseId>, ReleaseRun>> {
    let column = |table: &'static str, name: &'static str| Expr::col((table, name));
    // One lookup in each direction of the index of deployments, whatever the number of releases.
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
        .cond_where(Key::<ReleaseId>::among(keys));
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
            ReleaseRun {
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

/// Selects the releases of projects, without columns.
fn listed(scope: &Scope, projects: &[Key<ProjectId>]) -> SelectStatement {
    let mut select = record::seen::<Release>(scope);
    select.cond_where(of_projects(projects));
    select
}

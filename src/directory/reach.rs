//! Access of callers to organizations and projects: the scope contains them, the role suffices, they exist, and a project
//! accepts metrics. Directory, ingest and live ask here, so all of them give the same answer.
//!
//! An organization or project outside of the scope is reported exactly like one that does not exist.

mod known;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sea_orm::{
    ConnectionTrait, EntityTrait, QuerySelect,
    sea_query::{Cond, Expr, ExprTrait, IntoColumnRef, Query, SelectStatement},
};

use self::known::Known;
use super::{page, status::ProjectStatus};
use crate::{
    db::{Database, Session, StatementLog},
    entity::{organization, project},
    error::{Error, Result},
    model::{Key, OrganizationId, ProblemKind, ProjectId, ProjectSlug, Role, Scope, VisibleOrganizations},
};

/// Access of a caller to an organization or project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Access {
    /// The caller may do what was asked.
    Granted,
    /// The project is archived and accepts no metrics.
    Archived,
    /// The caller's role is below this one.
    Denied(Role),
    /// It does not exist or lies outside of the scope; the caller cannot tell which.
    Unknown,
}

/// The subject of a check, as the error names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The thing that an operation is about; a missing one fails the operation.
    Thing(&'static str),
    /// The input field that holds the id; a missing row is a problem of this field.
    Field(&'a str),
}

/// The project that metrics are sent to.
pub const PROJECT: Subject<'static> = Subject::Thing("project");
/// The organization that a stream is about.
pub const ORGANIZATION: Subject<'static> = Subject::Thing("organization");

/// The error for a subject that does not exist or lies outside of the scope.
pub fn unknown(subject: Subject<'_>) -> Error {
    match subject {
        Subject::Thing(what) => Error::not_found(what),
        Subject::Field(field) => {
            let name = if field == "slug" || field.ends_with("Slug") { "slug" } else { "id" };
            let message = format!("does not exist, or you have no access to it; check the {name}");
            Error::refused(ProblemKind::NotFound, field, message)
        }
    }
}

impl Access {
    /// Turns everything but [`Access::Granted`] into an error.
    ///
    /// # Errors
    /// [`Error::Conflict`] for an archived project, [`Error::Forbidden`] for a role that does not suffice, and
    /// [`unknown`] for what does not exist.
    pub fn require(self, subject: Subject<'_>) -> Result<()> {
        match self {
            Self::Granted => Ok(()),
            Self::Archived => Err(Error::Conflict(
                "the project is archived and accepts no metrics; set its status to ACTIVE first".to_owned(),
            )),
            Self::Denied(least) => {
                let least = match least {
                    Role::Viewer | Role::Member => "a member",
                    Role::Admin => "an administrator",
                    Role::Owner => "an owner",
                };
                Err(Error::Forbidden(format!("only {least} may do this")))
            }
            Self::Unknown => Err(unknown(subject)),
        }
    }
}

/// Access to an organization's data for roles from `least` on, without a look into the database.
pub fn to_organization(scope: &Scope, organization: OrganizationId, least: Role) -> Access {
    if scope.sees(organization) { to_role(scope, least) } else { Access::Unknown }
}

/// Access for roles from `least` on.
pub(super) fn to_role(scope: &Scope, least: Role) -> Access {
    if scope.role() < least { Access::Denied(least) } else { Access::Granted }
}

/// Narrows a statement to the scope; `organization` is the column of the organization.
pub(super) fn narrow(select: &mut SelectStatement, scope: &Scope, organization: impl IntoColumnRef) {
    if let VisibleOrganizations::Organization(own) = scope.organizations() {
        select.and_where(Expr::col(organization).eq(own));
    }
}

/// Requires a role in an organization; `field` is the input field that names the organization or something in it.
///
/// # Errors
/// As [`Access::require`].
pub(super) fn authorise(scope: &Scope, organization: OrganizationId, least: Role, field: &str) -> Result<()> {
    to_organization(scope, organization, least).require(Subject::Field(field))
}

/// The error for an id in an input field that names no row in the scope.
pub(super) fn absent(field: &str) -> Error {
    unknown(Subject::Field(field))
}

/// Access to metrics of a project for writing, without a look into the database. A role that may not write is not told
/// whether the project exists.
pub fn to_metrics(scope: &Scope, project: Key<ProjectId>) -> Access {
    match to_organization(scope, project.organization, Role::Member) {
        Access::Denied(_) => Access::Unknown,
        access => access,
    }
}

/// Access to an organization that must exist. One statement, none for an organization outside of the scope.
///
/// # Errors
/// The database fails.
pub async fn organization(scope: &Scope, db: &Session, id: OrganizationId) -> Result<Access> {
    if !scope.sees(id) {
        return Ok(Access::Unknown);
    }
    let mut select = Query::select();
    select
        .expr(Expr::cust("COUNT(*)"))
        .from(organization::Entity)
        .and_where(Expr::col(organization::Column::Id).eq(id));
    let exists = page::count(db, &select).await? > 0;
    Ok(if exists { Access::Granted } else { Access::Unknown })
}

/// Access to projects that must all exist, whether archived or not. One statement, none if a project is outside of the
/// scope.
///
/// # Errors
/// The database fails.
pub async fn projects(scope: &Scope, db: &Session, projects: &BTreeSet<Key<ProjectId>>) -> Result<Access> {
    if projects.is_empty() {
        return Ok(Access::Granted);
    }
    if projects.iter().any(|project| !scope.sees(project.organization)) {
        return Ok(Access::Unknown);
    }
    let mut by_organization: BTreeMap<OrganizationId, Vec<ProjectId>> = BTreeMap::new();
    for project in projects {
        by_organization.entry(project.organization).or_default().push(project.id);
    }
    let any = by_organization.into_iter().map(|(organization, ids)| {
        Cond::all()
            .add(Expr::col(project::Column::OrganizationId).eq(organization))
            .add(Expr::col(project::Column::Id).is_in(ids))
    });
    let mut select = Query::select();
    select.expr(Expr::cust("COUNT(*)")).from(project::Entity).cond_where(any.fold(Cond::any(), Cond::add));
    let found = page::count(db, &select).await?;
    let all_exist = usize::try_from(found).is_ok_and(|found| found == projects.len());
    Ok(if all_exist { Access::Granted } else { Access::Unknown })
}

/// Projects as targets of metrics. Clones share a cache of statuses and slugs; a missing project is not cached, so a new
/// project accepts metrics at once.
#[derive(Clone, Debug)]
pub struct MetricTargets {
    database: Database,
    statuses: Arc<Known<Key<ProjectId>, ProjectStatus>>,
    slugs: Arc<Known<ProjectSlug, Key<ProjectId>>>,
}

impl MetricTargets {
    /// Starts with an empty cache.
    pub fn new(database: Database) -> Self {
        Self { database, statuses: Arc::default(), slugs: Arc::default() }
    }

    /// Access to a project for writing metrics. One statement, none while the status is cached.
    ///
    /// # Errors
    /// The database fails.
    pub async fn access(&self, scope: &Scope, project: Key<ProjectId>, log: &StatementLog) -> Result<Access> {
        let access = to_metrics(scope, project);
        if access != Access::Granted {
            return Ok(access);
        }
        Ok(match self.status(project, log).await? {
            Some(ProjectStatus::Archived) => Access::Archived,
            Some(ProjectStatus::Active | ProjectStatus::Paused) => Access::Granted,
            None => Access::Unknown,
        })
    }

    /// The project with these slugs, if the caller may write its metrics. One statement, none while it is cached.
    ///
    /// # Errors
    /// The database fails.
    pub async fn named(&self, scope: &Scope, slug: &ProjectSlug, log: &StatementLog) -> Result<Option<Key<ProjectId>>> {
        let may_write = |key: &Key<ProjectId>| to_metrics(scope, *key) == Access::Granted;
        if let Some(known) = self.slugs.get(slug) {
            return Ok(Some(known).filter(may_write));
        }
        let reading = self.slugs.begin();
        let mut select = Query::select();
        select
            .columns([project::Column::OrganizationId, project::Column::Id].map(|column| (project::Entity, column)))
            .from(project::Entity)
            .inner_join(
                organization::Entity,
                Expr::col((organization::Entity, organization::Column::Id))
                    .equals((project::Entity, project::Column::OrganizationId)),
            )
            .and_where(Expr::col((organization::Entity, organization::Column::Slug)).eq(slug.organization.as_str()))
            .and_where(Expr::col((project::Entity, project::Column::Slug)).eq(slug.project.as_str()));
        let Some(row) = self.database.reader(log.clone()).query_one(&select).await? else { return Ok(None) };
        let key = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        self.slugs.keep(slug, key, reading);
        Ok(Some(key).filter(may_write))
    }

    /// Removes a project that the caller changed from the cache.
    pub fn forget(&self, scope: &Scope, project: Key<ProjectId>) {
        if scope.sees(project.organization) {
            self.statuses.forget(&project);
            // The slug of a deleted project may be given to another one.
            self.slugs.forget_all();
        }
    }

    async fn status(&self, project: Key<ProjectId>, log: &StatementLog) -> Result<Option<ProjectStatus>> {
        if let Some(known) = self.statuses.get(&project) {
            return Ok(Some(known));
        }
        let reading = self.statuses.begin();
        let status = self.read_status(project, log).await?;
        if let Some(status) = status {
            self.statuses.keep(&project, status, reading);
        }
        Ok(status)
    }

    async fn read_status(&self, project: Key<ProjectId>, log: &StatementLog) -> Result<Option<ProjectStatus>> {
        let code: Option<i16> = project::Entity::find_by_id((project.organization, project.id))
            .select_only()
            .column(project::Column::Status)
            .into_tuple()
            .one(&self.database.reader(log.clone()))
            .await?;
        Ok(code.map(ProjectStatus::from_code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: OrganizationId = OrganizationId(1);
    const FOREIGN: OrganizationId = OrganizationId(2);

    #[test]
    fn a_foreign_organization_is_unknown_to_every_role() {
        for role in [Role::Viewer, Role::Member, Role::Admin, Role::Owner] {
            let scope = Scope::organization(OWN, role);
            assert_eq!(to_organization(&scope, FOREIGN, Role::Viewer), Access::Unknown);
            assert_eq!(to_organization(&scope, FOREIGN, Role::Owner), Access::Unknown);
        }
    }

    #[test]
    fn a_role_below_the_required_one_is_denied_in_its_own_organization() {
        let scope = Scope::organization(OWN, Role::Member);
        assert_eq!(to_organization(&scope, OWN, Role::Member), Access::Granted);
        assert_eq!(to_organization(&scope, OWN, Role::Admin), Access::Denied(Role::Admin));
    }

    #[test]
    fn a_viewer_is_not_told_that_a_project_exists() {
        let project = Key::new(OWN, ProjectId(1));
        assert_eq!(to_metrics(&Scope::organization(OWN, Role::Viewer), project), Access::Unknown);
        assert_eq!(to_metrics(&Scope::organization(OWN, Role::Member), project), Access::Granted);
        assert_eq!(to_metrics(&Scope::organization(FOREIGN, Role::Owner), project), Access::Unknown);
    }

    #[test]
    fn refusals_name_the_thing_or_the_field() {
        let message = |access: Access, subject| access.require(subject).map_err(|error| error.to_string());
        assert_eq!(message(Access::Granted, PROJECT), Ok(()));
        assert_eq!(message(Access::Unknown, PROJECT), Err("project was not found".to_owned()));
        assert_eq!(
            message(Access::Unknown, Subject::Field("projectId")),
            Err("projectId: does not exist, or you have no access to it; check the id".to_owned())
        );
        assert_eq!(
            message(Access::Denied(Role::Admin), Subject::Field("id")),
            Err("only an administrator may do this".to_owned())
        );
        assert!(matches!(Access::Archived.require(PROJECT), Err(Error::Conflict(_))));
    }
}

//! Projects: the monitored services of an organization.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait, JoinType, QueryResult,
    sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    narrow,
    page::{self, LISTED},
    row::row,
};
use crate::{
    db::Session,
    entity::{project as table, project_member},
    error::{Error, Result},
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, Role, Scope, Timestamp,
        page::{Page, PageRequest},
    },
};

row! {
    /// A project as read.
    Project, ProjectFields, project, Key<ProjectId> = |row, at| {
        let key = Key::new(row.try_get_by_index(*at)?, row.try_get_by_index(*at + 1)?);
        *at += 2;
        Ok(key)
    };
    /// The name that people read.
    NAME = 0, name: String, Name;
    /// The name in addresses, unique in the organization.
    SLUG = 1, slug: String, Slug;
    /// The stored number of [`ProjectStatus`].
    STATUS = 2, status_code: i16, Status;
    /// When it was created.
    CREATED_AT = 3, created_at: Timestamp, CreatedAt;
    /// When it was last changed.
    UPDATED_AT = 4, updated_at: Timestamp, UpdatedAt;
    /// How many people work on it: a counter that every change of the team maintains.
    TEAM_SIZE = 5, team_size: i64, TeamSize;
}

/// Whether a project takes metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProjectStatus {
    /// Monitored.
    Active,
    /// Not watched for now; metrics are still taken.
    Paused,
    /// Kept for reading; metrics are refused.
    Archived,
}

impl ProjectStatus {
    /// The number stored in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::Active => 0,
            Self::Paused => 1,
            Self::Archived => 2,
        }
    }
}

impl Project {
    /// Whether the project takes metrics.
    ///
    /// # Errors
    /// When the field was not among those asked for.
    pub fn status(&self) -> Result<ProjectStatus> {
        Ok(match self.status_code()? {
            0 => ProjectStatus::Active,
            1 => ProjectStatus::Paused,
            // The table's CHECK allows no other number than 2 here.
            _ => ProjectStatus::Archived,
        })
    }
}

fn column(column: table::Column) -> (Alias, table::Column) {
    (Alias::new(LISTED), column)
}

fn add_columns(select: &mut SelectStatement, fields: ProjectFields) {
    select.column(column(table::Column::OrganizationId)).column(column(table::Column::Id));
    for name in Project::columns(fields) {
        select.column(column(name));
    }
}

fn select(fields: ProjectFields) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(table::Entity, Alias::new(LISTED));
    add_columns(&mut select, fields);
    select
}

/// The projects with these keys; what is not there or not seen is not in the answer.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_ids(
    scope: &Scope,
    db: &Session,
    keys: &[Key<ProjectId>],
    fields: ProjectFields,
) -> Result<HashMap<Key<ProjectId>, Project>> {
    let mut select = select(fields);
    select
        .and_where(Expr::col(column(table::Column::OrganizationId)).is_in(page::organizations_of(keys)))
        .and_where(Expr::col(column(table::Column::Id)).is_in(keys.iter().map(|key| key.id)));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    collect(&db.query_all(&select).await?, fields)
}

fn collect(rows: &[QueryResult], fields: ProjectFields) -> Result<HashMap<Key<ProjectId>, Project>> {
    rows.iter()
        .map(|row| Project::read(row, 0, fields).map(|project| (project.key, project)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// The project of an organization with this slug.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_slug(
    scope: &Scope,
    db: &Session,
    organization: OrganizationId,
    slug: &str,
    fields: ProjectFields,
) -> Result<Option<Project>> {
    let mut select = select(fields);
    select
        .and_where(Expr::col(column(table::Column::OrganizationId)).eq(organization))
        .and_where(Expr::col(column(table::Column::Slug)).eq(slug));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    let row = db.query_one(&select).await?;
    Ok(row.map(|row| Project::read(&row, 0, fields)).transpose()?)
}

/// One page of the projects that the scope sees, by name.
///
/// # Errors
/// When the database cannot answer.
pub async fn list(
    scope: &Scope,
    db: &Session,
    page: &PageRequest,
    fields: ProjectFields,
) -> Result<Page<Arc<Project>>> {
    let mut select = select(fields);
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::one(db, select, page, |row| Project::read(row, 0, fields).map(Arc::new)).await
}

/// How many projects the scope sees.
///
/// # Errors
/// When the database cannot answer.
pub async fn count(scope: &Scope, db: &Session) -> Result<u64> {
    let mut select = Query::select();
    select.expr(Expr::cust("COUNT(*)")).from_as(table::Entity, Alias::new(LISTED));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::count(db, &select).await
}

/// The same page of several organizations' projects, in one statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_organizations(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    page: &PageRequest,
    fields: ProjectFields,
) -> Result<HashMap<OrganizationId, Page<Arc<Project>>>> {
    let mut select = select(fields);
    select.and_where(Expr::col(column(table::Column::OrganizationId)).is_in(organizations.iter().copied()));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::many(db, organizations, select, (LISTED, "organization_id"), page, |row| {
        Project::read(row, 0, fields).map(|project| (project.key.organization, Arc::new(project)))
    })
    .await
}

/// How many projects each of several organizations has.
///
/// # Errors
/// When the database cannot answer.
pub async fn counts_by_organizations(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
) -> Result<HashMap<OrganizationId, u64>> {
    let mut select = Query::select();
    select
        .column(column(table::Column::OrganizationId))
        .column(column(table::Column::OrganizationId))
        .expr(Expr::cust("COUNT(*)"))
        .from_as(table::Entity, Alias::new(LISTED))
        .and_where(Expr::col(column(table::Column::OrganizationId)).is_in(organizations.iter().copied()))
        .group_by_col(column(table::Column::OrganizationId));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    let counts = page::counts_by_key::<OrganizationId>(db, &select).await?;
    Ok(counts.into_iter().map(|(key, count)| (key.id, count)).collect())
}

/// The same page of the projects that several employees work on, in one statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_employees(
    scope: &Scope,
    db: &Session,
    employees: &[Key<EmployeeId>],
    page: &PageRequest,
    fields: ProjectFields,
) -> Result<HashMap<Key<EmployeeId>, Page<Arc<Project>>>> {
    const MEMBER: &str = "m";
    let member = |column: project_member::Column| (Alias::new(MEMBER), column);
    let mut select = Query::select();
    select
        .column(member(project_member::Column::EmployeeId))
        .from_as(project_member::Entity, Alias::new(MEMBER))
        .join_as(
            JoinType::InnerJoin,
            table::Entity,
            Alias::new(LISTED),
            Expr::col(column(table::Column::OrganizationId))
                .equals(member(project_member::Column::OrganizationId))
                .and(Expr::col(column(table::Column::Id)).equals(member(project_member::Column::ProjectId))),
        )
        .and_where(Expr::col(member(project_member::Column::OrganizationId)).is_in(page::organizations_of(employees)))
        .and_where(Expr::col(member(project_member::Column::EmployeeId)).is_in(employees.iter().map(|key| key.id)));
    add_columns(&mut select, fields);
    narrow(&mut select, scope, member(project_member::Column::OrganizationId));
    page::many(db, employees, select, (MEMBER, "employee_id"), page, |row| {
        let employee: EmployeeId = row.try_get_by_index(0)?;
        let project = Project::read(row, 1, fields)?;
        Ok((Key::new(project.key.organization, employee), Arc::new(project)))
    })
    .await
}

/// What a new project is made of.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Made by the caller's generator.
    pub id: ProjectId,
    /// Unique in the organization.
    pub slug: String,
    /// For people.
    pub name: String,
    /// Whether it takes metrics.
    pub status: ProjectStatus,
}

/// Creates a project.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::NotFound`] outside the scope, [`Error::Conflict`] on a taken slug.
pub async fn create(
    scope: &Scope,
    db: &Session,
    organization: OrganizationId,
    new: NewProject,
    now: Timestamp,
) -> Result<Key<ProjectId>> {
    if !scope.sees(organization) {
        return Err(Error::not_found("the organization"));
    }
    if scope.role() < Role::Admin {
        return Err(Error::Forbidden("only an administrator may create projects".to_owned()));
    }
    table::Entity::insert(table::ActiveModel {
        organization_id: Set(organization),
        id: Set(new.id),
        slug: Set(new.slug),
        name: Set(new.name),
        status: Set(new.status.code()),
        team_size: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
    })
    .exec_without_returning(db)
    .await?;
    Ok(Key::new(organization, new.id))
}

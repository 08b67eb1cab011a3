//! Employees: the people of an organization, who own projects.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryResult,
    sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    narrow,
    page::{self, LISTED},
    row::row,
};
use crate::{
    db::Session,
    entity::{employee as table, organization, project_member},
    error::{Error, Result},
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, Role, Scope, Timestamp,
        page::{Page, PageRequest},
    },
};

row! {
    /// An employee as read.
    Employee, EmployeeFields, employee, Key<EmployeeId> = |row, at| {
        let key = Key::new(row.try_get_by_index(*at)?, row.try_get_by_index(*at + 1)?);
        *at += 2;
        Ok(key)
    };
    /// The full name.
    NAME = 0, name: String, Name;
    /// The address, unique in the organization.
    EMAIL = 1, email: String, Email;
    /// The department, free text.
    DEPARTMENT = 2, department: String, Department;
    /// The yearly salary, hidden from roles below admin.
    SALARY = 3, salary: Option<f64>, Salary;
    /// Whether the person still works there.
    IS_ACTIVE = 4, is_active: bool, IsActive;
    /// When the record was created.
    CREATED_AT = 5, created_at: Timestamp, CreatedAt;
    /// When the record was last changed.
    UPDATED_AT = 6, updated_at: Timestamp, UpdatedAt;
}

fn column(column: table::Column) -> (Alias, table::Column) {
    (Alias::new(LISTED), column)
}

fn add_columns(select: &mut SelectStatement, fields: EmployeeFields) {
    select.column(column(table::Column::OrganizationId)).column(column(table::Column::Id));
    for name in Employee::columns(fields) {
        select.column(column(name));
    }
}

fn select(fields: EmployeeFields) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(table::Entity, Alias::new(LISTED));
    add_columns(&mut select, fields);
    select
}

/// The employees with these keys; what is not there or not seen is not in the answer.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_ids(
    scope: &Scope,
    db: &Session,
    keys: &[Key<EmployeeId>],
    fields: EmployeeFields,
) -> Result<HashMap<Key<EmployeeId>, Employee>> {
    let mut select = select(fields);
    select
        .and_where(Expr::col(column(table::Column::OrganizationId)).is_in(page::organizations_of(keys)))
        .and_where(Expr::col(column(table::Column::Id)).is_in(keys.iter().map(|key| key.id)));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    collect(&db.query_all(&select).await?, fields)
}

fn collect(rows: &[QueryResult], fields: EmployeeFields) -> Result<HashMap<Key<EmployeeId>, Employee>> {
    rows.iter()
        .map(|row| Employee::read(row, 0, fields).map(|employee| (employee.key, employee)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
}

/// One page of everybody the scope sees, by name.
///
/// # Errors
/// When the database cannot answer.
pub async fn list(
    scope: &Scope,
    db: &Session,
    page: &PageRequest,
    fields: EmployeeFields,
) -> Result<Page<Arc<Employee>>> {
    let mut select = select(fields);
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::one(db, select, page, |row| Employee::read(row, 0, fields).map(Arc::new)).await
}

/// How many people the scope sees.
///
/// # Errors
/// When the database cannot answer.
pub async fn count(scope: &Scope, db: &Session) -> Result<u64> {
    let mut select = Query::select();
    select.expr(Expr::cust("COUNT(*)")).from_as(table::Entity, Alias::new(LISTED));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::count(db, &select).await
}

/// The same page of several organizations' people, in one statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_organizations(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    page: &PageRequest,
    fields: EmployeeFields,
) -> Result<HashMap<OrganizationId, Page<Arc<Employee>>>> {
    let mut select = select(fields);
    select.and_where(Expr::col(column(table::Column::OrganizationId)).is_in(organizations.iter().copied()));
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::many(db, organizations, select, (LISTED, "organization_id"), page, |row| {
        Employee::read(row, 0, fields).map(|employee| (employee.key.organization, Arc::new(employee)))
    })
    .await
}

/// A member of a project's team, with the membership.
#[derive(Clone, Debug)]
pub struct TeamRow {
    /// The person.
    pub employee: Arc<Employee>,
    /// What the person does in the project.
    pub role: String,
    /// Since when.
    pub joined_at: Timestamp,
}

/// The same page of several projects' teams, in one statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_projects(
    scope: &Scope,
    db: &Session,
    projects: &[Key<ProjectId>],
    page: &PageRequest,
    fields: EmployeeFields,
) -> Result<HashMap<Key<ProjectId>, Page<TeamRow>>> {
    const MEMBER: &str = "m";
    let member = |column: project_member::Column| (Alias::new(MEMBER), column);
    let mut select = Query::select();
    select
        .column(member(project_member::Column::ProjectId))
        .column(member(project_member::Column::Role))
        .column(member(project_member::Column::JoinedAt))
        .from_as(project_member::Entity, Alias::new(MEMBER))
        .join_as(
            sea_orm::JoinType::InnerJoin,
            table::Entity,
            Alias::new(LISTED),
            Expr::col(column(table::Column::OrganizationId))
                .equals(member(project_member::Column::OrganizationId))
                .and(Expr::col(column(table::Column::Id)).equals(member(project_member::Column::EmployeeId))),
        )
        .and_where(Expr::col(member(project_member::Column::OrganizationId)).is_in(page::organizations_of(projects)))
        .and_where(Expr::col(member(project_member::Column::ProjectId)).is_in(projects.iter().map(|key| key.id)));
    add_columns(&mut select, fields);
    narrow(&mut select, scope, member(project_member::Column::OrganizationId));
    page::many(db, projects, select, (MEMBER, "project_id"), page, |row| {
        let project: ProjectId = row.try_get_by_index(0)?;
        let employee = Arc::new(Employee::read(row, 3, fields)?);
        let team_row = TeamRow { role: row.try_get_by_index(1)?, joined_at: row.try_get_by_index(2)?, employee };
        Ok((Key::new(team_row.employee.key.organization, project), team_row))
    })
    .await
}

/// What a new employee is made of.
#[derive(Clone, Debug)]
pub struct NewEmployee {
    /// Made by the caller's generator.
    pub id: EmployeeId,
    /// The full name.
    pub name: String,
    /// Unique in the organization.
    pub email: String,
    /// Free text.
    pub department: String,
    /// Yearly, if known.
    pub salary: Option<f64>,
}

/// Rows of one multi-row insert: nine columns each stay far below every parameter limit.
const INSERT_ROWS: usize = 500;

/// Creates employees of one organization, all or none, and counts them in.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::NotFound`] outside the scope, [`Error::Conflict`] on a taken email.
pub async fn create(
    scope: &Scope,
    db: &Session,
    organization: OrganizationId,
    new: &[NewEmployee],
    now: Timestamp,
) -> Result<()> {
    if !scope.sees(organization) {
        return Err(Error::not_found("the organization"));
    }
    if scope.role() < Role::Admin {
        return Err(Error::Forbidden("only an administrator may create employees".to_owned()));
    }
    let transaction = db.begin().await?;
    for chunk in new.chunks(INSERT_ROWS) {
        table::Entity::insert_many(chunk.iter().map(|new| table::ActiveModel {
            organization_id: Set(organization),
            id: Set(new.id),
            name: Set(new.name.clone()),
            email: Set(new.email.clone()),
            department: Set(new.department.clone()),
            salary: Set(new.salary),
            is_active: Set(true),
            created_at: Set(now),
            updated_at: Set(now),
        }))
        .exec_without_returning(&transaction)
        .await?;
    }
    let added = i64::try_from(new.len()).unwrap_or(i64::MAX);
    organization::Entity::update_many()
        .col_expr(organization::Column::EmployeeCount, Expr::col(organization::Column::EmployeeCount).add(added))
        .filter(organization::Column::Id.eq(organization))
        .exec(&transaction)
        .await?;
    transaction.commit().await
}

//! Memberships, read from both sides: the teams of projects, and the projects of employees.

use std::{collections::HashMap, hash::Hash, sync::Arc};

use sea_orm::{
    DbErr, QueryResult, TryGetable, Value,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    employee::{Employee, EmployeeFields},
    filter::{EmployeeFilter, ProjectFilter},
    keyset::LISTED,
    page,
    project::{Project, ProjectFields},
    reach::narrow,
    record::{ListOf, Record, add_columns, by_ids, choose, keep, organizations_of},
};
use crate::{
    db::Session,
    error::Result,
    model::{EmployeeId, Key, ProjectId, Scope, Timestamp, filter::Filter, page::Page},
};

const MEMBER: &str = "m";

/// A member of a project's team, with the membership.
#[derive(Clone, Debug)]
pub struct Member {
    /// The employee.
    pub employee: Arc<Employee>,
    /// The role in the project, free text.
    pub role: String,
    /// The time at which the employee joined.
    pub joined_at: Timestamp,
}

/// Reads the same page of several projects' teams, in one statement.
///
/// # Errors
/// The database fails, or the role does not suffice for a column that the filter or the order reveals.
pub async fn teams(
    scope: &Scope,
    db: &Session,
    projects: &[Key<ProjectId>],
    list: &ListOf<Employee>,
    fields: EmployeeFields,
) -> Result<HashMap<Key<ProjectId>, Page<Member>>> {
    let mut select = of(scope, projects);
    join::<ProjectId, Employee>(&mut select);
    choose::<Employee>(&mut select, scope, list)?;
    select.column((MEMBER, ProjectId::COLUMN)).column((MEMBER, "role")).column((MEMBER, "joined_at"));
    add_columns::<Employee>(&mut select, fields);
    page::many(db, projects, select, (MEMBER, ProjectId::COLUMN), list, |row| {
        let employee = Arc::new(Employee::read(row, 3, fields)?);
        let project = Key::new(employee.key.organization, row.try_get_by_index(0)?);
        Ok((project, Member { role: row.try_get_by_index(1)?, joined_at: row.try_get_by_index(2)?, employee }))
    })
    .await
}

/// Reads the same page of the projects of several employees, in one statement.
///
/// # Errors
/// As [`teams`].
pub async fn projects(
    scope: &Scope,
    db: &Session,
    employees: &[Key<EmployeeId>],
    list: &ListOf<Project>,
    fields: ProjectFields,
) -> Result<HashMap<Key<EmployeeId>, Page<Arc<Project>>>> {
    let mut select = of(scope, employees);
    join::<EmployeeId, Project>(&mut select);
    choose::<Project>(&mut select, scope, list)?;
    select.column((MEMBER, EmployeeId::COLUMN));
    add_columns::<Project>(&mut select, fields);
    page::many(db, employees, select, (MEMBER, EmployeeId::COLUMN), list, |row| {
        let project = Arc::new(Project::read(row, 1, fields)?);
        Ok((Key::new(project.key.organization, row.try_get_by_index(0)?), project))
    })
    .await
}

/// Counts the members of each of several teams that match the filter, in one statement; without a filter, the counter is
/// read.
///
/// # Errors
/// As [`teams`].
pub async fn team_counts(
    scope: &Scope,
    db: &Session,
    projects: &[Key<ProjectId>],
    filter: Option<&EmployeeFilter>,
) -> Result<HashMap<Key<ProjectId>, u64>> {
    if filter.is_some() {
        return counts::<ProjectId, Employee>(scope, db, projects, filter).await;
    }
    let found = by_ids::<Project>(scope, db, projects, ProjectFields::TEAM_SIZE).await?;
    let count = |(key, row): (_, Project)| Ok((key, u64::try_from(*row.team_size()?).unwrap_or(0)));
    found.into_iter().map(count).collect()
}

/// Counts the projects of each of several employees that match the filter, in one statement.
///
/// # Errors
/// As [`teams`].
pub async fn project_counts(
    scope: &Scope,
    db: &Session,
    employees: &[Key<EmployeeId>],
    filter: Option<&ProjectFilter>,
) -> Result<HashMap<Key<EmployeeId>, u64>> {
    counts::<EmployeeId, Project>(scope, db, employees, filter).await
}

/// One side of a membership.
trait Side: TryGetable + Into<Value> + Copy + Eq + Hash {
    /// The column of the id.
    const COLUMN: &'static str;
    /// The column of the other side's id.
    const OTHER: &'static str;
}

impl Side for ProjectId {
    const COLUMN: &'static str = "project_id";
    const OTHER: &'static str = "employee_id";
}

impl Side for EmployeeId {
    const COLUMN: &'static str = "employee_id";
    const OTHER: &'static str = "project_id";
}

/// Selects the memberships of one side, without columns.
fn of<Id: Side>(scope: &Scope, keys: &[Key<Id>]) -> SelectStatement {
    let mut select = Query::select();
    select
        .from_as("project_member", MEMBER)
        .and_where(Expr::col((MEMBER, "organization_id")).is_in(organizations_of(keys)))
        .and_where(Expr::col((MEMBER, Id::COLUMN)).is_in(keys.iter().map(|key| key.id)));
    narrow(&mut select, scope, (MEMBER, "organization_id"));
    select
}

/// Joins the rows of the other side.
fn join<Id: Side, R: Record>(select: &mut SelectStatement) {
    select.join_as(
        sea_orm::JoinType::InnerJoin,
        R::TABLE,
        LISTED,
        Expr::col((LISTED, "organization_id"))
            .equals((MEMBER, "organization_id"))
            .and(Expr::col((LISTED, "id")).equals((MEMBER, Id::OTHER))),
    );
}

async fn counts<Id: Side, R: Record>(
    scope: &Scope,
    db: &Session,
    keys: &[Key<Id>],
    filter: Option<&Filter<R::Condition>>,
) -> Result<HashMap<Key<Id>, u64>> {
    let mut select = of(scope, keys);
    if filter.is_some() {
        join::<Id, R>(&mut select);
        keep(&mut select, scope, filter)?;
    }
    let key = [(MEMBER, "organization_id"), (MEMBER, Id::COLUMN)];
    select.columns(key).expr(Expr::cust("COUNT(*)")).group_by_columns(key);
    let read =
        |row: &QueryResult| -> Result<_, DbErr> { Ok(Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?)) };
    page::counts(db, &select, 2, read).await
}

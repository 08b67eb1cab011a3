//! Teams: which employees work on which project. Owners of an endpoint are the team of its project.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set,
    EntityTrait,
    sea_query::{Alias, Expr, ExprTrait, OnConflict, Query},
};

use super::{narrow, page};
use crate::{
    db::Session,
    entity::project_member as table,
    error::{Error, Result},
    model::{EmployeeId, Key, ProjectId, Role, Scope, Timestamp},
};

pub use super::employee::{TeamRow as Member, by_projects};

const MEMBER: &str = "m";

fn column(column: table::Column) -> (Alias, table::Column) {
    (Alias::new(MEMBER), column)
}

/// How many people work on each of several projects.
///
/// # Errors
/// When the database cannot answer.
pub async fn sizes(scope: &Scope, db: &Session, projects: &[Key<ProjectId>]) -> Result<HashMap<Key<ProjectId>, u64>> {
    let mut select = Query::select();
    select
        .column(column(table::Column::OrganizationId))
        .column(column(table::Column::ProjectId))
        .expr(Expr::cust("COUNT(*)"))
        .from_as(table::Entity, Alias::new(MEMBER))
        .and_where(Expr::col(column(table::Column::OrganizationId)).is_in(page::organizations_of(projects)))
        .and_where(Expr::col(column(table::Column::ProjectId)).is_in(projects.iter().map(|key| key.id)))
        .group_by_columns([column(table::Column::OrganizationId), column(table::Column::ProjectId)]);
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::counts_by_key(db, &select).await
}

/// How many projects each of several employees works on.
///
/// # Errors
/// When the database cannot answer.
pub async fn project_counts(
    scope: &Scope,
    db: &Session,
    employees: &[Key<EmployeeId>],
) -> Result<HashMap<Key<EmployeeId>, u64>> {
    let mut select = Query::select();
    select
        .column(column(table::Column::OrganizationId))
        .column(column(table::Column::EmployeeId))
        .expr(Expr::cust("COUNT(*)"))
        .from_as(table::Entity, Alias::new(MEMBER))
        .and_where(Expr::col(column(table::Column::OrganizationId)).is_in(page::organizations_of(employees)))
        .and_where(Expr::col(column(table::Column::EmployeeId)).is_in(employees.iter().map(|key| key.id)))
        .group_by_columns([column(table::Column::OrganizationId), column(table::Column::EmployeeId)]);
    narrow(&mut select, scope, column(table::Column::OrganizationId));
    page::counts_by_key(db, &select).await
}

/// Adds people to a project's team; who is in it already stays as they are.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::NotFound`] outside the scope.
pub async fn add(
    scope: &Scope,
    db: &Session,
    project: Key<ProjectId>,
    members: &[(EmployeeId, String)],
    now: Timestamp,
) -> Result<()> {
    if !scope.sees(project.organization) {
        return Err(Error::not_found("the project"));
    }
    if scope.role() < Role::Admin {
        return Err(Error::Forbidden("only an administrator may change teams".to_owned()));
    }
    if members.is_empty() {
        return Ok(());
    }
    table::Entity::insert_many(members.iter().map(|(employee, role)| table::ActiveModel {
        organization_id: Set(project.organization),
        project_id: Set(project.id),
        employee_id: Set(*employee),
        role: Set(role.clone()),
        joined_at: Set(now),
    }))
    .on_conflict(
        OnConflict::columns([table::Column::OrganizationId, table::Column::ProjectId, table::Column::EmployeeId])
            .do_nothing()
            .to_owned(),
    )
    .exec_without_returning(db)
    .await?;
    Ok(())
}

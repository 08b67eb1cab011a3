//! Teams: which employees work on which project. Owners of an endpoint are the team of its project.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait, OnConflict},
};

use crate::{
    db::Session,
    entity::{project, project_member as table},
    error::{Error, Result},
    model::{EmployeeId, Key, ProjectId, Role, Scope, Timestamp},
};

/// Adds people to a project's team; who is in it already stays as they are. Answers how many were added.
///
/// # Errors
/// [`Error::Forbidden`] below admin, [`Error::NotFound`] outside the scope.
pub async fn add(
    scope: &Scope,
    db: &Session,
    project: Key<ProjectId>,
    members: &[(EmployeeId, String)],
    now: Timestamp,
) -> Result<u64> {
    if !scope.sees(project.organization) {
        return Err(Error::not_found("the project"));
    }
    if scope.role() < Role::Admin {
        return Err(Error::Forbidden("only an administrator may change teams".to_owned()));
    }
    if members.is_empty() {
        return Ok(0);
    }
    let transaction = db.begin().await?;
    let added = table::Entity::insert_many(members.iter().map(|(employee, role)| table::ActiveModel {
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
    .exec_without_returning(&transaction)
    .await?;
    let more = i64::try_from(added).unwrap_or(i64::MAX);
    project::Entity::update_many()
        .col_expr(project::Column::TeamSize, Expr::col(project::Column::TeamSize).add(more))
        .filter(project::Column::OrganizationId.eq(project.organization))
        .filter(project::Column::Id.eq(project.id))
        .exec(&transaction)
        .await?;
    transaction.commit().await?;
    Ok(added)
}

//! Employees: the people of an organization, who own projects.

use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, EntityTrait, QueryFilter,
    sea_query::{Expr, ExprTrait},
};

use super::{filter::EmployeeCondition, order::EmployeeOrderField, row::row};
use crate::{
    db::Session,
    entity::{employee as table, organization},
    error::{Error, Result},
    model::{EmployeeId, Key, OrganizationId, Role, Scope, Timestamp},
};

row! {
    /// An employee as read.
    Employee, EmployeeFields, employee, Key<EmployeeId>, EmployeeCondition, EmployeeOrderField;
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

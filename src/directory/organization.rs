//! Organizations: the tenants.

mod change;

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait};

pub use change::{NewOrganization, OWN_SLUG, OrganizationChange, create, delete, update};

use super::{
    Employee, EmployeeFilter, filter::OrganizationCondition, noun, order::OrganizationOrderField, page::LISTED,
    row::row,
};
use crate::{
    db::Session,
    entity::organization as table,
    error::Result,
    model::{OrganizationId, Scope, Timestamp},
};

row! {
    /// An organization as read.
    Organization, OrganizationFields, organization, OrganizationId, OrganizationCondition, OrganizationOrderField;
    /// The name that people read.
    NAME = 0, name: String, Name;
    /// The name in addresses: lower case, unique.
    SLUG = 1, slug: String, Slug;
    /// Whether it is in use.
    IS_ACTIVE = 2, is_active: bool, IsActive;
    /// How many employees it has: a counter that every change of employees maintains.
    EMPLOYEE_COUNT = 3, employee_count: i64, EmployeeCount;
    /// When it was created.
    CREATED_AT = 4, created_at: Timestamp, CreatedAt;
    /// When it was last changed.
    UPDATED_AT = 5, updated_at: Timestamp, UpdatedAt;
}

/// The organizations with these slugs, by slug; those that are not there or not seen are not in the answer.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_slugs(
    scope: &Scope,
    db: &Session,
    slugs: &[String],
    fields: OrganizationFields,
) -> Result<HashMap<String, Organization>> {
    let named = Expr::col((LISTED, table::Column::Slug)).is_in(slugs.iter().cloned());
    let rows: Vec<Organization> = noun::all_where(scope, db, named.into(), fields | OrganizationFields::SLUG).await?;
    rows.into_iter().map(|row| Ok((row.slug()?.clone(), row))).collect()
}

/// How many employees of each of several organizations pass the filter; without one, by the counter.
///
/// # Errors
/// When the database cannot answer, or the scope does not reach what the filter asks about.
pub async fn employee_counts(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    filter: Option<&EmployeeFilter>,
) -> Result<HashMap<OrganizationId, u64>> {
    if filter.is_some() {
        return noun::counts_by_organizations::<Employee>(scope, db, organizations, filter).await;
    }
    let found = noun::by_ids::<Organization>(scope, db, organizations, OrganizationFields::EMPLOYEE_COUNT).await?;
    let count = |(id, row): (_, Organization)| Ok((id, u64::try_from(*row.employee_count()?).unwrap_or(0)));
    found.into_iter().map(count).collect()
}

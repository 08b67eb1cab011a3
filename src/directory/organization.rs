//! Organizations: the tenants.

use sea_orm::{
    ActiveValue::Set,
    EntityTrait,
    sea_query::{Expr, ExprTrait},
};

use super::{filter::OrganizationCondition, noun, order::OrganizationOrderField, page::LISTED, row::row};
use crate::{
    db::Session,
    entity::{organization as table, organization_stream},
    error::{Error, Result},
    model::{OrganizationId, Role, Scope, Timestamp},
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

/// The organization with this slug.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_slug(
    scope: &Scope,
    db: &Session,
    slug: &str,
    fields: OrganizationFields,
) -> Result<Option<Organization>> {
    noun::by_unique(scope, db, Expr::col((LISTED, table::Column::Slug)).eq(slug).into(), fields).await
}

/// What a new organization is made of.
#[derive(Clone, Debug)]
pub struct NewOrganization {
    /// Its id, made by the caller's generator.
    pub id: OrganizationId,
    /// Unique, for addresses.
    pub slug: String,
    /// For people.
    pub name: String,
}

/// Creates an organization together with its stream of commits.
///
/// # Errors
/// [`Error::Forbidden`] below owner, [`Error::Conflict`] when the slug is taken.
pub async fn create(scope: &Scope, db: &Session, new: NewOrganization, now: Timestamp) -> Result<OrganizationId> {
    if scope.role() < Role::Owner {
        return Err(Error::Forbidden("only an owner may create organizations".to_owned()));
    }
    let transaction = db.begin().await?;
    table::Entity::insert(table::ActiveModel {
        id: Set(new.id),
        slug: Set(new.slug),
        name: Set(new.name),
        is_active: Set(true),
        employee_count: Set(0),
        created_at: Set(now),
        updated_at: Set(now),
    })
    .exec_without_returning(&transaction)
    .await?;
    organization_stream::Entity::insert(organization_stream::ActiveModel {
        organization_id: Set(new.id),
        last_seq: Set(0),
    })
    .exec_without_returning(&transaction)
    .await?;
    transaction.commit().await?;
    Ok(new.id)
}

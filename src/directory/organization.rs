//! Organizations: the tenants.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, EntityTrait, QueryResult,
    sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement},
};

use super::{
    narrow,
    page::{self, LISTED},
    row::row,
};
use crate::{
    db::Session,
    entity::{organization as table, organization_stream},
    error::{Error, Result},
    model::{
        OrganizationId, Role, Scope, Timestamp,
        page::{Page, PageRequest},
    },
};

row! {
    /// An organization as read.
    Organization, OrganizationFields, organization, OrganizationId = |row, at| {
        let id = row.try_get_by_index(*at)?;
        *at += 1;
        Ok(id)
    };
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

fn select(fields: OrganizationFields) -> SelectStatement {
    let mut select = Query::select();
    select.from_as(table::Entity, Alias::new(LISTED)).column((Alias::new(LISTED), table::Column::Id));
    for column in Organization::columns(fields) {
        select.column((Alias::new(LISTED), column));
    }
    select
}

/// The organizations with these ids; what is not there or not seen is not in the answer.
///
/// # Errors
/// When the database cannot answer.
pub async fn by_ids(
    scope: &Scope,
    db: &Session,
    ids: &[OrganizationId],
    fields: OrganizationFields,
) -> Result<HashMap<OrganizationId, Organization>> {
    let mut select = select(fields);
    select.and_where(Expr::col((Alias::new(LISTED), table::Column::Id)).is_in(ids.iter().copied()));
    narrow(&mut select, scope, (Alias::new(LISTED), table::Column::Id));
    collect(&db.query_all(&select).await?, fields)
}

fn collect(rows: &[QueryResult], fields: OrganizationFields) -> Result<HashMap<OrganizationId, Organization>> {
    rows.iter()
        .map(|row| Organization::read(row, 0, fields).map(|organization| (organization.key, organization)))
        .collect::<Result<_, _>>()
        .map_err(Error::from)
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
    let mut select = select(fields);
    select.and_where(Expr::col((Alias::new(LISTED), table::Column::Slug)).eq(slug));
    narrow(&mut select, scope, (Alias::new(LISTED), table::Column::Id));
    let row = db.query_one(&select).await?;
    Ok(row.map(|row| Organization::read(&row, 0, fields)).transpose()?)
}

/// One page of the organizations, by name.
///
/// # Errors
/// When the database cannot answer.
pub async fn list(
    scope: &Scope,
    db: &Session,
    page: &PageRequest,
    fields: OrganizationFields,
) -> Result<Page<Arc<Organization>>> {
    let mut select = select(fields);
    narrow(&mut select, scope, (Alias::new(LISTED), table::Column::Id));
    page::one(db, select, page, |row| Organization::read(row, 0, fields).map(Arc::new)).await
}

/// How many organizations the scope sees.
///
/// # Errors
/// When the database cannot answer.
pub async fn count(scope: &Scope, db: &Session) -> Result<u64> {
    let mut select = Query::select();
    select.expr(Expr::cust("COUNT(*)")).from_as(table::Entity, Alias::new(LISTED));
    narrow(&mut select, scope, (Alias::new(LISTED), table::Column::Id));
    page::count(db, &select).await
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

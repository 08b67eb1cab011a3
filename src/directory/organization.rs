//! Organizations: the tenants.

mod change;
mod own;

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait};

pub use change::{NewOrganization, OrganizationChange, create, delete, update};
pub use own::{OWN_SLUG, find_own};

use super::{
    employee::Employee,
    filter::{EmployeeFilter, OrganizationCondition},
    keyset::LISTED,
    lookup,
    order::{OrderField, SortKind},
    record,
    row::row,
};
use crate::{
    db::Session,
    entity::organization as table,
    error::Result,
    model::{
        OrganizationId, Scope, Timestamp,
        order::{OrderBy, Sort, SortValue},
    },
};

row! {
    /// An organization.
    Organization, OrganizationFields, organization, OrganizationId, OrganizationCondition, OrganizationOrderField;
    /// The display name.
    NAME = 0, name: String, Name;
    /// The name in URLs, in lower case and unique.
    SLUG = 1, slug: String, Slug;
    /// True while the organization is in use.
    IS_ACTIVE = 2, is_active: bool, IsActive;
    /// The number of employees, a counter that every change of employees maintains.
    EMPLOYEE_COUNT = 3, employee_count: i64, EmployeeCount;
    /// The time at which the organization was created.
    CREATED_AT = 4, created_at: Timestamp, CreatedAt;
    /// The time of the last change.
    UPDATED_AT = 5, updated_at: Timestamp, UpdatedAt;
}

/// Sort keys of organizations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrganizationOrderField {
    /// The name.
    Name,
}

impl OrderField for OrganizationOrderField {
    type Row = Organization;
    type Fields = OrganizationFields;
    const LIST: u8 = b'o';
    const ALL: &'static [Self] = &[Self::Name];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::Name, sort: Sort::Ascending }];

    fn column(self) -> &'static str {
        "name"
    }

    fn kind(self) -> SortKind {
        SortKind::Text
    }

    fn fields(self) -> OrganizationFields {
        OrganizationFields::NAME
    }

    fn value(self, row: &Organization) -> Result<SortValue<&str>> {
        Ok(SortValue::Text(row.name()?))
    }
}

/// Reads the organizations with these slugs, by slug; missing ones are left out.
///
/// # Errors
/// The database fails.
pub async fn by_slugs(
    scope: &Scope,
    db: &Session,
    slugs: &[String],
    fields: OrganizationFields,
) -> Result<HashMap<String, Organization>> {
    let fields = fields | OrganizationFields::SLUG;
    let rows: Vec<Organization> = if let [slug] = slugs {
        Vec::from_iter(lookup::one(scope, db, &["slug"], vec![slug.as_str().into()], fields).await?)
    } else {
        let named = Expr::col((LISTED, table::Column::Slug)).is_in(slugs.iter().cloned());
        record::all_where(scope, db, named.into(), fields).await?
    };
    rows.into_iter().map(|row| Ok((row.slug()?.clone(), row))).collect()
}

/// Counts the employees of each of several organizations that match the filter; without one, the counter is read.
///
/// # Errors
/// The database fails, or the role does not suffice for a column that the filter compares.
pub async fn employee_counts(
    scope: &Scope,
    db: &Session,
    organizations: &[OrganizationId],
    filter: Option<&EmployeeFilter>,
) -> Result<HashMap<OrganizationId, u64>> {
    if filter.is_some() {
        return record::counts_by_organizations::<Employee>(scope, db, organizations, filter).await;
    }
    let found = record::by_ids::<Organization>(scope, db, organizations, OrganizationFields::EMPLOYEE_COUNT).await?;
    let count = |(id, row): (_, Organization)| Ok((id, u64::try_from(*row.employee_count()?).unwrap_or(0)));
    found.into_iter().map(count).collect()
}

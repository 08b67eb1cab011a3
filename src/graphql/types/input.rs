//! What clients send to change the directory. In updates a field that is left out stays as it is.

use async_graphql::{ID, InputObject, MaybeUndefined};

use super::project::ProjectStatus;
use crate::graphql::scalars::DateTime;

/// What a new organization is made of.
#[derive(Clone, Debug, InputObject)]
pub struct CreateOrganizationInput {
    /// The name that people read, 1 to 200 characters.
    pub name: String,
    /// The name in addresses, unique: a-z, 0-9 and dashes, at most 63. Derived from the name when left out.
    pub slug: Option<String>,
}

/// What is to become of an organization.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateOrganizationInput {
    /// Which one.
    pub id: ID,
    /// The name that people read, 1 to 200 characters. The slug stays.
    pub name: MaybeUndefined<String>,
    /// Whether the organization is in use.
    pub is_active: MaybeUndefined<bool>,
    /// Only if it was last changed then; otherwise nothing happens and the failure is a CONFLICT.
    pub if_updated_at: Option<DateTime>,
}

/// What a new employee's record is made of.
#[derive(Clone, Debug, InputObject)]
pub struct CreateEmployeeInput {
    /// The organization that the person belongs to.
    pub organization_id: ID,
    /// The full name, 1 to 200 characters.
    pub name: String,
    /// The e-mail address, unique in the organization. Upper and lower case are the same; it is kept in lower case.
    pub email: String,
    /// The department, 1 to 200 characters of free text.
    pub department: String,
    /// The yearly salary in the organization's currency, if known: 0 to 10^12.
    pub salary: Option<f64>,
}

/// What is to become of an employee's record.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateEmployeeInput {
    /// Whose.
    pub id: ID,
    /// The full name, 1 to 200 characters.
    pub name: MaybeUndefined<String>,
    /// The e-mail address, unique in the organization. Upper and lower case are the same; it is kept in lower case.
    pub email: MaybeUndefined<String>,
    /// The department, 1 to 200 characters of free text.
    pub department: MaybeUndefined<String>,
    /// The yearly salary in the organization's currency, 0 to 10^12; null when it is not known any more.
    pub salary: MaybeUndefined<f64>,
    /// Whether the person still works there.
    pub is_active: MaybeUndefined<bool>,
    /// Only if the record was last changed then; otherwise nothing happens and the failure is a CONFLICT.
    pub if_updated_at: Option<DateTime>,
}

/// What a new project is made of.
#[derive(Clone, Debug, InputObject)]
pub struct CreateProjectInput {
    /// The organization that the project belongs to.
    pub organization_id: ID,
    /// The name that people read, 1 to 200 characters.
    pub name: String,
    /// The name in addresses, unique in the organization: a-z, 0-9 and dashes, at most 63. Derived from the name when
    /// left out.
    pub slug: Option<String>,
    /// Whether the project is monitored from the start.
    #[graphql(default_with = "Some(ProjectStatus::Active)")]
    pub status: Option<ProjectStatus>,
    /// Its first team: employees of the same organization, at most 1,000 by default.
    pub member_ids: Option<Vec<ID>>,
}

/// What is to become of a project.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateProjectInput {
    /// Which one.
    pub id: ID,
    /// The name that people read, 1 to 200 characters. The slug stays.
    pub name: MaybeUndefined<String>,
    /// Whether the project is monitored.
    pub status: MaybeUndefined<ProjectStatus>,
    /// Only if it was last changed then; otherwise nothing happens and the failure is a CONFLICT.
    pub if_updated_at: Option<DateTime>,
}

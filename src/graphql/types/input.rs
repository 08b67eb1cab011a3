//! Inputs of the mutations of organizations, employees and projects.

use async_graphql::{ID, InputObject, MaybeUndefined};

use super::{filter::EmployeeFilter, project_status::ProjectStatus};
use crate::graphql::scalars::DateTime;

/// The values of a new organization.
#[derive(Clone, Debug, InputObject)]
pub struct CreateOrganizationInput {
    /// Display name, 1 to 200 characters.
    pub name: String,
    /// Name for use in URLs, unique: `a-z`, `0-9` and single dashes, at most 63 characters. Derived from the name by
    /// default. `TAKEN` if another organization has it.
    pub slug: Option<String>,
}

/// The organization to change and its new values. Omitted fields keep their values; a value of null is `INVALID`.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateOrganizationInput {
    /// The id of the organization. Exactly one of `id` and `organizationSlug` is required.
    pub id: Option<ID>,
    /// The slug of the organization, such as `acme`.
    pub organization_slug: Option<String>,
    /// Display name, 1 to 200 characters. The slug stays the same.
    pub name: MaybeUndefined<String>,
    /// True if the organization is in use. A label for clients: false restricts nothing.
    pub is_active: MaybeUndefined<bool>,
    /// Optimistic lock: pass `updatedAt` exactly as read, with microseconds; a client that turns times into dates uses
    /// `ifVersion`. If the object has changed since, nothing is written and the result is a `CONFLICT`. Without a lock,
    /// the update overwrites other changes; null is `INVALID`.
    pub if_updated_at: MaybeUndefined<DateTime>,
    /// Optimistic lock: pass `version` as read. If the object has changed since, nothing is written and the result is a
    /// `CONFLICT`. Together with `ifUpdatedAt`, both must hold; null is `INVALID`.
    pub if_version: MaybeUndefined<String>,
}

/// The values of a new employee.
#[derive(Clone, Debug, InputObject)]
pub struct CreateEmployeeInput {
    /// The id of the organization. Exactly one of `organizationId` and `organizationSlug` is required.
    pub organization_id: Option<ID>,
    /// The slug of the organization, such as `acme`.
    pub organization_slug: Option<String>,
    /// Full name, 1 to 200 characters.
    pub name: String,
    /// E-mail address, at most 254 bytes, unique within the organization. Stored in lower case. `TAKEN` if another
    /// employee has it.
    pub email: String,
    /// Department: free text of 1 to 200 characters.
    pub department: String,
    /// Yearly salary in the currency of the organization, 0 to 10^12. Omit it if unknown.
    pub salary: Option<f64>,
}

/// The employee to change and its new values. Omitted fields keep their values. Null clears `salary`; it is `INVALID`
/// for the other values.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateEmployeeInput {
    /// The id of the employee to change.
    pub id: ID,
    /// Full name, 1 to 200 characters.
    pub name: MaybeUndefined<String>,
    /// E-mail address, at most 254 bytes, unique within the organization. Stored in lower case. `TAKEN` if another
    /// employee has it.
    pub email: MaybeUndefined<String>,
    /// Department: free text of 1 to 200 characters.
    pub department: MaybeUndefined<String>,
    /// Yearly salary in the currency of the organization, 0 to 10^12. Null clears it.
    pub salary: MaybeUndefined<f64>,
    /// True if the person still works for the organization.
    pub is_active: MaybeUndefined<bool>,
    /// Optimistic lock: pass `updatedAt` exactly as read, with microseconds; a client that turns times into dates uses
    /// `ifVersion`. If the object has changed since, nothing is written and the result is a `CONFLICT`. Without a lock,
    /// the update overwrites other changes; null is `INVALID`.
    pub if_updated_at: MaybeUndefined<DateTime>,
    /// Optimistic lock: pass `version` as read. If the object has changed since, nothing is written and the result is a
    /// `CONFLICT`. Together with `ifUpdatedAt`, both must hold; null is `INVALID`.
    pub if_version: MaybeUndefined<String>,
}

/// The values of a new project.
#[derive(Clone, Debug, InputObject)]
pub struct CreateProjectInput {
    /// The id of the organization. Exactly one of `organizationId` and `organizationSlug` is required.
    pub organization_id: Option<ID>,
    /// The slug of the organization, such as `acme`.
    pub organization_slug: Option<String>,
    /// Display name, 1 to 200 characters.
    pub name: String,
    /// Name for use in URLs, unique within the organization: `a-z`, `0-9` and single dashes, at most 63 characters.
    /// Derived from the name by default. `TAKEN` if another project has it.
    pub slug: Option<String>,
    /// Initial status. Defaults to `ACTIVE`.
    #[graphql(default_with = "Some(ProjectStatus::Active)")]
    pub status: Option<ProjectStatus>,
    /// Ids of the first members: employees of the same organization. More than 1,000 are `TOO_LARGE`.
    pub member_ids: Option<Vec<ID>>,
}

/// The project to change and its new values. Omitted fields keep their values; a value of null is `INVALID`.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateProjectInput {
    /// The id of the project. Exactly one of `id` and `projectSlug` is required.
    pub id: Option<ID>,
    /// The slugs of the project and its organization, such as `acme/web-shop`.
    pub project_slug: Option<String>,
    /// Display name, 1 to 200 characters. The slug stays the same.
    pub name: MaybeUndefined<String>,
    /// New status of the project.
    pub status: MaybeUndefined<ProjectStatus>,
    /// Optimistic lock: pass `updatedAt` exactly as read, with microseconds; a client that turns times into dates uses
    /// `ifVersion`. If the object has changed since, nothing is written and the result is a `CONFLICT`. Without a lock,
    /// the update overwrites other changes; null is `INVALID`.
    pub if_updated_at: MaybeUndefined<DateTime>,
    /// Optimistic lock: pass `version` as read. If the object has changed since, nothing is written and the result is a
    /// `CONFLICT`. Together with `ifUpdatedAt`, both must hold; null is `INVALID`.
    pub if_version: MaybeUndefined<String>,
}

/// The organization to delete.
#[derive(Clone, Debug, InputObject)]
pub struct DeleteOrganizationInput {
    /// The id of the organization. Exactly one of `id` and `organizationSlug` is required.
    pub id: Option<ID>,
    /// The slug of the organization, such as `acme`.
    pub organization_slug: Option<String>,
}

/// The employee to delete.
#[derive(Clone, Debug, InputObject)]
pub struct DeleteEmployeeInput {
    /// The id of the employee.
    pub id: ID,
}

/// The project to archive.
#[derive(Clone, Debug, InputObject)]
pub struct ArchiveProjectInput {
    /// The id of the project. Exactly one of `id` and `projectSlug` is required.
    pub id: Option<ID>,
    /// The slugs of the project and its organization, such as `acme/web-shop`.
    pub project_slug: Option<String>,
}

/// The project to delete.
#[derive(Clone, Debug, InputObject)]
pub struct DeleteProjectInput {
    /// The id of the project. Exactly one of `id` and `projectSlug` is required.
    pub id: Option<ID>,
    /// The slugs of the project and its organization, such as `acme/web-shop`.
    pub project_slug: Option<String>,
}

/// The employees to add to a project.
#[derive(Clone, Debug, InputObject)]
pub struct AddProjectMembersInput {
    /// The id of the project. Exactly one of `projectId` and `projectSlug` is required.
    pub project_id: Option<ID>,
    /// The slugs of the project and its organization, such as `acme/web-shop`.
    pub project_slug: Option<String>,
    /// Ids of employees of the project's organization. More than 1,000 are `TOO_LARGE`.
    pub employee_ids: Vec<ID>,
}

/// The employees to remove from a project.
#[derive(Clone, Debug, InputObject)]
pub struct RemoveProjectMembersInput {
    /// The id of the project. Exactly one of `projectId` and `projectSlug` is required.
    pub project_id: Option<ID>,
    /// The slugs of the project and its organization, such as `acme/web-shop`.
    pub project_slug: Option<String>,
    /// Ids of employees of the project's organization. More than 1,000 are `TOO_LARGE`.
    pub employee_ids: Vec<ID>,
}

/// The employees to change and their new values. Omitted values stay unchanged. `INVALID` if `isActive` and
/// `department` are both omitted, or if one of them is null.
#[derive(Clone, Debug, InputObject)]
pub struct UpdateEmployeesInput {
    /// The employees to change. At least one condition must select employees; otherwise the result is `INVALID`. `not`,
    /// `ne`, and an empty `startsWith` or `contains` do not count, because they may match every employee. In an `or`,
    /// each filter needs such a condition.
    pub filter: EmployeeFilter,
    /// True if the employees still work for the organization. Unchanged if omitted.
    pub is_active: MaybeUndefined<bool>,
    /// New department: free text of 1 to 200 characters. Unchanged if omitted.
    pub department: MaybeUndefined<String>,
}

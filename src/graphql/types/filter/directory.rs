//! Filters of organizations, employees and projects.

use async_graphql::{ID, InputObject};

use super::{
    FloatFilter, StringFilter,
    nested::{Branches, Conditions, Reader},
};
use crate::{
    directory::filter::{EmployeeCondition, OrganizationCondition, ProjectCondition},
    engine::directives,
    error::Result,
    graphql::{node::NodeId, types::project_status::ProjectStatus},
    model::filter::Filter,
};

/// Conditions on organizations. All given conditions must hold; an empty filter matches every organization. A condition
/// that is null is an error; leave it out instead.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct OrganizationFilter {
    /// Matches if all of these filters match. An empty list always matches. At most 8 levels of `and`, `or` and `not`,
    /// and 200 conditions in the whole filter.
    pub and: Option<Vec<OrganizationFilter>>,
    /// Matches if at least one of these filters matches. An empty list never matches.
    pub or: Option<Vec<OrganizationFilter>>,
    /// Matches if this filter does not match.
    pub not: Option<Box<OrganizationFilter>>,
    /// Matches organizations with this value of `isActive`.
    pub is_active: Option<bool>,
    /// Conditions on the name.
    pub name: Option<StringFilter>,
}

/// Conditions on employees. All given conditions must hold; an empty filter matches every employee. An unknown id or slug
/// is `NOT_FOUND`. A condition that is null is an error; leave it out instead. A condition whose variable has no value
/// counts as left out in a query, and is an error in a mutation.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct EmployeeFilter {
    /// Matches if all of these filters match. An empty list always matches. At most 8 levels of `and`, `or` and `not`,
    /// and 200 conditions in the whole filter.
    pub and: Option<Vec<EmployeeFilter>>,
    /// Matches if at least one of these filters matches. An empty list never matches.
    pub or: Option<Vec<EmployeeFilter>>,
    /// Matches if this filter does not match.
    pub not: Option<Box<EmployeeFilter>>,
    /// The id of the organization. `NOT_FOUND` if there is none.
    pub organization_id: Option<ID>,
    /// The slug of the organization, such as `acme`, instead of `organizationId`. `NOT_FOUND` if there is none.
    pub organization_slug: Option<String>,
    /// The id of a project that the employee is a member of. `NOT_FOUND` if there is none.
    pub project_id: Option<ID>,
    /// The slugs of a project that the employee is a member of, such as `acme/web-shop`, instead of `projectId`. `NOT_FOUND`
    /// if there is none.
    pub project_slug: Option<String>,
    /// Matches employees with this value of `isActive`.
    pub is_active: Option<bool>,
    /// Conditions on the full name.
    pub name: Option<StringFilter>,
    /// Conditions on the e-mail address, ignoring case.
    pub email: Option<StringFilter>,
    /// Conditions on the department.
    pub department: Option<StringFilter>,
    /// Conditions on the yearly salary. An error for callers below the role `ADMIN`.
    pub salary: Option<FloatFilter>,
}

/// Conditions on projects. All given conditions must hold; an empty filter matches every project. An unknown id or slug
/// is `NOT_FOUND`. A condition that is null is an error; leave it out instead.
#[derive(Clone, Debug, Default, InputObject)]
#[graphql(directive = directives::conditions::apply())]
pub struct ProjectFilter {
    /// Matches if all of these filters match. An empty list always matches. At most 8 levels of `and`, `or` and `not`,
    /// and 200 conditions in the whole filter.
    pub and: Option<Vec<ProjectFilter>>,
    /// Matches if at least one of these filters matches. An empty list never matches.
    pub or: Option<Vec<ProjectFilter>>,
    /// Matches if this filter does not match.
    pub not: Option<Box<ProjectFilter>>,
    /// The id of the organization. `NOT_FOUND` if there is none.
    pub organization_id: Option<ID>,
    /// The slug of the organization, such as `acme`, instead of `organizationId`. `NOT_FOUND` if there is none.
    pub organization_slug: Option<String>,
    /// The id of an employee who is a member of the project. `NOT_FOUND` if there is none.
    pub member_id: Option<ID>,
    /// Matches projects with this status.
    pub status: Option<ProjectStatus>,
    /// Conditions on the name.
    pub name: Option<StringFilter>,
}

impl Conditions for OrganizationFilter {
    type Condition = OrganizationCondition;

    fn branches(&mut self) -> Branches<Self> {
        Branches { and: self.and.take(), or: self.or.take(), not: self.not.take() }
    }

    fn conditions(self, reader: &mut Reader) -> Result<Vec<Filter<OrganizationCondition>>> {
        let all = [
            reader.one(self.is_active.map(OrganizationCondition::IsActive))?,
            reader.text("name", self.name, OrganizationCondition::Name)?,
        ];
        Ok(all.into_iter().flatten().collect())
    }
}

impl Conditions for EmployeeFilter {
    type Condition = EmployeeCondition;

    fn branches(&mut self) -> Branches<Self> {
        Branches { and: self.and.take(), or: self.or.take(), not: self.not.take() }
    }

    fn conditions(self, reader: &mut Reader) -> Result<Vec<Filter<EmployeeCondition>>> {
        let all = [
            reader.organization(
                self.organization_id.as_ref(),
                self.organization_slug,
                EmployeeCondition::Organization,
            )?,
            reader.project(self.project_id.as_ref(), self.project_slug, EmployeeCondition::Project)?,
            reader.one(self.is_active.map(EmployeeCondition::IsActive))?,
            reader.text("name", self.name, EmployeeCondition::Name)?,
            reader.text("email", self.email, EmployeeCondition::Email)?,
            reader.text("department", self.department, EmployeeCondition::Department)?,
            reader.number(self.salary, EmployeeCondition::Salary)?,
        ];
        Ok(all.into_iter().flatten().collect())
    }
}

impl Conditions for ProjectFilter {
    type Condition = ProjectCondition;

    fn branches(&mut self) -> Branches<Self> {
        Branches { and: self.and.take(), or: self.or.take(), not: self.not.take() }
    }

    fn conditions(self, reader: &mut Reader) -> Result<Vec<Filter<ProjectCondition>>> {
        let all = [
            reader.organization(
                self.organization_id.as_ref(),
                self.organization_slug,
                ProjectCondition::Organization,
            )?,
            reader.id(("employee", "memberId"), self.member_id.as_ref(), NodeId::employee, ProjectCondition::Member)?,
            reader.one(self.status.map(|status| ProjectCondition::Status(status.into())))?,
            reader.text("name", self.name, ProjectCondition::Name)?,
        ];
        Ok(all.into_iter().flatten().collect())
    }
}

//! What clients may ask of organizations, employees and projects.

use async_graphql::{ID, InputObject};

use super::{
    FloatFilter, StringFilter,
    nested::{Branches, Conditions, Reader},
};
use crate::{
    directory::filter::{EmployeeCondition, OrganizationCondition, ProjectCondition},
    error::Result,
    graphql::{node::NodeId, types::project::ProjectStatus},
    model::filter::Filter,
};

/// Which organizations. Every condition that is given must hold; without any, all pass.
#[derive(Clone, Debug, Default, InputObject)]
pub struct OrganizationFilter {
    /// All of these hold. An empty list always does.
    pub and: Option<Vec<OrganizationFilter>>,
    /// At least one of these holds. Of an empty list none ever does.
    pub or: Option<Vec<OrganizationFilter>>,
    /// This does not hold.
    pub not: Option<Box<OrganizationFilter>>,
    /// Whether the organization is in use.
    pub is_active: Option<bool>,
    /// Its name.
    pub name: Option<StringFilter>,
}

/// Which employees. Every condition that is given must hold; without any, all pass. An id that names nothing is the id
/// of nobody's organization or project.
#[derive(Clone, Debug, Default, InputObject)]
pub struct EmployeeFilter {
    /// All of these hold. An empty list always does.
    pub and: Option<Vec<EmployeeFilter>>,
    /// At least one of these holds. Of an empty list none ever does.
    pub or: Option<Vec<EmployeeFilter>>,
    /// This does not hold.
    pub not: Option<Box<EmployeeFilter>>,
    /// Belongs to this organization.
    pub organization_id: Option<ID>,
    /// Works on this project.
    pub project_id: Option<ID>,
    /// Whether the person still works there.
    pub is_active: Option<bool>,
    /// The full name.
    pub name: Option<StringFilter>,
    /// The e-mail address. Upper and lower case are the same here.
    pub email: Option<StringFilter>,
    /// The department.
    pub department: Option<StringFilter>,
    /// The yearly salary. Only for administrators: for others this is an error, because asking is seeing.
    pub salary: Option<FloatFilter>,
}

/// Which projects. Every condition that is given must hold; without any, all pass. An id that names nothing is the id of
/// nobody's organization and of no member.
#[derive(Clone, Debug, Default, InputObject)]
pub struct ProjectFilter {
    /// All of these hold. An empty list always does.
    pub and: Option<Vec<ProjectFilter>>,
    /// At least one of these holds. Of an empty list none ever does.
    pub or: Option<Vec<ProjectFilter>>,
    /// This does not hold.
    pub not: Option<Box<ProjectFilter>>,
    /// Belongs to this organization.
    pub organization_id: Option<ID>,
    /// This employee works on it.
    pub member_id: Option<ID>,
    /// Whether it is monitored.
    pub status: Option<ProjectStatus>,
    /// Its name.
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
            reader.id(self.organization_id.as_ref(), NodeId::organization, EmployeeCondition::Organization)?,
            reader.id(self.project_id.as_ref(), NodeId::project, EmployeeCondition::Project)?,
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
            reader.id(self.organization_id.as_ref(), NodeId::organization, ProjectCondition::Organization)?,
            reader.id(self.member_id.as_ref(), NodeId::employee, ProjectCondition::Member)?,
            reader.one(self.status.map(|status| ProjectCondition::Status(status.into())))?,
            reader.text("name", self.name, ProjectCondition::Name)?,
        ];
        Ok(all.into_iter().flatten().collect())
    }
}

//! Sort keys of lists.

use async_graphql::{Enum, InputObject, InputType};

use crate::{
    directory::{self, order::OrderField},
    error::{Error, Result},
    model::order::{OrderBy, Sort},
};

/// Sort direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Sort")]
pub enum OrderDirection {
    /// Smallest first: A before Z, old before new, unknown values first.
    #[graphql(name = "ASC")]
    Ascending,
    /// Largest first: Z before A, new before old, unknown values last.
    #[graphql(name = "DESC")]
    Descending,
}

/// A field that employees can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "directory::EmployeeOrderField")]
pub enum EmployeeOrderField {
    /// Sorts by full name.
    Name,
    /// Sorts by e-mail address.
    Email,
    /// Sorts by department.
    Department,
    /// Sorts by yearly salary. Unknown salaries sort as the smallest. An error for callers below the role `ADMIN`.
    Salary,
    /// Sorts by the time at which the record was created.
    CreatedAt,
}

/// A field that projects can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub enum ProjectOrderField {
    /// Sorts by name.
    Name,
    /// Sorts by status: active, then paused, then archived.
    Status,
    /// Sorts by the time at which the record was created.
    CreatedAt,
    /// Sorts by the number of members.
    MemberCount,
    /// The former name of `MEMBER_COUNT`.
    #[graphql(deprecation = "Use `MEMBER_COUNT`.")]
    TeamSize,
}

/// Sort key of a list of employees.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct EmployeeOrder {
    /// Field to sort by.
    pub field: EmployeeOrderField,
    /// Sort direction. Defaults to `ASC`.
    #[graphql(default_with = "Some(OrderDirection::Ascending)")]
    pub direction: Option<OrderDirection>,
}

/// Sort key of a list of projects.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct ProjectOrder {
    /// Field to sort by.
    pub field: ProjectOrderField,
    /// Sort direction. Defaults to `ASC`.
    #[graphql(default_with = "Some(OrderDirection::Ascending)")]
    pub direction: Option<OrderDirection>,
}

impl From<ProjectOrderField> for directory::ProjectOrderField {
    fn from(field: ProjectOrderField) -> Self {
        match field {
            ProjectOrderField::Name => Self::Name,
            ProjectOrderField::Status => Self::Status,
            ProjectOrderField::CreatedAt => Self::CreatedAt,
            ProjectOrderField::MemberCount | ProjectOrderField::TeamSize => Self::TeamSize,
        }
    }
}

impl From<EmployeeOrder> for OrderBy<directory::EmployeeOrderField> {
    fn from(order: EmployeeOrder) -> Self {
        Self { field: order.field.into(), sort: order.direction.unwrap_or(OrderDirection::Ascending).into() }
    }
}

impl From<ProjectOrder> for OrderBy<directory::ProjectOrderField> {
    fn from(order: ProjectOrder) -> Self {
        Self { field: order.field.into(), sort: order.direction.unwrap_or(OrderDirection::Ascending).into() }
    }
}

/// The sort order of an input.
///
/// # Errors
/// [`Error::Input`] for a field that is given twice: the second could never decide the order.
pub fn order<I, F>(keys: Option<Vec<I>>) -> Result<Vec<OrderBy<F>>>
where
    I: Into<OrderBy<F>> + InputType,
    F: OrderField,
{
    let mut order: Vec<OrderBy<F>> = Vec::new();
    for key in keys.unwrap_or_default() {
        let given = key.to_value();
        let key = key.into();
        if order.iter().any(|earlier| earlier.field == key.field) {
            return Err(Error::input("orderBy", format!("{given} names a field that stands before; name each once")));
        }
        order.push(key);
    }
    // A list with the default order given and one without an order share a statement and their cursors.
    Ok(if order == F::DEFAULT { Vec::new() } else { order })
}

//! How clients order lists.

use async_graphql::{Enum, InputObject, InputType};

use crate::{
    directory::{self, order::OrderField},
    error::{Error, Result},
    model::order::{OrderBy, Sort},
};

/// Which way a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "Sort")]
pub enum OrderDirection {
    /// The least first: A before Z, old before new. What is not known counts as the least.
    #[graphql(name = "ASC")]
    Ascending,
    /// The greatest first: Z before A, new before old. What is not known comes last.
    #[graphql(name = "DESC")]
    Descending,
}

/// What employees can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "directory::EmployeeOrderField")]
pub enum EmployeeOrderField {
    /// The full name.
    Name,
    /// The e-mail address.
    Email,
    /// The department.
    Department,
    /// The yearly salary. Only for administrators: for others this is an error, because an order tells. A salary that is
    /// not known counts as less than any other: first in ASC, last in DESC.
    Salary,
    /// When the record was created.
    CreatedAt,
}

/// What projects can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "directory::ProjectOrderField")]
pub enum ProjectOrderField {
    /// The name.
    Name,
    /// Active, then paused, then archived.
    Status,
    /// When the record was created.
    CreatedAt,
    /// How many people work on it.
    TeamSize,
}

/// One key of an order of employees.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct EmployeeOrder {
    /// By what.
    pub field: EmployeeOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Ascending")]
    pub direction: OrderDirection,
}

/// One key of an order of projects.
#[derive(Clone, Copy, Debug, InputObject)]
pub struct ProjectOrder {
    /// By what.
    pub field: ProjectOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Ascending")]
    pub direction: OrderDirection,
}

impl From<EmployeeOrder> for OrderBy<directory::EmployeeOrderField> {
    fn from(order: EmployeeOrder) -> Self {
        Self { field: order.field.into(), sort: order.direction.into() }
    }
}

impl From<ProjectOrder> for OrderBy<directory::ProjectOrderField> {
    fn from(order: ProjectOrder) -> Self {
        Self { field: order.field.into(), sort: order.direction.into() }
    }
}

/// The order behind an input.
///
/// # Errors
/// [`Error::Input`] when a field stands twice: the second could never decide anything.
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
    // The default, spelled out, is the same list.
    Ok(if order == F::DEFAULT { Vec::new() } else { order })
}

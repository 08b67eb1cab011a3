//! The members of a project: employees with their memberships.

use std::sync::Arc;

use super::{Employee, connection};
use crate::{directory, graphql::scalars::DateTime};

connection::connection! {
    /// A page of the members of a project.
    TeamConnection,
    /// An employee who is a member of a project, with the membership.
    TeamEdge {
        /// Role of the employee in the project, as free text: `Member` for employees added by a mutation. It grants no
        /// permission.
        role: String = |row| row.role.clone(),
        /// Time at which the employee joined the project.
        joined_at: DateTime = |row| DateTime(row.joined_at),
    },
    Employee(directory::Member) = |row| Employee(Arc::clone(&row.employee)),
    Employee = |row| &row.employee
}

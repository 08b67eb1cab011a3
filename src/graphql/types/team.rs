//! The team of a project: employees with their memberships.

use std::sync::Arc;

use super::{Employee, connection};
use crate::{directory, graphql::scalars::DateTime};

connection::connection! {
    /// A page of a project's team.
    TeamConnection,
    /// An employee in a project's team, with the membership.
    TeamEdge {
        /// What the person does in the project.
        role: String = |row| row.role.clone(),
        /// Since when the person works on the project.
        joined_at: DateTime = |row| DateTime(row.joined_at),
    },
    Employee(directory::Member) = |row| Employee(Arc::clone(&row.employee)),
    Employee = |row| &row.employee
}

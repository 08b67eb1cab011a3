//! The mutations: they decode inputs, call a room and return expected failures as `userErrors`.
//!
//! A payload reads the changed object after the commit, with exactly the selected columns.

mod arguments;
mod employee;
mod metric;
mod organization;
mod project;
mod release;

use async_graphql::MergedObject;

/// Entry points for writing data. Expected failures are returned as `userErrors`, with nothing written. A missing role
/// is one of them: `FORBIDDEN`, or `NOT_FOUND` in `ingestMetrics`. Other failures are GraphQL errors.
#[derive(Default, MergedObject)]
pub struct Mutation(
    organization::OrganizationMutation,
    employee::EmployeeMutation,
    project::ProjectMutation,
    release::ReleaseMutation,
    metric::MetricMutation,
);

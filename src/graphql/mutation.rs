//! The mutations: they decode inputs, call a room and return expected failures as `userErrors`.
//!
//! A payload reads the changed object after the commit, with exactly the selected columns.

mod employee;
mod metric;
mod organization;
mod project;
mod release;

use async_graphql::{ID, MaybeUndefined, MergedObject};

use crate::{
    directory::{
        reach::{self, Subject},
        team,
    },
    error::{Error, Result},
    graphql::{context::RequestContext, node::NodeId},
    model::{Assignment, EmployeeId, Key, ProblemKind},
};

/// Entry points for writing data. Expected failures are returned as `userErrors`, with nothing written; a caller
/// without the required role gets `FORBIDDEN`.
#[derive(Default, MergedObject)]
pub struct Mutation(
    organization::OrganizationMutation,
    employee::EmployeeMutation,
    project::ProjectMutation,
    release::ReleaseMutation,
    metric::MetricMutation,
);

/// The decoded id, or a `NOT_FOUND` problem that names the field.
fn named<T>(found: Option<T>, field: &str) -> Result<T> {
    found.ok_or_else(|| reach::unknown(Subject::Field(field)))
}

fn assignment<T>(value: MaybeUndefined<T>) -> Assignment<T> {
    match value {
        MaybeUndefined::Undefined => Assignment::Keep,
        MaybeUndefined::Null => Assignment::Clear,
        MaybeUndefined::Value(value) => Assignment::Set(value),
    }
}

/// The decoded ids of employees, by position; `None` where an id is not that of an employee.
fn employees(request: &RequestContext, field: &str, ids: &[ID]) -> Result<Vec<Option<Key<EmployeeId>>>> {
    let limit = request.services.limits.team_change_max;
    if ids.len() > limit {
        let message = format!("has {} ids, the limit is {limit}: send them in several calls", ids.len());
        return Err(Error::refused(ProblemKind::TooLarge, field, message));
    }
    Ok(ids.iter().map(NodeId::employee).collect())
}

/// New members with the default role.
fn members(employees: Vec<Option<Key<EmployeeId>>>) -> Vec<team::NewMember> {
    employees.into_iter().map(|employee| team::NewMember { employee, role: team::ROLE.to_owned() }).collect()
}

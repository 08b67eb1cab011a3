//! Arguments that several mutations take: decoded ids, changes of nullable values, new members.

use async_graphql::{ID, MaybeUndefined};

use crate::{
    directory::{OptimisticLock, team},
    error::{Error, Result},
    graphql::{
        context::RequestContext,
        node::{IdError, NodeId},
        scalars::DateTime,
        version,
    },
    model::{Assignment, EmployeeId, Key, ProblemKind, Problems},
};

/// The decoded id, or an `INVALID` problem that names the field.
pub(super) fn named<T>(decoded: Result<T, IdError>, field: &str) -> Result<T> {
    decoded.map_err(|error| error.in_change(field))
}

/// The change of a nullable value: absent keeps it, null clears it.
pub(super) fn assignment<T>(value: MaybeUndefined<T>) -> Assignment<T> {
    match value {
        MaybeUndefined::Undefined => Assignment::Keep,
        MaybeUndefined::Null => Assignment::Clear,
        MaybeUndefined::Value(value) => Assignment::Set(value),
    }
}

/// The optimistic lock of a change.
pub(super) fn lock(
    if_updated_at: MaybeUndefined<DateTime>,
    if_version: MaybeUndefined<String>,
) -> Result<OptimisticLock> {
    let refuse = |field, message| Error::refused(ProblemKind::Invalid, field, message);
    let updated_at = condition("ifUpdatedAt", if_updated_at)?.map(|time| time.0);
    let version = condition("ifVersion", if_version)?;
    let known = |text: String| version::decode(&text).ok_or_else(|| refuse("ifVersion", NO_VERSION));
    Ok(OptimisticLock { updated_at, version: version.map(known).transpose()? })
}

const NO_VERSION: &str = "is no version; pass `version` exactly as it was read";

/// The value of a condition. Null would lift the lock without a word.
fn condition<T>(field: &str, value: MaybeUndefined<T>) -> Result<Option<T>> {
    match value {
        MaybeUndefined::Undefined => Ok(None),
        MaybeUndefined::Value(value) => Ok(Some(value)),
        MaybeUndefined::Null => {
            let message = "cannot be null; leave it out to overwrite other changes";
            Err(Error::refused(ProblemKind::Invalid, field, message))
        }
    }
}

/// The decoded ids of employees, or an `INVALID` problem for each text that is no id of an employee.
pub(super) fn employees(request: &RequestContext, field: &str, ids: &[ID]) -> Result<Vec<Key<EmployeeId>>> {
    let limit = request.services.limits.team_change_max;
    if ids.len() > limit {
        let message = format!("has {} ids, the limit is {limit}: send them in several calls", ids.len());
        return Err(Error::refused(ProblemKind::TooLarge, field, message));
    }
    let (mut employees, mut problems) = (Vec::with_capacity(ids.len()), Problems::default());
    for (index, id) in ids.iter().enumerate() {
        match NodeId::employee(id) {
            Ok(employee) => employees.push(employee),
            Err(error) => problems.invalid(format!("{field}.{index}"), error.to_string()),
        }
    }
    Result::from(problems)?;
    Ok(employees)
}

/// New members with the default role.
pub(super) fn members(employees: Vec<Key<EmployeeId>>) -> Vec<team::NewMember> {
    employees.into_iter().map(|employee| team::NewMember { employee, role: team::ROLE.to_owned() }).collect()
}

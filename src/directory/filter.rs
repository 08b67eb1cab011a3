//! Filters of the directory's lists: conditions, the roles that may use them, and their SQL.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement};

use super::status::ProjectStatus;
use crate::{
    db::compare,
    error::{Error, Result},
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, Role, Scope,
        filter::{Filter, NumberFilter, TextFilter},
    },
};

/// A filter of organizations.
pub type OrganizationFilter = Filter<OrganizationCondition>;
/// A filter of employees.
pub type EmployeeFilter = Filter<EmployeeCondition>;
/// A filter of projects.
pub type ProjectFilter = Filter<ProjectCondition>;

/// A condition on organizations.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OrganizationCondition {
    /// Is in use, or is not.
    IsActive(bool),
    /// The name.
    Name(TextFilter),
}

/// A condition on employees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EmployeeCondition {
    /// Belongs to this organization.
    Organization(OrganizationId),
    /// Is a member of this project's team.
    Project(Key<ProjectId>),
    /// Works there, or no longer does.
    IsActive(bool),
    /// The full name.
    Name(TextFilter),
    /// The e-mail address, compared in lower case, as stored.
    Email(TextFilter),
    /// The department.
    Department(TextFilter),
    /// The yearly salary, for administrators only: a condition reveals the value.
    Salary(NumberFilter),
}

/// A condition on projects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProjectCondition {
    /// Belongs to this organization.
    Organization(OrganizationId),
    /// This employee is a member of the team.
    Member(Key<EmployeeId>),
    /// The status.
    Status(ProjectStatus),
    /// The name.
    Name(TextFilter),
}

/// A single condition that becomes SQL.
pub trait Condition: Send + Sync + 'static {
    /// The SQL on columns of `table` (its name or alias in the statement). It is true or false for every row, never null.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the role does not suffice.
    fn sql(&self, scope: &Scope, table: &'static str) -> Result<Cond>;
}

/// The SQL of a filter, for any statement over `table` (its name or alias there).
///
/// # Errors
/// [`Error::Forbidden`] when it compares a column that is hidden from the role.
pub(super) fn condition<C: Condition>(scope: &Scope, filter: &Filter<C>, table: &'static str) -> Result<Cond> {
    let add = |all: Cond, one: &Filter<C>| Ok(all.add(condition(scope, one, table)?));
    match filter {
        Filter::All(all) => all.iter().try_fold(Cond::all(), add),
        Filter::Any(any) => any.iter().try_fold(Cond::any(), add),
        // `not()` of a condition that is negated already would only remove that negation.
        Filter::Not(not) => Ok(Cond::all().add(condition(scope, not, table)?).not()),
        Filter::Is(one) => one.sql(scope, table),
    }
}

/// True if every branch of the filter has a condition that selects employees. Conditions that only exclude ("not in an
/// empty list", "not called this") may match everybody.
pub(super) fn is_selective(filter: &EmployeeFilter) -> bool {
    match filter {
        Filter::All(all) => all.iter().any(is_selective),
        Filter::Any(any) => any.iter().all(is_selective),
        Filter::Not(_) => false,
        Filter::Is(
            EmployeeCondition::Name(text) | EmployeeCondition::Email(text) | EmployeeCondition::Department(text),
        ) => {
            let is_given = |part: &Option<String>| part.as_ref().is_some_and(|part| !part.is_empty());
            let TextFilter { eq, ne: _, one_of, starts_with, contains, .. } = text;
            let folded = &text.equal_ignoring_case;
            let parts = [starts_with, contains, &text.starts_with_ignoring_case, &text.contains_ignoring_case];
            eq.is_some() || one_of.is_some() || folded.is_some() || parts.into_iter().any(is_given)
        }
        Filter::Is(EmployeeCondition::Salary(salary)) => *salary != NumberFilter::default(),
        Filter::Is(_) => true,
    }
}

impl Condition for OrganizationCondition {
    fn sql(&self, _scope: &Scope, table: &'static str) -> Result<Cond> {
        Ok(match self {
            Self::IsActive(is_active) => Expr::col((table, "is_active")).eq(*is_active).into(),
            Self::Name(name) => compare::text(&Expr::col((table, "name")), name),
        })
    }
}

impl Condition for EmployeeCondition {
    fn sql(&self, scope: &Scope, table: &'static str) -> Result<Cond> {
        let text = |column: &'static str, filter| compare::text(&Expr::col((table, column)), filter);
        Ok(match self {
            Self::Organization(id) => Expr::col((table, "organization_id")).eq(*id).into(),
            Self::Project(key) => among(table, *key, members(*key, "employee_id", "project_id")),
            Self::IsActive(is_active) => Expr::col((table, "is_active")).eq(*is_active).into(),
            Self::Name(name) => text("name", name),
            Self::Email(email) => text("email", &email.to_lowercase()),
            Self::Department(department) => text("department", department),
            Self::Salary(salary) => {
                if scope.role() < Role::Admin {
                    return Err(Error::Forbidden("filter.salary: only an administrator sees salaries".to_owned()));
                }
                compare::number(&Expr::col((table, "salary")), salary)
            }
        })
    }
}

impl Condition for ProjectCondition {
    fn sql(&self, _scope: &Scope, table: &'static str) -> Result<Cond> {
        Ok(match self {
            Self::Organization(id) => Expr::col((table, "organization_id")).eq(*id).into(),
            Self::Member(key) => among(table, *key, members(*key, "project_id", "employee_id")),
            Self::Status(status) => Expr::col((table, "status")).eq(status.code()).into(),
            Self::Name(name) => compare::text(&Expr::col((table, "name")), name),
        })
    }
}

/// Selects the ids on one side of the memberships whose other side is `key`.
fn members<Id: Into<sea_orm::Value>>(key: Key<Id>, wanted: &'static str, given: &'static str) -> SelectStatement {
    Query::select()
        .column(wanted)
        .from("project_member")
        .and_where(Expr::col("organization_id").eq(key.organization))
        .and_where(Expr::col(given).eq(key.id))
        .take()
}

fn among<Id>(table: &'static str, key: Key<Id>, ids: SelectStatement) -> Cond {
    Cond::all()
        .add(Expr::col((table, "organization_id")).eq(key.organization))
        .add(Expr::col((table, "id")).in_subquery(ids))
}

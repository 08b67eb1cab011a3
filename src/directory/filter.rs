//! What lists of the directory can be narrowed by, who may ask it, and how it becomes SQL.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Query, SelectStatement};

use super::ProjectStatus;
use crate::{
    db::compare,
    error::{Error, Result},
    model::{
        EmployeeId, Key, OrganizationId, ProjectId, Role, Scope,
        filter::{Filter, NumberFilter, TextFilter},
    },
};

/// Which organizations.
pub type OrganizationFilter = Filter<OrganizationCondition>;
/// Which employees.
pub type EmployeeFilter = Filter<EmployeeCondition>;
/// Which projects.
pub type ProjectFilter = Filter<ProjectCondition>;

/// What can be asked of an organization.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OrganizationCondition {
    /// Whether it is in use.
    IsActive(bool),
    /// Its name.
    Name(TextFilter),
}

/// What can be asked of an employee.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EmployeeCondition {
    /// Belongs to this organization.
    Organization(OrganizationId),
    /// Works on this project.
    Project(Key<ProjectId>),
    /// Whether the person still works there.
    IsActive(bool),
    /// The full name.
    Name(TextFilter),
    /// The address; upper and lower case are the same, as in what is stored.
    Email(TextFilter),
    /// The department.
    Department(TextFilter),
    /// The yearly salary: only administrators may ask, since asking is seeing.
    Salary(NumberFilter),
}

/// What can be asked of a project.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProjectCondition {
    /// Belongs to this organization.
    Organization(OrganizationId),
    /// This employee works on it.
    Member(Key<EmployeeId>),
    /// Whether it takes metrics.
    Status(ProjectStatus),
    /// Its name.
    Name(TextFilter),
}

/// A single condition as SQL.
pub trait Condition: Send + Sync + 'static {
    /// On the columns of `table` (its name or alias in the statement). True or false for every row, never unknown.
    ///
    /// # Errors
    /// [`Error::Forbidden`] when the scope's role does not reach.
    fn sql(&self, scope: &Scope, table: &'static str) -> Result<Cond>;
}

/// A filter as SQL, for any statement over `table` (its name or alias there).
///
/// # Errors
/// [`Error::Forbidden`] when it asks about something that the scope's role does not see.
pub(super) fn condition<C: Condition>(scope: &Scope, filter: &Filter<C>, table: &'static str) -> Result<Cond> {
    let add = |all: Cond, one: &Filter<C>| Ok(all.add(condition(scope, one, table)?));
    match filter {
        Filter::All(all) => all.iter().try_fold(Cond::all(), add),
        Filter::Any(any) => any.iter().try_fold(Cond::any(), add),
        // `not` of a condition that is already negated would only take that away.
        Filter::Not(not) => Ok(Cond::all().add(condition(scope, not, table)?).not()),
        Filter::Is(one) => one.sql(scope, table),
    }
}

/// Whether a filter says who: by a condition that holds for those who are meant, on every way through it. What is only said
/// of those who are not meant ("not in an empty list", "not called this") may be true of everybody.
pub(super) fn says_who(filter: &EmployeeFilter) -> bool {
    match filter {
        Filter::All(all) => all.iter().any(says_who),
        Filter::Any(any) => any.iter().all(says_who),
        Filter::Not(_) => false,
        Filter::Is(
            EmployeeCondition::Name(text) | EmployeeCondition::Email(text) | EmployeeCondition::Department(text),
        ) => {
            let says_something = |part: &Option<String>| part.as_ref().is_some_and(|part| !part.is_empty());
            let TextFilter { eq, ne: _, one_of, starts_with, contains } = text;
            eq.is_some() || one_of.is_some() || says_something(starts_with) || says_something(contains)
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

/// The ids at one end of the memberships whose other end is `key`.
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

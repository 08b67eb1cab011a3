//! Employees: the people of an organization, who own projects.

mod change;
mod statistics;

pub use change::{EmployeeChange, EmployeesChange, NewEmployee, create, delete, update, update_all};
pub use statistics::{EmployeeFigures, EmployeeStatistics, StatisticsFields, statistics, statistics_by_organizations};

use super::{
    filter::EmployeeCondition,
    order::{OrderField, SortKind},
    row::row,
};
use crate::{
    error::{Error, Result},
    model::{
        EmployeeId, Key, Role, Scope, Timestamp,
        filter::Number,
        order::{OrderBy, Sort, SortValue},
    },
};

row! {
    /// An employee.
    Employee, EmployeeFields, employee, Key<EmployeeId>, EmployeeCondition, EmployeeOrderField;
    /// The full name.
    NAME = 0, name: String, Name;
    /// The e-mail address, unique in the organization.
    EMAIL = 1, email: String, Email;
    /// The department, free text.
    DEPARTMENT = 2, department: String, Department;
    /// The yearly salary, hidden from roles below admin.
    SALARY = 3, salary: Option<f64>, Salary;
    /// True while the person works there.
    IS_ACTIVE = 4, is_active: bool, IsActive;
    /// The time at which the record was created.
    CREATED_AT = 5, created_at: Timestamp, CreatedAt;
    /// The time of the last change of the record.
    UPDATED_AT = 6, updated_at: Timestamp, UpdatedAt;
}

/// Sort keys of employees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EmployeeOrderField {
    /// The full name.
    Name,
    /// The e-mail address.
    Email,
    /// The department.
    Department,
    /// The yearly salary, for administrators only: the order reveals it.
    Salary,
    /// The time at which the record was created.
    CreatedAt,
}

impl OrderField for EmployeeOrderField {
    type Row = Employee;
    type Fields = EmployeeFields;
    const LIST: u8 = b'e';
    const ALL: &'static [Self] = &[Self::Name, Self::Email, Self::Department, Self::Salary, Self::CreatedAt];
    const DEFAULT: &'static [OrderBy<Self>] = &[OrderBy { field: Self::Name, sort: Sort::Ascending }];

    fn column(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Department => "department",
            Self::Salary => "salary",
            Self::CreatedAt => "created_at",
        }
    }

    fn kind(self) -> SortKind {
        match self {
            Self::Name | Self::Email | Self::Department => SortKind::Text,
            Self::Salary => SortKind::OptionalNumber,
            Self::CreatedAt => SortKind::Integer,
        }
    }

    fn fields(self) -> EmployeeFields {
        match self {
            Self::Name => EmployeeFields::NAME,
            Self::Email => EmployeeFields::EMAIL,
            Self::Department => EmployeeFields::DEPARTMENT,
            Self::Salary => EmployeeFields::SALARY,
            Self::CreatedAt => EmployeeFields::CREATED_AT,
        }
    }

    fn value(self, row: &Employee) -> Result<SortValue<&str>> {
        Ok(match self {
            Self::Name => SortValue::Text(row.name()?),
            Self::Email => SortValue::Text(row.email()?),
            Self::Department => SortValue::Text(row.department()?),
            Self::Salary => row.salary()?.map_or(SortValue::Unknown, |salary| SortValue::Number(Number(salary))),
            Self::CreatedAt => SortValue::Integer(row.created_at()?.as_micros()),
        })
    }

    fn permit(self, scope: &Scope) -> Result<()> {
        if self == Self::Salary && scope.role() < Role::Admin {
            return Err(Error::Forbidden("orderBy: only an administrator sees salaries".to_owned()));
        }
        Ok(())
    }
}

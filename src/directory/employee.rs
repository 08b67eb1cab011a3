//! Employees: the people of an organization, who own projects.

mod change;
mod statistics;

pub use change::{EmployeeChange, EmployeesChange, NewEmployee, create, delete, update, update_all};
pub use statistics::{Figures, Statistics, StatisticsFields, statistics, statistics_by_organizations};

use super::{filter::EmployeeCondition, order::EmployeeOrderField, row::row};
use crate::model::{EmployeeId, Key, Timestamp};

row! {
    /// An employee as read.
    Employee, EmployeeFields, employee, Key<EmployeeId>, EmployeeCondition, EmployeeOrderField;
    /// The full name.
    NAME = 0, name: String, Name;
    /// The address, unique in the organization.
    EMAIL = 1, email: String, Email;
    /// The department, free text.
    DEPARTMENT = 2, department: String, Department;
    /// The yearly salary, hidden from roles below admin.
    SALARY = 3, salary: Option<f64>, Salary;
    /// Whether the person still works there.
    IS_ACTIVE = 4, is_active: bool, IsActive;
    /// When the record was created.
    CREATED_AT = 5, created_at: Timestamp, CreatedAt;
    /// When the record was last changed.
    UPDATED_AT = 6, updated_at: Timestamp, UpdatedAt;
}

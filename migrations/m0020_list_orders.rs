//! Indexes for the filters of lists that people use first, in the orders in which they ask for them: projects of a status and
//! employees of a department or by activity, newest first or by name. Without them such a page sorts every row that matches.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE INDEX project_status_created_at ON project (organization_id, status, created_at, id)",
        "CREATE INDEX project_status_name ON project (organization_id, status, name, id)",
        "CREATE INDEX project_status_created_at_everywhere ON project (status, created_at, id)",
        "CREATE INDEX project_status_name_everywhere ON project (status, name, id)",
        "CREATE INDEX employee_is_active_created_at ON employee (organization_id, is_active, created_at, id)",
        "CREATE INDEX employee_is_active_created_at_everywhere ON employee (is_active, created_at, id)",
        "CREATE INDEX employee_department_created_at ON employee (organization_id, department, created_at, id)",
        "CREATE INDEX employee_department_created_at_everywhere ON employee (department, created_at, id)",
        "CREATE INDEX employee_department_name_everywhere ON employee (department, name, id)",
    ];
    const POSTGRES: &'static [&'static str] = Self::SQLITE;
    const REVERT: &'static [&'static str] = &[
        "DROP INDEX project_status_created_at",
        "DROP INDEX project_status_name",
        "DROP INDEX project_status_created_at_everywhere",
        "DROP INDEX project_status_name_everywhere",
        "DROP INDEX employee_is_active_created_at",
        "DROP INDEX employee_is_active_created_at_everywhere",
        "DROP INDEX employee_department_created_at",
        "DROP INDEX employee_department_created_at_everywhere",
        "DROP INDEX employee_department_name_everywhere",
    ];
}

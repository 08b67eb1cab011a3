//! Indexes for the filters and sort keys of directory lists. Each ends in the id, for keyset pagination. Those without the
//! organization serve callers whose scope is every tenant.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "DROP INDEX employee_is_active",
        "DROP INDEX employee_created_at",
        "DROP INDEX project_status",
        "CREATE INDEX employee_is_active ON employee (organization_id, is_active, name, id)",
        "CREATE INDEX employee_department ON employee (organization_id, department, name, id)",
        "CREATE INDEX employee_created_at ON employee (organization_id, created_at, id)",
        "CREATE INDEX employee_salary ON employee (organization_id, salary, id)",
        "CREATE INDEX employee_email_everywhere ON employee (email, id)",
        "CREATE INDEX employee_department_everywhere ON employee (department, id)",
        "CREATE INDEX employee_created_at_everywhere ON employee (created_at, id)",
        "CREATE INDEX employee_salary_everywhere ON employee (salary, id)",
        "CREATE INDEX project_status ON project (organization_id, status, id)",
        "CREATE INDEX project_created_at ON project (organization_id, created_at, id)",
        "CREATE INDEX project_team_size ON project (organization_id, team_size, id)",
        "CREATE INDEX project_status_everywhere ON project (status, id)",
        "CREATE INDEX project_created_at_everywhere ON project (created_at, id)",
        "CREATE INDEX project_team_size_everywhere ON project (team_size, id)",
    ];
    // NULL sorts first, as on SQLite.
    const POSTGRES: &'static [&'static str] = &[
        "DROP INDEX employee_is_active",
        "DROP INDEX employee_created_at",
        "DROP INDEX project_status",
        "CREATE INDEX employee_is_active ON employee (organization_id, is_active, name, id)",
        "CREATE INDEX employee_department ON employee (organization_id, department, name, id)",
        "CREATE INDEX employee_created_at ON employee (organization_id, created_at, id)",
        "CREATE INDEX employee_salary ON employee (organization_id, salary NULLS FIRST, id)",
        "CREATE INDEX employee_email_everywhere ON employee (email, id)",
        "CREATE INDEX employee_department_everywhere ON employee (department, id)",
        "CREATE INDEX employee_created_at_everywhere ON employee (created_at, id)",
        "CREATE INDEX employee_salary_everywhere ON employee (salary NULLS FIRST, id)",
        "CREATE INDEX project_status ON project (organization_id, status, id)",
        "CREATE INDEX project_created_at ON project (organization_id, created_at, id)",
        "CREATE INDEX project_team_size ON project (organization_id, team_size, id)",
        "CREATE INDEX project_status_everywhere ON project (status, id)",
        "CREATE INDEX project_created_at_everywhere ON project (created_at, id)",
        "CREATE INDEX project_team_size_everywhere ON project (team_size, id)",
    ];
    const REVERT: &'static [&'static str] = &[
        "DROP INDEX employee_is_active",
        "DROP INDEX employee_department",
        "DROP INDEX employee_created_at",
        "DROP INDEX employee_salary",
        "DROP INDEX employee_email_everywhere",
        "DROP INDEX employee_department_everywhere",
        "DROP INDEX employee_created_at_everywhere",
        "DROP INDEX employee_salary_everywhere",
        "DROP INDEX project_status",
        "DROP INDEX project_created_at",
        "DROP INDEX project_team_size",
        "DROP INDEX project_status_everywhere",
        "DROP INDEX project_created_at_everywhere",
        "DROP INDEX project_team_size_everywhere",
        "CREATE INDEX employee_is_active ON employee (organization_id, is_active)",
        "CREATE INDEX employee_created_at ON employee (organization_id, created_at DESC, id)",
        "CREATE INDEX project_status ON project (organization_id, status, created_at DESC)",
    ];
}

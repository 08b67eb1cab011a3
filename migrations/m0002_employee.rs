//! Employees of organizations, with indexes for filters and sort keys.

use crate::change::{Change, migration};

migration!();

const INDEXES: [&str; 6] = [
    "CREATE INDEX employee_name ON employee (organization_id, name, id)",
    "CREATE INDEX employee_name_everywhere ON employee (name, id)",
    "CREATE INDEX employee_is_active ON employee (organization_id, is_active)",
    "CREATE INDEX employee_department_salary ON employee (organization_id, department, salary)",
    "CREATE INDEX employee_created_at ON employee (organization_id, created_at DESC, id)",
    // By id first: node ids are looked up across organizations.
    "CREATE UNIQUE INDEX employee_id ON employee (id, organization_id)",
];

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE employee (
            organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
            id INTEGER NOT NULL,
            name TEXT NOT NULL,
            email TEXT NOT NULL,
            department TEXT NOT NULL,
            salary REAL CHECK (salary >= 0),
            is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, email)
        ) STRICT",
        INDEXES[0],
        INDEXES[1],
        INDEXES[2],
        INDEXES[3],
        INDEXES[4],
        INDEXES[5],
    ];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE employee (
            organization_id BIGINT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
            id BIGINT NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            email TEXT COLLATE \"C\" NOT NULL,
            department TEXT COLLATE \"C\" NOT NULL,
            salary DOUBLE PRECISION CHECK (salary >= 0),
            is_active BOOLEAN NOT NULL DEFAULT TRUE,
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, email)
        )",
        INDEXES[0],
        INDEXES[1],
        INDEXES[2],
        INDEXES[3],
        INDEXES[4],
        INDEXES[5],
    ];
    const TABLES: &'static [&'static str] = &["employee"];
}

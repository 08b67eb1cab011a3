//! Projects (monitored services) and their members.

use crate::change::{Change, migration};

migration!();

const INDEXES: [&str; 4] = [
    "CREATE INDEX project_name ON project (organization_id, name, id)",
    "CREATE INDEX project_name_everywhere ON project (name, id)",
    "CREATE INDEX project_status ON project (organization_id, status, created_at DESC)",
    "CREATE INDEX project_member_employee ON project_member (organization_id, employee_id)",
];

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE project (
            organization_id INTEGER NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
            id INTEGER NOT NULL,
            slug TEXT NOT NULL,
            name TEXT NOT NULL,
            status INTEGER NOT NULL CHECK (status IN (0, 1, 2)),
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, slug)
        ) STRICT",
        "CREATE TABLE project_member (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            employee_id INTEGER NOT NULL,
            role TEXT NOT NULL,
            joined_at INTEGER NOT NULL,
            PRIMARY KEY (organization_id, project_id, employee_id),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE,
            FOREIGN KEY (organization_id, employee_id) REFERENCES employee (organization_id, id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID",
        INDEXES[0],
        INDEXES[1],
        INDEXES[2],
        INDEXES[3],
    ];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE project (
            organization_id BIGINT NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
            id BIGINT NOT NULL,
            slug TEXT COLLATE \"C\" NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            status SMALLINT NOT NULL CHECK (status IN (0, 1, 2)),
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, slug)
        )",
        "CREATE TABLE project_member (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            employee_id BIGINT NOT NULL,
            role TEXT COLLATE \"C\" NOT NULL,
            joined_at BIGINT NOT NULL,
            PRIMARY KEY (organization_id, project_id, employee_id),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE,
            FOREIGN KEY (organization_id, employee_id) REFERENCES employee (organization_id, id) ON DELETE CASCADE
        )",
        INDEXES[0],
        INDEXES[1],
        INDEXES[2],
        INDEXES[3],
    ];
    const TABLES: &'static [&'static str] = &["project_member", "project"];
}

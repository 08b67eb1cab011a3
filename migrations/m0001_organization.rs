//! Organizations (the tenants), and the last commit sequence of each.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE organization (
            id INTEGER NOT NULL PRIMARY KEY,
            slug TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL,
            is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
            employee_count INTEGER NOT NULL DEFAULT 0 CHECK (employee_count >= 0),
            created_at INTEGER NOT NULL,
            updated_at INTEGER NOT NULL
        ) STRICT",
        "CREATE INDEX organization_name ON organization (name, id)",
        "CREATE INDEX organization_is_active ON organization (is_active, name, id)",
        "CREATE TABLE organization_stream (
            organization_id INTEGER NOT NULL PRIMARY KEY REFERENCES organization (id) ON DELETE CASCADE,
            last_seq INTEGER NOT NULL DEFAULT 0
        ) STRICT",
    ];
    // COLLATE \"C\" orders text by bytes, as SQLite does: both databases page through the same order.
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE organization (
            id BIGINT NOT NULL PRIMARY KEY,
            slug TEXT COLLATE \"C\" NOT NULL UNIQUE,
            name TEXT COLLATE \"C\" NOT NULL,
            is_active BOOLEAN NOT NULL DEFAULT TRUE,
            employee_count BIGINT NOT NULL DEFAULT 0 CHECK (employee_count >= 0),
            created_at BIGINT NOT NULL,
            updated_at BIGINT NOT NULL
        )",
        "CREATE INDEX organization_name ON organization (name, id)",
        "CREATE INDEX organization_is_active ON organization (is_active, name, id)",
        "CREATE TABLE organization_stream (
            organization_id BIGINT NOT NULL PRIMARY KEY REFERENCES organization (id) ON DELETE CASCADE,
            last_seq BIGINT NOT NULL DEFAULT 0
        ) WITH (fillfactor = 50)",
    ];
    const TABLES: &'static [&'static str] = &["organization_stream", "organization"];
}

//! Releases: deployments of a version of a project's software. Measurements refer to the version, not to the id, so that they
//! can arrive before the release.

use crate::change::{Change, migration};

// Two migrations once had the number 13; databases have recorded this name.
migration!("m0013_release");

const INDEXES: [&str; 1] =
    ["CREATE INDEX release_deployed_at ON release (organization_id, project_id, deployed_at, id)"];

// No foreign key to the author: releases outlive employees, and a composite key cannot be set to NULL in part.
impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE release (
            organization_id INTEGER NOT NULL,
            id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            version TEXT NOT NULL,
            deployed_at INTEGER NOT NULL,
            commit_hash TEXT NOT NULL DEFAULT '',
            author_id INTEGER NOT NULL DEFAULT 0,
            created_at INTEGER NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, project_id, version),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE
        ) STRICT",
        INDEXES[0],
    ];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE release (
            organization_id BIGINT NOT NULL,
            id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            version TEXT COLLATE \"C\" NOT NULL,
            deployed_at BIGINT NOT NULL,
            commit_hash TEXT COLLATE \"C\" NOT NULL DEFAULT '',
            author_id BIGINT NOT NULL DEFAULT 0,
            created_at BIGINT NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, project_id, version),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE
        )",
        INDEXES[0],
    ];
    const TABLES: &'static [&'static str] = &["release"];
}

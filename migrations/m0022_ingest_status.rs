//! Counters of what arrived for each project, one row per way in. They are deleted with their project.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["CREATE TABLE ingest_status (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            way INTEGER NOT NULL,
            accepted INTEGER NOT NULL,
            refused INTEGER NOT NULL,
            late INTEGER NOT NULL,
            ignored INTEGER NOT NULL,
            refused_requests INTEGER NOT NULL,
            last_seen_at INTEGER NOT NULL,
            refusals TEXT NOT NULL,
            PRIMARY KEY (organization_id, project_id, way),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE
        ) STRICT, WITHOUT ROWID"];
    // Rows are replaced once a second: half-empty pages let that happen in place.
    const POSTGRES: &'static [&'static str] = &["CREATE TABLE ingest_status (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            way SMALLINT NOT NULL,
            accepted BIGINT NOT NULL,
            refused BIGINT NOT NULL,
            late BIGINT NOT NULL,
            ignored BIGINT NOT NULL,
            refused_requests BIGINT NOT NULL,
            last_seen_at BIGINT NOT NULL,
            refusals TEXT NOT NULL,
            PRIMARY KEY (organization_id, project_id, way),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE
        ) WITH (fillfactor = 50)"];
    const TABLES: &'static [&'static str] = &["ingest_status"];
}

//! The tables of ingest besides measurements: endpoints by path, and the ledger of accepted submissions.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE endpoint (
            organization_id INTEGER NOT NULL,
            id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            path TEXT NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, project_id, path),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE
        ) STRICT",
        // seq is assigned last in the transaction and NULL until then; rejections is JSON, NULL if there are none.
        "CREATE TABLE ingest_batch (
            organization_id INTEGER NOT NULL,
            source TEXT NOT NULL,
            idem_key TEXT NOT NULL,
            seq INTEGER,
            project_id INTEGER NOT NULL,
            first_id INTEGER NOT NULL,
            body_hash BLOB NOT NULL,
            n_accepted INTEGER NOT NULL,
            n_rejected INTEGER NOT NULL,
            min_ts INTEGER NOT NULL,
            max_ts INTEGER NOT NULL,
            received_at INTEGER NOT NULL,
            rejections TEXT,
            PRIMARY KEY (organization_id, source, idem_key),
            UNIQUE (organization_id, seq)
        ) STRICT, WITHOUT ROWID",
    ];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE endpoint (
            organization_id BIGINT NOT NULL,
            id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            path TEXT COLLATE \"C\" NOT NULL,
            PRIMARY KEY (organization_id, id),
            UNIQUE (organization_id, project_id, path),
            FOREIGN KEY (organization_id, project_id) REFERENCES project (organization_id, id) ON DELETE CASCADE
        )",
        "CREATE TABLE ingest_batch (
            organization_id BIGINT NOT NULL,
            source TEXT COLLATE \"C\" NOT NULL,
            idem_key TEXT COLLATE \"C\" NOT NULL,
            seq BIGINT,
            project_id BIGINT NOT NULL,
            first_id BIGINT NOT NULL,
            body_hash BYTEA NOT NULL,
            n_accepted INTEGER NOT NULL,
            n_rejected INTEGER NOT NULL,
            min_ts BIGINT NOT NULL,
            max_ts BIGINT NOT NULL,
            received_at BIGINT NOT NULL,
            rejections TEXT,
            PRIMARY KEY (organization_id, source, idem_key),
            UNIQUE (organization_id, seq)
        )",
    ];
    const TABLES: &'static [&'static str] = &["ingest_batch", "endpoint"];
}

//! The change log of the directory, numbered per organization without gaps, so that streams can resume. Changes outlive their
//! entities, so there are no foreign keys.

use crate::change::{Change, migration};

migration!();

const LAST_CHANGE: &str = "ALTER TABLE organization_stream ADD COLUMN last_change BIGINT NOT NULL DEFAULT 0";
/// Finds expired changes.
const BY_TIME: &str = "CREATE INDEX entity_change_changed_at ON entity_change (changed_at)";

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "ALTER TABLE organization_stream ADD COLUMN last_change INTEGER NOT NULL DEFAULT 0",
        // changed_fields is a JSON array of column names; noun and kind are codes of the application.
        "CREATE TABLE entity_change (
            organization_id INTEGER NOT NULL,
            seq INTEGER NOT NULL,
            noun INTEGER NOT NULL,
            entity_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            changed_fields TEXT NOT NULL,
            changed_at INTEGER NOT NULL,
            PRIMARY KEY (organization_id, seq)
        ) STRICT, WITHOUT ROWID",
        BY_TIME,
    ];
    const POSTGRES: &'static [&'static str] = &[
        LAST_CHANGE,
        "CREATE TABLE entity_change (
            organization_id BIGINT NOT NULL,
            seq BIGINT NOT NULL,
            noun SMALLINT NOT NULL,
            entity_id BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            changed_fields TEXT COLLATE \"C\" NOT NULL,
            changed_at BIGINT NOT NULL,
            PRIMARY KEY (organization_id, seq)
        )",
        BY_TIME,
    ];
    const REVERT: &'static [&'static str] = &["ALTER TABLE organization_stream DROP COLUMN last_change"];
    const TABLES: &'static [&'static str] = &["entity_change"];
}

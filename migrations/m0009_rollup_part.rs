//! A table for new rollup parts, which compaction merges into minutes, hours and days; and the bounds of retention: the time
//! from which on each metric table is complete.

use crate::change::{Change, migration};

migration!();

/// Existing minutes become parts, and compaction fills minutes, hours and days from them.
const MINUTES_TO_PARTS: &str = "INSERT INTO metric_rollup_part SELECT * FROM metric_rollup_1m";
const NO_MINUTES: &str = "DELETE FROM metric_rollup_1m";

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE metric_rollup_part (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            endpoint_id INTEGER NOT NULL,
            part INTEGER NOT NULL,
            n INTEGER NOT NULL,
            n_err INTEGER NOT NULL,
            sum REAL NOT NULL,
            min REAL NOT NULL,
            max REAL NOT NULL,
            sketch BLOB NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, endpoint_id, part)
        ) STRICT, WITHOUT ROWID",
        MINUTES_TO_PARTS,
        NO_MINUTES,
        "CREATE TABLE metric_kept (
            table_name TEXT NOT NULL PRIMARY KEY,
            since INTEGER NOT NULL
        ) STRICT",
    ];
    // The row of a day is replaced once a minute until the day is over: half-empty pages let PostgreSQL update in place.
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE metric_rollup_part (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            bucket BIGINT NOT NULL,
            endpoint_id BIGINT NOT NULL,
            part BIGINT NOT NULL,
            n BIGINT NOT NULL,
            n_err BIGINT NOT NULL,
            sum DOUBLE PRECISION NOT NULL,
            min DOUBLE PRECISION NOT NULL,
            max DOUBLE PRECISION NOT NULL,
            sketch BYTEA NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, endpoint_id, part)
        )",
        MINUTES_TO_PARTS,
        NO_MINUTES,
        "ALTER TABLE metric_rollup_1d SET (fillfactor = 50)",
        "CREATE TABLE metric_kept (
            table_name TEXT COLLATE \"C\" NOT NULL PRIMARY KEY,
            since BIGINT NOT NULL
        )",
    ];
    const REVERT: &'static [&'static str] = &[
        "INSERT INTO metric_rollup_1m SELECT * FROM metric_rollup_part",
        "DELETE FROM metric_rollup_1h",
        "DELETE FROM metric_rollup_1d",
    ];
    const TABLES: &'static [&'static str] = &["metric_kept", "metric_rollup_part"];
}

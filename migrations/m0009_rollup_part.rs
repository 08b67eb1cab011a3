//! Fresh rollup parts get a table of their own, which compaction empties into minutes, hours and days; and from when on
//! each metric table is complete, which retention moves on.

use crate::{Change, migration};

migration!();

/// What was written as minutes so far becomes parts: compaction then fills minutes, hours and days from them.
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
    // Days are replaced once a minute while they last: half-empty pages let PostgreSQL do so in place.
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

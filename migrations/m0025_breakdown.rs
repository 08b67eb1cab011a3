//! Breakdowns: the measurements of a series (a project and a type) in an hour or a day by status, release and name, made from
//! single measurements after the hour is over.
//!
//! `detail` of a row says which columns tell its measurements apart: 1 the status, 2 the release, 3 the name, 4 all three. The others
//! are 0 or empty. `metric_grain` knows for each series and day, by a bit per hour (24 is the day), which have rows of each detail
//! (`status_parts`, `release_parts`, `name_parts`, `all_parts`), and which were decided about (`seen_parts`); a late measurement
//! clears the bits of its hour and day. `build` numbers the attempts to make rows: it is positive while one is under way, and a
//! late measurement makes it negative.
//! `organization_stream.breakdowns_before` is the time before which there may be rows: commits of older measurements look.
//!
//! Instances of earlier versions do not look. In a database in use, breakdowns therefore begin on the day after tomorrow.

use crate::change::{Change, migration};

migration!();

macro_rules! begins {
    ($seconds:literal) => {
        concat!(
            "INSERT INTO metric_kept (table_name, since) SELECT 'metric_breakdown_1h', (",
            $seconds,
            " / 86400 + 2) * 86400000000 WHERE EXISTS (SELECT 1 FROM organization) \
             ON CONFLICT (table_name) DO UPDATE SET since = excluded.since"
        )
    };
}

macro_rules! sqlite_table {
    ($name:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            status INTEGER NOT NULL,
            release TEXT NOT NULL,
            name TEXT NOT NULL,
            detail INTEGER NOT NULL,
            n INTEGER NOT NULL,
            n_err INTEGER NOT NULL,
            sum REAL NOT NULL,
            min REAL NOT NULL,
            max REAL NOT NULL,
            sketch BLOB NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, detail, status, release, name)
        ) STRICT, WITHOUT ROWID"
        )
    };
}

macro_rules! postgres_table {
    ($name:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            bucket BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            status SMALLINT NOT NULL,
            detail SMALLINT NOT NULL,
            release TEXT COLLATE \"C\" NOT NULL,
            name TEXT COLLATE \"C\" NOT NULL,
            n BIGINT NOT NULL,
            n_err BIGINT NOT NULL,
            sum DOUBLE PRECISION NOT NULL,
            min DOUBLE PRECISION NOT NULL,
            max DOUBLE PRECISION NOT NULL,
            sketch BYTEA NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, detail, status, release, name)
        )"
        )
    };
}

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        sqlite_table!("metric_breakdown_1h"),
        sqlite_table!("metric_breakdown_1d"),
        "ALTER TABLE metric_grain ADD COLUMN status_parts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE metric_grain ADD COLUMN release_parts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE metric_grain ADD COLUMN name_parts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE metric_grain ADD COLUMN all_parts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE metric_grain ADD COLUMN seen_parts INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE metric_grain ADD COLUMN build INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE organization_stream ADD COLUMN breakdowns_before INTEGER",
        begins!("unixepoch()"),
    ];
    const POSTGRES: &'static [&'static str] = &[
        postgres_table!("metric_breakdown_1h"),
        postgres_table!("metric_breakdown_1d"),
        "ALTER TABLE metric_grain
            ADD COLUMN status_parts INTEGER NOT NULL DEFAULT 0,
            ADD COLUMN release_parts INTEGER NOT NULL DEFAULT 0,
            ADD COLUMN name_parts INTEGER NOT NULL DEFAULT 0,
            ADD COLUMN all_parts INTEGER NOT NULL DEFAULT 0,
            ADD COLUMN seen_parts INTEGER NOT NULL DEFAULT 0,
            ADD COLUMN build BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE organization_stream ADD COLUMN breakdowns_before BIGINT",
        begins!("EXTRACT(EPOCH FROM now())::BIGINT"),
    ];
    const TABLES: &'static [&'static str] = &["metric_breakdown_1d", "metric_breakdown_1h"];
    const REVERT: &'static [&'static str] = &[
        "DELETE FROM metric_kept WHERE table_name = 'metric_breakdown_1h'",
        "ALTER TABLE organization_stream DROP COLUMN breakdowns_before",
        "ALTER TABLE metric_grain DROP COLUMN build",
        "ALTER TABLE metric_grain DROP COLUMN seen_parts",
        "ALTER TABLE metric_grain DROP COLUMN all_parts",
        "ALTER TABLE metric_grain DROP COLUMN name_parts",
        "ALTER TABLE metric_grain DROP COLUMN release_parts",
        "ALTER TABLE metric_grain DROP COLUMN status_parts",
    ];
}

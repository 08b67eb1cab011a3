//! Rollups per minute, hour and day: scalars as columns, the quantile sketch as a compact blob.
//!
//! Endpoint 0 holds all endpoints. `part` is 0; minutes were append-only parts until m0009.

use crate::change::{Change, migration};

migration!();

macro_rules! columns {
    ($integer:literal, $number:literal, $small:literal, $real:literal, $blob:literal) => {
        concat!(
            "organization_id ",
            $integer,
            " NOT NULL,
            project_id ",
            $integer,
            " NOT NULL,
            kind ",
            $small,
            " NOT NULL,
            bucket ",
            $integer,
            " NOT NULL,
            endpoint_id ",
            $integer,
            " NOT NULL,
            part ",
            $integer,
            " NOT NULL,
            n ",
            $number,
            " NOT NULL,
            n_err ",
            $number,
            " NOT NULL,
            sum ",
            $real,
            " NOT NULL,
            min ",
            $real,
            " NOT NULL,
            max ",
            $real,
            " NOT NULL,
            sketch ",
            $blob,
            " NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, endpoint_id, part)"
        )
    };
}

macro_rules! sqlite_table {
    ($name:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (",
            columns!("INTEGER", "INTEGER", "INTEGER", "REAL", "BLOB"),
            ") STRICT, WITHOUT ROWID"
        )
    };
}

macro_rules! postgres_table {
    ($name:literal, $tail:literal) => {
        concat!(
            "CREATE TABLE ",
            $name,
            " (",
            columns!("BIGINT", "BIGINT", "SMALLINT", "DOUBLE PRECISION", "BYTEA"),
            ")",
            $tail
        )
    };
}

impl Change for Migration {
    const SQLITE: &'static [&'static str] =
        &[sqlite_table!("metric_rollup_1m"), sqlite_table!("metric_rollup_1h"), sqlite_table!("metric_rollup_1d")];
    const POSTGRES: &'static [&'static str] = &[
        postgres_table!("metric_rollup_1m", " PARTITION BY RANGE (bucket)"),
        "CREATE TABLE metric_rollup_1m_default PARTITION OF metric_rollup_1m DEFAULT",
        postgres_table!("metric_rollup_1h", " PARTITION BY RANGE (bucket)"),
        "CREATE TABLE metric_rollup_1h_default PARTITION OF metric_rollup_1h DEFAULT",
        postgres_table!("metric_rollup_1d", ""),
    ];
    const TABLES: &'static [&'static str] = &["metric_rollup_1d", "metric_rollup_1h", "metric_rollup_1m"];
}

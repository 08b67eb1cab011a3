//! Rollups per five minutes, with the columns of `metric_rollup_1m`.
//!
//! Minutes that were merged before this migration are not in them. In a database in use, five minutes count as complete from
//! the day after tomorrow on, which leaves time to replace instances that do not merge them yet; until then, queries read
//! minutes.

use crate::change::{Change, migration};

migration!();

macro_rules! complete_since {
    ($seconds:literal) => {
        concat!(
            "INSERT INTO metric_kept (table_name, since) SELECT 'metric_rollup_5m', (",
            $seconds,
            " / 86400 + 2) * 86400000000 WHERE EXISTS (SELECT 1 FROM organization) \
             ON CONFLICT (table_name) DO UPDATE SET since = excluded.since"
        )
    };
}

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE metric_rollup_5m (
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
        complete_since!("unixepoch()"),
    ];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE metric_rollup_5m (
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
        ) PARTITION BY RANGE (bucket)",
        "CREATE TABLE metric_rollup_5m_default PARTITION OF metric_rollup_5m DEFAULT",
        complete_since!("EXTRACT(EPOCH FROM now())::BIGINT"),
    ];
    const TABLES: &'static [&'static str] = &["metric_rollup_5m"];
    const REVERT: &'static [&'static str] = &["DELETE FROM metric_kept WHERE table_name = 'metric_rollup_5m'"];
}

//! The number of measurements that were rejected as too old, per project, type and UTC day: one part per commit, until
//! retention merges them into part 0.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["CREATE TABLE metric_late (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            bucket INTEGER NOT NULL,
            part INTEGER NOT NULL,
            n INTEGER NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, part)
        ) STRICT, WITHOUT ROWID"];
    const POSTGRES: &'static [&'static str] = &["CREATE TABLE metric_late (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            bucket BIGINT NOT NULL,
            part BIGINT NOT NULL,
            n BIGINT NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, bucket, part)
        )"];
    const TABLES: &'static [&'static str] = &["metric_late"];
}

//! Labels of measurements, in a table of their own beside the raw rows: a column would take eight bytes in every row without
//! labels on PostgreSQL, because rows are aligned, and these are most. Partitioned and clustered as the rows are.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["CREATE TABLE metric_label (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            id INTEGER NOT NULL,
            labels TEXT NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, ts, id)
        ) STRICT, WITHOUT ROWID"];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE metric_label (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            ts BIGINT NOT NULL,
            id BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            labels TEXT COLLATE \"C\" NOT NULL
        ) PARTITION BY RANGE (ts)",
        "CREATE INDEX metric_label_series ON metric_label (project_id, kind, ts, id)",
        "CREATE TABLE metric_label_default PARTITION OF metric_label DEFAULT",
    ];
    const TABLES: &'static [&'static str] = &["metric_label"];
}

//! Raw measurements, partitioned by time on PostgreSQL, clustered by series and time on SQLite.
//!
//! No foreign keys: their trigger took a third of the insert time when measured; ingest checks projects itself.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["CREATE TABLE metric_event (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            ts INTEGER NOT NULL,
            id INTEGER NOT NULL,
            value REAL NOT NULL CHECK (value >= 0 AND value < 9e999),
            endpoint_id INTEGER NOT NULL,
            status INTEGER NOT NULL,
            bin INTEGER NOT NULL,
            PRIMARY KEY (organization_id, project_id, kind, ts, id)
        ) STRICT, WITHOUT ROWID"];
    // The default partition stays empty while partitions are created ahead. Without it, an insert would fail if a partition
    // was missing.
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE metric_event (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            ts BIGINT NOT NULL,
            id BIGINT NOT NULL,
            value DOUBLE PRECISION NOT NULL CHECK (value >= 0 AND value < 'Infinity'),
            endpoint_id BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            status SMALLINT NOT NULL,
            bin SMALLINT NOT NULL
        ) PARTITION BY RANGE (ts)",
        "CREATE INDEX metric_event_series ON metric_event (project_id, kind, ts, id)",
        "CREATE INDEX metric_event_id ON metric_event USING BRIN (id)",
        "CREATE INDEX metric_event_ts ON metric_event USING BRIN (ts)",
        "CREATE TABLE metric_event_default PARTITION OF metric_event DEFAULT",
    ];
    const TABLES: &'static [&'static str] = &["metric_event"];
}

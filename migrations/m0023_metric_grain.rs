//! The finest rollups of a series (a project and a type) on one UTC day: `all_endpoints` of the rows for all endpoints together,
//! `by_endpoint` of those by endpoint. 0 minutes, 1 five minutes, 2 hours, 3 days, 4 none: questions about finer times are
//! answered from raw rows. Without a row there are all rollups. What was chosen never changes while there are raw rows; before they
//! expire, all series get the rollups that are kept longer.
//!
//! `next_*` are the choice for later days, made when the day is over and its measurements were counted.
//!
//! Parts and rollups from before this migration have all resolutions. In a database in use, the choice therefore begins on the
//! day after tomorrow, which leaves time to replace instances that do not know it yet.

use crate::change::{Change, migration};

migration!();

macro_rules! begins {
    ($seconds:literal) => {
        concat!(
            "INSERT INTO metric_kept (table_name, since) SELECT 'metric_grain', (",
            $seconds,
            " / 86400 + 2) * 86400000000 WHERE EXISTS (SELECT 1 FROM organization) \
             ON CONFLICT (table_name) DO UPDATE SET since = excluded.since"
        )
    };
}

/// Finds the days whose single measurements are about to be removed.
const DAYS: &str = "CREATE INDEX metric_grain_day ON metric_grain (day)";

/// Finds the days whose measurements were not counted yet.
const UNCOUNTED: &str = "CREATE INDEX metric_grain_uncounted ON metric_grain (day) WHERE next_all_endpoints IS NULL";

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE metric_grain (
            organization_id INTEGER NOT NULL,
            project_id INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            day INTEGER NOT NULL,
            all_endpoints INTEGER NOT NULL,
            by_endpoint INTEGER NOT NULL,
            next_all_endpoints INTEGER,
            next_by_endpoint INTEGER,
            PRIMARY KEY (organization_id, project_id, kind, day)
        ) STRICT, WITHOUT ROWID",
        DAYS,
        UNCOUNTED,
        begins!("unixepoch()"),
    ];
    const POSTGRES: &'static [&'static str] = &[
        "CREATE TABLE metric_grain (
            organization_id BIGINT NOT NULL,
            project_id BIGINT NOT NULL,
            day BIGINT NOT NULL,
            kind SMALLINT NOT NULL,
            all_endpoints SMALLINT NOT NULL,
            by_endpoint SMALLINT NOT NULL,
            next_all_endpoints SMALLINT,
            next_by_endpoint SMALLINT,
            PRIMARY KEY (organization_id, project_id, kind, day)
        )",
        DAYS,
        UNCOUNTED,
        begins!("EXTRACT(EPOCH FROM now())::BIGINT"),
    ];
    const TABLES: &'static [&'static str] = &["metric_grain"];
    const REVERT: &'static [&'static str] = &["DELETE FROM metric_kept WHERE table_name = 'metric_grain'"];
}

//! Optional tags of measurements: the name, and the release that was running. The empty string means none: it takes one byte
//! per column, and both databases compare it alike.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "ALTER TABLE metric_event ADD COLUMN name TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE metric_event ADD COLUMN release TEXT NOT NULL DEFAULT ''",
    ];
    // A constant default rewrites no existing row in any partition.
    const POSTGRES: &'static [&'static str] = &["ALTER TABLE metric_event
            ADD COLUMN name TEXT COLLATE \"C\" NOT NULL DEFAULT '',
            ADD COLUMN release TEXT COLLATE \"C\" NOT NULL DEFAULT ''"];
    const REVERT: &'static [&'static str] =
        &["ALTER TABLE metric_event DROP COLUMN release", "ALTER TABLE metric_event DROP COLUMN name"];
}

//! Measurements can say which of several things they measure (`name`) and which release was running. Empty is none, so
//! that a row without them costs two bytes and both databases compare alike.

use crate::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "ALTER TABLE metric_event ADD COLUMN name TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE metric_event ADD COLUMN release TEXT NOT NULL DEFAULT ''",
    ];
    // A constant default changes no row that is there, in any partition.
    const POSTGRES: &'static [&'static str] = &["ALTER TABLE metric_event
            ADD COLUMN name TEXT COLLATE \"C\" NOT NULL DEFAULT '',
            ADD COLUMN release TEXT COLLATE \"C\" NOT NULL DEFAULT ''"];
    const REVERT: &'static [&'static str] =
        &["ALTER TABLE metric_event DROP COLUMN release", "ALTER TABLE metric_event DROP COLUMN name"];
}

//! No index of the levels by day. PostgreSQL used it instead of the primary key where it did not know yet how many rows there are,
//! and read those of all series for each.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["DROP INDEX metric_grain_day"];
    const POSTGRES: &'static [&'static str] = Self::SQLITE;
    const REVERT: &'static [&'static str] = &["CREATE INDEX metric_grain_day ON metric_grain (day)"];
}

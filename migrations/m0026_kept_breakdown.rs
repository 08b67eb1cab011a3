//! Breakdowns by one column outlive the single measurements that they are made from.
//!
//! Before the single measurements of a day are removed, it gets rows by status, by release and by name of all its hours.
//! `organization_stream.raw_since` is the time before which this is done, so that the single measurements may be removed at any
//! moment: later measurements of such days are added in rows of their own, next to those that are there. In these, a column by which
//! the row is not told apart (the release of a row by status or name, the name of a row by release) holds the number of the commit.
//! Bit 25 of `metric_grain.seen_parts` says that there are such rows; they are merged once a day.
//!
//! Instances of earlier versions do not do this. In a database in use, it therefore begins with the day after tomorrow.

use crate::change::{Change, migration};

migration!();

macro_rules! begins {
    ($seconds:literal) => {
        concat!(
            "INSERT INTO metric_kept (table_name, since) SELECT 'metric_breakdown_1d', (",
            $seconds,
            " / 86400 + 2) * 86400000000 WHERE EXISTS (SELECT 1 FROM organization) \
             ON CONFLICT (table_name) DO UPDATE SET since = excluded.since"
        )
    };
}

impl Change for Migration {
    const SQLITE: &'static [&'static str] =
        &["ALTER TABLE organization_stream ADD COLUMN raw_since INTEGER", begins!("unixepoch()")];
    const POSTGRES: &'static [&'static str] =
        &["ALTER TABLE organization_stream ADD COLUMN raw_since BIGINT", begins!("EXTRACT(EPOCH FROM now())::BIGINT")];
    const TABLES: &'static [&'static str] = &[];
    const REVERT: &'static [&'static str] = &[
        "DELETE FROM metric_kept WHERE table_name = 'metric_breakdown_1d'",
        "ALTER TABLE organization_stream DROP COLUMN raw_since",
    ];
}

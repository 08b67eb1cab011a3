//! The memory of retention: up to where the rows of each table were removed, and when the clock was last believed.
//!
//! With it, a bound that a wrong clock published can go back to what there is. What was published before this migration counts
//! as removed.

use crate::change::{Change, migration};

migration!();

const PUBLISHED: &str = "INSERT INTO retention_state (name, at) SELECT table_name, since FROM metric_kept";

impl Change for Migration {
    const SQLITE: &'static [&'static str] =
        &["CREATE TABLE retention_state (name TEXT NOT NULL PRIMARY KEY, at INTEGER NOT NULL) STRICT", PUBLISHED];
    const POSTGRES: &'static [&'static str] =
        &["CREATE TABLE retention_state (name TEXT NOT NULL PRIMARY KEY, at BIGINT NOT NULL)", PUBLISHED];
    const TABLES: &'static [&'static str] = &["retention_state"];
}

//! What cursors of streams are sealed with: one secret that all instances on a database share. The first of them makes it.

use crate::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["CREATE TABLE stream_secret (
            id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
            secret BLOB NOT NULL
        ) STRICT"];
    const POSTGRES: &'static [&'static str] = &["CREATE TABLE stream_secret (
            id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
            secret BYTEA NOT NULL
        )"];
    const TABLES: &'static [&'static str] = &["stream_secret"];
}

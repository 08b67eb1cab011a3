//! The secret that authenticates stream cursors. All instances share it; the first one creates it.

use crate::change::{Change, migration};

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

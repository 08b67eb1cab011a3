//! The nodes of instances: the number in the ids that an instance makes, its lease by the clock of the database, and the
//! place up to which ids of the node were handed out.
//!
//! In a database in use, the ids that exist are found in the ledger and in the tables of entities, so that no node makes one
//! of them again, whatever its clock says.

use crate::change::{Change, migration};

migration!();

/// Every place is in the milliseconds above bit 22 of an id, and the rows of a batch are in the millisecond of its first id.
const NODES_IN_USE: &str = "INSERT INTO instance_node (node, epoch, expires_at, ids_until) \
    SELECT (id >> 14) & 255, 0, 0, (max(id >> 22) + 1) << 14 FROM ( \
        SELECT first_id AS id FROM ingest_batch \
        UNION ALL SELECT id FROM organization UNION ALL SELECT id FROM employee UNION ALL SELECT id FROM project \
        UNION ALL SELECT id FROM endpoint UNION ALL SELECT id FROM release \
    ) AS used WHERE id > 0 GROUP BY (id >> 14) & 255";

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &[
        "CREATE TABLE instance_node (
            node INTEGER NOT NULL PRIMARY KEY,
            epoch INTEGER NOT NULL,
            expires_at INTEGER NOT NULL,
            ids_until INTEGER NOT NULL
        ) STRICT",
        NODES_IN_USE,
    ];
    const POSTGRES: &'static [&'static str] = &[
        // Rows are renewed every few seconds: a half-empty page lets that happen in place.
        "CREATE TABLE instance_node (
            node SMALLINT NOT NULL PRIMARY KEY,
            epoch BIGINT NOT NULL,
            expires_at BIGINT NOT NULL,
            ids_until BIGINT NOT NULL
        ) WITH (fillfactor = 20)",
        NODES_IN_USE,
    ];
    const TABLES: &'static [&'static str] = &["instance_node"];
}

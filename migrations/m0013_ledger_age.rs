//! Old keys of the ledger are found by their age, so that they can go.

use crate::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] = &["CREATE INDEX ingest_batch_received_at ON ingest_batch (received_at)"];
    // Rows come in about in this order, so a few numbers for every stretch of the table are enough to find them.
    const POSTGRES: &'static [&'static str] =
        &["CREATE INDEX ingest_batch_received_at ON ingest_batch USING BRIN (received_at)"];
    const REVERT: &'static [&'static str] = &["DROP INDEX ingest_batch_received_at"];
}

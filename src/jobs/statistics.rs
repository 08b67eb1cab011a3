//! Collects PostgreSQL's statistics of tables that have grown, so that plans which were made for small tables are made anew.
//!
//! Autovacuum does so too, a minute later at best, and never where it is off. Until then a report of a large first import would
//! read whole tables again and again. SQLite chooses its plans by its indexes.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::{
    db::{Database, StatementLog},
    error::Result,
};

/// The tables and partitions that have twice the rows they had when statistics were collected last. Small ones are read at once
/// by any plan.
const GROWN: &str = "SELECT format('%I.%I', s.schemaname, s.relname) FROM pg_stat_user_tables s \
    JOIN pg_class c ON c.oid = s.relid \
    WHERE s.schemaname = current_schema() AND s.n_live_tup > 2 * GREATEST(c.reltuples, 100)";

/// Collects the statistics of all tables that have grown.
///
/// # Errors
/// The database fails. The next pass goes on.
pub async fn pass(database: &Database) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let grown = session.query_all_raw(Statement::from_string(DbBackend::Postgres, GROWN)).await?;
    for table in grown {
        let table: String = table.try_get_by_index(0)?;
        // Skipped while autovacuum or another instance does the same.
        session.execute_unprepared(&format!("ANALYZE (SKIP_LOCKED) {table}")).await?;
    }
    Ok(())
}

//! Removes expired changes from the log, in chunks.

use sea_orm::{ConnectionTrait, Statement};

use crate::{
    db::{Database, StatementLog},
    error::Result,
    model::Timestamp,
};

/// Number of rows per statement.
const CHUNK_ROWS: u64 = 5_000;

/// Removes changes that were made before `before`. A stream that resumes from an older change is told about the gap.
///
/// # Errors
/// The database fails. Rows that were removed until then stay removed.
pub async fn remove_before(database: &Database, before: Timestamp) -> Result<()> {
    let session = database.writer(StatementLog::default());
    let sql = format!(
        "DELETE FROM entity_change WHERE (organization_id, seq) IN \
         (SELECT organization_id, seq FROM entity_change WHERE changed_at < $1 ORDER BY changed_at LIMIT {CHUNK_ROWS})"
    );
    loop {
        let values = [before.as_micros().into()];
        let statement = Statement::from_sql_and_values(session.get_database_backend(), &sql, values);
        if session.execute_raw(statement).await?.rows_affected() < CHUNK_ROWS {
            return Ok(());
        }
    }
}

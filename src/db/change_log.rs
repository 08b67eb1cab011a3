//! Removes what is too old from the log of changes, a portion at a time.

use sea_orm::{ConnectionTrait, Statement};

use super::{pool::Database, statement::StatementLog};
use crate::{error::Result, model::Timestamp};

/// Rows that are removed in one statement.
const PORTION: u64 = 5_000;

impl Database {
    /// Removes changes that were made before this moment. Who goes on from an older one is told what is missing.
    ///
    /// # Errors
    /// When the database cannot do it now; what was removed until then stays removed.
    pub async fn remove_changes_before(&self, before: Timestamp) -> Result<()> {
        let session = self.writer(StatementLog::default());
        let sql = format!(
            "DELETE FROM entity_change WHERE (organization_id, seq) IN \
             (SELECT organization_id, seq FROM entity_change WHERE changed_at < $1 ORDER BY changed_at LIMIT {PORTION})"
        );
        loop {
            let values = [before.as_micros().into()];
            let statement = Statement::from_sql_and_values(session.get_database_backend(), &sql, values);
            if session.execute_raw(statement).await?.rows_affected() < PORTION {
                return Ok(());
            }
        }
    }
}

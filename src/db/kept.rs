//! Retention in the database: from when on each metric table is complete, and the removal of what lies before.
//!
//! Two steps, never one: first the new bounds are published, and whoever asks from then on asks for nothing before them;
//! a while later, when every instance has read them and every earlier statement has ended, the rows go. Bounds only move
//! forward. PostgreSQL drops partitions; SQLite deletes in portions, so that ingest is never held up for long.

use sea_orm::{ConnectionTrait, Statement};
use sqlx::{AssertSqlSafe, SqlitePool};

use super::{
    partition,
    pool::{Backend, Database},
    statement::StatementLog,
};
use crate::{
    error::Result,
    model::{Kept, Timestamp},
};

const RAW: &str = "metric_event";
const MINUTES: &str = "metric_rollup_1m";
const FIVE_MINUTES: &str = "metric_rollup_5m";
const HOURS: &str = "metric_rollup_1h";

/// Rows that SQLite deletes in one transaction.
const PORTION: i64 = 5_000;

impl Database {
    /// Reads the bounds that are published, for every session from now on.
    ///
    /// # Errors
    /// When the database cannot answer.
    pub async fn reload_kept(&self) -> Result<Kept> {
        let session = self.reader(StatementLog::default());
        let sql = "SELECT table_name, since FROM metric_kept";
        let rows = session.query_all_raw(Statement::from_string(session.get_database_backend(), sql)).await?;
        let mut kept = Kept::EVERYTHING;
        for row in rows {
            let (table, since): (String, Timestamp) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
            match table.as_str() {
                RAW => kept.raw = since,
                MINUTES => kept.minutes = since,
                FIVE_MINUTES => kept.five_minutes = since,
                HOURS => kept.hours = since,
                _ => {}
            }
        }
        // The minutes before may have been removed before there were five minutes to publish.
        kept.five_minutes = kept.five_minutes.max(kept.minutes);
        self.set_kept(kept);
        Ok(kept)
    }

    /// Publishes bounds, where they are later than those that are.
    ///
    /// # Errors
    /// When the database cannot store them.
    pub async fn publish_kept(&self, kept: Kept) -> Result<()> {
        let session = self.writer(StatementLog::default());
        let sql = "INSERT INTO metric_kept (table_name, since) VALUES ($1, $2), ($3, $4), ($5, $6), ($7, $8) \
                   ON CONFLICT (table_name) DO UPDATE SET since = excluded.since \
                   WHERE excluded.since > metric_kept.since";
        let values = [(RAW, kept.raw), (MINUTES, kept.minutes), (FIVE_MINUTES, kept.five_minutes), (HOURS, kept.hours)];
        let values = values.into_iter().flat_map(|(table, since)| [table.into(), since.as_micros().into()]);
        let statement = Statement::from_sql_and_values(session.get_database_backend(), sql, values);
        session.execute_raw(statement).await?;
        Ok(())
    }

    /// Removes the ledger's entries that were received before. Nobody is told first: whoever asks for one later finds
    /// none.
    ///
    /// # Errors
    /// When the database cannot do it now; what was removed until then stays removed.
    pub async fn forget_batches_before(&self, before: Timestamp) -> Result<()> {
        let session = self.writer(StatementLog::default());
        let sql = format!(
            "DELETE FROM ingest_batch WHERE (organization_id, source, idem_key) IN \
             (SELECT organization_id, source, idem_key FROM ingest_batch WHERE received_at < $1 LIMIT {PORTION})"
        );
        let statement =
            Statement::from_sql_and_values(session.get_database_backend(), sql, [before.as_micros().into()]);
        while session.execute_raw(statement.clone()).await?.rows_affected() > 0 {}
        Ok(())
    }

    /// Removes what lies before these bounds, and with the hours what is counted of what came too late. They must have been
    /// published long enough ago.
    ///
    /// # Errors
    /// When the database cannot do it now; what was removed until then stays removed.
    pub async fn remove_before(&self, kept: Kept) -> Result<()> {
        for (table, column, since) in [
            (RAW, "ts", kept.raw),
            (MINUTES, "bucket", kept.minutes),
            // Where they are not complete yet, there are rows all the same.
            (FIVE_MINUTES, "bucket", kept.minutes),
            (HOURS, "bucket", kept.hours),
        ] {
            match self.backend() {
                Backend::Postgres(pool) => partition::drop_before(pool, table, column, since).await?,
                Backend::Sqlite(pool) => delete_before(pool, table, column, since).await?,
            }
        }
        self.tidy_late(kept.hours).await
    }
}

/// Series by series, because that is the order of the tables: each portion is a search in the primary key.
async fn delete_before(pool: &SqlitePool, table: &str, column: &str, before: Timestamp) -> Result<()> {
    let next = format!(
        "SELECT organization_id, project_id, kind FROM {table} WHERE (organization_id, project_id, kind) > (?1, ?2, ?3) \
         ORDER BY organization_id, project_id, kind LIMIT 1"
    );
    let old = format!("organization_id = ?1 AND project_id = ?2 AND kind = ?3 AND {column} < ?4");
    let portion = format!(
        "DELETE FROM {table} WHERE {old} AND {column} <= \
         coalesce((SELECT {column} FROM {table} WHERE {old} ORDER BY {column} LIMIT 1 OFFSET {PORTION}), ?4)"
    );
    let mut series = (i64::MIN, i64::MIN, i64::MIN);
    loop {
        let query = sqlx::query_as(AssertSqlSafe(next.clone())).bind(series.0).bind(series.1).bind(series.2);
        let Some(found) = query.fetch_optional(pool).await? else {
            return Ok(());
        };
        series = found;
        loop {
            let query = sqlx::query(AssertSqlSafe(portion.clone())).bind(series.0).bind(series.1).bind(series.2);
            if query.bind(before.as_micros()).execute(pool).await?.rows_affected() == 0 {
                break;
            }
        }
    }
}

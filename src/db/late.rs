//! The counts of what came too late do not grow for ever: those of old days go, and the parts of a day, of which every commit
//! adds one for a project and type, become one row. Until then there are at most as many as there were late measurements.

use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use super::pool::{Backend, Database};
use crate::{error::Result, model::Timestamp};

/// Rows of one transaction.
const PORTION: u32 = 5_000;

const KEY: &str = "organization_id, project_id, kind, bucket, part";
const DAY: &str = "organization_id, project_id, kind, bucket";

impl Database {
    /// Removes the counts of the days before a moment, and adds up the parts of each other one under part 0. Whoever reads
    /// meanwhile finds a part either by itself or in the sum.
    ///
    /// # Errors
    /// When the database cannot do it now; what was done until then stays done.
    pub async fn tidy_late(&self, before: Timestamp) -> Result<()> {
        let old = portion("bucket < $1");
        let remove = format!("DELETE FROM metric_late WHERE ({KEY}) IN ({old})");
        let (statement, before) = (|| AssertSqlSafe(remove.clone()), before.as_micros());
        match self.backend() {
            Backend::Postgres(pool) => {
                while sqlx::query(statement()).bind(before).execute(pool).await?.rows_affected() > 0 {}
                while add_up_on_postgres(pool).await? > 0 {}
            }
            Backend::Sqlite(pool) => {
                while sqlx::query(statement()).bind(before).execute(pool).await?.rows_affected() > 0 {}
                while add_up_on_sqlite(pool).await? > 0 {}
            }
        }
        Ok(())
    }
}

/// The keys of some rows, in their order.
fn portion(condition: &str) -> String {
    format!("SELECT {KEY} FROM metric_late WHERE {condition} ORDER BY {KEY} LIMIT {PORTION}")
}

fn add_to_sum(parts: &str) -> String {
    format!(
        "INSERT INTO metric_late ({KEY}, n) SELECT {DAY}, 0, CAST(sum(n) AS BIGINT) FROM {parts} GROUP BY {DAY} ORDER BY {DAY} \
         ON CONFLICT ({KEY}) DO UPDATE SET n = metric_late.n + excluded.n"
    )
}

/// One statement, and so one snapshot. What another instance takes away at the same time is not in what this one takes.
async fn add_up_on_postgres(pool: &PgPool) -> Result<u64> {
    let parts = portion("part <> 0");
    let sql = format!(
        "WITH taken AS (DELETE FROM metric_late WHERE ({KEY}) IN ({parts}) RETURNING {DAY}, n) {}",
        add_to_sum("taken")
    );
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(pool).await?.rows_affected())
}

/// Two statements about the same parts: from the first on nobody else writes.
async fn add_up_on_sqlite(pool: &SqlitePool) -> Result<u64> {
    let parts = portion("part <> 0");
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let add = add_to_sum(&format!("metric_late WHERE ({KEY}) IN ({parts})"));
    sqlx::query(AssertSqlSafe(add)).execute(&mut *transaction).await?;
    let take = format!("DELETE FROM metric_late WHERE ({KEY}) IN ({parts})");
    let taken = sqlx::query(AssertSqlSafe(take)).execute(&mut *transaction).await?.rows_affected();
    transaction.commit().await?;
    Ok(taken)
}

//! Keeps the counts of late rows small: removes old days, and merges the parts of a day, one per commit, project and type,
//! into one row. Before the merge there are at most as many parts as late measurements.

use sqlx::{AssertSqlSafe, PgPool, SqlitePool};

use crate::{
    db::{Backend, Database},
    error::Result,
    model::Timestamp,
};

/// Number of rows per transaction.
const CHUNK_ROWS: u32 = 5_000;

const KEY: &str = "organization_id, project_id, kind, bucket, part";
const DAY: &str = "organization_id, project_id, kind, bucket";

/// Removes counts of days before `before`, and merges the parts of other days into part 0. Concurrent readers see a part
/// either by itself or in the sum.
///
/// # Errors
/// The database fails. Changes until then stay.
pub async fn tidy(database: &Database, before: Timestamp) -> Result<()> {
    let old = chunk("bucket < $1");
    let remove = format!("DELETE FROM metric_late WHERE ({KEY}) IN ({old})");
    let (statement, before) = (|| AssertSqlSafe(remove.clone()), before.as_micros());
    match database.backend() {
        Backend::Postgres(pool) => {
            while sqlx::query(statement()).bind(before).execute(pool).await?.rows_affected() > 0 {}
            while merge_on_postgres(pool).await? > 0 {}
        }
        Backend::Sqlite(pool) => {
            while sqlx::query(statement()).bind(before).execute(pool).await?.rows_affected() > 0 {}
            while merge_on_sqlite(pool).await? > 0 {}
        }
    }
    Ok(())
}

/// Selects the keys of a chunk of rows, in their order.
fn chunk(condition: &str) -> String {
    format!("SELECT {KEY} FROM metric_late WHERE {condition} ORDER BY {KEY} LIMIT {CHUNK_ROWS}")
}

fn add_to_sum(parts: &str) -> String {
    format!(
        "INSERT INTO metric_late ({KEY}, n) SELECT {DAY}, 0, CAST(sum(n) AS BIGINT) FROM {parts} GROUP BY {DAY} ORDER BY {DAY} \
         ON CONFLICT ({KEY}) DO UPDATE SET n = metric_late.n + excluded.n"
    )
}

/// One statement sees one snapshot: parts that another instance deletes at the same time are not among the deleted ones.
async fn merge_on_postgres(pool: &PgPool) -> Result<u64> {
    let parts = chunk("part <> 0");
    let sql = format!(
        "WITH taken AS (DELETE FROM metric_late WHERE ({KEY}) IN ({parts}) RETURNING {DAY}, n) {}",
        add_to_sum("taken")
    );
    Ok(sqlx::query(AssertSqlSafe(sql)).execute(pool).await?.rows_affected())
}

/// Two statements about the same parts: the write lock keeps others from changing them in between.
async fn merge_on_sqlite(pool: &SqlitePool) -> Result<u64> {
    let parts = chunk("part <> 0");
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    let add = add_to_sum(&format!("metric_late WHERE ({KEY}) IN ({parts})"));
    sqlx::query(AssertSqlSafe(add)).execute(&mut *transaction).await?;
    let take = format!("DELETE FROM metric_late WHERE ({KEY}) IN ({parts})");
    let taken = sqlx::query(AssertSqlSafe(take)).execute(&mut *transaction).await?.rows_affected();
    transaction.commit().await?;
    Ok(taken)
}

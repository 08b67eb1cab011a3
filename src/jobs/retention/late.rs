//! Keeps the counts of late rows small: removes old days, and merges the parts of a day, one per commit, project and type,
//! into one row. Before the merge there are at most as many parts as late measurements.

use sea_orm::{ConnectionTrait, Statement};
use sqlx::{AssertSqlSafe, SqlitePool};

use crate::{
    db::{Database, Session, StatementLog, Writer},
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
    let session = database.writer(StatementLog::default());
    let remove = format!("DELETE FROM metric_late WHERE ({KEY}) IN ({old})");
    let remove = Statement::from_sql_and_values(session.get_database_backend(), remove, [before.as_micros().into()]);
    while session.execute_raw(remove.clone()).await?.rows_affected() > 0 {}
    match database.bulk_writer() {
        Writer::Postgres(_) => while merge_on_postgres(&session).await? > 0 {},
        Writer::Sqlite(pool) => while merge_on_sqlite(pool).await? > 0 {},
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
async fn merge_on_postgres(session: &Session) -> Result<u64> {
    let parts = chunk("part <> 0");
    let sql = format!(
        "WITH taken AS (DELETE FROM metric_late WHERE ({KEY}) IN ({parts}) RETURNING {DAY}, n) {}",
        add_to_sum("taken")
    );
    Ok(session.execute_unprepared(&sql).await?.rows_affected())
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

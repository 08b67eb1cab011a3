//! The steps on PostgreSQL. Every statement takes its rows as arrays, one per column, through UNNEST.
//!
//! Rows are found by their keys, one after the other, by the index: each look-up is a subquery that PostgreSQL cannot turn into
//! a join (OFFSET 0), and connections for writes do not read whole tables (`db/pool`). A plan that was made while the tables were
//! nearly empty, or without statistics, reads all of them for each row: minutes instead of milliseconds for some thousands.

use std::sync::{Arc, LazyLock};

use sea_orm::DbBackend;
use sqlx::AssertSqlSafe;

use super::{
    rollup_row::{COLUMNS, Columns, RollupPart, RollupRow},
    transaction::{MeasuredColumns, SET_GRAIN, clear, measured},
};
use crate::{
    db::{Stock, Taken, sum::sum_text},
    model::{
        Grain, GrainColumns, SeriesDay,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};

/// The advisory lock under which merged rows are rewritten. An arbitrary number.
const LOCK_KEY: i64 = 0x7065_7266_636f_6d70;

/// Takes the lock.
const TAKE_LOCK: &str = "SELECT pg_try_advisory_xact_lock($1)";

/// Removes parts by their keys, which are six arrays.
pub const REMOVE_PARTS: &str = "DELETE FROM metric_rollup_part WHERE ctid = ANY(ARRAY(SELECT found.row FROM unnest($1::bigint[], \
    $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[]) \
    AS taken (organization_id, project_id, kind, bucket, endpoint_id, part) CROSS JOIN LATERAL ( \
    SELECT p.ctid AS row FROM metric_rollup_part p WHERE p.organization_id = taken.organization_id \
    AND p.project_id = taken.project_id AND p.kind = taken.kind AND p.bucket = taken.bucket \
    AND p.endpoint_id = taken.endpoint_id AND p.part = taken.part OFFSET 0) AS found))";

/// The grains of series and days, which are four arrays.
const GRAINS: &str = "SELECT found.* FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[]) \
    AS asked (organization_id, project_id, kind, day) CROSS JOIN LATERAL ( \
    SELECT g.organization_id, g.project_id, g.kind, g.day, g.all_endpoints, g.by_endpoint FROM metric_grain g \
    WHERE g.organization_id = asked.organization_id AND g.project_id = asked.project_id AND g.kind = asked.kind \
    AND g.day = asked.day OFFSET 0) AS found";

static MEASURED: LazyLock<String> = LazyLock::new(|| measured(&sum_text(DbBackend::Postgres, "value")));
static CLEAR: LazyLock<Vec<String>> = LazyLock::new(clear);

/// Finds the merged rows of a table by their keys, which are five arrays, between two buckets.
pub fn find_rows(table: &str) -> String {
    // Partitions are pruned by the bounds when the statement begins, and by the bucket for each look-up.
    format!(
        "SELECT found.* FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::bigint[]) \
         AS asked (organization_id, project_id, kind, bucket, endpoint_id) CROSS JOIN LATERAL ( \
         SELECT {COLUMNS} FROM {table} AS m WHERE m.organization_id = asked.organization_id \
         AND m.project_id = asked.project_id AND m.kind = asked.kind AND m.bucket = asked.bucket \
         AND m.endpoint_id = asked.endpoint_id AND m.part = 0 AND m.bucket BETWEEN $6 AND $7 OFFSET 0) AS found"
    )
}

/// A transaction that holds the lock.
pub struct Transaction(Taken);

/// `None` if another instance holds the lock. The lock is released with the transaction, after its rows are visible.
pub async fn begin(stock: &Arc<Stock>) -> sqlx::Result<Option<Transaction>> {
    locked(Taken::in_transaction(stock).await?).await
}

async fn locked(mut transaction: Taken) -> sqlx::Result<Option<Transaction>> {
    let (answers, connection) = transaction.postgres()?;
    let lock = sqlx::query_scalar(TAKE_LOCK).bind(LOCK_KEY);
    let is_ours: bool = answers.answer(lock.fetch_one(connection)).await?;
    Ok(is_ours.then_some(Transaction(transaction)))
}

/// As [`begin`], with one snapshot for the whole transaction: a part is visible exactly if its raw rows are.
pub async fn begin_with_snapshot(stock: &Arc<Stock>) -> sqlx::Result<Option<Transaction>> {
    let mut transaction = Taken::in_transaction(stock).await?;
    transaction.execute_text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ".to_owned()).await?;
    locked(transaction).await
}

impl super::transaction::Transaction for Transaction {
    async fn remove(&mut self, parts: &[RollupPart]) -> sqlx::Result<usize> {
        let rows: Vec<&RollupRow> = parts.iter().map(|part| &part.row).collect();
        let remove = sqlx::query(REMOVE_PARTS)
            .bind(column(&rows, |row| row.organization))
            .bind(column(&rows, |row| row.project))
            .bind(column(&rows, |row| row.kind))
            .bind(column(&rows, |row| row.bucket))
            .bind(column(&rows, |row| row.endpoint))
            .bind(parts.iter().map(|part| part.part).collect::<Vec<_>>());
        let (answers, connection) = self.0.postgres()?;
        let removed = answers.answer(remove.execute(connection)).await?;
        Ok(usize::try_from(removed.rows_affected()).unwrap_or(usize::MAX))
    }

    async fn grains(&mut self, series: &[SeriesDay]) -> sqlx::Result<Vec<GrainColumns>> {
        let grains = sqlx::query_as(GRAINS)
            .bind(series.iter().map(|one| one.organization).collect::<Vec<_>>())
            .bind(series.iter().map(|one| one.project).collect::<Vec<_>>())
            .bind(series.iter().map(|one| one.kind).collect::<Vec<_>>())
            .bind(series.iter().map(|one| one.day).collect::<Vec<_>>());
        let (answers, connection) = self.0.postgres()?;
        answers.answer(grains.fetch_all(connection)).await
    }

    async fn stored(&mut self, table: &str, keys: &[RollupRow]) -> sqlx::Result<Vec<RollupRow>> {
        let sql = find_rows(table);
        let rows: Vec<&RollupRow> = keys.iter().collect();
        let buckets = column(&rows, |row| row.bucket);
        let (first, last) = (buckets.iter().min().copied(), buckets.iter().max().copied());
        let stored = sqlx::query_as(AssertSqlSafe(sql))
            .bind(column(&rows, |row| row.organization))
            .bind(column(&rows, |row| row.project))
            .bind(column(&rows, |row| row.kind))
            .bind(buckets)
            .bind(column(&rows, |row| row.endpoint))
            .bind(first)
            .bind(last);
        let (answers, connection) = self.0.postgres()?;
        let found: Vec<Columns> = answers.answer(stored.fetch_all(connection)).await?;
        Ok(found.into_iter().map(RollupRow::from).collect())
    }

    async fn replace(&mut self, table: &str, rows: &[RollupRow]) -> sqlx::Result<()> {
        let sql = format!(
            "INSERT INTO {table} ({COLUMNS}, part) SELECT *, 0 FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], \
             $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::double precision[], $9::double precision[], \
             $10::double precision[], $11::bytea[]) \
             ON CONFLICT (organization_id, project_id, kind, bucket, endpoint_id, part) DO UPDATE SET \
             n = excluded.n, n_err = excluded.n_err, sum = excluded.sum, min = excluded.min, max = excluded.max, \
             sketch = excluded.sketch"
        );
        let rows: Vec<&RollupRow> = rows.iter().collect();
        let replace = sqlx::query(AssertSqlSafe(sql))
            .bind(column(&rows, |row| row.organization))
            .bind(column(&rows, |row| row.project))
            .bind(column(&rows, |row| row.kind))
            .bind(column(&rows, |row| row.bucket))
            .bind(column(&rows, |row| row.endpoint))
            .bind(column(&rows, |row| row.tally.n()))
            .bind(column(&rows, |row| row.tally.n_err()))
            .bind(column(&rows, |row| row.tally.sum.value()))
            .bind(column(&rows, |row| row.tally.min()))
            .bind(column(&rows, |row| row.tally.max()))
            .bind(rows.iter().map(|row| row.tally.distribution.as_slice()).collect::<Vec<_>>());
        let (answers, connection) = self.0.postgres()?;
        answers.answer(replace.execute(connection)).await?;
        Ok(())
    }

    async fn measured(&mut self, series: SeriesDay, from: i64, width: i64) -> sqlx::Result<Vec<MeasuredColumns>> {
        let measured = sqlx::query_as(&**MEASURED)
            .bind(series.organization)
            .bind(series.project)
            .bind(series.kind)
            .bind(from)
            .bind(from.saturating_add(HOUR_MICROS))
            .bind(width);
        let (answers, connection) = self.0.postgres()?;
        answers.answer(measured.fetch_all(connection)).await
    }

    async fn clear(&mut self, series: SeriesDay) -> sqlx::Result<()> {
        for sql in CLEAR.iter() {
            let clear = sqlx::query(sql.as_str())
                .bind(series.organization)
                .bind(series.project)
                .bind(series.kind)
                .bind(series.day)
                .bind(series.day.saturating_add(DAY_MICROS));
            let (answers, connection) = self.0.postgres()?;
            answers.answer(clear.execute(connection)).await?;
        }
        Ok(())
    }

    async fn set_grain(&mut self, series: SeriesDay, grain: Grain) -> sqlx::Result<()> {
        let set = sqlx::query(SET_GRAIN)
            .bind(grain.code())
            .bind(series.organization)
            .bind(series.project)
            .bind(series.kind)
            .bind(series.day);
        let (answers, connection) = self.0.postgres()?;
        answers.answer(set.execute(connection)).await?;
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.0.commit().await
    }
}

/// One column of rows that are sent as arrays.
fn column<V>(rows: &[&RollupRow], value: impl Fn(&RollupRow) -> V) -> Vec<V> {
    rows.iter().map(|row| value(row)).collect()
}

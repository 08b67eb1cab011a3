//! The steps on PostgreSQL: every statement takes its rows as arrays, one per column, through UNNEST.

use sqlx::{AssertSqlSafe, PgPool, Postgres};

use super::cell::{COLUMNS, Cell, Columns, Part};

/// The advisory lock of whoever rewrites merged rows; any fixed number of ours does.
const LOCK_KEY: i64 = 0x7065_7266_636f_6d70;

const REMOVE: &str = "DELETE FROM metric_rollup_part USING unnest($1::bigint[], $2::bigint[], $3::smallint[], \
    $4::bigint[], $5::bigint[], $6::bigint[]) AS taken (organization_id, project_id, kind, bucket, endpoint_id, part) \
    WHERE metric_rollup_part.organization_id = taken.organization_id \
    AND metric_rollup_part.project_id = taken.project_id AND metric_rollup_part.kind = taken.kind \
    AND metric_rollup_part.bucket = taken.bucket AND metric_rollup_part.endpoint_id = taken.endpoint_id \
    AND metric_rollup_part.part = taken.part";

pub struct Transaction(sqlx::Transaction<'static, Postgres>);

/// Nothing where another instance holds the lock. It goes with the transaction, after its rows can be seen.
pub async fn begin(pool: &PgPool) -> sqlx::Result<Option<Transaction>> {
    let mut transaction = pool.begin().await?;
    let is_ours: bool =
        sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)").bind(LOCK_KEY).fetch_one(&mut *transaction).await?;
    Ok(is_ours.then_some(Transaction(transaction)))
}

impl super::Transaction for Transaction {
    async fn remove(&mut self, parts: &[Part]) -> sqlx::Result<usize> {
        let cells: Vec<&Cell> = parts.iter().map(|part| &part.cell).collect();
        let removed = sqlx::query(REMOVE)
            .bind(column(&cells, |cell| cell.organization))
            .bind(column(&cells, |cell| cell.project))
            .bind(column(&cells, |cell| cell.kind))
            .bind(column(&cells, |cell| cell.bucket))
            .bind(column(&cells, |cell| cell.endpoint))
            .bind(parts.iter().map(|part| part.part).collect::<Vec<_>>())
            .execute(&mut *self.0)
            .await?;
        Ok(usize::try_from(removed.rows_affected()).unwrap_or(usize::MAX))
    }

    async fn stored(&mut self, table: &str, places: &[Cell]) -> sqlx::Result<Vec<Cell>> {
        // The bounds let the planner leave out partitions, which a join alone does not.
        let sql = format!(
            "SELECT {COLUMNS} FROM {table} JOIN unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], \
             $5::bigint[]) AS asked (organization_id, project_id, kind, bucket, endpoint_id) \
             USING (organization_id, project_id, kind, bucket, endpoint_id) \
             WHERE part = 0 AND {table}.bucket BETWEEN $6 AND $7"
        );
        let cells: Vec<&Cell> = places.iter().collect();
        let buckets = column(&cells, |cell| cell.bucket);
        let (first, last) = (buckets.iter().min().copied(), buckets.iter().max().copied());
        let found: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql))
            .bind(column(&cells, |cell| cell.organization))
            .bind(column(&cells, |cell| cell.project))
            .bind(column(&cells, |cell| cell.kind))
            .bind(buckets)
            .bind(column(&cells, |cell| cell.endpoint))
            .bind(first)
            .bind(last)
            .fetch_all(&mut *self.0)
            .await?;
        Ok(found.into_iter().map(Cell::from).collect())
    }

    async fn replace(&mut self, table: &str, cells: &[Cell]) -> sqlx::Result<()> {
        let sql = format!(
            "INSERT INTO {table} ({COLUMNS}, part) SELECT *, 0 FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], \
             $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::double precision[], $9::double precision[], \
             $10::double precision[], $11::bytea[]) \
             ON CONFLICT (organization_id, project_id, kind, bucket, endpoint_id, part) DO UPDATE SET \
             n = excluded.n, n_err = excluded.n_err, sum = excluded.sum, min = excluded.min, max = excluded.max, \
             sketch = excluded.sketch"
        );
        let cells: Vec<&Cell> = cells.iter().collect();
        sqlx::query(AssertSqlSafe(sql))
            .bind(column(&cells, |cell| cell.organization))
            .bind(column(&cells, |cell| cell.project))
            .bind(column(&cells, |cell| cell.kind))
            .bind(column(&cells, |cell| cell.bucket))
            .bind(column(&cells, |cell| cell.endpoint))
            .bind(column(&cells, |cell| cell.tally.n()))
            .bind(column(&cells, |cell| cell.tally.n_err()))
            .bind(column(&cells, |cell| cell.tally.sum))
            .bind(column(&cells, |cell| cell.tally.min()))
            .bind(column(&cells, |cell| cell.tally.max()))
            .bind(cells.iter().map(|cell| cell.tally.distribution.as_slice()).collect::<Vec<_>>())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.0.commit().await
    }
}

/// One column of rows that are sent as arrays.
fn column<V>(cells: &[&Cell], value: impl Fn(&Cell) -> V) -> Vec<V> {
    cells.iter().map(|cell| value(cell)).collect()
}

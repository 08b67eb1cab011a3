//! The steps on SQLite. Lookups take their keys as one JSON array; inserts use multi-row VALUES.

use std::sync::LazyLock;

use sea_orm::DbBackend;
use serde_json::json;
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool, query::Query, sqlite::SqliteArguments};

use super::{
    rollup_row::{COLUMNS, Columns, RollupPart, RollupRow},
    transaction::{MeasuredColumns, SET_GRAIN, clear, measured},
};
use crate::{
    db::{json_array, sum::sum_text},
    model::{
        Grain, GrainColumns, SeriesDay,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
};

const REMOVE: &str = "DELETE FROM metric_rollup_part \
    WHERE (organization_id, project_id, kind, bucket, endpoint_id, part) IN \
    (SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5 FROM json_each(?1))";

// CROSS JOIN fixes the join order: the requested keys outside, the table by its primary key inside.
const GRAINS: &str = "SELECT organization_id, project_id, kind, day, all_endpoints, by_endpoint \
    FROM json_each(?1) AS asked CROSS JOIN metric_grain ON organization_id = asked.value->>0 \
    AND project_id = asked.value->>1 AND kind = asked.value->>2 AND day = asked.value->>3";

static MEASURED: LazyLock<String> = LazyLock::new(|| measured(&sum_text(DbBackend::Sqlite, "value")));
static CLEAR: LazyLock<Vec<String>> = LazyLock::new(clear);

/// Number of rows per statement. Larger statements are no faster.
const ROWS: usize = 64;

type Bound = Query<'static, Sqlite, SqliteArguments>;

pub struct Transaction(sqlx::Transaction<'static, Sqlite>);

pub async fn begin(pool: &SqlitePool) -> sqlx::Result<Transaction> {
    // Takes the write lock at once, so that merged rows do not change between reading and replacing them.
    Ok(Transaction(pool.begin_with("BEGIN IMMEDIATE").await?))
}

impl super::transaction::Transaction for Transaction {
    async fn remove(&mut self, parts: &[RollupPart]) -> sqlx::Result<usize> {
        let keys = json_array(parts.iter().map(|part| json!(part.key())));
        let removed = sqlx::query(REMOVE).bind(keys).execute(&mut *self.0).await?;
        Ok(usize::try_from(removed.rows_affected()).unwrap_or(usize::MAX))
    }

    async fn grains(&mut self, series: &[SeriesDay]) -> sqlx::Result<Vec<GrainColumns>> {
        let keys = json_array(series.iter().map(|one| json!([one.organization, one.project, one.kind, one.day])));
        sqlx::query_as(GRAINS).bind(keys).fetch_all(&mut *self.0).await
    }

    async fn stored(&mut self, table: &str, keys: &[RollupRow]) -> sqlx::Result<Vec<RollupRow>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM json_each(?1) AS asked CROSS JOIN {table} \
             ON organization_id = asked.value->>0 AND project_id = asked.value->>1 AND kind = asked.value->>2 \
             AND bucket = asked.value->>3 AND endpoint_id = asked.value->>4 AND part = 0"
        );
        let key = |row: &RollupRow| json!([row.organization, row.project, row.kind, row.bucket, row.endpoint]);
        let keys = json_array(keys.iter().map(key));
        let found: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql)).bind(keys).fetch_all(&mut *self.0).await?;
        Ok(found.into_iter().map(RollupRow::from).collect())
    }

    async fn replace(&mut self, table: &str, rows: &[RollupRow]) -> sqlx::Result<()> {
        for chunk in rows.chunks(ROWS) {
            let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"; chunk.len()].join(", ");
            let sql = format!("INSERT OR REPLACE INTO {table} ({COLUMNS}, part) VALUES {rows}");
            // Bound one by one: in JSON, floats would not always round-trip.
            let bind = |query: Bound, row: &RollupRow| {
                query
                    .bind(row.organization)
                    .bind(row.project)
                    .bind(row.kind)
                    .bind(row.bucket)
                    .bind(row.endpoint)
                    .bind(row.tally.n())
                    .bind(row.tally.n_err())
                    .bind(row.tally.sum.value())
                    .bind(row.tally.min())
                    .bind(row.tally.max())
                    .bind(row.tally.distribution.clone())
            };
            // Statements of other lengths would fill the cache of prepared statements.
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(chunk.len() == ROWS);
            chunk.iter().fold(query, bind).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    async fn measured(&mut self, series: SeriesDay, from: i64, width: i64) -> sqlx::Result<Vec<MeasuredColumns>> {
        sqlx::query_as(MEASURED.as_str())
            .bind(series.organization)
            .bind(series.project)
            .bind(series.kind)
            .bind(from)
            .bind(from.saturating_add(HOUR_MICROS))
            .bind(width)
            .fetch_all(&mut *self.0)
            .await
    }

    async fn clear(&mut self, series: SeriesDay) -> sqlx::Result<()> {
        for sql in CLEAR.iter() {
            sqlx::query(sql.as_str())
                .bind(series.organization)
                .bind(series.project)
                .bind(series.kind)
                .bind(series.day)
                .bind(series.day.saturating_add(DAY_MICROS))
                .execute(&mut *self.0)
                .await?;
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
        set.execute(&mut *self.0).await?;
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.0.commit().await
    }
}

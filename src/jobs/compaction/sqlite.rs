//! The steps on SQLite: a list of keys is one JSON array, the only parameter of its statement; rows are multi-row VALUES.

use serde_json::json;
use sqlx::{AssertSqlSafe, Sqlite, SqlitePool, query::Query, sqlite::SqliteArguments};

use super::cell::{COLUMNS, Cell, Columns, Part};
use crate::db::json_array;

const REMOVE: &str = "DELETE FROM metric_rollup_part \
    WHERE (organization_id, project_id, kind, bucket, endpoint_id, part) IN \
    (SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5 FROM json_each(?1))";

/// Rows of one statement. Beyond some dozens they get no faster.
const ROWS: usize = 64;

type Bound = Query<'static, Sqlite, SqliteArguments>;

pub struct Transaction(sqlx::Transaction<'static, Sqlite>);

pub async fn begin(pool: &SqlitePool) -> sqlx::Result<Transaction> {
    // Takes the write lock at once: merged rows must not change between reading and replacing them.
    Ok(Transaction(pool.begin_with("BEGIN IMMEDIATE").await?))
}

impl super::Transaction for Transaction {
    async fn remove(&mut self, parts: &[Part]) -> sqlx::Result<usize> {
        let places = json_array(parts.iter().map(|part| json!(part.place())));
        let removed = sqlx::query(REMOVE).bind(places).execute(&mut *self.0).await?;
        Ok(usize::try_from(removed.rows_affected()).unwrap_or(usize::MAX))
    }

    async fn stored(&mut self, table: &str, places: &[Cell]) -> sqlx::Result<Vec<Cell>> {
        // CROSS JOIN keeps the order: what is asked for outside, the table by its primary key inside.
        let sql = format!(
            "SELECT {COLUMNS} FROM json_each(?1) AS asked CROSS JOIN {table} \
             ON organization_id = asked.value->>0 AND project_id = asked.value->>1 AND kind = asked.value->>2 \
             AND bucket = asked.value->>3 AND endpoint_id = asked.value->>4 AND part = 0"
        );
        let place = |cell: &Cell| json!([cell.organization, cell.project, cell.kind, cell.bucket, cell.endpoint]);
        let places = json_array(places.iter().map(place));
        let found: Vec<Columns> = sqlx::query_as(AssertSqlSafe(sql)).bind(places).fetch_all(&mut *self.0).await?;
        Ok(found.into_iter().map(Cell::from).collect())
    }

    async fn replace(&mut self, table: &str, cells: &[Cell]) -> sqlx::Result<()> {
        for chunk in cells.chunks(ROWS) {
            let rows = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"; chunk.len()].join(", ");
            let sql = format!("INSERT OR REPLACE INTO {table} ({COLUMNS}, part) VALUES {rows}");
            // Bound one by one, because as text a float would not always come back as the same.
            let bind = |query: Bound, cell: &Cell| {
                query
                    .bind(cell.organization)
                    .bind(cell.project)
                    .bind(cell.kind)
                    .bind(cell.bucket)
                    .bind(cell.endpoint)
                    .bind(cell.tally.n())
                    .bind(cell.tally.n_err())
                    .bind(cell.tally.sum)
                    .bind(cell.tally.min())
                    .bind(cell.tally.max())
                    .bind(cell.tally.distribution.clone())
            };
            // A statement of another length is not worth its place among the prepared ones.
            let query = sqlx::query(AssertSqlSafe(sql)).persistent(chunk.len() == ROWS);
            chunk.iter().fold(query, bind).execute(&mut *self.0).await?;
        }
        Ok(())
    }

    async fn commit(self) -> sqlx::Result<()> {
        self.0.commit().await
    }
}

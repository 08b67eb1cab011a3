//! Columns of rows as sqlx reads them.

use std::sync::Arc;

use sea_orm::{DbErr, QueryResult, RuntimeErr};
use sqlx::{Decode, Postgres, Row, Sqlite};

/// Reads a column whose type the statement decides: not compared with what is wanted of it for each row anew, which costs
/// more than reading it.
///
/// # Errors
/// When there is no such column, or its bytes are not what is wanted.
pub fn column<'r, T>(row: &'r QueryResult, index: usize) -> Result<T, DbErr>
where
    T: Decode<'r, Postgres> + Decode<'r, Sqlite>,
{
    let value = match (row.try_as_pg_row(), row.try_as_sqlite_row()) {
        (Some(row), _) => row.try_get_unchecked(index),
        (_, Some(row)) => row.try_get_unchecked(index),
        _ => Err(sqlx::Error::ColumnIndexOutOfBounds { index, len: 0 }),
    };
    value.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
}

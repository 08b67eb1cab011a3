//! Columns of rows as sqlx reads them.

use std::sync::Arc;

use sea_orm::{DbErr, QueryResult, RuntimeErr};
use sqlx::{Decode, Postgres, Row, Sqlite};

/// Reads a column without comparing its type with what is wanted, which costs more than reading it. For statements of our
/// own that answer many rows, whose columns have the same type on every day: an integer that is read as a float of the same
/// size would be nonsense, and no error.
///
/// # Errors
/// When there is no such column, or nothing of what is wanted can be made of its bytes.
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

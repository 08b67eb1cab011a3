//! Reads columns through sqlx without type checks.

use std::sync::Arc;

use sea_orm::{DbErr, QueryResult, RuntimeErr};
use sqlx::{Decode, Postgres, Row, Sqlite};

/// Reads a column without checking its type, because the check costs more than the read. For statements of this crate that
/// return many rows: an integer that is read as a float of the same size is garbage, not an error.
///
/// # Errors
/// The column does not exist, or its bytes cannot be decoded.
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

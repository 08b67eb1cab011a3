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

/// Reads a column that PostgreSQL answers with an array of these, and SQLite with one: without what is NULL of them, or
/// nothing where all is. Types are compared as little as by [`column()`].
///
/// # Errors
/// As [`column()`].
pub fn list<'r, T>(row: &'r QueryResult, index: usize) -> Result<impl Iterator<Item = T>, DbErr>
where
    T: Decode<'r, Sqlite>,
    Vec<Option<T>>: Decode<'r, Postgres>,
{
    let (one, several) = match (row.try_as_pg_row(), row.try_as_sqlite_row()) {
        (Some(row), _) => (Ok(None), row.try_get_unchecked::<Option<Vec<Option<T>>>, _>(index)),
        (_, Some(row)) => (row.try_get_unchecked::<Option<T>, _>(index), Ok(None)),
        _ => (Err(sqlx::Error::ColumnIndexOutOfBounds { index, len: 0 }), Ok(None)),
    };
    let failed = |error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)));
    Ok(several.map_err(failed)?.into_iter().flatten().flatten().chain(one.map_err(failed)?))
}

//! Lists of values in one column: an array on PostgreSQL, text on SQLite, which has no arrays. Returning a row costs a
//! database more than the values in it, so a few rows carry many values.

use std::sync::Arc;

use data_encoding::HEXUPPER;
use sea_orm::{DbBackend, DbErr, QueryResult, RuntimeErr, sea_query::Expr};
use sqlx::{Decode, Postgres, Row};

/// A type of list items.
pub trait Listed: Sized {
    /// The name of the type on PostgreSQL.
    const TYPE: &'static str;

    /// The SQL that formats a column as text without spaces, on SQLite.
    fn text(column: &str) -> String {
        column.to_owned()
    }

    /// Parses the text of one item.
    fn parse(text: &str) -> Option<Self>;
}

impl Listed for i16 {
    const TYPE: &'static str = "SMALLINT";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Listed for i64 {
    const TYPE: &'static str = "BIGINT";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// The ASCII control character that marks the start of text.
const START_OF_TEXT: char = '\u{2}';

/// Bytes that begin with `START_OF_TEXT` must be ASCII without NULs and spaces, and are listed unchanged. Other bytes
/// are listed in hexadecimal digits, which take twice the space.
impl Listed for Vec<u8> {
    const TYPE: &'static str = "BYTEA";

    fn text(column: &str) -> String {
        format!("CASE WHEN {column} >= x'02' AND {column} < x'03' THEN CAST({column} AS TEXT) ELSE HEX({column}) END")
    }

    fn parse(text: &str) -> Option<Self> {
        let is_text = text.starts_with(START_OF_TEXT);
        if is_text { Some(text.as_bytes().to_vec()) } else { HEXUPPER.decode(text.as_bytes()).ok() }
    }
}

/// The list of a column's values in a group of rows. No value may be NULL. Without rows, the list is NULL. Lists of
/// several columns over the same rows are in the same order.
pub fn gathered<T: Listed>(backend: DbBackend, column: &str) -> Expr {
    Expr::cust(match backend {
        DbBackend::Postgres => format!("ARRAY_AGG({column})"),
        _ => format!("GROUP_CONCAT({}, ' ')", T::text(column)),
    })
}

/// The list that contains only the column's value, for a row outside of groups.
pub fn single<T: Listed>(backend: DbBackend, column: &str) -> Expr {
    Expr::cust(match backend {
        DbBackend::Postgres => format!("ARRAY[{column}]"),
        _ => T::text(column),
    })
}

/// The empty list.
pub fn none<T: Listed>(backend: DbBackend) -> Expr {
    Expr::cust(match backend {
        DbBackend::Postgres => format!("CAST(NULL AS {}[])", T::TYPE),
        _ => "NULL".to_owned(),
    })
}

/// Concatenates the lists in a column, for SQLite. PostgreSQL cannot join arrays of different lengths.
pub fn joined(column: &str) -> Expr {
    Expr::cust(format!("GROUP_CONCAT({column}, ' ')"))
}

/// Reads a list; NULL is the empty list. Like [`super::column()`], it does not check the type.
///
/// # Errors
/// The column does not exist, or does not hold a list.
pub fn read<T>(row: &QueryResult, index: usize) -> Result<Vec<T>, DbErr>
where
    T: Listed,
    Vec<T>: for<'r> Decode<'r, Postgres>,
{
    let list = match (row.try_as_pg_row(), row.try_as_sqlite_row()) {
        (Some(row), _) => row.try_get_unchecked::<Option<Vec<T>>, _>(index).map(Option::unwrap_or_default),
        (_, Some(row)) => row.try_get_unchecked::<Option<&str>, _>(index).and_then(|text| {
            let values = text.into_iter().flat_map(|text| text.split(' '));
            let list = values.map(T::parse).collect::<Option<_>>();
            list.ok_or_else(|| sqlx::Error::Decode(format!("column {index} is no such list").into()))
        }),
        _ => Err(sqlx::Error::ColumnIndexOutOfBounds { index, len: 0 }),
    };
    list.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))
}

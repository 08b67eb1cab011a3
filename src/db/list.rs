//! Many values in one column, because a database hands over one row for more than what the row holds: an array on
//! PostgreSQL, text on SQLite, which has none.

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

    /// Parses that text.
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

/// Bytes that begin with `START_OF_TEXT` must be ASCII without NULs and spaces, and are listed as they are. Others are
/// listed in hexadecimal digits, which takes twice the room.
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

/// The values of a column in the rows of a group, none of which may be NULL; NULL where there is no row. Lists of the same
/// rows are in the same order.
pub fn gathered<T: Listed>(backend: DbBackend, column: &str) -> Expr {
    Expr::cust(match backend {
        DbBackend::Postgres => format!("ARRAY_AGG({column})"),
        _ => format!("GROUP_CONCAT({}, ' ')", T::text(column)),
    })
}

/// The only value of a column in a row that is no group.
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

/// One list of those in a column, for SQLite: arrays of different lengths are not joined by PostgreSQL.
pub fn joined(column: &str) -> Expr {
    Expr::cust(format!("GROUP_CONCAT({column}, ' ')"))
}

/// Reads a list: nothing where there is NULL. Types are compared as little as by [`super::column()`].
///
/// # Errors
/// The column does not exist, or is not such a list.
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

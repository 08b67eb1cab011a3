//! The data that reverting a migration deletes, for the question before it.

use std::fmt;

use perfgraph_migrations::Migration;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use super::statement;
use crate::error::Result;

/// Number of rows up to which a table is counted: more take long to count, and are as good a reason to stop.
const COUNTED_ROWS_MAX: i64 = 1_000_000;

/// The tables and columns that are deleted with a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The name of the migration.
    pub migration: &'static str,
    tables: Vec<(&'static str, i64)>,
    /// As `table.column`.
    columns: Vec<String>,
}

impl Loss {
    pub(super) async fn of(connection: &DatabaseConnection, migration: &Migration) -> Result<Self> {
        let mut tables = Vec::new();
        for table in migration.tables {
            tables.push((*table, rows(connection, table).await?));
        }
        let columns = migration.revert.iter().filter_map(|statement| dropped_column(statement)).collect();
        Ok(Self { migration: migration.name, tables, columns })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = |(table, rows): &(&str, i64)| match *rows {
            0 => format!("{table} (empty)"),
            1 => format!("{table} (1 row)"),
            rows if rows > COUNTED_ROWS_MAX => format!("{table} (more than {COUNTED_ROWS_MAX} rows)"),
            rows => format!("{table} ({rows} rows)"),
        };
        let list = |noun: &str, names: Vec<String>| match &*names {
            [] => None,
            [name] => Some(format!("the {noun} {name}")),
            names => Some(format!("the {noun}s {}", names.join(", "))),
        };
        let kinds = [list("table", self.tables.iter().map(table).collect()), list("column", self.columns.clone())];
        let named: Vec<_> = kinds.into_iter().flatten().collect();
        let all = if named.is_empty() { "no data".to_owned() } else { named.join(", ") };
        write!(f, "{}: {all}", self.migration)
    }
}

async fn rows(connection: &DatabaseConnection, table: &str) -> Result<i64> {
    let limit = COUNTED_ROWS_MAX + 1;
    let count = format!("SELECT COUNT(*) FROM (SELECT 1 FROM {table} LIMIT {limit}) AS counted");
    let row = connection.query_one_raw(statement(connection, &count)).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default())
}

/// The column that a statement drops, as `table.column`.
fn dropped_column(statement: &str) -> Option<String> {
    let (table, column) = statement.strip_prefix("ALTER TABLE ")?.split_once(" DROP COLUMN ")?;
    Some(format!("{table}.{column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_names_tables_with_their_rows_and_columns() {
        let said = |tables: &[(&'static str, i64)], columns: &[&str]| {
            let columns = columns.iter().map(ToString::to_string).collect();
            Loss { migration: "m1", tables: tables.to_vec(), columns }.to_string()
        };
        assert_eq!(said(&[], &[]), "m1: no data");
        assert_eq!(said(&[("a", 0)], &[]), "m1: the table a (empty)");
        assert_eq!(said(&[("a", 1), ("b", 1_000_001)], &[]), "m1: the tables a (1 row), b (more than 1000000 rows)");
        assert_eq!(said(&[("a", 7)], &["c.d"]), "m1: the table a (7 rows), the column c.d");
    }

    #[test]
    fn every_column_that_a_migration_drops_is_found() {
        for migration in perfgraph_migrations::all() {
            for statement in migration.revert.iter().filter(|statement| statement.contains("DROP COLUMN")) {
                let column = dropped_column(statement).unwrap();
                assert!(column.split('.').count() == 2 && !column.contains(' '), "{statement}");
            }
        }
    }
}

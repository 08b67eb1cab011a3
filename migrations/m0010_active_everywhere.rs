//! An index for active (or inactive) employees of every tenant: often few rows, for which a scan in the order of names would
//! visit all employees.

use crate::change::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] =
        &["CREATE INDEX employee_is_active_everywhere ON employee (is_active, name, id)"];
    const POSTGRES: &'static [&'static str] = Self::SQLITE;
    const REVERT: &'static [&'static str] = &["DROP INDEX employee_is_active_everywhere"];
}

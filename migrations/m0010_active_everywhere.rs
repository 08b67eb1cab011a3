//! An index for those who do (or do not) work there any more, of every tenant: few rows, which the order by name alone
//! would pass everybody to find.

use crate::{Change, migration};

migration!();

impl Change for Migration {
    const SQLITE: &'static [&'static str] =
        &["CREATE INDEX employee_is_active_everywhere ON employee (is_active, name, id)"];
    const POSTGRES: &'static [&'static str] = Self::SQLITE;
    const REVERT: &'static [&'static str] = &["DROP INDEX employee_is_active_everywhere"];
}

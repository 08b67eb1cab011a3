//! `UNION ALL`: one statement over the tables of all segments.

use sea_orm::sea_query::{SelectStatement, UnionType};

/// Joins statements by `UNION ALL`. They must have the same columns.
pub(super) fn union_all(selects: impl IntoIterator<Item = SelectStatement>) -> SelectStatement {
    let mut selects = selects.into_iter();
    let mut first = selects.next().unwrap_or_default();
    first.unions(selects.map(|select| (UnionType::All, select)));
    first
}

//! SQL conditions on a column that have the same result on both databases and use an index where one helps.
//!
//! Text is compared without LIKE, which ignores case on SQLite and treats `%` and `_` as wildcards. To ignore case, LOWER
//! folds A to Z and nothing else: on SQLite without ICU, and on PostgreSQL because text columns collate "C".

use sea_orm::{
    DbBackend,
    sea_query::{Cond, Expr, ExprTrait, Func, PgFunc, SelectStatement},
};

use crate::model::filter::{NumberFilter, TextFilter};

/// The condition of a filter on a text column that is never null.
pub fn text(column: &Expr, filter: &TextFilter) -> Cond {
    let column = || column.clone();
    let mut all = Cond::all();
    if let Some(text) = &filter.eq {
        all = all.add(column().eq(text.as_str()));
    }
    if let Some(text) = &filter.ne {
        all = all.add(column().ne(text.as_str()));
    }
    if let Some(texts) = &filter.one_of {
        all = all.add(column().is_in(texts.iter().map(String::as_str)));
    }
    let folded = || Expr::from(Func::lower(column()));
    if let Some(text) = &filter.equal_ignoring_case {
        all = all.add(folded().eq(text.to_ascii_lowercase()));
    }
    if let Some(prefix) = &filter.starts_with {
        all = begins(all, &column(), prefix);
    }
    if let Some(prefix) = &filter.starts_with_ignoring_case {
        all = begins(all, &folded(), &prefix.to_ascii_lowercase());
    }
    if let Some(part) = &filter.contains {
        all = holds(all, &column(), part);
    }
    if let Some(part) = &filter.contains_ignoring_case {
        all = holds(all, &folded(), &part.to_ascii_lowercase());
    }
    all
}

fn begins(all: Cond, text: &Expr, prefix: &str) -> Cond {
    let all = all.add(text.clone().gte(prefix));
    match end_of_prefix(prefix) {
        Some(end) => all.add(text.clone().lt(end)),
        None => all,
    }
}

/// Portable and case-sensitive: removing the part changes exactly the texts that contain it.
fn holds(all: Cond, text: &Expr, part: &str) -> Cond {
    if part.is_empty() {
        return all;
    }
    let without = Func::cust("REPLACE").args([text.clone(), Expr::val(part), Expr::val("")]);
    all.add(text.clone().ne(without))
}

/// The condition of a filter on a number column. A null number never matches: the result is false instead of unknown,
/// so that NOT inverts it.
pub fn number(column: &Expr, filter: &NumberFilter) -> Cond {
    let column = || column.clone();
    let all = Cond::all()
        .add_option(filter.eq.map(|number| column().eq(number.0)))
        .add_option(filter.gt.map(|number| column().gt(number.0)))
        .add_option(filter.gte.map(|number| column().gte(number.0)))
        .add_option(filter.lt.map(|number| column().lt(number.0)))
        .add_option(filter.lte.map(|number| column().lte(number.0)));
    if all.is_empty() { all } else { all.add(column().is_not_null()) }
}

/// Tests whether a column holds any id but this one. SQLite reads an index up to the id and from it on; for `<>` it reads
/// and compares every row.
pub fn other_than(backend: DbBackend, column: &Expr, id: i64) -> Cond {
    let column = || column.clone();
    match backend {
        DbBackend::Sqlite => Cond::any().add(column().lt(id)).add(column().gt(id)),
        _ => Cond::all().add(column().ne(id)),
    }
}

/// Tests whether a column holds one of the ids that a statement returns, using an index. PostgreSQL gets the ids as an
/// array: with joins, a report with this condition in each part of its statement takes longer to plan than to execute.
pub fn among(backend: DbBackend, column: Expr, ids: SelectStatement) -> Expr {
    match backend {
        DbBackend::Postgres => column.eq(PgFunc::any(Func::cust("ARRAY").arg(ids))),
        _ => column.in_subquery(ids),
    }
}

/// Tests whether a key is in the result of a statement, for rows that other conditions select. IS TRUE keeps PostgreSQL
/// from planning a join: if it underestimates the number of keys, it would scan the rows once for each key.
pub fn sifted(backend: DbBackend, key: Expr, keys: SelectStatement) -> Expr {
    let is_in = key.in_subquery(keys);
    match backend {
        DbBackend::Postgres => is_in.is(Expr::Constant(true.into())),
        _ => is_in,
    }
}

/// The first text in byte order after all texts that begin with `prefix`. `None` if there is no such text.
fn end_of_prefix(prefix: &str) -> Option<String> {
    let mut end = prefix.to_owned();
    while let Some(last) = end.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            end.push(next);
            return Some(end);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_prefix_is_the_next_text_that_does_not_begin_with_it() {
        assert_eq!(end_of_prefix("/a"), Some("/b".to_owned()));
        assert_eq!(end_of_prefix("/\u{d7ff}"), Some("/\u{e000}".to_owned()));
        assert_eq!(end_of_prefix("a\u{10ffff}"), Some("b".to_owned()));
        assert_eq!(end_of_prefix("\u{10ffff}"), None);
        assert_eq!(end_of_prefix(""), None);
    }
}

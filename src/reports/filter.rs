//! The conditions of a question as SQL, and which of them are refused beforehand.
//!
//! Text is compared without LIKE, which ignores case on one of the databases and gives `%` and `_` a meaning.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, Func};

use super::{Projects, Question, StatusFilter, TextFilter};
use crate::error::{Error, Result};

/// What the metric table is called in every statement.
pub(super) const M: &str = "m";
/// What the endpoint table is called where paths are compared.
pub(super) const ENDPOINT: &str = "n";

/// More alternatives than this in one condition are refused: the smaller of the databases takes 32,766 values a
/// statement and 1,000 levels of nesting, and every piece of a window repeats the conditions.
pub(super) const ALTERNATIVES_MAX: usize = 500;

/// On the path of the endpoint table, named [`ENDPOINT`].
pub(super) fn path(filter: &TextFilter) -> Cond {
    let path = || Expr::col((ENDPOINT, "path"));
    let mut all = Cond::all();
    if let Some(text) = &filter.eq {
        all = all.add(path().eq(text.as_str()));
    }
    if let Some(text) = &filter.ne {
        all = all.add(path().ne(text.as_str()));
    }
    if let Some(texts) = &filter.one_of {
        all = all.add(path().is_in(texts.iter().map(String::as_str)));
    }
    if let Some(prefix) = &filter.starts_with {
        all = all.add(path().gte(prefix.as_str()));
        if let Some(end) = end_of_prefix(prefix) {
            all = all.add(path().lt(end));
        }
    }
    if let Some(part) = filter.contains.as_deref().filter(|part| !part.is_empty()) {
        // Portable, and minds the case: what contains the part is shorter without it.
        let without = Func::cust("REPLACE").args([path(), Expr::val(part), Expr::val("")]);
        all = all.add(path().ne(without));
    }
    all
}

/// The first text, by bytes, after all that begin with `prefix`; `None` when there is none.
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

/// On the raw rows, named [`M`].
pub(super) fn status(filter: &StatusFilter) -> Cond {
    let status = || Expr::col((M, "status"));
    Cond::all()
        .add_option(filter.eq.map(|code| status().eq(code)))
        .add_option(filter.one_of.as_ref().map(|codes| status().is_in(codes.iter().copied())))
        .add_option(filter.gt.map(|code| status().gt(code)))
        .add_option(filter.gte.map(|code| status().gte(code)))
        .add_option(filter.lt.map(|code| status().lt(code)))
        .add_option(filter.lte.map(|code| status().lte(code)))
}

/// Refuses what no database could judge.
pub(super) fn check(question: &Question) -> Result<()> {
    let count = |field: &str, count: usize| {
        if count > ALTERNATIVES_MAX {
            let message = format!("holds {count} alternatives, at most {ALTERNATIVES_MAX} can be asked for at once");
            Err(Error::input(field, message))
        } else {
            Ok(())
        }
    };
    if let Projects::Keys(keys) = &question.projects {
        count("projectIds", keys.len())?;
    }
    if let Some(codes) = question.status.as_ref().and_then(|filter| filter.one_of.as_ref()) {
        count("statusCode", codes.len())?;
    }
    if let Some(filter) = &question.endpoint {
        let alternatives = filter.one_of.as_deref().unwrap_or_default();
        count("endpoint", alternatives.len())?;
        let single = [&filter.eq, &filter.ne, &filter.starts_with, &filter.contains];
        let mut texts = single.into_iter().flatten().chain(alternatives);
        // PostgreSQL takes no zero byte in a text, so no path holds one.
        if texts.any(|text| text.contains('\0')) {
            return Err(Error::input("endpoint", "holds a zero byte, which no path does; remove it"));
        }
    }
    Ok(())
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

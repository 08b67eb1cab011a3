//! Pages in SQL: one page of a list, or the same page of many parents' lists in one statement.
//!
//! Statements are sent by functions without type parameters, which exist once in the binary; only decoding is generic.

use std::{collections::HashMap, hash::Hash};

use futures_util::{FutureExt, future::BoxFuture};
use sea_orm::{
    ConnectionTrait, DbErr, QueryResult,
    sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, WindowStatement},
};

use super::{keyset::Keyset, order::OrderField};
use crate::{
    db::Session,
    error::Result,
    model::page::{ListRequest, Page, PageRequest},
};

/// The alias of a row's number in its parent's list.
const PLACE: &str = "place";

/// Runs `select` (which lists the columns and filters of a table called [`LISTED`](super::keyset::LISTED)) for one page.
pub(super) async fn one<C, F: OrderField, Row>(
    db: &Session,
    select: SelectStatement,
    list: &ListRequest<C, F>,
    read: impl Fn(&QueryResult) -> Result<Row, DbErr>,
) -> Result<Page<Row>> {
    let keyset = Keyset::new(&list.order, &list.page);
    let rows = page(db, select, keyset, &list.page).await?;
    Ok(list.page.cut(rows.iter().map(read).collect::<Result<_, _>>()?))
}

/// Runs `select` for the same page of many parents, in one statement. `parent` is the column that identifies the parent,
/// and `read` returns the parent with the row.
pub(super) async fn many<C, F: OrderField, Parent: Copy + Eq + Hash, Row>(
    db: &Session,
    parents: &[Parent],
    select: SelectStatement,
    parent: (&'static str, &'static str),
    list: &ListRequest<C, F>,
    read: impl Fn(&QueryResult) -> Result<(Parent, Row), DbErr>,
) -> Result<HashMap<Parent, Page<Row>>> {
    let keyset = Keyset::new(&list.order, &list.page);
    let rows = if parents.len() == 1 {
        // An index can stop after one page here, which the numbering below cannot.
        page(db, select, keyset, &list.page).await?
    } else {
        numbered(db, select, parent, keyset, &list.page).await?
    };
    let mut found: HashMap<Parent, Vec<Row>> = parents.iter().map(|parent| (*parent, Vec::new())).collect();
    for row in &rows {
        let (parent, row) = read(row)?;
        if let Some(rows) = found.get_mut(&parent) {
            rows.push(row);
        }
    }
    Ok(found.into_iter().map(|(parent, rows)| (parent, list.page.cut(rows))).collect())
}

/// The rows of one page, and one more.
fn page<'a>(
    db: &'a Session,
    mut select: SelectStatement,
    keyset: Keyset,
    page: &'a PageRequest,
) -> BoxFuture<'a, Result<Vec<QueryResult>>> {
    async move {
        start(&mut select, &keyset, page);
        keyset.sort(&mut select);
        select.limit(one_more(page));
        if page.skip > 0 {
            select.offset(page.skip);
        }
        Ok(db.query_all(&select).await?)
    }
    .boxed()
}

/// The rows of the same page of every parent, and one more of each.
fn numbered<'a>(
    db: &'a Session,
    mut select: SelectStatement,
    parent: (&'static str, &'static str),
    keyset: Keyset,
    page: &'a PageRequest,
) -> BoxFuture<'a, Result<Vec<QueryResult>>> {
    async move {
        start(&mut select, &keyset, page);
        let mut window = WindowStatement::partition_by(parent);
        keyset.sort(&mut window);
        select.expr_window_as(Expr::cust("ROW_NUMBER()"), window, PLACE);
        let mut numbered = Query::select()
            .expr(Expr::cust("*"))
            .from_subquery(select, "numbered")
            .and_where(Expr::col(PLACE).lte(page.skip + one_more(page)))
            .order_by(PLACE, Order::Asc)
            .take();
        if page.skip > 0 {
            numbered.and_where(Expr::col(PLACE).gt(page.skip));
        }
        Ok(db.query_all(&numbered).await?)
    }
    .boxed()
}

/// Restricts `select` to the rows after the position that the page starts at.
fn start(select: &mut SelectStatement, keyset: &Keyset, page: &PageRequest) {
    if let Some(position) = &page.beyond {
        select.cond_where(keyset.beyond(position));
    }
}

/// The page's size and one row more, which shows without a count whether there is a further page.
fn one_more(page: &PageRequest) -> u64 {
    u64::from(page.size) + 1
}

/// Runs a statement that counts.
pub(super) async fn count(db: &Session, select: &SelectStatement) -> Result<u64> {
    let row = db.query_one(select).await?;
    let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or(0);
    Ok(u64::try_from(count).unwrap_or(0))
}

/// Runs a statement whose rows end in a count, in `column`.
pub(super) async fn counts<Of: Eq + Hash>(
    db: &Session,
    select: &SelectStatement,
    column: usize,
    read: impl Fn(&QueryResult) -> Result<Of, DbErr>,
) -> Result<HashMap<Of, u64>> {
    let mut counts = HashMap::new();
    for row in db.query_all(select).await? {
        let count: i64 = row.try_get_by_index(column)?;
        counts.insert(read(&row)?, u64::try_from(count).unwrap_or(0));
    }
    Ok(counts)
}

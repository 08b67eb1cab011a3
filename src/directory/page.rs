//! Pages in SQL: one page of a list, or the same page of many parents' lists in one statement.

use std::{collections::HashMap, hash::Hash};

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

/// The alias of the table whose columns order the list.
pub(super) const LISTED: &str = "l";

/// Where a row stands in its parent's list.
const PLACE: &str = "place";

/// The order of the list, and `select` narrowed to what lies beyond the place where the page starts.
fn keyset<C, F: OrderField>(select: &mut SelectStatement, list: &ListRequest<C, F>) -> Keyset {
    let keyset = Keyset::new(&list.order, &list.page);
    if let Some(position) = &list.page.beyond {
        select.cond_where(keyset.beyond(position));
    }
    keyset
}

/// One row more than asked for tells whether there is a further page without counting.
fn one_more(page: &PageRequest) -> u64 {
    u64::from(page.size) + 1
}

/// Runs `select` (which lists the columns and filters of a table called [`LISTED`]) for one page.
pub(super) async fn one<C, F: OrderField, Row>(
    db: &Session,
    mut select: SelectStatement,
    list: &ListRequest<C, F>,
    read: impl Fn(&QueryResult) -> Result<Row, DbErr>,
) -> Result<Page<Row>> {
    keyset(&mut select, list).sort(&mut select);
    select.limit(one_more(&list.page));
    if list.page.skip > 0 {
        select.offset(list.page.skip);
    }
    let rows = db.query_all(&select).await?.iter().map(read).collect::<Result<_, _>>()?;
    Ok(list.page.cut(rows))
}

/// Runs `select` for the same page of many parents, in one statement. `parent` is the column that tells parents apart,
/// and `read` answers the parent with the row.
pub(super) async fn many<C, F: OrderField, Parent: Copy + Eq + Hash, Row>(
    db: &Session,
    parents: &[Parent],
    mut select: SelectStatement,
    parent: (&'static str, &'static str),
    list: &ListRequest<C, F>,
    read: impl Fn(&QueryResult) -> Result<(Parent, Row), DbErr>,
) -> Result<HashMap<Parent, Page<Row>>> {
    if let [only] = parents {
        // An index can stop after one page here, which the numbering below cannot.
        let found = one(db, select, list, |row| read(row).map(|(_, row)| row)).await?;
        return Ok(HashMap::from([(*only, found)]));
    }
    let keyset = keyset(&mut select, list);
    let mut window = WindowStatement::partition_by(parent);
    keyset.sort(&mut window);
    select.expr_window_as(Expr::cust("ROW_NUMBER()"), window, PLACE);
    let mut numbered = Query::select()
        .expr(Expr::cust("*"))
        .from_subquery(select, "numbered")
        .and_where(Expr::col(PLACE).lte(list.page.skip + one_more(&list.page)))
        .order_by(PLACE, Order::Asc)
        .take();
    if list.page.skip > 0 {
        numbered.and_where(Expr::col(PLACE).gt(list.page.skip));
    }
    let mut found: HashMap<Parent, Vec<Row>> = parents.iter().map(|parent| (*parent, Vec::new())).collect();
    for row in db.query_all(&numbered).await? {
        let (parent, row) = read(&row)?;
        if let Some(rows) = found.get_mut(&parent) {
            rows.push(row);
        }
    }
    Ok(found.into_iter().map(|(parent, rows)| (parent, list.page.cut(rows))).collect())
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

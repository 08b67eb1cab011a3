//! Pages in SQL: one page of a list, or the same page of many parents' lists in one statement.
//!
//! Lists are ordered by name and then id, so that the order is total and a page starts beyond a row, not at an offset.

use std::{collections::HashMap, hash::Hash};

use sea_orm::{
    ConnectionTrait, DbErr, QueryResult,
    sea_query::{Expr, ExprTrait, Order, Query, SelectStatement, WindowStatement},
};

use crate::{
    db::Session,
    error::Result,
    model::page::{Direction, Page, PageRequest},
};

/// The alias of the table whose `name` and `id` order the list.
pub(super) const LISTED: &str = "l";

/// Where a row stands in its parent's list.
const PLACE: &str = "place";

fn name() -> Expr {
    Expr::col((LISTED, "name"))
}

fn id() -> Expr {
    Expr::col((LISTED, "id"))
}

fn order(page: &PageRequest) -> Order {
    match page.direction {
        Direction::Forward => Order::Asc,
        Direction::Backward => Order::Desc,
    }
}

fn start_beyond(select: &mut SelectStatement, page: &PageRequest) {
    if let Some(position) = &page.beyond {
        let here = Expr::tuple([name(), id()]);
        let there = Expr::tuple([Expr::val(position.name.clone()), Expr::val(position.id)]);
        select.and_where(match page.direction {
            Direction::Forward => here.gt(there),
            Direction::Backward => here.lt(there),
        });
    }
}

/// Runs `select` (which lists the columns and filters of a table called [`LISTED`]) for one page.
pub(super) async fn one<Row>(
    db: &Session,
    mut select: SelectStatement,
    page: &PageRequest,
    read: impl Fn(&QueryResult) -> Result<Row, DbErr>,
) -> Result<Page<Row>> {
    start_beyond(&mut select, page);
    // One row more than asked for tells whether there is a further page without counting.
    select.order_by_expr(name(), order(page)).order_by_expr(id(), order(page)).limit(u64::from(page.size) + 1);
    let rows = db.query_all(&select).await?.iter().map(read).collect::<Result<_, _>>()?;
    Ok(page.cut(rows))
}

/// Runs `select` for the same page of many parents, in one statement. `parent` is the column that tells parents apart,
/// and `read` answers the parent with the row.
pub(super) async fn many<Parent: Copy + Eq + Hash, Row>(
    db: &Session,
    parents: &[Parent],
    mut select: SelectStatement,
    parent: (&'static str, &'static str),
    page: &PageRequest,
    read: impl Fn(&QueryResult) -> Result<(Parent, Row), DbErr>,
) -> Result<HashMap<Parent, Page<Row>>> {
    if let [only] = parents {
        // An index can stop after one page here, which the numbering below cannot.
        let found = one(db, select, page, |row| read(row).map(|(_, row)| row)).await?;
        return Ok(HashMap::from([(*only, found)]));
    }
    start_beyond(&mut select, page);
    select.expr_window_as(
        Expr::cust("ROW_NUMBER()"),
        WindowStatement::partition_by(parent)
            .order_by_expr(name(), order(page))
            .order_by_expr(id(), order(page))
            .take(),
        PLACE,
    );
    let numbered = Query::select()
        .expr(Expr::cust("*"))
        .from_subquery(select, "numbered")
        .and_where(Expr::col(PLACE).lte(u64::from(page.size) + 1))
        .order_by(PLACE, Order::Asc)
        .take();
    let mut found: HashMap<Parent, Vec<Row>> = parents.iter().map(|parent| (*parent, Vec::new())).collect();
    for row in db.query_all(&numbered).await? {
        let (parent, row) = read(&row)?;
        if let Some(rows) = found.get_mut(&parent) {
            rows.push(row);
        }
    }
    Ok(found.into_iter().map(|(parent, rows)| (parent, page.cut(rows))).collect())
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

//! The statements that choose the endpoints at the top of a ranking. No I/O.
//!
//! The database keeps the first rows of an order without sorting all others, but not those that are as good as the last one of
//! them. So a ranking of one parent reads a few rows more than it shows ([`SPARE`]), and is asked again, with ties, only if all
//! of them have the same value.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, OverStatement, Query, SelectStatement, WindowStatement};

use crate::reports::{
    endpoint_path,
    grouping::{Dimension, Grouping},
    outer::ENDPOINT_KEY,
    scoped::ScopedQuery,
    sql,
    statistic::WorstValue,
};

/// Rows behind the last place that are read to see whether they have the same value.
pub const SPARE: u32 = 20;

/// An order of endpoints: an expression over the columns of totals in [`TOTALS_OF`], and its worst end.
#[derive(Clone)]
pub struct RankOrder {
    pub value: Expr,
    pub worst: WorstValue,
}

/// The alias of the totals of each endpoint.
pub const TOTALS_OF: &str = "g";
/// The alias of the totals with their places.
const PLACED: &str = "w";

impl RankOrder {
    const fn order(&self) -> Order {
        match self.worst {
            WorstValue::Highest => Order::Desc,
            WorstValue::Lowest => Order::Asc,
        }
    }

    fn places(&self, per: &[Dimension]) -> WindowStatement {
        let mut window = WindowStatement::new();
        for column in Grouping::new(per.iter().copied(), None).columns() {
            window.add_partition_by(Expr::col((TOTALS_OF, column)));
        }
        window.order_by_expr(self.value.clone(), self.order()).take()
    }
}

/// The first endpoints of an order with their totals and paths.
pub fn first(scoped: &ScopedQuery, grouping: &Grouping, order: &RankOrder, most: u32) -> SelectStatement {
    let mut first = Query::select();
    first
        .columns(grouping.columns().chain(sql::TOTALS).map(|column| (TOTALS_OF, column)))
        .from_subquery(sql::totals(scoped, grouping), TOTALS_OF)
        .order_by_expr(order.value.clone(), order.order())
        .limit(most.into());
    endpoint_path::with_path(first, grouping, &sql::TOTALS)
}

/// The endpoints of each parent with at most `limit - 1` better ones, with their totals and paths: all that are equal to the
/// last one, too, which only their paths tell apart. `per` are the columns that identify a parent.
pub fn with_ties(
    scoped: &ScopedQuery,
    grouping: &Grouping,
    order: &RankOrder,
    limit: u32,
    per: &[Dimension],
) -> SelectStatement {
    let columns = || grouping.columns().chain(sql::TOTALS);
    let mut places = Query::select();
    places
        .columns(columns().map(|column| (TOTALS_OF, column)))
        .expr_window_as(Func::cust("RANK"), order.places(per), "place")
        .from_subquery(sql::totals(scoped, grouping), TOTALS_OF);
    let mut worst = Query::select();
    worst
        .columns(columns().map(|column| (PLACED, column)))
        .from_subquery(places, PLACED)
        .and_where(Expr::col((PLACED, "place")).lte(i64::from(limit)));
    let mut select = endpoint_path::with_path(worst, grouping, &sql::TOTALS);
    // As many equal ones as there are endpoints: the database shall not return all of them.
    let mut window = order.places(per);
    for key in [("g", "organization_id"), ("g", "project_id"), ("e", "path")] {
        window.order_by(key, Order::Asc);
    }
    select.expr_window_as(Func::cust("ROW_NUMBER"), window, "place");
    Query::select()
        .columns(columns().chain(["path"]).map(|column| (PLACED, column)))
        .from_subquery(select, PLACED)
        .and_where(Expr::col((PLACED, "place")).lte(i64::from(limit)))
        .take()
}

/// The keys of the first endpoints of each parent.
pub fn first_keys(
    scoped: &ScopedQuery,
    grouping: &Grouping,
    order: &RankOrder,
    most: u32,
    per: &[Dimension],
) -> SelectStatement {
    let mut keys = Query::select();
    keys.columns(ENDPOINT_KEY.map(|column| (TOTALS_OF, column)))
        .from_subquery(sql::totals(scoped, grouping), TOTALS_OF);
    if per.is_empty() {
        return keys.order_by_expr(order.value.clone(), order.order()).limit(most.into()).take();
    }
    keys.expr_window_as(Func::cust("ROW_NUMBER"), order.places(per), "place");
    Query::select()
        .columns(ENDPOINT_KEY.map(|column| (PLACED, column)))
        .from_subquery(keys, PLACED)
        .and_where(Expr::col((PLACED, "place")).lte(i64::from(most)))
        .take()
}

/// The keys of all endpoints with a value that is at least as bad as this one.
pub fn keys_from(scoped: &ScopedQuery, grouping: &Grouping, order: &RankOrder, value: f64) -> SelectStatement {
    Query::select()
        .columns(ENDPOINT_KEY.map(|column| (TOTALS_OF, column)))
        .from_subquery(sql::totals(scoped, grouping), TOTALS_OF)
        .and_where(match order.worst {
            WorstValue::Highest => order.value.clone().gte(value),
            WorstValue::Lowest => order.value.clone().lte(value),
        })
        .take()
}

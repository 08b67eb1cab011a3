//! Orders in SQL: sorting, and starting beyond a row instead of at an offset, so that nothing is skipped or repeated when
//! rows come and go.
//!
//! A page costs the same wherever it lies, but for one: going down a column in which values may be unknown (salaries), and
//! up it from the unknown ones, no single range of an index holds what is left. Such a page costs what lies before it or
//! what lies behind it.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, NullOrdering, Order, OrderedStatement};

use super::{
    order::{OrderField, SortKind, keys},
    page::LISTED,
};
use crate::model::{
    order::{OrderBy, Position, Sort, SortValue},
    page::{Direction, PageRequest},
};

/// The columns of an order as a page reads along them; the last is the id.
pub(super) struct Keyset {
    columns: Vec<Column>,
}

#[derive(Clone, Copy)]
struct Column {
    name: &'static str,
    sort: Sort,
    is_nullable: bool,
}

impl Keyset {
    /// The order of a list in the direction that the page is read.
    pub(super) fn new<F: OrderField>(order: &[OrderBy<F>], page: &PageRequest) -> Self {
        let order = keys(order);
        let last = order.last().map(|key| key.sort).unwrap_or_default();
        let id = Column { name: "id", sort: last, is_nullable: false };
        let column = |key: &OrderBy<F>| Column {
            name: key.field.column(),
            sort: key.sort,
            is_nullable: key.field.kind() == SortKind::OptionalNumber,
        };
        let mut columns: Vec<_> = order.iter().map(column).chain([id]).collect();
        if page.direction == Direction::Backward {
            for column in &mut columns {
                column.sort = column.sort.reversed();
            }
        }
        Self { columns }
    }

    /// Sorts a statement or a window.
    pub(super) fn sort(&self, ordered: &mut impl OrderedStatement) {
        for column in &self.columns {
            let (order, nulls) = match column.sort {
                Sort::Ascending => (Order::Asc, NullOrdering::First),
                Sort::Descending => (Order::Desc, NullOrdering::Last),
            };
            if column.is_nullable {
                ordered.order_by_expr_with_nulls(column.here(), order, nulls);
            } else {
                ordered.order_by_expr(column.here(), order);
            }
        }
    }

    /// Holds for the rows that are read after this position.
    pub(super) fn beyond(&self, position: &Position) -> Cond {
        let id = SortValue::Integer(position.id);
        let stands: Vec<_> = self.columns.iter().zip(position.values.iter().chain([&id])).collect();
        if let Some(sort) = one_comparison(&stands) {
            let here = Expr::tuple(stands.iter().map(|(column, _)| column.here()));
            let there = Expr::tuple(stands.iter().map(|(_, value)| bound(value)));
            return match sort {
                Sort::Ascending => here.gt(there),
                Sort::Descending => here.lt(there),
            }
            .into();
        }
        // Further by the first key, or level with it and further by the second, and so on.
        let mut beyond = Cond::any();
        for (level, (column, value)) in stands.iter().enumerate() {
            if let Some(further) = column.further(value) {
                let level =
                    stands[..level].iter().fold(Cond::all(), |all, (column, value)| all.add(column.same(value)));
                beyond = beyond.add(level.add(further));
            }
        }
        // Says nothing new, but an index can start there.
        let start = stands.first().and_then(|(column, value)| column.not_before(value));
        Cond::all().add_option(start).add(beyond)
    }
}

/// The direction, where the database's own comparison of rows, which an index serves, says the same.
fn one_comparison(stands: &[(&Column, &SortValue)]) -> Option<Sort> {
    let sort = stands.first()?.0.sort;
    let is_served = stands.iter().all(|(column, value)| {
        // A comparison with null is never true: right going up, where nulls were passed, wrong going down to them.
        column.sort == sort && (!column.is_nullable || (sort == Sort::Ascending && **value != SortValue::Unknown))
    });
    is_served.then_some(sort)
}

impl Column {
    fn here(self) -> Expr {
        Expr::col((LISTED, self.name))
    }

    fn same(self, value: &SortValue) -> Expr {
        match value {
            SortValue::Unknown => self.here().is_null(),
            _ => self.here().eq(bound(value)),
        }
    }

    /// Nothing is further down than what is not known.
    fn further(self, value: &SortValue) -> Option<Cond> {
        match (self.sort, value) {
            (Sort::Ascending, SortValue::Unknown) => Some(self.here().is_not_null().into()),
            (Sort::Ascending, _) => Some(self.here().gt(bound(value)).into()),
            (Sort::Descending, SortValue::Unknown) => None,
            (Sort::Descending, _) => {
                let less = Cond::any().add(self.here().lt(bound(value)));
                Some(if self.is_nullable { less.add(self.here().is_null()) } else { less })
            }
        }
    }

    fn not_before(self, value: &SortValue) -> Option<Expr> {
        match (self.sort, value) {
            (_, SortValue::Unknown) => None,
            (Sort::Ascending, _) => Some(self.here().gte(bound(value))),
            (Sort::Descending, _) => (!self.is_nullable).then(|| self.here().lte(bound(value))),
        }
    }
}

fn bound(value: &SortValue) -> Expr {
    match value {
        SortValue::Unknown => Expr::null(),
        SortValue::Text(text) => Expr::val(text.as_str()),
        SortValue::Integer(number) => Expr::val(*number),
        SortValue::Number(number) => Expr::val(number.0),
    }
}

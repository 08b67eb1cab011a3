//! Keyset pagination in SQL: sorting, and starting after a row instead of at an offset, so that no row is skipped or
//! repeated when rows are inserted or deleted.
//!
//! A page costs the same at every position, with one exception. In descending order of a nullable column (salaries), and
//! in ascending order from a null, no single range of an index holds the remaining rows; such a page costs as much as the
//! rows before it or the rows after it.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, NullOrdering, Order, OrderedStatement};

use super::order::{OrderField, SortKind, keys};
use crate::model::{
    order::{ListPosition, OrderBy, Sort, SortValue},
    page::{Direction, PageRequest},
};

/// The alias of the table whose columns order the list.
pub(super) const LISTED: &str = "l";

/// The sort columns of a page in reading direction; the last is the id.
pub(super) struct Keyset {
    columns: Vec<KeysetColumn>,
}

#[derive(Clone, Copy)]
struct KeysetColumn {
    name: &'static str,
    sort: Sort,
    is_nullable: bool,
}

impl Keyset {
    /// The order of a list in the direction of the page.
    pub(super) fn new<F: OrderField>(order: &[OrderBy<F>], page: &PageRequest) -> Self {
        let column = |key: &OrderBy<F>| KeysetColumn {
            name: key.field.column(),
            sort: key.sort,
            is_nullable: key.field.kind() == SortKind::OptionalNumber,
        };
        Self::in_direction(keys(order).iter().map(column).collect(), page.direction)
    }

    fn in_direction(mut columns: Vec<KeysetColumn>, direction: Direction) -> Self {
        let last = columns.last().map(|column| column.sort).unwrap_or_default();
        columns.push(KeysetColumn { name: "id", sort: last, is_nullable: false });
        if direction == Direction::Backward {
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
                ordered.order_by_expr_with_nulls(column.expression(), order, nulls);
            } else {
                ordered.order_by_expr(column.expression(), order);
            }
        }
    }

    /// The condition for rows after this position.
    pub(super) fn beyond(&self, position: &ListPosition) -> Cond {
        let id = SortValue::Integer(position.id);
        let bounds: Vec<_> = self.columns.iter().zip(position.values.iter().chain([&id])).collect();
        if let Some(sort) = one_comparison(&bounds) {
            let row = Expr::tuple(bounds.iter().map(|(column, _)| column.expression()));
            let bound = Expr::tuple(bounds.iter().map(|(_, value)| literal(value)));
            return match sort {
                Sort::Ascending => row.gt(bound),
                Sort::Descending => row.lt(bound),
            }
            .into();
        }
        // Further by the first key, or equal by the first and further by the second, and so on.
        let mut beyond = Cond::any();
        for (level, (column, value)) in bounds.iter().enumerate() {
            if let Some(further) = column.further(value) {
                let level =
                    bounds[..level].iter().fold(Cond::all(), |all, (column, value)| all.add(column.same(value)));
                beyond = beyond.add(level.add(further));
            }
        }
        // Redundant, but an index can start there.
        let start = bounds.first().and_then(|(column, value)| column.not_before(value));
        Cond::all().add_option(start).add(beyond)
    }
}

/// The direction, if the database's comparison of rows, which an index serves, is equivalent.
fn one_comparison(bounds: &[(&KeysetColumn, &SortValue)]) -> Option<Sort> {
    let sort = bounds.first()?.0.sort;
    let is_served = bounds.iter().all(|(column, value)| {
        // A comparison with null is never true. That is right in ascending order, where nulls were passed, and wrong in
        // descending order, where they follow.
        column.sort == sort && (!column.is_nullable || (sort == Sort::Ascending && **value != SortValue::Unknown))
    });
    is_served.then_some(sort)
}

impl KeysetColumn {
    fn expression(self) -> Expr {
        Expr::col((LISTED, self.name))
    }

    fn same(self, value: &SortValue) -> Expr {
        match value {
            SortValue::Unknown => self.expression().is_null(),
            _ => self.expression().eq(literal(value)),
        }
    }

    /// The condition for values after this one; nothing comes after null in descending order.
    fn further(self, value: &SortValue) -> Option<Cond> {
        match (self.sort, value) {
            (Sort::Ascending, SortValue::Unknown) => Some(self.expression().is_not_null().into()),
            (Sort::Ascending, _) => Some(self.expression().gt(literal(value)).into()),
            (Sort::Descending, SortValue::Unknown) => None,
            (Sort::Descending, _) => {
                let less = Cond::any().add(self.expression().lt(literal(value)));
                Some(if self.is_nullable { less.add(self.expression().is_null()) } else { less })
            }
        }
    }

    fn not_before(self, value: &SortValue) -> Option<Expr> {
        match (self.sort, value) {
            (_, SortValue::Unknown) => None,
            (Sort::Ascending, _) => Some(self.expression().gte(literal(value))),
            (Sort::Descending, _) => (!self.is_nullable).then(|| self.expression().lte(literal(value))),
        }
    }
}

fn literal(value: &SortValue) -> Expr {
    match value {
        SortValue::Unknown => Expr::null(),
        SortValue::Text(text) => Expr::val(text.as_str()),
        SortValue::Integer(number) => Expr::val(*number),
        SortValue::Number(number) => Expr::val(number.0),
    }
}

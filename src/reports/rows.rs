//! Single measurements, page by page, of one parent or of many. One statement.
//!
//! By time, no page costs more than its rows: of every series (a project and a type) the index says since when it has as
//! many rows as are asked for, and only those are looked at. By value, all of the window is.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{
        Cond, Expr, ExprTrait, Func, IntoTableRef, Order, OverStatement, Query, SelectStatement, WindowStatement,
    },
};

use super::{
    Question, Report,
    filter::M,
    grouping::{Dimension, Group, Grouping},
    narrow::{Endpoints, Narrowed},
    parent::{Parent, batches},
    plan::Piece,
};
use crate::{
    db::{Session, compare},
    error::Result,
    model::{
        Key, Measurement, MetricId, MetricKey, MetricType, Scope, Timestamp,
        filter::{Number, NumberFilter},
        order::Sort,
    },
};

/// What single measurements can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowOrder {
    /// When they happened.
    Timestamp,
    /// The measured value.
    Value,
}

/// Where a measurement stands in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// What it is ordered by.
    pub key: PlaceKey,
    /// Its id, by which equals are ordered.
    pub id: MetricId,
}

/// What a measurement is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlaceKey {
    /// When it happened.
    Timestamp(Timestamp),
    /// The measured value.
    Value(Number),
}

/// A page of single measurements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rows {
    /// Only those with such a value.
    pub value: Option<NumberFilter>,
    /// By what.
    pub order: RowOrder,
    /// Which way; equals by their ids, the same way.
    pub sort: Sort,
    /// Only those behind this place of the same order.
    pub after: Option<Place>,
    /// How many.
    pub first: u32,
}

/// A page of single measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowPage {
    /// The measurements in order.
    pub rows: Vec<(MetricKey, Measurement)>,
    /// Whether more follow.
    pub has_next: bool,
}

impl RowOrder {
    /// Where a measurement stands in this order.
    pub const fn place(self, key: &MetricKey, measurement: &Measurement) -> Place {
        let of_order = match self {
            Self::Timestamp => PlaceKey::Timestamp(key.timestamp),
            Self::Value => PlaceKey::Value(Number(measurement.value)),
        };
        Place { key: of_order, id: key.id }
    }

    const fn column(self) -> &'static str {
        match self {
            Self::Timestamp => "ts",
            Self::Value => "value",
        }
    }
}

impl Report for Rows {
    type Answer = Arc<RowPage>;

    async fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> Result<HashMap<Parent, Self::Answer>> {
        by_parent(scope, session, question, parents, self).await
    }
}

/// The columns of a measurement, in the order in which they are read; its path stands behind them.
const COLUMNS: [&str; 10] =
    ["organization_id", "project_id", "kind", "ts", "id", "value", "status", "name", "release", "endpoint_id"];

/// A page of each parent. One statement for up to 500 parents of a kind.
///
/// # Errors
/// When a condition cannot be judged, no single measurement of the window is kept any more, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    rows: &Rows,
) -> Result<HashMap<Parent, Arc<RowPage>>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let narrowed = batch.narrowed_to_raw(scope, session)?;
        let mut found = vec![Vec::new(); batch.parents().len()];
        if !narrowed.is_empty() {
            for row in session.query_all(&rows.statement(&narrowed, batch.by())).await? {
                let Some((key, measurement)) = read(&row)? else { continue };
                let project =
                    Group { organization: key.project.organization.0, project: key.project.id.0, ..Group::default() };
                for place in batch.of(&project) {
                    if let Some(page) = found.get_mut(*place) {
                        page.push((key, measurement.clone()));
                    }
                }
            }
        }
        let pages = found.into_iter().map(|page| Arc::new(rows.page(page)));
        answers.extend(batch.parents().iter().cloned().zip(pages));
    }
    Ok(answers)
}

fn read(row: &QueryResult) -> Result<Option<(MetricKey, Measurement)>> {
    let Some(kind) = MetricType::from_code(row.try_get_by_index(2)?) else { return Ok(None) };
    let timestamp = row.try_get_by_index(3)?;
    let project = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
    let key = MetricKey { project, kind, timestamp, id: row.try_get_by_index(4)? };
    let measurement = Measurement {
        kind,
        value: row.try_get_by_index(5)?,
        status: row.try_get_by_index(6)?,
        name: row.try_get_by_index(7)?,
        release: row.try_get_by_index(8)?,
        endpoint: row.try_get_by_index(COLUMNS.len())?,
        timestamp,
    };
    Ok(Some((key, measurement)))
}

impl Rows {
    fn direction(&self) -> Order {
        match self.sort {
            Sort::Ascending => Order::Asc,
            Sort::Descending => Order::Desc,
        }
    }

    /// One row more than asked for tells whether there is a further page without counting.
    fn one_more(&self) -> u64 {
        u64::from(self.first) + 1
    }

    fn page(&self, mut rows: Vec<(MetricKey, Measurement)>) -> RowPage {
        rows.sort_by(|a, b| {
            let by_key = match self.order {
                RowOrder::Timestamp => a.0.timestamp.cmp(&b.0.timestamp),
                RowOrder::Value => a.1.value.total_cmp(&b.1.value),
            };
            let ascending = by_key.then_with(|| a.0.id.cmp(&b.0.id));
            if self.sort == Sort::Ascending { ascending } else { ascending.reverse() }
        });
        let size = usize::try_from(self.first).unwrap_or(usize::MAX);
        let has_next = rows.len() > size;
        rows.truncate(size);
        RowPage { rows, has_next }
    }

    /// The first rows of each parent, told apart by these columns.
    fn statement(&self, narrowed: &Narrowed, per: &[Dimension]) -> SelectStatement {
        // Of raw rows alone there is one piece.
        let mut rows = narrowed.pieces().first().map(|piece| self.rows(narrowed, *piece)).unwrap_or_default();
        let by = [self.order.column(), "id"];
        let columns = || COLUMNS.iter().map(|column| ("r", *column));
        let mut first = Query::select();
        first.columns(columns());
        if per.is_empty() {
            first.from_subquery(rows, "r");
            for column in by {
                first.order_by(("r", column), self.direction());
            }
            first.limit(self.one_more());
        } else {
            let mut window = WindowStatement::new();
            for column in Grouping::new(per.iter().copied(), None).columns() {
                window.add_partition_by(Expr::col((M, column)));
            }
            for column in by {
                window.order_by((M, column), self.direction());
            }
            rows.expr_window_as(Func::cust("ROW_NUMBER"), window, "place");
            first
                .from_subquery(rows, "r")
                .and_where(Expr::col(("r", "place")).lte(i64::try_from(self.one_more()).unwrap_or(i64::MAX)));
        }
        // Paths are looked up for the rows that are shown, and for no others.
        Query::select()
            .columns(COLUMNS.iter().map(|column| ("w", *column)))
            .column(("e", "path"))
            .from_subquery(first, "w")
            .cross_join("endpoint".into_table_ref().alias("e"))
            .and_where(Expr::col(("e", "organization_id")).equals(("w", "organization_id")))
            .and_where(Expr::col(("e", "id")).equals(("w", "endpoint_id")))
            .take()
    }

    fn rows(&self, narrowed: &Narrowed, piece: Piece) -> SelectStatement {
        let mut rows = match self.order {
            RowOrder::Value => narrowed.rows(piece, Endpoints::Single),
            RowOrder::Timestamp => self.first_of_each_series(narrowed, piece),
        };
        rows.columns(COLUMNS.map(|column| (M, column)));
        rows.cond_where(self.conditions());
        rows
    }

    fn conditions(&self) -> Cond {
        Cond::all()
            .add_option(self.value.as_ref().map(|filter| compare::number(&Expr::col((M, "value")), filter)))
            .add_option(self.after.map(|place| self.beyond(place)))
    }

    fn beyond(&self, place: Place) -> Cond {
        let key = || Expr::col((M, self.order.column()));
        let id = Expr::col((M, "id"));
        let bound = match place.key {
            PlaceKey::Timestamp(timestamp) => Expr::val(timestamp.as_micros()),
            PlaceKey::Value(value) => Expr::val(value.0),
        };
        match self.sort {
            Sort::Ascending => {
                let further = key().gt(bound.clone()).or(key().eq(bound.clone()).and(id.gt(place.id.0)));
                // Says nothing new, but an index can start there.
                Cond::all().add(key().gte(bound)).add(further)
            }
            Sort::Descending => {
                let further = key().lt(bound.clone()).or(key().eq(bound.clone()).and(id.lt(place.id.0)));
                Cond::all().add(key().lte(bound)).add(further)
            }
        }
    }

    /// Of every project and type the rows up to the time of the last that may be shown.
    fn first_of_each_series(&self, narrowed: &Narrowed, piece: Piece) -> SelectStatement {
        let time = || Expr::col((M, "ts"));
        let (from, to) = (piece.range.from().as_micros(), piece.range.to().as_micros());
        let mut last = Query::select();
        last.expr(time()).from_as("metric_event", M).and_where(time().gte(from)).and_where(time().lt(to));
        for (column, of_series) in
            [("organization_id", ("p", "organization_id")), ("project_id", ("p", "id")), ("kind", ("k", "kind"))]
        {
            last.and_where(Expr::col((M, column)).equals(of_series));
        }
        narrowed.conditions(&mut last, piece, Endpoints::Single);
        last.cond_where(self.conditions()).order_by((M, "ts"), self.direction());
        last.limit(1).offset(u64::from(self.first));
        let end = match self.sort {
            Sort::Ascending => to.saturating_sub(1),
            Sort::Descending => from,
        };
        let mut series = narrowed.series();
        // The limit keeps PostgreSQL from looking for the last of a series once for each of its rows.
        series.expr_as(Func::coalesce([Expr::from(last), Expr::val(end)]), "last").limit(u64::from(u32::MAX));
        let mut rows = Query::select();
        // CROSS JOIN is what tells SQLite to begin with the few series.
        rows.from_subquery(series, "s").cross_join("metric_event".into_table_ref().alias(M));
        for column in ["organization_id", "project_id", "kind"] {
            rows.and_where(Expr::col((M, column)).equals(("s", column)));
        }
        let last = Expr::col(("s", "last"));
        match self.sort {
            Sort::Ascending => rows.and_where(time().gte(from)).and_where(time().lte(last)),
            Sort::Descending => rows.and_where(time().gte(last)).and_where(time().lt(to)),
        };
        narrowed.conditions(&mut rows, piece, Endpoints::Single);
        rows
    }
}

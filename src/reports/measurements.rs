//! The report on single measurements, page by page. One statement.
//!
//! In the order of time, a page costs no more than its rows: for every series (a project and a type) the index tells the
//! time of the last row that the page may need, and only rows up to it are read. In the order of values, the whole window is
//! read.

pub mod cursor;

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{
        Cond, Expr, ExprTrait, Func, IntoTableRef, Order, OverStatement, Query, SelectStatement, WindowStatement,
    },
};

use super::{
    Question, Report,
    conditions::M,
    grouping::{Dimension, DimensionValues, Grouping},
    parent::{Parent, batches},
    plan::{EndpointRows, Segment},
    scoped::ScopedQuery,
};
use crate::{
    db::{Session, compare},
    error::Result,
    model::{
        Key, Labels, Measurement, MetricId, MetricKey, MetricType, Scope, Timestamp,
        filter::{Number, NumberFilter},
        order::Sort,
    },
};

/// The sort key of single measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementOrder {
    /// The time of the measurement.
    Timestamp,
    /// The measured value.
    Value,
}

/// The position of a measurement in an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MeasurementPosition {
    /// The value of the sort key.
    pub key: MeasurementSortKey,
    /// The id, which breaks ties.
    pub id: MetricId,
}

/// The value of a sort key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeasurementSortKey {
    /// The time of the measurement.
    Timestamp(Timestamp),
    /// The measured value.
    Value(Number),
}

/// A request for a page of single measurements.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Measurements {
    /// A condition on the value.
    pub value: Option<NumberFilter>,
    /// The sort key.
    pub order: MeasurementOrder,
    /// The direction, also of the ids that break ties.
    pub sort: Sort,
    /// The position in the same order after which the page begins.
    pub after: Option<MeasurementPosition>,
    /// The maximum number of measurements.
    pub first: u32,
}

/// A page of single measurements.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MeasurementPage {
    /// The measurements in order.
    pub rows: Vec<(MetricKey, Measurement)>,
    /// True when more measurements follow.
    pub has_next: bool,
}

impl MeasurementOrder {
    /// The position of a measurement in this order.
    pub const fn position(self, key: &MetricKey, measurement: &Measurement) -> MeasurementPosition {
        let of_order = match self {
            Self::Timestamp => MeasurementSortKey::Timestamp(key.timestamp),
            Self::Value => MeasurementSortKey::Value(Number(measurement.value)),
        };
        MeasurementPosition { key: of_order, id: key.id }
    }

    const fn column(self) -> &'static str {
        match self {
            Self::Timestamp => "ts",
            Self::Value => "value",
        }
    }
}

impl Report for Measurements {
    type Answer = Arc<MeasurementPage>;

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

/// The columns of a measurement, in the order in which they are read. The path of the endpoint follows them.
const COLUMNS: [&str; 10] =
    ["organization_id", "project_id", "kind", "ts", "id", "value", "status", "name", "release", "endpoint_id"];

/// A page of each parent. One statement for up to 500 parents of a kind.
///
/// # Errors
/// A condition is invalid, no single measurement of the window is retained, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    rows: &Measurements,
) -> Result<HashMap<Parent, Arc<MeasurementPage>>> {
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let scoped = batch.scoped_to_raw(scope, session)?;
        let mut found = vec![Vec::new(); batch.parents().len()];
        if !scoped.is_empty() {
            for row in session.query_all(&rows.statement(&scoped, batch.by())).await? {
                let Some((key, measurement)) = read(&row)? else { continue };
                let project = DimensionValues {
                    organization: key.project.organization.0,
                    project: key.project.id.0,
                    ..DimensionValues::default()
                };
                for index in batch.of(&project) {
                    if let Some(page) = found.get_mut(*index) {
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
        labels: Labels::Unread,
        endpoint: row.try_get_by_index(COLUMNS.len())?,
        timestamp,
    };
    Ok(Some((key, measurement)))
}

impl Measurements {
    fn direction(&self) -> Order {
        match self.sort {
            Sort::Ascending => Order::Asc,
            Sort::Descending => Order::Desc,
        }
    }

    /// The limit of the statement: one row more than asked for shows whether a further page exists.
    fn one_more(&self) -> u64 {
        u64::from(self.first) + 1
    }

    fn page(&self, mut rows: Vec<(MetricKey, Measurement)>) -> MeasurementPage {
        rows.sort_by(|a, b| {
            let by_key = match self.order {
                MeasurementOrder::Timestamp => a.0.timestamp.cmp(&b.0.timestamp),
                MeasurementOrder::Value => a.1.value.total_cmp(&b.1.value),
            };
            let ascending = by_key.then_with(|| a.0.id.cmp(&b.0.id));
            if self.sort == Sort::Ascending { ascending } else { ascending.reverse() }
        });
        let size = usize::try_from(self.first).unwrap_or(usize::MAX);
        let has_next = rows.len() > size;
        rows.truncate(size);
        MeasurementPage { rows, has_next }
    }

    /// The first rows of each parent; `per` are the columns that identify a parent.
    fn statement(&self, scoped: &ScopedQuery, per: &[Dimension]) -> SelectStatement {
        // A plan of raw rows alone has one segment.
        let mut rows = scoped
            .segments(EndpointRows::Combined)
            .next()
            .map(|segment| self.rows(scoped, segment))
            .unwrap_or_default();
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
        // Paths are looked up for the rows of the page only.
        Query::select()
            .columns(COLUMNS.iter().map(|column| ("w", *column)))
            .column(("e", "path"))
            .from_subquery(first, "w")
            .cross_join("endpoint".into_table_ref().alias("e"))
            .and_where(Expr::col(("e", "organization_id")).equals(("w", "organization_id")))
            .and_where(Expr::col(("e", "id")).equals(("w", "endpoint_id")))
            .take()
    }

    fn rows(&self, scoped: &ScopedQuery, segment: Segment) -> SelectStatement {
        let mut rows = match self.order {
            MeasurementOrder::Value => scoped.rows(segment, EndpointRows::Separate),
            MeasurementOrder::Timestamp => self.first_of_each_series(scoped, segment),
        };
        rows.columns(COLUMNS.map(|column| (M, column)));
        rows.cond_where(self.conditions());
        rows
    }

    fn conditions(&self) -> Cond {
        Cond::all()
            .add_option(self.value.as_ref().map(|filter| compare::number(&Expr::col((M, "value")), filter)))
            .add_option(self.after.map(|position| self.beyond(position)))
    }

    fn beyond(&self, position: MeasurementPosition) -> Cond {
        let key = || Expr::col((M, self.order.column()));
        let id = Expr::col((M, "id"));
        let bound = match position.key {
            MeasurementSortKey::Timestamp(timestamp) => Expr::val(timestamp.as_micros()),
            MeasurementSortKey::Value(value) => Expr::val(value.0),
        };
        match self.sort {
            Sort::Ascending => {
                let further = key().gt(bound.clone()).or(key().eq(bound.clone()).and(id.gt(position.id.0)));
                // Implied by the second condition, but an index can start here.
                Cond::all().add(key().gte(bound)).add(further)
            }
            Sort::Descending => {
                let further = key().lt(bound.clone()).or(key().eq(bound.clone()).and(id.lt(position.id.0)));
                Cond::all().add(key().lte(bound)).add(further)
            }
        }
    }

    /// The rows of every series up to the time of the last row that the page may need.
    fn first_of_each_series(&self, scoped: &ScopedQuery, segment: Segment) -> SelectStatement {
        let time = || Expr::col((M, "ts"));
        let (from, to) = (segment.range.from().as_micros(), segment.range.to().as_micros());
        let mut last = Query::select();
        last.expr(time()).from_as("metric_event", M).and_where(time().gte(from)).and_where(time().lt(to));
        for (column, of_series) in
            [("organization_id", ("p", "organization_id")), ("project_id", ("p", "id")), ("kind", ("k", "kind"))]
        {
            last.and_where(Expr::col((M, column)).equals(of_series));
        }
        scoped.conditions(&mut last, segment, EndpointRows::Separate);
        last.cond_where(self.conditions()).order_by((M, "ts"), self.direction());
        last.limit(1).offset(u64::from(self.first));
        let end = match self.sort {
            Sort::Ascending => to.saturating_sub(1),
            Sort::Descending => from,
        };
        let mut series = scoped.series();
        // The limit keeps PostgreSQL from evaluating the last time of a series once for each of its rows.
        series.expr_as(Func::coalesce([Expr::from(last), Expr::val(end)]), "last").limit(u64::from(u32::MAX));
        let mut rows = Query::select();
        // CROSS JOIN makes SQLite begin with the few series.
        rows.from_subquery(series, "s").cross_join("metric_event".into_table_ref().alias(M));
        for column in ["organization_id", "project_id", "kind"] {
            rows.and_where(Expr::col((M, column)).equals(("s", column)));
        }
        let last = Expr::col(("s", "last"));
        match self.sort {
            Sort::Ascending => rows.and_where(time().gte(from)).and_where(time().lte(last)),
            Sort::Descending => rows.and_where(time().gte(last)).and_where(time().lt(to)),
        };
        scoped.conditions(&mut rows, segment, EndpointRows::Separate);
        rows
    }
}

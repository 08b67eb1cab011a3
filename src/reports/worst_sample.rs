//! The worst single measurement of each endpoint, with its status and its time. One statement for up to 500 endpoints.
//!
//! Where rollups cover the window, their extremes identify the one bucket that contains the worst measurement, so that only
//! the raw rows of that bucket are read.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ConnectionTrait, DbBackend, QueryResult,
    sea_query::{Expr, ExprTrait, Func, IntoTableRef, Order, OverStatement, Query, SelectStatement, WindowStatement},
};

use super::{
    Projects, Question,
    conditions::{ALTERNATIVES_MAX, M},
    grouping::Grouping,
    plan::{EndpointRows, Resolution, Segment},
    scoped::ScopedQuery,
    statistic::WorstValue,
    union::union_all,
};
use crate::{
    db::Session,
    error::Result,
    model::{
        EndpointId, Key, Labels, Measurement, MetricId, MetricType, OrganizationId, ProjectId, Scope, Timestamp,
        timestamp::HOUR_MICROS,
    },
};

/// An endpoint of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// The project.
    pub project: Key<ProjectId>,
    /// The endpoint's id in the organization.
    pub endpoint: EndpointId,
}

/// The worst measurement of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct WorstSample {
    /// The id of the measurement.
    pub id: MetricId,
    /// The metric type.
    pub kind: MetricType,
    /// The value, in the unit of the type.
    pub value: f64,
    /// The HTTP status; `None` if there was none.
    pub status: Option<i16>,
    /// The time of the measurement.
    pub timestamp: Timestamp,
    /// The name; empty if there was none.
    pub name: String,
    /// The release version; empty if it is unknown.
    pub release: String,
}

impl WorstSample {
    /// The measurement itself; a sample does not know the path of its endpoint.
    pub fn measurement(self, endpoint: String) -> Measurement {
        Measurement {
            kind: self.kind,
            value: self.value,
            endpoint,
            status: self.status.unwrap_or(0),
            timestamp: self.timestamp,
            name: self.name,
            release: self.release,
            labels: Labels::Unread,
        }
    }
}

/// The columns of a measurement, in the order in which they are read.
const COLUMNS: [&str; 10] =
    ["organization_id", "project_id", "endpoint_id", "id", "kind", "value", "status", "ts", "name", "release"];

/// The worst measurement of each endpoint in the window, with the types and the status of the question; the latest one of
/// equals. The endpoints replace the projects and paths of the question. One statement for up to 500 endpoints.
///
/// The worst value is the largest one, or the smallest one if the question names cache hits alone. Endpoints without a
/// measurement, outside of the scope, or whose raw rows are no longer retained are left out.
///
/// # Errors
/// A condition of the question is invalid, or the database fails.
pub async fn by_endpoint(
    scope: &Scope,
    session: &Session,
    question: &Question,
    endpoints: &[EndpointKey],
) -> Result<HashMap<EndpointKey, WorstSample>> {
    let mut samples = HashMap::with_capacity(endpoints.len());
    for chunk in endpoints.chunks(ALTERNATIVES_MAX) {
        let mut projects: Vec<_> = chunk.iter().map(|key| key.project).collect();
        projects.sort_unstable();
        projects.dedup();
        let question = Question { projects: Projects::Keys(projects), endpoint: None, ..question.clone() };
        let scoped = ScopedQuery::of_raw(scope, &question, session)?;
        let Some(scoped) = scoped.filter(|scoped| !scoped.is_empty()) else {
            continue;
        };
        // Endpoint ids are unique within an organization only, so rows of other endpoints may come along.
        let asked: HashSet<_> = chunk.iter().collect();
        for row in session.query_all(&first_of_each(&scoped, chunk)).await? {
            if let Some((key, sample)) = read(&row)?.filter(|(key, _)| asked.contains(key)) {
                samples.insert(key, sample);
            }
        }
    }
    Ok(samples)
}

fn first_of_each(scoped: &ScopedQuery, endpoints: &[EndpointKey]) -> SelectStatement {
    let order = match WorstValue::of_values(scoped.kinds()) {
        WorstValue::Highest => Order::Desc,
        WorstValue::Lowest => Order::Asc,
    };
    let (raw, rollups): (Vec<Segment>, Vec<Segment>) =
        scoped.segments(EndpointRows::Separate).partition(|segment| segment.resolution.is_raw());
    let mut candidates: Vec<_> = raw
        .into_iter()
        .map(|segment| {
            let mut rows = rows(scoped, segment, endpoints);
            rows.columns(COLUMNS.map(|column| (M, column)));
            rows
        })
        .collect();
    if !rollups.is_empty() {
        candidates.push(in_peaks(scoped, &rollups, endpoints, order.clone()));
    }
    let by = ["value", "ts", "id"].into_iter().zip([order, Order::Desc, Order::Desc]);
    first_place(union_all(candidates), &COLUMNS, by)
}

/// The raw rows of the bucket of each endpoint that contains its worst measurement.
fn in_peaks(scoped: &ScopedQuery, rollups: &[Segment], endpoints: &[EndpointKey], order: Order) -> SelectStatement {
    let extremum = if order == Order::Desc { "max" } else { "min" };
    let end = rollups.iter().map(|segment| segment.range.to().as_micros()).max().unwrap_or_default();
    let buckets = rollups.iter().map(|segment| {
        let start = || Expr::col((M, segment.resolution.time_column()));
        // A part is as wide as the finest rollups of its series, and those are as wide as hours here at most.
        let until = match segment.resolution {
            Resolution::Part => earlier(scoped.backend(), start().add(HOUR_MICROS), end),
            resolution => start().add(resolution.width_micros()),
        };
        let mut rows = rows(scoped, *segment, endpoints);
        rows.columns(Grouping::endpoints().columns().map(|column| (M, column)))
            .column((M, "kind"))
            .expr_as(Expr::col((M, extremum)), "extremum")
            .expr_as(start(), "since")
            .expr_as(until, "until");
        rows
    });
    let columns = ["organization_id", "project_id", "endpoint_id", "kind", "since", "until"];
    // Of equals the bucket that ends last: it may contain a later measurement than a shorter bucket within it.
    let by = ["extremum", "until"].into_iter().zip([order, Order::Desc]);
    let peaks = first_place(union_all(buckets), &columns, by);
    let same = |column: &'static str| Expr::col((M, column)).equals(("t", column));
    let time = || Expr::col((M, Resolution::Raw.time_column()));
    // CROSS JOIN makes SQLite begin with the few peaks.
    Query::select()
        .columns(COLUMNS.map(|column| (M, column)))
        .from_subquery(peaks, "t")
        .cross_join(Resolution::Raw.table().into_table_ref().alias(M))
        .and_where(same("organization_id"))
        .and_where(same("project_id"))
        .and_where(same("endpoint_id"))
        .and_where(same("kind"))
        .and_where(time().gte(Expr::col(("t", "since"))))
        .and_where(time().lt(Expr::col(("t", "until"))))
        .take()
}

/// The earlier one of two times.
fn earlier(backend: DbBackend, time: Expr, end: i64) -> Expr {
    let name = if backend == DbBackend::Sqlite { "MIN" } else { "LEAST" };
    Func::cust(name).args([time, Expr::val(end)]).into()
}

fn rows(scoped: &ScopedQuery, segment: Segment, endpoints: &[EndpointKey]) -> SelectStatement {
    let mut rows = scoped.rows(segment, EndpointRows::Separate);
    rows.and_where(Expr::col((M, "endpoint_id")).is_in(endpoints.iter().map(|key| key.endpoint.0)));
    rows
}

/// The first row of every endpoint in an order.
fn first_place(
    rows: SelectStatement,
    columns: &[&'static str],
    by: impl Iterator<Item = (&'static str, Order)>,
) -> SelectStatement {
    let mut window = WindowStatement::new();
    for column in Grouping::endpoints().columns() {
        window.add_partition_by(Expr::col(("r", column)));
    }
    for (column, order) in by {
        window.order_by(("r", column), order);
    }
    let mut placed = Query::select();
    placed
        .columns(columns.iter().map(|column| ("r", *column)))
        .expr_window_as(Func::cust("ROW_NUMBER"), window, "place")
        .from_subquery(rows, "r");
    Query::select()
        .columns(columns.iter().map(|column| ("w", *column)))
        .from_subquery(placed, "w")
        .and_where(Expr::col(("w", "place")).eq(1_i64))
        .take()
}

fn read(row: &QueryResult) -> Result<Option<(EndpointKey, WorstSample)>> {
    let project = Key::new(OrganizationId(row.try_get_by_index(0)?), ProjectId(row.try_get_by_index(1)?));
    let endpoint = EndpointId(row.try_get_by_index(2)?);
    let Some(kind) = MetricType::from_code(row.try_get_by_index(4)?) else {
        return Ok(None);
    };
    let status: i16 = row.try_get_by_index(6)?;
    let sample = WorstSample {
        id: MetricId(row.try_get_by_index(3)?),
        kind,
        value: row.try_get_by_index(5)?,
        status: (status != 0).then_some(status),
        timestamp: Timestamp::from_micros(row.try_get_by_index(7)?),
        name: row.try_get_by_index(8)?,
        release: row.try_get_by_index(9)?,
    };
    Ok(Some((EndpointKey { project, endpoint }, sample)))
}

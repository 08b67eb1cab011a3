//! The single worst measurement of each of a set of endpoints: which status it had and when it happened.
//!
//! One statement for up to 500 endpoints. Where a rollup covers the window, its extremes name the one bucket that
//! holds the worst measurement, so that only that bucket's raw rows are read instead of the whole window's.

use std::collections::{HashMap, HashSet};

use sea_orm::{
    ConnectionTrait, QueryResult,
    sea_query::{Expr, ExprTrait, Func, IntoTableRef, Order, OverStatement, Query, SelectStatement, WindowStatement},
};

use super::{
    Projects, Question,
    filter::{ALTERNATIVES_MAX, M},
    grouping::Grouping,
    narrow::{Endpoints, Narrowed},
    plan::{Piece, Resolution},
    sql,
    statistic::Worst,
};
use crate::{
    db::Session,
    error::Result,
    model::{EndpointId, Key, MetricId, MetricType, OrganizationId, ProjectId, Scope, Timestamp},
};

/// An endpoint of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndpointKey {
    /// The project.
    pub project: Key<ProjectId>,
    /// The endpoint's id in the organization.
    pub endpoint: EndpointId,
}

/// One measurement, as far as it says what happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its own id.
    pub id: MetricId,
    /// What was measured.
    pub kind: MetricType,
    /// In the unit of the type.
    pub value: f64,
    /// The HTTP status, where there was one.
    pub status: Option<i16>,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Which of several things of the endpoint; empty for none.
    pub name: String,
    /// The release that was running; empty where it is not known.
    pub release: String,
}

/// The columns of a measurement, in the order in which they are read.
const COLUMNS: [&str; 10] =
    ["organization_id", "project_id", "endpoint_id", "id", "kind", "value", "status", "ts", "name", "release"];

/// The worst measurement of each endpoint that the question's window, types and status leave; of equals the latest.
/// The endpoints take the place of the question's projects and paths. One statement for up to 500.
///
/// The worst is the largest value, except where the question names cache hits alone: there it is the smallest.
/// Endpoints without a measurement, outside of the scope, or whose raw rows retention has removed are not in the answer.
///
/// # Errors
/// When a condition of the question cannot be judged, or the database fails.
pub async fn by_endpoint(
    scope: &Scope,
    session: &Session,
    question: &Question,
    endpoints: &[EndpointKey],
) -> Result<HashMap<EndpointKey, Sample>> {
    let mut samples = HashMap::with_capacity(endpoints.len());
    for chunk in endpoints.chunks(ALTERNATIVES_MAX) {
        let mut projects: Vec<_> = chunk.iter().map(|key| key.project).collect();
        projects.sort_unstable();
        projects.dedup();
        let question = Question { projects: Projects::Keys(projects), endpoint: None, ..question.clone() };
        let narrowed = Narrowed::of_raw(scope, &question, session)?;
        let Some(narrowed) = narrowed.filter(|narrowed| !narrowed.is_empty()) else {
            continue;
        };
        // An endpoint's id is only unique inside its organization, so rows of others may come along.
        let asked: HashSet<_> = chunk.iter().collect();
        for row in session.query_all(&first_of_each(&narrowed, chunk)).await? {
            if let Some((key, sample)) = read(&row)?.filter(|(key, _)| asked.contains(key)) {
                samples.insert(key, sample);
            }
        }
    }
    Ok(samples)
}

fn first_of_each(narrowed: &Narrowed, endpoints: &[EndpointKey]) -> SelectStatement {
    let order = match Worst::of_values(narrowed.kinds()) {
        Worst::Highest => Order::Desc,
        Worst::Lowest => Order::Asc,
    };
    let (raw, rollups): (Vec<Piece>, Vec<Piece>) =
        narrowed.pieces().iter().partition(|piece| piece.resolution == Resolution::Raw);
    let mut candidates: Vec<_> = raw
        .into_iter()
        .map(|piece| {
            let mut rows = rows(narrowed, piece, endpoints);
            rows.columns(COLUMNS.map(|column| (M, column)));
            rows
        })
        .collect();
    if !rollups.is_empty() {
        candidates.push(in_peaks(narrowed, &rollups, endpoints, order.clone()));
    }
    let by = ["value", "ts", "id"].into_iter().zip([order, Order::Desc, Order::Desc]);
    first_place(sql::union(candidates), &COLUMNS, by)
}

/// The raw rows of the one bucket per endpoint in which its worst measurement lies.
fn in_peaks(narrowed: &Narrowed, rollups: &[Piece], endpoints: &[EndpointKey], order: Order) -> SelectStatement {
    let extremum = if order == Order::Desc { "max" } else { "min" };
    let buckets = rollups.iter().map(|piece| {
        let start = || Expr::col((M, piece.resolution.time_column()));
        let mut rows = rows(narrowed, *piece, endpoints);
        rows.columns(Grouping::endpoints().columns().map(|column| (M, column)))
            .column((M, "kind"))
            .expr_as(Expr::col((M, extremum)), "extremum")
            .expr_as(start(), "since")
            .expr_as(start().add(piece.resolution.width_micros()), "until");
        rows
    });
    let columns = ["organization_id", "project_id", "endpoint_id", "kind", "since", "until"];
    // Of equals the one that ends last: a bucket may hold later ones than a shorter bucket inside of it.
    let by = ["extremum", "until"].into_iter().zip([order, Order::Desc]);
    let peaks = first_place(sql::union(buckets), &columns, by);
    let same = |column: &'static str| Expr::col((M, column)).equals(("t", column));
    let time = || Expr::col((M, Resolution::Raw.time_column()));
    // CROSS JOIN is what tells SQLite to begin with the few peaks.
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

fn rows(narrowed: &Narrowed, piece: Piece, endpoints: &[EndpointKey]) -> SelectStatement {
    let mut rows = narrowed.rows(piece, Endpoints::Single);
    rows.and_where(Expr::col((M, "endpoint_id")).is_in(endpoints.iter().map(|key| key.endpoint.0)));
    rows
}

/// Of every endpoint the first row in an order.
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

fn read(row: &QueryResult) -> Result<Option<(EndpointKey, Sample)>> {
    let project = Key::new(OrganizationId(row.try_get_by_index(0)?), ProjectId(row.try_get_by_index(1)?));
    let endpoint = EndpointId(row.try_get_by_index(2)?);
    let Some(kind) = MetricType::from_code(row.try_get_by_index(4)?) else {
        return Ok(None);
    };
    let status: i16 = row.try_get_by_index(6)?;
    let sample = Sample {
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

//! The worst endpoints by one statistic, with all that is known of each. One statement.
//!
//! Ranked by a plain figure, the database ranks and sends the few rows that are shown. Ranked by a percentile, it sends
//! the sketch cells of every endpoint in question; they are merged and ranked here.

use std::{cmp::Ordering, collections::HashMap};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, IntoTableRef, Order, Query, SelectStatement},
};

use super::{
    Question, Statistic, Stats, Want,
    narrow::Narrowed,
    sql::{self, Group, Grouping},
    statistic::Worst,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{EndpointId, Key, MetricType, OrganizationId, ProjectId, Scope},
};

/// The most endpoints that can be asked for.
pub const LIMIT_MAX: u32 = 100;

/// One endpoint and how it did.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointStats {
    /// Where it was measured.
    pub project: Key<ProjectId>,
    /// Its id in the organization.
    pub endpoint_id: EndpointId,
    /// Its path.
    pub endpoint: String,
    /// How it did in the window.
    pub stats: Stats,
    /// The statistic that it was ranked by, in that statistic's unit.
    pub value: f64,
}

/// At most `limit` (1 to 100) endpoints, the worst first, then by project and path.
///
/// The worst is the highest value, except where the question names [`CacheHit`](crate::model::MetricType::CacheHit)
/// alone: of hit rates the lowest is the worst. Counts, sums and error rates are always ranked from high to low.
/// Percentiles are in the answer when they are wanted or ranked by.
///
/// # Errors
/// When `limit` is out of range, a condition of the question cannot be judged, or the database fails.
pub async fn run(
    scope: &Scope,
    session: &Session,
    question: &Question,
    rank_by: Statistic,
    limit: u32,
    want: Want,
) -> Result<Vec<EndpointStats>> {
    check_limit(limit)?;
    let narrowed = Narrowed::new(scope, question, session.kept())?;
    if narrowed.is_empty() {
        return Ok(Vec::new());
    }
    let worst = rank_by.worst(narrowed.kinds());
    let by_figure = rank_by.in_sql("g").filter(|_| want == Want::Scalars);
    let (statement, want) = if let Some(value) = by_figure {
        (ranked(&narrowed, value, worst, limit), Want::Scalars)
    } else {
        let cells = sql::cells(&narrowed, Grouping::Endpoint);
        (with_path(cells, &sql::CELLS), Want::Percentiles)
    };
    let endpoints = fetch(session, &narrowed, &statement, want).await?;
    Ok(rank(endpoints, rank_by, narrowed.kinds(), limit))
}

/// Refuses to rank nothing, and too much.
///
/// # Errors
/// When `limit` is not 1 to 100.
pub fn check_limit(limit: u32) -> Result<()> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(());
    }
    let message = format!("is {limit}, but between 1 and {LIMIT_MAX} endpoints can be asked for");
    Err(Error::input("limit", message))
}

/// The worst endpoints, as [`run`] ranks those of measurements of these types. Percentiles need the sketches.
pub fn rank(
    mut endpoints: Vec<EndpointStats>,
    rank_by: Statistic,
    kinds: &[MetricType],
    limit: u32,
) -> Vec<EndpointStats> {
    let worst = rank_by.worst(kinds);
    for endpoint in &mut endpoints {
        endpoint.value = rank_by.of(&endpoint.stats).unwrap_or_default();
    }
    endpoints.sort_by(|a, b| order(a, b, worst));
    endpoints.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    endpoints
}

/// The ids of endpoints by their projects and paths; what is not there or not seen is not in the answer. One statement.
///
/// # Errors
/// When the database cannot answer.
pub async fn endpoint_ids(
    scope: &Scope,
    session: &Session,
    endpoints: &[(Key<ProjectId>, String)],
) -> Result<HashMap<(Key<ProjectId>, String), EndpointId>> {
    let seen: Vec<_> = endpoints.iter().filter(|(project, _)| scope.sees(project.organization)).collect();
    if seen.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = Query::select();
    // Column by column instead of as tuples, which SQLite would not look up in the index.
    select
        .columns(["organization_id", "project_id", "path", "id"])
        .from("endpoint")
        .and_where(Expr::col("organization_id").is_in(seen.iter().map(|(project, _)| project.organization)))
        .and_where(Expr::col("project_id").is_in(seen.iter().map(|(project, _)| project.id)))
        .and_where(Expr::col("path").is_in(seen.iter().map(|(_, path)| path.clone())));
    let mut ids = HashMap::new();
    for row in session.query_all(&select).await? {
        let project = Key::new(row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        ids.insert((project, row.try_get_by_index(2)?), row.try_get_by_index(3)?);
    }
    Ok(ids)
}

fn ranked(narrowed: &Narrowed, value: Expr, worst: Worst, limit: u32) -> SelectStatement {
    let order = match worst {
        Worst::Highest => Order::Desc,
        Worst::Lowest => Order::Asc,
    };
    let mut select = with_path(sql::totals(narrowed, Grouping::Endpoint), &sql::TOTALS);
    select
        .order_by_expr(value, order)
        .order_by(("g", "organization_id"), Order::Asc)
        .order_by(("g", "project_id"), Order::Asc)
        .order_by(("e", "path"), Order::Asc)
        .limit(limit.into());
    select
}

/// The groups with their endpoint's path as last column.
fn with_path(groups: SelectStatement, columns: &[&'static str]) -> SelectStatement {
    let keys = Grouping::Endpoint.columns();
    let mut select = Query::select();
    select
        .columns(keys.iter().chain(columns).map(|column| ("g", *column)))
        .column(("e", "path"))
        .from_subquery(groups, "g")
        // CROSS JOIN is what keeps SQLite from beginning with the endpoints of every tenant.
        .cross_join("endpoint".into_table_ref().alias("e"))
        .and_where(Expr::col(("e", "organization_id")).equals(("g", "organization_id")))
        .and_where(Expr::col(("e", "id")).equals(("g", "endpoint_id")));
    select
}

async fn fetch(
    session: &Session,
    narrowed: &Narrowed<'_>,
    statement: &SelectStatement,
    want: Want,
) -> Result<Vec<EndpointStats>> {
    let path = Grouping::Endpoint.columns().len()
        + match want {
            Want::Scalars => sql::TOTALS.len(),
            Want::Percentiles => sql::CELLS.len(),
        };
    let mut places = HashMap::new();
    let mut endpoints: Vec<EndpointStats> = Vec::new();
    for row in session.query_all(statement).await? {
        let group = Group::of(&row, Grouping::Endpoint)?;
        let place = *places.entry(group).or_insert(endpoints.len());
        if place == endpoints.len() {
            endpoints.push(EndpointStats {
                project: Key::new(OrganizationId(group.organization), ProjectId(group.project)),
                endpoint_id: EndpointId(group.endpoint),
                endpoint: row.try_get_by_index(path)?,
                stats: Stats::empty(narrowed, want),
                value: 0.0,
            });
        }
        if let Some(endpoint) = endpoints.get_mut(place) {
            sql::add(&mut endpoint.stats, &row, Grouping::Endpoint, want)?;
        }
    }
    Ok(endpoints)
}

fn order(a: &EndpointStats, b: &EndpointStats, worst: Worst) -> Ordering {
    let by_value = match worst {
        Worst::Highest => b.value.total_cmp(&a.value),
        Worst::Lowest => a.value.total_cmp(&b.value),
    };
    by_value.then_with(|| a.project.cmp(&b.project)).then_with(|| a.endpoint.cmp(&b.endpoint))
}

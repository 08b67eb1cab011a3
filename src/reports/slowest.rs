//! The worst endpoints by one statistic, with all that is known of each, of one parent or of many. One statement.
//!
//! Ranked by a plain figure, the database ranks and sends the few rows that are shown. Ranked by a percentile, it sends
//! the sketch cells of every endpoint in question; they are merged and ranked here.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Func, Order, OverStatement, Query, SelectStatement, WindowStatement},
};

use super::{
    Question, Report, Statistic, Stats, Want,
    grouping::{Dimension, Group, Grouping},
    narrow::Narrowed,
    parent::{Members, Parent, batches},
    path::{self, Named},
    sql,
    statistic::Worst,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{EndpointId, Key, MetricType, ProjectId, Scope},
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
    pub stats: Arc<Stats>,
    /// The statistic that it was ranked by, in that statistic's unit.
    pub value: f64,
}

impl EndpointStats {
    /// The endpoint as whom other reports can be asked about.
    pub fn as_parent(&self) -> Parent {
        let group = Group {
            organization: self.project.organization.0,
            project: self.project.id.0,
            endpoint: self.endpoint_id.0,
            ..Group::default()
        };
        Parent::Group(Arc::new(Members::new(Grouping::endpoints().by().to_vec(), vec![group])))
    }
}

/// The worst endpoints of each parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slowest {
    /// What makes an endpoint bad.
    pub rank_by: Statistic,
    /// How many, 1 to 100.
    pub limit: u32,
    /// Which figures of each; percentiles come along when they are ranked by.
    pub want: Want,
}

impl Report for Slowest {
    type Answer = Arc<[EndpointStats]>;

    async fn run(
        &self,
        scope: &Scope,
        session: &Session,
        question: &Question,
        parents: &[Parent],
    ) -> Result<HashMap<Parent, Self::Answer>> {
        let answers = by_parent(scope, session, question, parents, *self).await?;
        Ok(answers.into_iter().map(|(parent, endpoints)| (parent, endpoints.into())).collect())
    }
}

/// Of what the question names, as [`by_parent`].
///
/// # Errors
/// As [`by_parent`].
pub async fn run(
    scope: &Scope,
    session: &Session,
    question: &Question,
    slowest: Slowest,
) -> Result<Vec<EndpointStats>> {
    let mut answers = by_parent(scope, session, question, &[Parent::Question], slowest).await?;
    answers.remove(&Parent::Question).ok_or_else(|| Error::internal("a report left out its only parent"))
}

/// At most `limit` endpoints of each parent, the worst first, then by project and path. One statement for up to 500
/// parents of a kind.
///
/// The worst is the highest value, except where the question names [`CacheHit`](crate::model::MetricType::CacheHit)
/// alone: of hit rates the lowest is the worst. Counts, sums and error rates are always ranked from high to low.
/// Percentiles are in the answer when they are wanted or ranked by.
///
/// # Errors
/// When `limit` is out of range, a condition of the question cannot be judged, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    slowest: Slowest,
) -> Result<HashMap<Parent, Vec<EndpointStats>>> {
    let Slowest { rank_by, limit, want } = slowest;
    check_limit(limit)?;
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(Grouping::endpoints().by(), None);
        let want = if rank_by.percentile().is_some() { Want::Percentiles } else { want };
        let narrowed = batch.narrowed(scope, &grouping, want, session)?;
        let mut found = vec![Vec::new(); batch.parents().len()];
        if !narrowed.is_empty() {
            let worst = rank_by.worst(narrowed.kinds());
            let by_figure = rank_by.in_sql("g").filter(|_| want == Want::Scalars);
            let (statement, want) = if let Some(value) = by_figure {
                (ranked(&narrowed, value, worst, limit, batch.by()), Want::Scalars)
            } else {
                (path::with_path(sql::cells(&narrowed, &grouping), &grouping, &sql::CELLS), Want::Percentiles)
            };
            for Named { group, path, stats } in path::fetch(session, &narrowed, &grouping, &statement, want).await? {
                let endpoint = EndpointStats {
                    project: group.project_key(),
                    endpoint_id: EndpointId(group.endpoint),
                    endpoint: path,
                    value: 0.0,
                    stats: Arc::new(stats),
                };
                for place in batch.of(&group) {
                    if let Some(endpoints) = found.get_mut(*place) {
                        endpoints.push(endpoint.clone());
                    }
                }
            }
        }
        let ranked = found.into_iter().map(|endpoints| rank(endpoints, rank_by, narrowed.kinds(), limit));
        answers.extend(batch.parents().iter().cloned().zip(ranked));
    }
    Ok(answers)
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

/// The worst of each parent, by the columns that tell parents apart.
fn ranked(narrowed: &Narrowed, value: Expr, worst: Worst, limit: u32, per: &[Dimension]) -> SelectStatement {
    let order = match worst {
        Worst::Highest => Order::Desc,
        Worst::Lowest => Order::Asc,
    };
    let grouping = Grouping::endpoints();
    let mut select = path::with_path(sql::totals(narrowed, &grouping), &grouping, &sql::TOTALS);
    let keys = [("g", "organization_id"), ("g", "project_id"), ("e", "path")];
    if per.is_empty() {
        select.order_by_expr(value, order);
        for key in keys {
            select.order_by(key, Order::Asc);
        }
        return select.limit(limit.into()).take();
    }
    let mut window = WindowStatement::new();
    for column in Grouping::new(per.iter().copied(), None).columns() {
        window.add_partition_by(Expr::col(("g", column)));
    }
    window.order_by_expr(value, order);
    for key in keys {
        window.order_by(key, Order::Asc);
    }
    select.expr_window_as(Func::cust("ROW_NUMBER"), window, "place");
    let columns = grouping.columns().chain(sql::TOTALS).chain(["path"]);
    Query::select()
        .columns(columns.map(|column| ("w", column)))
        .from_subquery(select, "w")
        .and_where(Expr::col(("w", "place")).lte(i64::from(limit)))
        .take()
}

fn order(a: &EndpointStats, b: &EndpointStats, worst: Worst) -> Ordering {
    let by_value = match worst {
        Worst::Highest => b.value.total_cmp(&a.value),
        Worst::Lowest => a.value.total_cmp(&b.value),
    };
    by_value.then_with(|| a.project.cmp(&b.project)).then_with(|| a.endpoint.cmp(&b.endpoint))
}

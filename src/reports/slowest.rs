//! The ranking of endpoints by one statistic, worst first.

mod bounds;
mod places;
mod search;

use std::{cmp::Ordering, collections::HashMap, fmt::Display, sync::Arc};

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait, Query},
};

use self::search::search;
use super::{
    Question, Report, Statistic, StatisticsNeeded, Stats,
    grouping::{DimensionValues, Grouping},
    parent::{MemberGroups, Parent, batches},
    statistic::WorstValue,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{EndpointId, Key, MetricType, ProjectId, Scope},
};

/// The maximum number of endpoints in a ranking.
pub const LIMIT_MAX: u32 = 100;

/// One endpoint of a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct EndpointStats {
    /// The project of the endpoint.
    pub project: Key<ProjectId>,
    /// The id of the endpoint within the organization.
    pub endpoint_id: EndpointId,
    /// The path of the endpoint.
    pub endpoint: String,
    /// The measurements of the endpoint in the window.
    pub stats: Arc<Stats>,
    /// The value that it was ranked by, in the unit of the statistic.
    pub value: f64,
}

impl EndpointStats {
    /// The endpoint as a parent for other reports.
    pub fn as_parent(&self) -> Parent {
        let group = DimensionValues {
            organization: self.project.organization.0,
            project: self.project.id.0,
            endpoint: self.endpoint_id.0,
            ..DimensionValues::default()
        };
        Parent::DimensionValues(Arc::new(MemberGroups::new(Grouping::endpoints().by().to_vec(), vec![group])))
    }
}

/// The worst endpoints of each parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Slowest {
    /// The statistic that endpoints are ranked by.
    pub rank_by: Statistic,
    /// The maximum number of endpoints, 1 to 100.
    pub limit: u32,
    /// The statistics that are fetched; includes percentiles when endpoints are ranked by one.
    pub want: StatisticsNeeded,
}

impl Slowest {
    /// The number of endpoints in a ranking when it is not asked for.
    pub const LIMIT_DEFAULT: i32 = 10;

    /// A ranking as it is asked for.
    ///
    /// # Errors
    /// `limit` is not 1 to 100.
    pub fn new(rank_by: Statistic, limit: i32, want: StatisticsNeeded) -> Result<Self> {
        let checked = u32::try_from(limit).ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        let limit = checked.ok_or_else(|| out_of_range(limit))?;
        Ok(Self { rank_by, limit, want })
    }
}

/// The metric types that a ranking is about: those asked for, or the types that measure a duration. Percentages and custom
/// units cannot be ranked together with milliseconds.
pub fn kinds_or_durations(kinds: Vec<MetricType>) -> Vec<MetricType> {
    if kinds.is_empty() { MetricType::DURATIONS.to_vec() } else { kinds }
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

/// The ranking of the question's endpoints, see [`by_parent`].
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

/// At most `limit` endpoints of each parent, worst first, then by project and path. One statement for up to 500
/// parents of a kind, one more where distributions are wanted of a ranking by a scalar, and seldom another one: where many
/// endpoints have the same value, or could have a higher percentile than those that were read first.
///
/// The worst value is the highest one. If the question names [`CacheHit`](crate::model::MetricType::CacheHit) alone, it is
/// the lowest one, but counts, sums and error rates are always ranked from high to low. Percentiles are in the answer when
/// they are wanted or ranked by.
///
/// # Errors
/// `limit` is out of range, a condition of the question is invalid, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    slowest: Slowest,
) -> Result<HashMap<Parent, Vec<EndpointStats>>> {
    check_limit(slowest.limit)?;
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let found = search(scope, session, question, &batch, slowest).await?;
        answers.extend(batch.parents().iter().cloned().zip(found));
    }
    Ok(answers)
}

/// Checks the limit of a ranking.
///
/// # Errors
/// `limit` is not 1 to 100.
pub fn check_limit(limit: u32) -> Result<()> {
    if (1..=LIMIT_MAX).contains(&limit) {
        return Ok(());
    }
    Err(out_of_range(limit))
}

fn out_of_range(limit: impl Display) -> Error {
    Error::input("first", format!("must be between 1 and {LIMIT_MAX}, got {limit}"))
}

/// Ranks endpoints by the rules of [`by_parent`]. Ranking by a percentile needs their distributions.
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

/// Sets the ids of endpoints that are known by project and path only, as in the measurements that a stream pushes.
///
/// # Errors
/// The database fails.
pub async fn identify(scope: &Scope, session: &Session, rows: &mut [EndpointStats]) -> Result<()> {
    let named: Vec<_> = rows.iter().map(|row| (row.project, row.endpoint.clone())).collect();
    let ids = endpoint_ids(scope, session, &named).await?;
    for (row, named) in rows.iter_mut().zip(&named) {
        row.endpoint_id = ids.get(named).copied().unwrap_or(EndpointId::ALL);
    }
    Ok(())
}

/// Looks up the ids of endpoints by project and path in one statement. Endpoints that do not exist or lie outside of the
/// scope are left out.
///
/// # Errors
/// The database fails.
async fn endpoint_ids(
    scope: &Scope,
    session: &Session,
    endpoints: &[(Key<ProjectId>, String)],
) -> Result<HashMap<(Key<ProjectId>, String), EndpointId>> {
    let seen: Vec<_> = endpoints.iter().filter(|(project, _)| scope.sees(project.organization)).collect();
    if seen.is_empty() {
        return Ok(HashMap::new());
    }
    let mut select = Query::select();
    // Column by column: SQLite does not look up tuples in the index.
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

fn order(a: &EndpointStats, b: &EndpointStats, worst: WorstValue) -> Ordering {
    worst.order(a.value, b.value).then_with(|| a.project.cmp(&b.project)).then_with(|| a.endpoint.cmp(&b.endpoint))
}

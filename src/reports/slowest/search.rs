//! The search for the worst endpoints of a batch of parents.
//!
//! Distributions are what costs: a sketch for each endpoint and hour. By a scalar statistic, the database ranks, and only the
//! endpoints of the answer get their distributions. By a percentile, all endpoints get them, and are ranked here.

use std::{collections::HashMap, sync::Arc};

use sea_orm::sea_query::Expr;

use super::{EndpointStats, Slowest, rank, ranked};
use crate::{
    db::Session,
    error::Result,
    model::{EndpointId, Scope},
    reports::{
        Parent, Question, StatisticsNeeded,
        endpoint_path::{self, PathGroup},
        gather,
        grouping::{DimensionValues, Grouping},
        parent::{MemberGroups, ParentBatch},
        scoped::ScopedQuery,
        sql, totals,
    },
};

/// The worst endpoints of each parent of a batch, ranked. One statement, and one more for the distributions of endpoints that
/// were ranked by a scalar.
///
/// # Errors
/// A condition of the question is invalid, or the database fails.
pub(super) async fn search(
    scope: &Scope,
    session: &Session,
    question: &Question,
    batch: &ParentBatch,
    slowest: Slowest,
) -> Result<Vec<Vec<EndpointStats>>> {
    Search { scope, session, question, batch, slowest }.run().await
}

/// A ranking of a batch of parents.
struct Search<'a> {
    scope: &'a Scope,
    session: &'a Session,
    question: &'a Question,
    batch: &'a ParentBatch,
    slowest: Slowest,
}

/// An endpoint of a parent, as the statement returned it.
struct Candidate {
    group: DimensionValues,
    endpoint: EndpointStats,
}

impl Search<'_> {
    async fn run(&self) -> Result<Vec<Vec<EndpointStats>>> {
        let Slowest { rank_by, limit, want } = self.slowest;
        let grouping = self.batch.grouping(Grouping::endpoints().by(), None);
        let scoped = self.batch.scoped(self.scope, &grouping, StatisticsNeeded::Scalars, self.session)?;
        if rank_by.percentile().is_some() || want == StatisticsNeeded::Percentiles {
            // Refuses what cannot be answered, also where there is no endpoint.
            self.batch.scoped(self.scope, &grouping, StatisticsNeeded::Percentiles, self.session)?;
        }
        if scoped.is_empty() {
            return Ok(vec![Vec::new(); self.batch.parents().len()]);
        }
        let Some(value) = rank_by.in_sql("g") else { return self.all(&scoped, &grouping).await };
        let found = self.top(&scoped, &grouping, value, limit).await?;
        let found = match want {
            StatisticsNeeded::Scalars => found.into_iter().map(endpoints).collect(),
            StatisticsNeeded::Percentiles => self.with_distributions(&grouping, found).await?,
        };
        Ok(self.ranked(found, &scoped))
    }

    /// The endpoints of each parent with the worst values of an expression over the columns of totals. One statement.
    async fn top(
        &self,
        scoped: &ScopedQuery<'_>,
        grouping: &Grouping,
        value: Expr,
        limit: u32,
    ) -> Result<Vec<Vec<Candidate>>> {
        let worst = self.slowest.rank_by.worst(scoped.kinds());
        let statement = ranked(scoped, grouping, (value, worst), limit, self.batch.by());
        let want = StatisticsNeeded::Scalars;
        let groups = gather::by_path(self.session, &statement, scoped, grouping, want, None).await?;
        Ok(self.by_parent(groups))
    }

    /// The ranking from the distributions of all endpoints. One statement.
    async fn all(&self, scoped: &ScopedQuery<'_>, grouping: &Grouping) -> Result<Vec<Vec<EndpointStats>>> {
        let want = StatisticsNeeded::Percentiles;
        let detailed = self.batch.scoped(self.scope, grouping, want, self.session)?;
        let statement = endpoint_path::with_path(sql::cells(&detailed, grouping), grouping, &sql::CELLS);
        let groups = gather::by_path(self.session, &statement, &detailed, grouping, want, None).await?;
        Ok(self.ranked(self.by_parent(groups).into_iter().map(endpoints).collect(), scoped))
    }

    fn by_parent(&self, groups: Vec<PathGroup>) -> Vec<Vec<Candidate>> {
        let mut found: Vec<_> = self.batch.parents().iter().map(|_| Vec::new()).collect();
        for PathGroup { group, path, stats } in groups {
            let endpoint = EndpointStats {
                project: group.project_key(),
                endpoint_id: EndpointId(group.endpoint),
                endpoint: path,
                value: 0.0,
                stats: Arc::new(stats),
            };
            for index in self.batch.of(&group) {
                if let Some(candidates) = found.get_mut(*index) {
                    candidates.push(Candidate { group: group.clone(), endpoint: endpoint.clone() });
                }
            }
        }
        found
    }

    /// The candidates with their distributions. One statement for up to 500. An endpoint that lost its last measurement since
    /// is left out.
    async fn with_distributions(
        &self,
        grouping: &Grouping,
        candidates: Vec<Vec<Candidate>>,
    ) -> Result<Vec<Vec<EndpointStats>>> {
        let parent = |candidate: &Candidate| {
            Parent::DimensionValues(Arc::new(MemberGroups::new(grouping.by().to_vec(), vec![candidate.group.clone()])))
        };
        let mut parents: Vec<_> = candidates.iter().flatten().map(parent).collect();
        parents.dedup();
        let want = StatisticsNeeded::Percentiles;
        let found = totals::by_parent(self.scope, self.session, self.question, &parents, want).await?;
        let found: HashMap<_, _> = found.into_iter().map(|(parent, stats)| (parent, Arc::new(stats))).collect();
        let detailed = |candidate: Candidate| {
            let stats = found.get(&parent(&candidate)).filter(|stats| stats.tally.count > 0)?;
            Some(EndpointStats { stats: Arc::clone(stats), ..candidate.endpoint })
        };
        Ok(candidates.into_iter().map(|found| found.into_iter().filter_map(detailed).collect()).collect())
    }

    fn ranked(&self, found: Vec<Vec<EndpointStats>>, scoped: &ScopedQuery<'_>) -> Vec<Vec<EndpointStats>> {
        let Slowest { rank_by, limit, .. } = self.slowest;
        found.into_iter().map(|endpoints| rank(endpoints, rank_by, scoped.kinds(), limit)).collect()
    }
}

fn endpoints(candidates: Vec<Candidate>) -> Vec<EndpointStats> {
    candidates.into_iter().map(|candidate| candidate.endpoint).collect()
}

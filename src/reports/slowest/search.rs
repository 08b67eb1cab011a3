//! The search for the worst endpoints of a batch of parents.
//!
//! Distributions are what costs: a sketch for each endpoint and hour. By a scalar statistic, the database ranks, and only the
//! endpoints of the answer get their distributions. By a percentile, it ranks by what each endpoint could reach ([`Bound`]), and
//! only the first of these get their distributions. If one behind them could still be worse than the last place of the answer,
//! all that could are read.

use std::{cmp::Ordering, collections::HashMap, sync::Arc};

use sea_orm::sea_query::SelectStatement;

use super::{
    EndpointStats, Slowest,
    bounds::Bound,
    order,
    places::{self, RankOrder, SPARE, TOTALS_OF},
    rank,
};
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
        sql,
        statistic::WorstValue,
        totals,
    },
};

/// Endpoints per place of the answer that get their distributions first, and how many in any case.
const FIRST_PER_PLACE: u32 = 4;
const FIRST: u32 = 60;

/// The worst endpoints of each parent of a batch, ranked. One statement, and one more for the distributions of endpoints that
/// were ranked by a scalar, or where the first ones do not decide.
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

/// The endpoints of each parent.
type Candidates = Vec<Vec<Candidate>>;

impl Search<'_> {
    async fn run(&self) -> Result<Vec<Vec<EndpointStats>>> {
        let Slowest { rank_by, want, .. } = self.slowest;
        let grouping = self.batch.grouping(Grouping::endpoints().by(), None);
        let scoped = self.batch.scoped(self.scope, &grouping, StatisticsNeeded::Scalars, self.session)?;
        let worst = rank_by.worst(scoped.kinds());
        let Some(value) = rank_by.in_sql(TOTALS_OF) else {
            let detailed = self.batch.scoped(self.scope, &grouping, StatisticsNeeded::Percentiles, self.session)?;
            return match Bound::of(rank_by, worst) {
                _ if scoped.is_empty() => Ok(self.nothing()),
                Some(bound) if detailed.exact().is_none() => {
                    let order = RankOrder { value: bound.in_sql(TOTALS_OF), worst };
                    self.by_bound(&scoped, &detailed, &grouping, bound, &order).await
                }
                _ => self.of_all(&detailed, &grouping).await,
            };
        };
        if want == StatisticsNeeded::Percentiles {
            // Refuses what cannot be answered, also where there is no endpoint.
            self.batch.scoped(self.scope, &grouping, want, self.session)?;
        }
        if scoped.is_empty() {
            return Ok(self.nothing());
        }
        let found = self.by_scalar(&scoped, &grouping, &RankOrder { value, worst }).await?;
        match want {
            StatisticsNeeded::Scalars => Ok(self.ranked(found, &scoped)),
            StatisticsNeeded::Percentiles => {
                let shown = found.into_iter().map(|found| self.shown(found, worst)).collect();
                let found = self.with_distributions(&grouping, shown).await?;
                Ok(self.ranked(found, &scoped))
            }
        }
    }

    fn nothing(&self) -> Vec<Vec<EndpointStats>> {
        vec![Vec::new(); self.batch.parents().len()]
    }

    /// The endpoints of each parent with the worst values. One statement, and another one if more of them are equal than were
    /// read.
    async fn by_scalar(&self, scoped: &ScopedQuery<'_>, grouping: &Grouping, order: &RankOrder) -> Result<Candidates> {
        let limit = self.slowest.limit;
        if self.batch.by().is_empty() {
            let most = limit.saturating_add(SPARE);
            let first = places::first(scoped, grouping, order, most);
            let found = self.candidates(&first, scoped, grouping, StatisticsNeeded::Scalars).await?;
            if !found.iter().any(|found| self.ends_in_a_tie(found, order, most)) {
                return Ok(found);
            }
        }
        let first = places::with_ties(scoped, grouping, order, limit, self.batch.by());
        self.candidates(&first, scoped, grouping, StatisticsNeeded::Scalars).await
    }

    /// The endpoints that are shown of those that a scalar ranks.
    fn shown(&self, mut found: Vec<Candidate>, worst: WorstValue) -> Vec<Candidate> {
        for Candidate { endpoint, .. } in &mut found {
            endpoint.value = self.slowest.rank_by.of(&endpoint.stats).unwrap_or_default();
        }
        found.sort_by(|a, b| order(&a.endpoint, &b.endpoint, worst));
        found.truncate(count(self.slowest.limit));
        found
    }

    /// True if endpoints that were not read may be equal to the last one of the answer.
    fn ends_in_a_tie(&self, found: &[Candidate], order: &RankOrder, most: u32) -> bool {
        let value = |candidate: &Candidate| self.slowest.rank_by.of(&candidate.endpoint.stats);
        let mut values: Vec<f64> = found.iter().filter_map(value).collect();
        values.sort_by(|a, b| order.worst.order(*a, *b));
        let last_place = values.get(count(self.slowest.limit) - 1);
        let is_full = values.len() >= count(most);
        is_full && last_place.zip(values.last()).is_some_and(|(a, b)| order.worst.order(*a, *b) == Ordering::Equal)
    }

    /// The ranking by a percentile: the distributions of those endpoints that could be the worst.
    async fn by_bound(
        &self,
        scoped: &ScopedQuery<'_>,
        detailed: &ScopedQuery<'_>,
        grouping: &Grouping,
        bound: Bound,
        order: &RankOrder,
    ) -> Result<Vec<Vec<EndpointStats>>> {
        let most = self.slowest.limit.saturating_mul(FIRST_PER_PLACE).saturating_add(FIRST);
        let first = places::first_keys(scoped, grouping, order, most, self.batch.by());
        let found = self.chosen(first, detailed, grouping).await?;
        let rest: Vec<Option<f64>> = found.iter().map(|found| bound_of_rest(found, bound, order.worst, most)).collect();
        let ranked = self.ranked(found, scoped);
        let Some(beyond) = self.undecided(&ranked, &rest, order) else { return Ok(ranked) };
        let all = places::keys_from(scoped, grouping, order, beyond);
        Ok(self.ranked(self.chosen(all, detailed, grouping).await?, scoped))
    }

    /// The best last place of a ranking that endpoints could reach whose distributions were not read. `rest` is what these could
    /// have at most, by parent. `None` if all rankings are final.
    fn undecided(&self, ranked: &[Vec<EndpointStats>], rest: &[Option<f64>], order: &RankOrder) -> Option<f64> {
        let last_places = ranked.iter().zip(rest).filter_map(|(ranked, rest)| {
            let (last, rest) = (ranked.get(count(self.slowest.limit) - 1)?.value, (*rest)?);
            // One that is equal may come first by its path.
            (order.worst.order(last, rest) != Ordering::Less).then_some(last)
        });
        last_places.max_by(|a, b| order.worst.order(*a, *b))
    }

    async fn chosen(
        &self,
        endpoints: SelectStatement,
        detailed: &ScopedQuery<'_>,
        grouping: &Grouping,
    ) -> Result<Candidates> {
        let cells = sql::cells_of_chosen(detailed, grouping, endpoints);
        let statement = endpoint_path::with_path(cells, grouping, &sql::CELLS);
        self.candidates(&statement, detailed, grouping, StatisticsNeeded::Percentiles).await
    }

    /// The ranking from the distributions of all endpoints. One statement.
    async fn of_all(&self, detailed: &ScopedQuery<'_>, grouping: &Grouping) -> Result<Vec<Vec<EndpointStats>>> {
        let statement = endpoint_path::with_path(sql::cells(detailed, grouping), grouping, &sql::CELLS);
        let found = self.candidates(&statement, detailed, grouping, StatisticsNeeded::Percentiles).await?;
        Ok(self.ranked(found, detailed))
    }

    async fn candidates(
        &self,
        statement: &SelectStatement,
        scoped: &ScopedQuery<'_>,
        grouping: &Grouping,
        want: StatisticsNeeded,
    ) -> Result<Candidates> {
        let groups = gather::by_path(self.session, statement, scoped, grouping, want, None).await?;
        Ok(self.by_parent(groups))
    }

    fn by_parent(&self, groups: Vec<PathGroup>) -> Candidates {
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
    async fn with_distributions(&self, grouping: &Grouping, candidates: Candidates) -> Result<Candidates> {
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
            Some(Candidate { endpoint: EndpointStats { stats: Arc::clone(stats), ..candidate.endpoint }, ..candidate })
        };
        Ok(candidates.into_iter().map(|found| found.into_iter().filter_map(detailed).collect()).collect())
    }

    fn ranked(&self, found: Candidates, scoped: &ScopedQuery<'_>) -> Vec<Vec<EndpointStats>> {
        let Slowest { rank_by, limit, .. } = self.slowest;
        let endpoints = |found: Vec<Candidate>| found.into_iter().map(|candidate| candidate.endpoint).collect();
        found.into_iter().map(|found| rank(endpoints(found), rank_by, scoped.kinds(), limit)).collect()
    }
}

/// The best bound of endpoints that were not read: that of the last one of the first `most`. `None` if all were read.
fn bound_of_rest(found: &[Candidate], bound: Bound, worst: WorstValue, most: u32) -> Option<f64> {
    let mut bounds: Vec<f64> =
        found.iter().filter_map(|candidate| bound.of_tally(&candidate.endpoint.stats.tally)).collect();
    bounds.sort_by(|a, b| worst.order(*a, *b));
    bounds.get(count(most) - 1).copied()
}

/// A number of places; at least one.
fn count(places: u32) -> usize {
    usize::try_from(places).unwrap_or(usize::MAX).max(1)
}

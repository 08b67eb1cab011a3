//! The report on groups of measurements: by project, type, name, endpoint, status code and release in any combination. One
//! statement.
//!
//! Endpoints with the same path are one group unless measurements are grouped by project as well. Groups are filtered and
//! sorted here, where percentiles are known.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};

use super::{
    Question, Report, Statistic, StatisticsNeeded, Stats,
    endpoint_path::{self, PathGroup},
    gather,
    grouping::{Dimension, DimensionValues},
    parent::{MemberGroups, Parent, batches},
    sql,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{Key, MetricType, ProjectId, Scope, filter::NumberFilter, order::Sort},
};

/// A dimension that measurements can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// The project.
    Project,
    /// The type.
    Type,
    /// The name, from breakdowns, or from single measurements if grouped by endpoint as well.
    Name,
    /// The endpoint: by project and path when grouped by project as well, else by path.
    Endpoint,
    /// The HTTP status, likewise.
    StatusCode,
    /// The release version, likewise.
    Release,
}

/// A dimension value of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKey {
    /// The project.
    Project(Key<ProjectId>),
    /// The type.
    Type(MetricType),
    /// The name; empty where there is none.
    Name(Arc<str>),
    /// The path of the endpoint.
    Endpoint(Arc<str>),
    /// The HTTP status; 0 where there is none.
    StatusCode(i16),
    /// The release; empty where there is none.
    Release(Arc<str>),
}

/// A condition on a statistic of a group. A statistic without a value meets no condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Having {
    /// The statistic.
    pub statistic: Statistic,
    /// The condition on its value, in the unit of the statistic.
    pub value: NumberFilter,
}

/// The first groups of each parent, in an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Groups {
    /// The dimensions; without any, all measurements are one group.
    pub by: Vec<GroupBy>,
    /// Conditions that a group must meet.
    pub having: Vec<Having>,
    /// The statistic that groups are sorted by. Ties are broken by the dimension values.
    pub order: Statistic,
    /// The direction of the order.
    pub sort: Sort,
    /// The maximum number of groups in the answer.
    pub first: usize,
    /// The maximum number of groups that are fetched. More are an error even if `first` is smaller, because sorting needs all
    /// of them.
    pub groups_max: usize,
    /// The statistics that are fetched; includes percentiles when groups are sorted or filtered by one.
    pub want: StatisticsNeeded,
}

/// A group and its statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricGroup {
    /// The dimension values, in the order of [`Groups::by`].
    pub keys: Vec<GroupKey>,
    /// The measurements of the group.
    pub stats: Arc<Stats>,
    /// The group as a parent for other reports.
    pub parent: Parent,
}

impl Report for Groups {
    type Answer = Arc<[MetricGroup]>;

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

/// The groups of each parent in order. One statement for up to 500 parents of a kind.
///
/// # Errors
/// There are too many groups, a condition of the question is invalid, no table is retained that could answer such
/// groups, or the database fails.
pub async fn by_parent(
    scope: &Scope,
    session: &Session,
    question: &Question,
    parents: &[Parent],
    groups: &Groups,
) -> Result<HashMap<Parent, Arc<[MetricGroup]>>> {
    let dimensions: Vec<_> = groups.by.iter().flat_map(|by| by.dimensions()).copied().collect();
    let want = groups.want();
    let mut answers = HashMap::with_capacity(parents.len());
    for batch in batches(question, parents) {
        let grouping = batch.grouping(&dimensions, None);
        let scoped = batch.scoped(scope, &grouping, want, session)?;
        let mut found = vec![BTreeMap::new(); batch.parents().len()];
        if !scoped.is_empty() {
            let statement = match want {
                // No limit: with one, PostgreSQL reads the rows in the order of the groups instead of by type and time.
                StatisticsNeeded::Scalars => {
                    endpoint_path::with_path(sql::totals(&scoped, &grouping), &grouping, &sql::TOTALS)
                }
                StatisticsNeeded::Percentiles => {
                    endpoint_path::with_path(sql::cells(&scoped, &grouping), &grouping, &sql::CELLS)
                }
            };
            let most = Some(groups.groups_max);
            let rows = gather::by_path(session, &statement, &scoped, &grouping, want, most).await?;
            for row in rows.into_iter().filter(|row| row.stats.tally.count > 0) {
                let Some(keys) = groups.by.iter().map(|by| by.key(&row)).collect::<Option<Vec<_>>>() else { continue };
                let PathGroup { group, stats, .. } = row;
                let Some((last, others)) = batch.of(&group).split_last() else { continue };
                for index in others {
                    add(&mut found, *index, keys.clone(), group.clone(), stats.clone());
                }
                add(&mut found, *last, keys, group.clone(), stats);
            }
        }
        for (parent, found) in batch.parents().iter().zip(found) {
            answers.insert(parent.clone(), groups.chosen(found, grouping.by()).into());
        }
    }
    Ok(answers)
}

/// The rows and the statistics of each group, by its dimension values.
type Gathered = BTreeMap<Vec<GroupKey>, (Vec<DimensionValues>, Stats)>;

fn add(found: &mut [Gathered], parent: usize, keys: Vec<GroupKey>, group: DimensionValues, more: Stats) {
    match found.get_mut(parent).map(|groups_of_one| groups_of_one.entry(keys)) {
        Some(Entry::Occupied(mut known)) => {
            let (rows, stats) = known.get_mut();
            rows.push(group);
            stats.merge(&more);
        }
        Some(Entry::Vacant(free)) => drop(free.insert((vec![group], more))),
        None => {}
    }
}

impl Groups {
    /// The number of groups in an answer when it is not asked for.
    pub const FIRST_DEFAULT: i32 = 50;
    /// The number of series in an answer when it is not asked for.
    pub const SERIES_DEFAULT: i32 = 20;

    /// The groups with the most measurements. Repeated dimensions count once.
    ///
    /// # Errors
    /// `first` is not 1 to `first_max`.
    pub fn largest(
        by: impl IntoIterator<Item = GroupBy>,
        first: i32,
        first_max: u32,
        groups_max: usize,
        want: StatisticsNeeded,
    ) -> Result<Self> {
        let size = u32::try_from(first).ok().filter(|first| (1..=first_max).contains(first));
        let size =
            size.ok_or_else(|| Error::input("first", format!("must be between 1 and {first_max}, got {first}")))?;
        let mut distinct = Vec::new();
        for by in by {
            if !distinct.contains(&by) {
                distinct.push(by);
            }
        }
        Ok(Self {
            by: distinct,
            having: Vec::new(),
            order: Statistic::Count,
            sort: Sort::Descending,
            first: usize::try_from(size).unwrap_or(usize::MAX),
            groups_max,
            want,
        })
    }

    /// The statistics that are needed to filter, sort and show the groups.
    fn want(&self) -> StatisticsNeeded {
        let mut compared = self.having.iter().map(|having| having.statistic).chain([self.order]);
        if compared.any(|statistic| statistic.percentile().is_some()) {
            StatisticsNeeded::Percentiles
        } else {
            self.want
        }
    }

    fn chosen(&self, found: Gathered, by: &[Dimension]) -> Vec<MetricGroup> {
        let meets = |stats: &Stats| {
            self.having
                .iter()
                .all(|having| having.statistic.of(stats).is_some_and(|figure| having.value.accepts(figure)))
        };
        let mut chosen: Vec<_> = found.into_iter().filter(|(_, (_, stats))| meets(stats)).collect();
        // The keys are in order, and a stable sort keeps that order among ties.
        chosen.sort_by(|(_, (_, a)), (_, (_, b))| self.compare(a, b));
        chosen.truncate(self.first);
        let group = |(keys, (rows, stats))| MetricGroup {
            keys,
            stats: Arc::new(stats),
            parent: Parent::DimensionValues(Arc::new(MemberGroups::new(by.to_vec(), rows))),
        };
        chosen.into_iter().map(group).collect()
    }

    fn compare(&self, a: &Stats, b: &Stats) -> Ordering {
        let (Some(a), Some(b)) = (self.order.of(a), self.order.of(b)) else { return Ordering::Equal };
        match self.sort {
            Sort::Ascending => a.total_cmp(&b),
            Sort::Descending => b.total_cmp(&a),
        }
    }
}

impl GroupBy {
    const fn dimensions(self) -> &'static [Dimension] {
        match self {
            Self::Project => &[Dimension::Organization, Dimension::Project],
            Self::Type => &[Dimension::Kind],
            Self::Name => &[Dimension::Name],
            Self::Endpoint => &[Dimension::Organization, Dimension::Project, Dimension::Endpoint],
            Self::StatusCode => &[Dimension::Status],
            Self::Release => &[Dimension::Release],
        }
    }

    /// The value of this dimension; `None` for a metric type that a later version of the server wrote.
    fn key(self, row: &PathGroup) -> Option<GroupKey> {
        Some(match self {
            Self::Project => GroupKey::Project(row.group.project_key()),
            Self::Type => GroupKey::Type(row.group.metric_type()?),
            Self::Name => GroupKey::Name(Arc::clone(&row.group.name)),
            Self::Endpoint => GroupKey::Endpoint(row.path.as_str().into()),
            Self::StatusCode => GroupKey::StatusCode(row.group.status),
            Self::Release => GroupKey::Release(Arc::clone(&row.group.release)),
        })
    }
}

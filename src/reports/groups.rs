//! Figures per group: of projects, types, names, endpoints, status codes and releases in any combination. One statement.
//!
//! What every rollup knows is added up in the database. Endpoints of one path are one group unless projects are told
//! apart, and groups are chosen and ordered here, where percentiles are known.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use super::{
    Question, Report, Statistic, Stats, Want,
    grouping::{Dimension, Group},
    parent::{Members, Parent, batches},
    path::{self, Named},
    sql,
};
use crate::{
    db::Session,
    error::{Error, Result},
    model::{Key, MetricType, ProjectId, Scope, filter::NumberFilter, order::Sort},
};

/// What measurements can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroupBy {
    /// The project.
    Project,
    /// The type.
    Type,
    /// The name. Only single measurements know it.
    Name,
    /// The endpoint: by project and path where projects are told apart, else by path.
    Endpoint,
    /// The HTTP status. Only single measurements know it.
    StatusCode,
    /// The release. Only single measurements know it.
    Release,
}

/// What a group has in common.
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

/// A condition on a figure of a group; a figure that is not known meets none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Having {
    /// Which figure.
    pub statistic: Statistic,
    /// What it is compared with, in its unit.
    pub value: NumberFilter,
}

/// The first groups of each parent.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Groups {
    /// What groups are told apart by; by nothing, all is one group.
    pub by: Vec<GroupBy>,
    /// Only groups that meet all of these.
    pub having: Vec<Having>,
    /// By which figure they are ordered, then by what they have in common.
    pub order: Statistic,
    /// Which way.
    pub sort: Sort,
    /// How many.
    pub first: usize,
    /// More groups than that are refused, also where fewer are asked for: all of them have to be looked at.
    pub groups_max: usize,
    /// Which figures; percentiles come along when they are ordered by or compared.
    pub want: Want,
}

/// A group and its figures.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricGroup {
    /// What it has in common, in the order asked for.
    pub keys: Vec<GroupKey>,
    /// What was measured.
    pub stats: Arc<Stats>,
    /// The group as whom other reports can be asked about.
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
/// When there are too many groups, a condition of the question cannot be judged, nothing is kept any more from which such
/// groups could be answered, or the database fails.
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
        let narrowed = batch.narrowed(scope, &grouping, want, session)?;
        let mut found = vec![BTreeMap::new(); batch.parents().len()];
        if !narrowed.is_empty() {
            let statement = match want {
                // No limit: with one, PostgreSQL takes the rows in the order of the groups instead of by type and time.
                Want::Scalars => path::with_path(sql::totals(&narrowed, &grouping), &grouping, &sql::TOTALS),
                Want::Percentiles => path::with_path(sql::cells(&narrowed, &grouping), &grouping, &sql::CELLS),
            };
            let rows = path::fetch(session, &narrowed, &grouping, &statement, want).await?;
            if rows.len() > groups.groups_max {
                let message = format!(
                    "makes more than {} groups; group by less, or ask about fewer measurements",
                    groups.groups_max
                );
                return Err(Error::input("groupBy", message));
            }
            for row in rows.into_iter().filter(|row| row.stats.tally.count > 0) {
                for place in batch.of(&row.group) {
                    if let Some(groups_of_one) = found.get_mut(*place) {
                        gather(groups_of_one, &row, &groups.by);
                    }
                }
            }
        }
        for (parent, found) in batch.parents().iter().zip(found) {
            answers.insert(parent.clone(), groups.chosen(found, grouping.by()).into());
        }
    }
    Ok(answers)
}

/// The rows that make a group, by what they have in common.
type Gathered = BTreeMap<Vec<GroupKey>, (Vec<Group>, Stats)>;

fn gather(found: &mut Gathered, row: &Named, by: &[GroupBy]) {
    let Some(keys) = by.iter().map(|by| by.key(row)).collect::<Option<Vec<_>>>() else { return };
    found
        .entry(keys)
        .and_modify(|(rows, stats)| {
            rows.push(row.group.clone());
            stats.merge(&row.stats);
        })
        .or_insert_with(|| (vec![row.group.clone()], row.stats.clone()));
}

impl Groups {
    /// What has to be fetched to choose and to show.
    fn want(&self) -> Want {
        let mut compared = self.having.iter().map(|having| having.statistic).chain([self.order]);
        if compared.any(|statistic| statistic.percentile().is_some()) { Want::Percentiles } else { self.want }
    }

    fn chosen(&self, found: Gathered, by: &[Dimension]) -> Vec<MetricGroup> {
        let meets = |stats: &Stats| {
            self.having
                .iter()
                .all(|having| having.statistic.of(stats).is_some_and(|figure| having.value.accepts(figure)))
        };
        let mut chosen: Vec<_> = found.into_iter().filter(|(_, (_, stats))| meets(stats)).collect();
        // The keys are in order, and the sort keeps that among equals.
        chosen.sort_by(|(_, (_, a)), (_, (_, b))| self.compare(a, b));
        chosen.truncate(self.first);
        let group = |(keys, (rows, stats))| MetricGroup {
            keys,
            stats: Arc::new(stats),
            parent: Parent::Group(Arc::new(Members::new(by.to_vec(), rows))),
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

    /// `None` for a type that a later version wrote.
    fn key(self, row: &Named) -> Option<GroupKey> {
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

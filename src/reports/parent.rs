//! The parents of a report, and how one statement answers the same question for up to 500 parents of a kind.

use std::{collections::HashMap, sync::Arc};

use super::{
    Projects, Question, StatisticsNeeded, StatusFilter,
    conditions::ALTERNATIVES_MAX,
    grid::Buckets,
    grouping::{Dimension, DimensionValues, Grouping},
    scoped::ScopedQuery,
};
use crate::{
    db::Session,
    error::Result,
    model::{EndpointId, Key, MetricType, OrganizationId, ProjectId, Scope},
};

/// The owner of the measurements of an answer. A parent narrows the projects of the question to its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parent {
    /// The projects that the question names.
    Question,
    /// The projects of an organization.
    Organization(OrganizationId),
    /// One project.
    Project(Key<ProjectId>),
    /// A group from the answer of another report.
    DimensionValues(Arc<MemberGroups>),
}

/// The statement rows that make up a group of an answer: several if several projects have an endpoint with the same path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemberGroups {
    by: Vec<Dimension>,
    groups: Vec<DimensionValues>,
}

impl MemberGroups {
    /// Members of a group, with the dimensions that identify them.
    pub(super) const fn new(by: Vec<Dimension>, groups: Vec<DimensionValues>) -> Self {
        Self { by, groups }
    }
}

impl Parent {
    /// The parent reduced to the dimensions organization, project and type.
    pub(super) fn by_project_and_type(&self) -> Self {
        let Self::DimensionValues(members) = self else { return self.clone() };
        let known = |one: &&Dimension| matches!(one, Dimension::Organization | Dimension::Project | Dimension::Kind);
        let by: Vec<_> = members.by.iter().filter(known).copied().collect();
        if by.is_empty() {
            return Self::Question;
        }
        let mut groups: Vec<_> = members.groups.iter().map(|group| group.only(&by)).collect();
        groups.sort_unstable();
        groups.dedup();
        Self::DimensionValues(Arc::new(MemberGroups { by, groups }))
    }

    /// The measurements of a question with this project and this type, as far as they are given.
    pub fn of_series(project: Option<Key<ProjectId>>, kind: Option<MetricType>) -> Self {
        let mut by = Vec::new();
        let mut group = DimensionValues::default();
        if let Some(project) = project {
            by.extend([Dimension::Organization, Dimension::Project]);
            (group.organization, group.project) = (project.organization.0, project.id.0);
        }
        if let Some(kind) = kind {
            by.push(Dimension::Kind);
            group.kind = kind.code();
        }
        if by.is_empty() {
            Self::Question
        } else {
            Self::DimensionValues(Arc::new(MemberGroups { by, groups: vec![group] }))
        }
    }

    /// The types of the measurements of this parent that a question may select.
    pub fn kinds(&self, question: &Question) -> Vec<MetricType> {
        match self {
            Self::DimensionValues(members) if members.by.contains(&Dimension::Kind) => {
                let groups: Vec<_> = members.groups.iter().collect();
                distinct(&groups, DimensionValues::metric_type).into_iter().flatten().collect()
            }
            _ => question.kinds(),
        }
    }

    fn members(&self) -> (Vec<Dimension>, Vec<DimensionValues>) {
        match self {
            Self::Question => (Vec::new(), vec![DimensionValues::default()]),
            Self::Organization(id) => (
                vec![Dimension::Organization],
                vec![DimensionValues { organization: id.0, ..DimensionValues::default() }],
            ),
            Self::Project(key) => {
                let group = DimensionValues {
                    organization: key.organization.0,
                    project: key.id.0,
                    ..DimensionValues::default()
                };
                (vec![Dimension::Organization, Dimension::Project], vec![group])
            }
            Self::DimensionValues(members) => (members.by.clone(), members.groups.clone()),
        }
    }
}

/// Parents of one kind that one statement answers.
pub(super) struct ParentBatch {
    question: Question,
    by: Vec<Dimension>,
    endpoints: Option<Vec<EndpointId>>,
    parents: Vec<Parent>,
    indexes: HashMap<DimensionValues, Vec<usize>>,
}

/// A parent with its members.
type Grouped = (Parent, Vec<DimensionValues>);

/// Sorts parents into batches: one statement each.
pub(super) fn batches(question: &Question, parents: &[Parent]) -> Vec<ParentBatch> {
    let mut kinds: Vec<(Vec<Dimension>, Vec<Grouped>)> = Vec::new();
    for parent in parents {
        let (by, groups) = parent.members();
        let index = kinds.iter().position(|(known, _)| *known == by).unwrap_or_else(|| {
            kinds.push((by, Vec::new()));
            kinds.len() - 1
        });
        kinds[index].1.push((parent.clone(), groups));
    }
    let mut batches = Vec::with_capacity(kinds.len());
    for (by, parents) in kinds {
        let mut rest = parents.as_slice();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(fitting(rest));
            batches.push(ParentBatch::new(question, by.clone(), chunk));
            rest = behind;
        }
    }
    batches
}

/// The number of these parents that one statement takes: at least one, whatever the number of its members.
fn fitting(parents: &[Grouped]) -> usize {
    let sums = parents.iter().scan(0, |sum, (_, groups)| {
        *sum += groups.len();
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= ALTERNATIVES_MAX).count().max(1)
}

impl ParentBatch {
    fn new(question: &Question, by: Vec<Dimension>, parents: &[Grouped]) -> Self {
        let mut indexes: HashMap<DimensionValues, Vec<usize>> = HashMap::new();
        for (index, (_, groups)) in parents.iter().enumerate() {
            for group in groups {
                let found = indexes.entry(group.clone()).or_default();
                // A parent that has the same member twice is listed once.
                if found.last() != Some(&index) {
                    found.push(index);
                }
            }
        }
        let mut groups: Vec<_> = indexes.keys().collect();
        groups.sort_unstable();
        let mut question = question.clone();
        let mut endpoints = None;
        // With more alternatives the statement is not restricted; its rows are sorted out when they are read.
        if groups.len() <= ALTERNATIVES_MAX {
            endpoints = restrict(&mut question, &by, &groups);
        }
        let parents = parents.iter().map(|(parent, _)| parent.clone()).collect();
        Self { question, by, endpoints, parents, indexes }
    }

    /// The dimensions that identify a parent, with further dimensions and buckets.
    pub(super) fn grouping(&self, more: &[Dimension], buckets: Option<Buckets>) -> Grouping {
        Grouping::new(self.by.iter().chain(more).copied(), buckets)
    }

    /// The query for the statistics of these parents.
    ///
    /// # Errors
    /// As [`ScopedQuery::new`].
    pub(super) fn scoped(
        &self,
        scope: &Scope,
        grouping: &Grouping,
        want: StatisticsNeeded,
        session: &Session,
    ) -> Result<ScopedQuery<'_>> {
        let scoped = ScopedQuery::new(scope, &self.question, grouping, want, session)?;
        Ok(match &self.endpoints {
            Some(endpoints) => scoped.among(endpoints),
            None => scoped,
        })
    }

    /// The query for the single measurements of these parents.
    ///
    /// # Errors
    /// As [`ScopedQuery::of_rows`].
    pub(super) fn scoped_to_raw(&self, scope: &Scope, session: &Session) -> Result<ScopedQuery<'_>> {
        ScopedQuery::of_rows(scope, &self.question, session)
    }

    /// The query for the late measurements of these parents.
    ///
    /// # Errors
    /// As [`ScopedQuery::of_days`].
    pub(super) fn scoped_to_late(&self, scope: &Scope, session: &Session) -> Result<ScopedQuery<'_>> {
        ScopedQuery::of_days(scope, &self.question, session)
    }

    /// The dimensions that identify a parent.
    pub(super) fn by(&self) -> &[Dimension] {
        &self.by
    }

    pub(super) fn parents(&self) -> &[Parent] {
        &self.parents
    }

    /// The indexes of the parents that a row belongs to. Endpoint ids are unique within an organization only, so a row may
    /// belong to no parent.
    pub(super) fn of(&self, group: &DimensionValues) -> &[usize] {
        self.indexes.get(&group.only(&self.by)).map_or(&[], Vec::as_slice)
    }
}

/// Restricts a question to the members of parents; returns the ids of their endpoints.
fn restrict(question: &mut Question, by: &[Dimension], groups: &[&DimensionValues]) -> Option<Vec<EndpointId>> {
    let mut endpoints = None;
    for dimension in by {
        match dimension {
            Dimension::Organization if by.contains(&Dimension::Project) => {}
            Dimension::Organization => {
                let ids = distinct(groups, |group| OrganizationId(group.organization));
                question.projects = question.projects.of_organizations(ids);
            }
            Dimension::Project => {
                let mut keys = distinct(groups, DimensionValues::project_key);
                keys.retain(|key| question.projects.contains(*key));
                question.projects = Projects::Keys(keys);
            }
            Dimension::Endpoint => endpoints = Some(distinct(groups, |group| EndpointId(group.endpoint))),
            Dimension::Kind => {
                question.kinds = distinct(groups, DimensionValues::metric_type).into_iter().flatten().collect();
            }
            Dimension::Status => {
                let one_of = Some(distinct(groups, |group| group.status.into()));
                question.status = Some(StatusFilter { one_of, ..StatusFilter::default() });
            }
            Dimension::Name => question.names = Some(distinct(groups, |group| group.name.to_string())),
            Dimension::Release => question.releases = Some(distinct(groups, |group| group.release.to_string())),
        }
    }
    endpoints
}

fn distinct<T: Ord>(groups: &[&DimensionValues], part: impl Fn(&DimensionValues) -> T) -> Vec<T> {
    let mut parts: Vec<_> = groups.iter().map(|group| part(group)).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

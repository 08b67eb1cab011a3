//! Whose measurements an answer is about. The same question about many parents of a kind is one statement for up to 500.

use std::{collections::HashMap, sync::Arc};

use super::{
    Projects, Question, StatusFilter, Want,
    filter::ALTERNATIVES_MAX,
    grid::Buckets,
    grouping::{Dimension, Group, Grouping},
    narrow::Narrowed,
};
use crate::{
    db::Session,
    error::Result,
    model::{EndpointId, Key, MetricType, OrganizationId, ProjectId, Scope},
};

/// Whose measurements are asked for. A parent takes the place of the projects that the question names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Parent {
    /// Nobody's in particular: what the question names.
    Question,
    /// An organization's.
    Organization(OrganizationId),
    /// A project's.
    Project(Key<ProjectId>),
    /// Those of a group that another report has answered.
    Group(Arc<Members>),
}

/// The rows of a report's statement that make one of its groups: several where endpoints of one path are in several
/// projects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Members {
    by: Vec<Dimension>,
    groups: Vec<Group>,
}

impl Members {
    /// Groups told apart by these columns.
    pub(super) const fn new(by: Vec<Dimension>, groups: Vec<Group>) -> Self {
        Self { by, groups }
    }
}

impl Parent {
    /// The same as far as project and type tell parents apart.
    pub(super) fn by_project_and_type(&self) -> Self {
        let Self::Group(members) = self else { return self.clone() };
        let known = |one: &&Dimension| matches!(one, Dimension::Organization | Dimension::Project | Dimension::Kind);
        let by: Vec<_> = members.by.iter().filter(known).copied().collect();
        if by.is_empty() {
            return Self::Question;
        }
        let mut groups: Vec<_> = members.groups.iter().map(|group| group.only(&by)).collect();
        groups.sort_unstable();
        groups.dedup();
        Self::Group(Arc::new(Members { by, groups }))
    }

    /// The measurements of a question that are of this project, if it is told apart, and of this type, if that is.
    pub fn of_series(project: Option<Key<ProjectId>>, kind: Option<MetricType>) -> Self {
        let mut by = Vec::new();
        let mut group = Group::default();
        if let Some(project) = project {
            by.extend([Dimension::Organization, Dimension::Project]);
            (group.organization, group.project) = (project.organization.0, project.id.0);
        }
        if let Some(kind) = kind {
            by.push(Dimension::Kind);
            group.kind = kind.code();
        }
        if by.is_empty() { Self::Question } else { Self::Group(Arc::new(Members { by, groups: vec![group] })) }
    }

    fn members(&self) -> (Vec<Dimension>, Vec<Group>) {
        match self {
            Self::Question => (Vec::new(), vec![Group::default()]),
            Self::Organization(id) => {
                (vec![Dimension::Organization], vec![Group { organization: id.0, ..Group::default() }])
            }
            Self::Project(key) => {
                let group = Group { organization: key.organization.0, project: key.id.0, ..Group::default() };
                (vec![Dimension::Organization, Dimension::Project], vec![group])
            }
            Self::Group(members) => (members.by.clone(), members.groups.clone()),
        }
    }
}

/// Parents of one kind, as many as one statement takes.
pub(super) struct Batch {
    question: Question,
    by: Vec<Dimension>,
    endpoints: Option<Vec<EndpointId>>,
    parents: Vec<Parent>,
    of_group: HashMap<Group, Vec<usize>>,
}

/// A parent with its groups.
type Grouped = (Parent, Vec<Group>);

/// The statements that it takes to ask a question about these parents.
pub(super) fn batches(question: &Question, parents: &[Parent]) -> Vec<Batch> {
    let mut kinds: Vec<(Vec<Dimension>, Vec<Grouped>)> = Vec::new();
    for parent in parents {
        let (by, groups) = parent.members();
        let place = kinds.iter().position(|(known, _)| *known == by).unwrap_or_else(|| {
            kinds.push((by, Vec::new()));
            kinds.len() - 1
        });
        kinds[place].1.push((parent.clone(), groups));
    }
    let mut batches = Vec::with_capacity(kinds.len());
    for (by, parents) in kinds {
        let mut rest = parents.as_slice();
        while !rest.is_empty() {
            let (chunk, behind) = rest.split_at(fitting(rest));
            batches.push(Batch::new(question, by.clone(), chunk));
            rest = behind;
        }
    }
    batches
}

/// How many of these parents one statement takes: at least one, be its groups as many as they may.
fn fitting(parents: &[Grouped]) -> usize {
    let sums = parents.iter().scan(0, |sum, (_, groups)| {
        *sum += groups.len();
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= ALTERNATIVES_MAX).count().max(1)
}

impl Batch {
    fn new(question: &Question, by: Vec<Dimension>, parents: &[Grouped]) -> Self {
        let mut of_group: HashMap<Group, Vec<usize>> = HashMap::new();
        for (place, (_, groups)) in parents.iter().enumerate() {
            for group in groups {
                let places = of_group.entry(group.clone()).or_default();
                // A parent named twice is answered once.
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        let mut groups: Vec<_> = of_group.keys().collect();
        groups.sort_unstable();
        let mut question = question.clone();
        let mut endpoints = None;
        // Groups of so many rows are sorted out as they come.
        if groups.len() <= ALTERNATIVES_MAX {
            endpoints = narrow(&mut question, &by, &groups);
        }
        let parents = parents.iter().map(|(parent, _)| parent.clone()).collect();
        Self { question, by, endpoints, parents, of_group }
    }

    /// How to tell the parents apart, and inside of each what else is to be told apart.
    pub(super) fn grouping(&self, more: &[Dimension], buckets: Option<Buckets>) -> Grouping {
        Grouping::new(self.by.iter().chain(more).copied(), buckets)
    }

    /// The rows that count for these parents.
    ///
    /// # Errors
    /// As [`Narrowed::new`].
    pub(super) fn narrowed(
        &self,
        scope: &Scope,
        grouping: &Grouping,
        want: Want,
        session: &Session,
    ) -> Result<Narrowed<'_>> {
        let narrowed = Narrowed::new(scope, &self.question, grouping, want, session)?;
        Ok(match &self.endpoints {
            Some(endpoints) => narrowed.among(endpoints),
            None => narrowed,
        })
    }

    /// The single measurements that count for these parents.
    ///
    /// # Errors
    /// As [`Narrowed::of_rows`].
    pub(super) fn narrowed_to_raw(&self, scope: &Scope, session: &Session) -> Result<Narrowed<'_>> {
        Narrowed::of_rows(scope, &self.question, session)
    }

    /// What came too late to count for these parents.
    ///
    /// # Errors
    /// As [`Narrowed::of_days`].
    pub(super) fn narrowed_to_late(&self, scope: &Scope, session: &Session) -> Result<Narrowed<'_>> {
        Narrowed::of_days(scope, &self.question, session)
    }

    /// The columns that tell the parents apart.
    pub(super) fn by(&self) -> &[Dimension] {
        &self.by
    }

    pub(super) fn parents(&self) -> &[Parent] {
        &self.parents
    }

    /// The places of the parents that a row belongs to. Ids of endpoints are unique inside of an organization only, so a
    /// statement may answer rows of nobody.
    pub(super) fn of(&self, group: &Group) -> &[usize] {
        self.of_group.get(&group.only(&self.by)).map_or(&[], Vec::as_slice)
    }
}

/// Only what may belong to one of the groups; answers the endpoints that they are about.
fn narrow(question: &mut Question, by: &[Dimension], groups: &[&Group]) -> Option<Vec<EndpointId>> {
    let mut endpoints = None;
    for dimension in by {
        match dimension {
            Dimension::Organization if by.contains(&Dimension::Project) => {}
            Dimension::Organization => {
                let ids = distinct(groups, |group| OrganizationId(group.organization));
                question.projects = Projects::Organizations(ids);
            }
            Dimension::Project => question.projects = Projects::Keys(distinct(groups, Group::project_key)),
            Dimension::Endpoint => endpoints = Some(distinct(groups, |group| EndpointId(group.endpoint))),
            Dimension::Kind => {
                question.kinds = distinct(groups, Group::metric_type).into_iter().flatten().collect();
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

fn distinct<T: Ord>(groups: &[&Group], part: impl Fn(&Group) -> T) -> Vec<T> {
    let mut parts: Vec<_> = groups.iter().map(|group| part(group)).collect();
    parts.sort_unstable();
    parts.dedup();
    parts
}

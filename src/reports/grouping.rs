//! What the rows of an answer are told apart by.

use std::sync::Arc;

use sea_orm::QueryResult;

use super::{grid::Buckets, narrow::Endpoints};
use crate::{
    db::column,
    error::Result,
    model::{Key, MetricType, OrganizationId, ProjectId},
};

/// A column of the metric tables that tells groups apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The organization.
    Organization,
    /// The project; its id is unique inside of the organization.
    Project,
    /// The endpoint; its id is unique inside of the organization.
    Endpoint,
    /// The type of measurement.
    Kind,
    /// The HTTP status, which only single measurements know.
    Status,
    /// The name, as the status.
    Name,
    /// The release, as the status.
    Release,
}

impl Dimension {
    const fn column(self) -> &'static str {
        match self {
            Self::Organization => "organization_id",
            Self::Project => "project_id",
            Self::Endpoint => "endpoint_id",
            Self::Kind => "kind",
            Self::Status => "status",
            Self::Name => "name",
            Self::Release => "release",
        }
    }

    /// Whether no rollup knows it.
    const fn is_raw(self) -> bool {
        matches!(self, Self::Status | Self::Name | Self::Release)
    }
}

/// What the name of a bucket's number is in every statement.
pub(super) const SLOT: &str = "slot";

/// What an answer is grouped by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grouping {
    by: Vec<Dimension>,
    buckets: Option<Buckets>,
}

impl Grouping {
    /// By these columns, each once, and by time where there are buckets.
    pub(super) fn new(by: impl IntoIterator<Item = Dimension>, buckets: Option<Buckets>) -> Self {
        let mut by: Vec<_> = by.into_iter().collect();
        by.sort_unstable();
        by.dedup();
        Self { by, buckets }
    }

    /// Per endpoint.
    pub(super) fn endpoints() -> Self {
        Self::new([Dimension::Organization, Dimension::Project, Dimension::Endpoint], None)
    }

    pub(super) fn by(&self) -> &[Dimension] {
        &self.by
    }

    pub(super) const fn buckets(&self) -> Option<Buckets> {
        self.buckets
    }

    /// The columns of the metric tables, in the order in which they stand in every row, before the number of the bucket.
    pub(super) fn columns(&self) -> impl DoubleEndedIterator<Item = &'static str> {
        self.by.iter().map(|dimension| dimension.column())
    }

    /// The same with the number of the bucket.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns().chain(self.buckets.map(|_| SLOT))
    }

    /// Whether only single measurements can be told apart so.
    pub(super) fn is_raw(&self) -> bool {
        self.by.iter().any(|dimension| dimension.is_raw())
    }

    /// Which rows of a rollup make up these groups.
    pub(super) fn rows(&self) -> Endpoints {
        if self.by.contains(&Dimension::Endpoint) { Endpoints::Single } else { Endpoints::Together }
    }
}

/// What a row belongs to; zero or empty where the grouping does not tell apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Group {
    pub organization: i64,
    pub project: i64,
    pub endpoint: i64,
    pub kind: i16,
    pub status: i16,
    pub name: Arc<str>,
    pub release: Arc<str>,
    pub slot: i64,
}

impl Group {
    /// The group of a row, and at which column the figures begin.
    pub(super) fn of(row: &QueryResult, grouping: &Grouping) -> Result<(Self, usize)> {
        let mut group = Self::default();
        for (index, dimension) in grouping.by.iter().enumerate() {
            match dimension {
                Dimension::Organization => group.organization = column(row, index)?,
                Dimension::Project => group.project = column(row, index)?,
                Dimension::Endpoint => group.endpoint = column(row, index)?,
                Dimension::Kind => group.kind = column(row, index)?,
                Dimension::Status => group.status = column(row, index)?,
                Dimension::Name => group.name = column::<&str>(row, index)?.into(),
                Dimension::Release => group.release = column::<&str>(row, index)?.into(),
            }
        }
        let mut first = grouping.by.len();
        if grouping.buckets.is_some() {
            group.slot = column(row, first)?;
            first += 1;
        }
        Ok((group, first))
    }

    /// As far as these columns tell it apart.
    #[must_use]
    pub(super) fn only(&self, by: &[Dimension]) -> Self {
        let mut group = Self::default();
        for dimension in by {
            match dimension {
                Dimension::Organization => group.organization = self.organization,
                Dimension::Project => group.project = self.project,
                Dimension::Endpoint => group.endpoint = self.endpoint,
                Dimension::Kind => group.kind = self.kind,
                Dimension::Status => group.status = self.status,
                Dimension::Name => group.name = Arc::clone(&self.name),
                Dimension::Release => group.release = Arc::clone(&self.release),
            }
        }
        group
    }

    pub(super) const fn project_key(&self) -> Key<ProjectId> {
        Key::new(OrganizationId(self.organization), ProjectId(self.project))
    }

    /// `None` for a type that a later version wrote.
    pub(super) fn metric_type(&self) -> Option<MetricType> {
        MetricType::from_code(self.kind)
    }
}

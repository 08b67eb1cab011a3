//! The dimensions that the rows of a statement are grouped by.

use std::sync::Arc;

use sea_orm::QueryResult;

use super::{grid::Buckets, plan::EndpointRows};
use crate::{
    db::column,
    error::Result,
    model::{Detail, Key, MetricType, OrganizationId, ProjectId},
};

/// A column of the metric tables that rows are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dimension {
    /// The organization.
    Organization,
    /// The project; its id is unique within the organization.
    Project,
    /// The endpoint; its id is unique within the organization.
    Endpoint,
    /// The metric type.
    Kind,
    /// The HTTP status; a column of breakdowns and raw rows.
    Status,
    /// The name; a column of breakdowns and raw rows.
    Name,
    /// The release version; a column of breakdowns and raw rows.
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

    /// The breakdowns that have this column; `None` for a column that all rollups have.
    const fn detail(self) -> Option<Detail> {
        match self {
            Self::Organization | Self::Project | Self::Endpoint | Self::Kind => None,
            Self::Status => Some(Detail::Status),
            Self::Release => Some(Detail::Release),
            Self::Name => Some(Detail::Name),
        }
    }
}

/// The column with the index of the bucket, in every statement.
pub(super) const SLOT: &str = "slot";

/// The dimensions of an answer, with its buckets if it is a series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grouping {
    by: Vec<Dimension>,
    buckets: Option<Buckets>,
}

impl Grouping {
    /// Groups by these columns, each once, and by bucket if there are buckets.
    pub(super) fn new(by: impl IntoIterator<Item = Dimension>, buckets: Option<Buckets>) -> Self {
        let mut by: Vec<_> = by.into_iter().collect();
        by.sort_unstable();
        by.dedup();
        Self { by, buckets }
    }

    /// Groups by endpoint.
    pub(super) fn endpoints() -> Self {
        Self::new([Dimension::Organization, Dimension::Project, Dimension::Endpoint], None)
    }

    pub(super) fn by(&self) -> &[Dimension] {
        &self.by
    }

    pub(super) const fn buckets(&self) -> Option<&Buckets> {
        self.buckets.as_ref()
    }

    /// The columns of the metric tables, in the order of every row, before the index of the bucket.
    pub(super) fn columns(&self) -> impl DoubleEndedIterator<Item = &'static str> {
        self.by.iter().map(|dimension| dimension.column())
    }

    /// The columns with the index of the bucket.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.columns().chain(self.buckets.as_ref().map(|_| SLOT))
    }

    /// The breakdowns that have the columns which not all rollups have, one for each.
    pub(super) fn details(&self) -> impl Iterator<Item = Detail> {
        self.by.iter().filter_map(|dimension| dimension.detail())
    }

    /// True when each group belongs to one project.
    pub(super) fn is_by_project(&self) -> bool {
        self.by.contains(&Dimension::Organization) && self.by.contains(&Dimension::Project)
    }

    /// The rows of a rollup that make up these groups.
    pub(super) fn rows(&self) -> EndpointRows {
        if self.by.contains(&Dimension::Endpoint) { EndpointRows::Separate } else { EndpointRows::Combined }
    }
}

/// The dimension values of a row; zero or empty for a dimension that is not grouped by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DimensionValues {
    pub organization: i64,
    pub project: i64,
    pub endpoint: i64,
    pub kind: i16,
    pub status: i16,
    pub name: Arc<str>,
    pub release: Arc<str>,
    pub slot: i64,
}

impl DimensionValues {
    /// Reads the dimension values of a row; also returns the index of the column after them.
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

    /// Keeps the values of these dimensions only.
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

    /// The metric type; `None` for one that a later version of the server wrote.
    pub(super) fn metric_type(&self) -> Option<MetricType> {
        MetricType::from_code(self.kind)
    }
}

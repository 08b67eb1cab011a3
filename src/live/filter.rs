//! Filters of metric streams, and the check that the caller may use them.

use std::{collections::BTreeSet, fmt::Write};

use super::cursors::CursorPurpose;
use crate::{
    db::{Database, StatementLog},
    directory::reach::{self, ORGANIZATION, PROJECT},
    error::{Error, Result},
    model::{Key, Measurement, MetricType, OrganizationId, ProjectId, Scope, VisibleOrganizations},
};

/// The error for projects that do not belong to the organization named beside them.
pub const ELSEWHERE: &str =
    "names projects of another organization than the filter does; no measurement can match both";

/// A filter of measurements. An empty list matches everything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Only these projects.
    pub projects: Vec<Key<ProjectId>>,
    /// Only this organization.
    pub organization: Option<OrganizationId>,
    /// Only these types.
    pub kinds: Vec<MetricType>,
    /// Only these endpoints, by exact path.
    pub endpoints: Vec<String>,
    /// Only values of at least this.
    pub min_value: Option<f64>,
}

impl Filter {
    /// True if rows of this project can match.
    pub fn covers(&self, project: Key<ProjectId>) -> bool {
        (self.projects.is_empty() || self.projects.contains(&project))
            && self.organization.is_none_or(|only| only == project.organization)
    }

    /// True if a row of a covered project matches.
    pub fn matches(&self, measurement: &Measurement) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&measurement.kind))
            && (self.endpoints.is_empty() || self.endpoints.contains(&measurement.endpoint))
            && self.min_value.is_none_or(|min| measurement.value >= min)
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = MetricType> {
        let kinds = MetricType::ALL.into_iter();
        kinds.filter(|kind| self.kinds.is_empty() || self.kinds.contains(kind))
    }

    /// The organizations whose rows can match; `None` for all but the server's own, which has to be named.
    pub fn organizations(&self, scope: &Scope) -> Option<BTreeSet<OrganizationId>> {
        if !self.projects.is_empty() {
            let projects = self.projects.iter().filter(|project| self.covers(**project));
            return Some(projects.map(|project| project.organization).collect());
        }
        match (self.organization, scope.organizations()) {
            (Some(only), _) | (None, VisibleOrganizations::Organization(only)) => Some(BTreeSet::from([only])),
            (None, VisibleOrganizations::Everything) => None,
        }
    }

    /// The purpose of cursors of a stream with this filter, independent of the order of its lists.
    pub fn purpose(&self, scope: &Scope, stream: &str) -> CursorPurpose {
        let projects: BTreeSet<_> = self.projects.iter().collect();
        let kinds: BTreeSet<_> = self.kinds.iter().map(|kind| kind.code()).collect();
        let endpoints: BTreeSet<_> = self.endpoints.iter().collect();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{:?} {projects:?} {:?} {kinds:?} {endpoints:?} {:?}",
            self.organizations(scope),
            self.organization,
            self.min_value
        );
        CursorPurpose::of(stream, &text)
    }

    /// Requires everything that the filter names to exist within the scope.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an organization or project that is absent or outside the scope, [`Error::Input`] for
    /// projects that do not belong to the organization named beside them.
    pub async fn check(&self, scope: &Scope, database: &Database) -> Result<()> {
        let session = database.reader(StatementLog::default());
        if let Some(id) = self.organization {
            reach::organization(scope, &session, id).await?.require(ORGANIZATION)?;
            if self.projects.iter().any(|project| project.organization != id) {
                return Err(several_organizations(scope, ELSEWHERE));
            }
        }
        let projects: BTreeSet<Key<ProjectId>> = self.projects.iter().copied().collect();
        reach::projects(scope, &session, &projects).await?.require(PROJECT)
    }
}

/// The error for projects of several organizations. A caller who sees only one organization must not learn that the
/// other projects exist.
pub(super) fn several_organizations(scope: &Scope, message: &str) -> Error {
    match scope.organizations() {
        VisibleOrganizations::Organization(_) => reach::unknown(PROJECT),
        VisibleOrganizations::Everything => Error::input("filter.projectIds", message),
    }
}

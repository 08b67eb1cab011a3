//! What a stream of metrics lets through, and whether its caller may ask for that.

use std::{collections::BTreeSet, fmt::Write};

use super::Purpose;
use crate::{
    db::{Database, StatementLog},
    directory::reach::{self, ORGANIZATION, PROJECT},
    error::{Error, Result},
    model::{Key, Measurement, MetricType, OrganizationId, ProjectId, Reach, Scope},
};

/// What a stream lets through. An empty list lets everything through.
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
    /// Only values from here on.
    pub min_value: Option<f64>,
}

impl Filter {
    /// Whether rows of a project can pass.
    pub fn watches(&self, project: Key<ProjectId>) -> bool {
        (self.projects.is_empty() || self.projects.contains(&project))
            && self.organization.is_none_or(|only| only == project.organization)
    }

    /// Whether a row of a watched project passes.
    pub fn passes(&self, measurement: &Measurement) -> bool {
        (self.kinds.is_empty() || self.kinds.contains(&measurement.kind))
            && (self.endpoints.is_empty() || self.endpoints.contains(&measurement.endpoint))
            && self.min_value.is_none_or(|min| measurement.value >= min)
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = MetricType> {
        let kinds = MetricType::ALL.into_iter();
        kinds.filter(|kind| self.kinds.is_empty() || self.kinds.contains(kind))
    }

    /// The organizations that can have something to say; `None` for all.
    pub fn organizations(&self, scope: &Scope) -> Option<BTreeSet<OrganizationId>> {
        if !self.projects.is_empty() {
            let projects = self.projects.iter().filter(|project| self.watches(**project));
            return Some(projects.map(|project| project.organization).collect());
        }
        match (self.organization, scope.reach()) {
            (Some(only), _) | (None, Reach::Organization(only)) => Some(BTreeSet::from([only])),
            (None, Reach::Everything) => None,
        }
    }

    /// What cursors of a stream with this filter are for. The order in which lists were written makes no difference.
    pub fn purpose(&self, scope: &Scope, stream: &str) -> Purpose {
        let projects: BTreeSet<_> = self.projects.iter().collect();
        let kinds: BTreeSet<_> = self.kinds.iter().map(|kind| kind.code()).collect();
        let endpoints: BTreeSet<_> = self.endpoints.iter().collect();
        let mut text = String::new();
        // Writing into a text cannot fail.
        let _ = write!(
            text,
            "{:?} {projects:?} {:?} {kinds:?} {endpoints:?} {:?}",
            self.organizations(scope),
            self.organization,
            self.min_value
        );
        Purpose::of(stream, &text)
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
                let message = "names projects of another organization than organizationId; nothing could ever pass";
                return Err(several_organizations(scope, message));
            }
        }
        let projects: BTreeSet<Key<ProjectId>> = self.projects.iter().copied().collect();
        reach::projects(scope, &session, &projects).await?.require(PROJECT)
    }
}

/// The error for projects of several organizations. A caller who sees only one organization must not learn that the
/// other projects exist.
pub(super) fn several_organizations(scope: &Scope, message: &str) -> Error {
    match scope.reach() {
        Reach::Organization(_) => reach::unknown(PROJECT),
        Reach::Everything => Error::input("filter.projectIds", message),
    }
}

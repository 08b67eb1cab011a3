//! What a stream of metrics lets through, and whether its caller may ask for that.

use std::{
    collections::{BTreeSet, HashMap},
    fmt::Write,
};

use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter};

use super::Purpose;
use crate::{
    db::{Database, StatementLog},
    entity,
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

    /// Whether everything that the filter names is there and in sight.
    ///
    /// # Errors
    /// [`Error::NotFound`] for an organization or project that is absent or outside the scope, [`Error::Input`] for
    /// projects that are not of the organization that is named beside them.
    pub async fn check(&self, scope: &Scope, database: &Database) -> Result<()> {
        use entity::{organization, project};
        let session = database.reader(StatementLog::default());
        if let Some(id) = self.organization {
            let found = scope.sees(id) && organization::Entity::find_by_id(id).count(&session).await? > 0;
            if !found {
                return Err(Error::not_found("organization"));
            }
            if self.projects.iter().any(|project| project.organization != id) {
                // Who sees one organization only must not learn that the others are there.
                return Err(match scope.reach() {
                    Reach::Organization(_) => Error::not_found("project"),
                    Reach::Everything => Error::input(
                        "filter.projectIds",
                        "names projects of another organization than organizationId; nothing could ever pass",
                    ),
                });
            }
        }
        if self.projects.is_empty() {
            return Ok(());
        }
        let named: BTreeSet<Key<ProjectId>> = self.projects.iter().copied().collect();
        let mut of_organization: HashMap<OrganizationId, Vec<ProjectId>> = HashMap::new();
        for project in named.iter().filter(|project| scope.sees(project.organization)) {
            of_organization.entry(project.organization).or_default().push(project.id);
        }
        let any = of_organization.into_iter().map(|(organization, ids)| {
            Condition::all().add(project::Column::OrganizationId.eq(organization)).add(project::Column::Id.is_in(ids))
        });
        let any = any.fold(Condition::any(), Condition::add);
        let found = if any.is_empty() { 0 } else { project::Entity::find().filter(any).count(&session).await? };
        if usize::try_from(found).is_ok_and(|found| found == named.len()) {
            Ok(())
        } else {
            Err(Error::not_found("project"))
        }
    }
}

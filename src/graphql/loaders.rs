//! The loaders of the schema: fields that are resolved side by side share one statement, and a row is read once per
//! request.
//!
//! This file lists the relations; `engine/loader.rs` forms the batches.

mod employee_stats;
mod report;

use std::{collections::HashMap, hash::Hash, ops::BitOr, sync::Arc};

pub use employee_stats::AskedEmployeeStats;
use employee_stats::StatisticsLoader;
pub use report::{Reported, answer};

use crate::{
    config::Limits,
    db::Session,
    directory::{
        self, Employee, EmployeeFields, ListOf, Member, Organization, OrganizationFields, Project, ProjectFields,
        Record, Release, ReleaseFields,
        filter::{EmployeeCondition, OrganizationCondition, ProjectCondition},
        membership,
        order::OrderField,
        organization, project,
        release::{self, ReleaseCondition, ReleaseRun, Version},
    },
    engine::loader::{self, Shared, group, in_order},
    error::Result,
    ingest::status::{ProjectStatus, StatusCounters},
    model::{
        EmployeeId, Key, Labels, Measurement, MetricKey, OrganizationId, ProjectId, ProjectSlug, ReleaseId, Scope,
        Timestamp,
        filter::Filter,
        page::{ListRequest, Page},
    },
    reports::{
        self, EndpointKey, Groups, Late, Measurements, Question, Series, Slowest, Totals, WorstSample, worst_sample,
    },
};

/// A row and the columns to read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AskedRow<Id, Fields> {
    /// The row's id.
    pub id: Id,
    /// The columns to read.
    pub fields: Fields,
}

/// A page of a parent's list and the columns to read. The parent `()` has the list of everything within the scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedPage<Parent, Condition, OrderField, Fields> {
    /// The parent.
    pub parent: Parent,
    /// The filter, the order and the page.
    pub list: Arc<ListRequest<Condition, OrderField>>,
    /// The columns to read.
    pub fields: Fields,
}

/// The number of rows in a parent's list. The parent `()` has the list of everything within the scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedCount<Parent, Condition> {
    /// The parent.
    pub parent: Parent,
    /// Counts only rows that match; all if absent.
    pub filter: Option<Arc<Filter<Condition>>>,
}

/// The worst measurement of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedSample {
    /// The measurements to search.
    pub question: Arc<Question>,
    /// The endpoint.
    pub endpoint: EndpointKey,
}

/// A loader of this schema.
pub type Loader<K, V> = loader::Loader<K, V, Source>;
type ById<Id, Fields, Row> = Loader<AskedRow<Id, Fields>, Arc<Row>>;
/// Pages of lists, by parent.
pub type ByParent<Parent, C, F, Row> = Loader<AskedPage<Parent, C, F, <F as OrderField>::Fields>, Arc<Page<Row>>>;
type Lists<Parent, N, Row = Arc<N>> = ByParent<Parent, <N as Record>::Condition, <N as Record>::OrderField, Row>;
type Count<Parent, Condition> = Loader<AskedCount<Parent, Condition>, u64>;

/// The loaders of one request, or of one event of a subscription.
pub struct Loaders {
    /// Organizations by id.
    pub organization: ById<OrganizationId, OrganizationFields, Organization>,
    /// Organizations by slug.
    pub organization_by_slug: ById<String, OrganizationFields, Organization>,
    /// Employees by key.
    pub employee: ById<Key<EmployeeId>, EmployeeFields, Employee>,
    /// Projects by key.
    pub project: ById<Key<ProjectId>, ProjectFields, Project>,
    /// Projects by slugs.
    pub project_by_slug: ById<ProjectSlug, ProjectFields, Project>,
    /// Counters of what arrived for projects.
    pub ingest_status: Loader<Key<ProjectId>, ProjectStatus>,
    /// Releases by key.
    pub release: ById<Key<ReleaseId>, ReleaseFields, Release>,
    /// Releases by the version that measurements carry.
    pub release_by_version: ById<Version, ReleaseFields, Release>,
    /// Periods in which releases ran, by key.
    pub release_run: Loader<Key<ReleaseId>, ReleaseRun>,
    /// Pages of projects' releases.
    pub releases: Lists<Key<ProjectId>, Release>,
    /// Numbers of projects' releases.
    pub release_count: Count<Key<ProjectId>, ReleaseCondition>,
    /// Pages of all organizations.
    pub organizations: Lists<(), Organization>,
    /// Pages of all employees.
    pub employees: Lists<(), Employee>,
    /// Pages of all projects.
    pub projects: Lists<(), Project>,
    /// Pages of organizations' employees.
    pub organization_employees: Lists<OrganizationId, Employee>,
    /// Pages of organizations' projects.
    pub organization_projects: Lists<OrganizationId, Project>,
    /// Pages of projects' teams.
    pub team: Lists<Key<ProjectId>, Employee, Member>,
    /// Pages of employees' projects.
    pub employee_projects: Lists<Key<EmployeeId>, Project>,
    /// The number of all organizations.
    pub organization_count: Count<(), OrganizationCondition>,
    /// The number of all employees.
    pub employee_count: Count<(), EmployeeCondition>,
    /// The number of all projects.
    pub project_count: Count<(), ProjectCondition>,
    /// Numbers of organizations' employees.
    pub organization_employee_count: Count<OrganizationId, EmployeeCondition>,
    /// Numbers of organizations' projects.
    pub organization_project_count: Count<OrganizationId, ProjectCondition>,
    /// Numbers of members of projects' teams.
    pub team_count: Count<Key<ProjectId>, EmployeeCondition>,
    /// Numbers of employees' projects.
    pub employee_project_count: Count<Key<EmployeeId>, ProjectCondition>,
    /// Statistics of all employees.
    pub employee_stats: StatisticsLoader<()>,
    /// Statistics of organizations' employees.
    pub organization_employee_stats: StatisticsLoader<OrganizationId>,
    /// Statistics of measurements.
    pub metric_stats: Reported<Totals>,
    /// Statistics of measurements over time.
    pub metric_series: Reported<Series>,
    /// Statistics of groups of measurements.
    pub metric_groups: Reported<Groups>,
    /// Measurements that arrived too late for their aggregates.
    pub late: Reported<Late>,
    /// Pages of single measurements.
    pub metrics: Reported<Measurements>,
    /// The slowest endpoints.
    pub slowest: Reported<Slowest>,
    /// The worst measurements of endpoints.
    pub worst_sample: Loader<AskedSample, WorstSample>,
    /// Measurements by key.
    pub metric: Loader<MetricKey, Measurement>,
    /// Labels of measurements by key; `None` for measurements without any.
    pub labels: Loader<MetricKey, Labels>,
}

/// The scope and the database that the loaders of a request read.
pub struct Source {
    scope: Scope,
    db: Session,
    departments_max: usize,
    /// The end of all periods of the request.
    as_of: Timestamp,
    arrived: StatusCounters,
}

impl Loaders {
    /// Loaders without cached rows, limited to `scope`.
    pub fn new(scope: Scope, db: &Session, limits: &Limits, as_of: Timestamp, arrived: StatusCounters) -> Self {
        let source = Source { scope, db: db.clone(), departments_max: limits.departments_max, as_of, arrived };
        let shared = &Shared::new(source);
        /// Reads all rows in one statement, with every column that any of them needs.
        macro_rules! by_id {
            ($load:path) => {
                Loader::new(shared, |Source { scope, db, .. }, asked: Vec<AskedRow<_, _>>| {
                    Box::pin(async move {
                        let (ids, fields) = union(asked.iter().map(|asked| (&asked.id, asked.fields)));
                        let found = $load(scope, db, &ids, fields).await?;
                        Ok(share(&ids, found, asked.iter().map(|asked| &asked.id)))
                    })
                })
            };
        }
        /// Reads each distinct list in one statement. There are several lists only if aliases ask for them.
        macro_rules! by_parent {
            ($load:expr) => {
                Loader::new(shared, |Source { scope, db, .. }, asked: Vec<AskedPage<_, _, _, _>>| {
                    Box::pin(async move {
                        let mut pages = vec![None; asked.len()];
                        for (list, positions) in group(asked.iter().map(|asked| &asked.list)) {
                            let members = || positions.iter().map(|position| &asked[*position]);
                            let (parents, fields) = union(members().map(|asked| (&asked.parent, asked.fields)));
                            let found = $load(scope, db, &parents, list, fields).await?;
                            let shared = share(&parents, found, members().map(|asked| &asked.parent));
                            place(&mut pages, &positions, shared);
                        }
                        Ok(pages)
                    })
                })
            };
        }
        /// Counts for each distinct filter in one statement.
        macro_rules! counts {
            ($load:expr) => {
                Loader::new(shared, |Source { scope, db, .. }, asked: Vec<AskedCount<_, _>>| {
                    Box::pin(async move {
                        let mut counts = vec![None; asked.len()];
                        for (filter, positions) in group(asked.iter().map(|asked| &asked.filter)) {
                            let parents: Vec<_> = positions.iter().map(|position| asked[*position].parent).collect();
                            let found = $load(scope, db, &parents, filter.as_deref()).await?;
                            place(&mut counts, &positions, in_order(&parents, found));
                        }
                        Ok(counts)
                    })
                })
            };
        }
        Self {
            organization: by_id!(directory::by_ids),
            organization_by_slug: by_id!(organization::by_slugs),
            employee: by_id!(directory::by_ids),
            project: by_id!(directory::by_ids),
            project_by_slug: by_id!(project::by_slugs),
            ingest_status: Loader::new(shared, |Source { scope, db, arrived, .. }, keys: Vec<Key<ProjectId>>| {
                Box::pin(async move { Ok(in_order(&keys, arrived.by_projects(scope, db, &keys).await?)) })
            }),
            release: by_id!(directory::by_ids),
            release_by_version: by_id!(release::by_versions),
            release_run: Loader::new(shared, |Source { scope, db, as_of, .. }, keys: Vec<Key<ReleaseId>>| {
                Box::pin(async move { Ok(in_order(&keys, release::runs(scope, db, &keys, *as_of).await?)) })
            }),
            releases: by_parent!(directory::release::by_projects),
            release_count: counts!(directory::release::counts),
            organizations: by_parent!(everything),
            employees: by_parent!(everything),
            projects: by_parent!(everything),
            organization_employees: by_parent!(directory::by_organizations),
            organization_projects: by_parent!(directory::by_organizations),
            team: by_parent!(membership::teams),
            employee_projects: by_parent!(membership::projects),
            organization_count: counts!(count_everything::<Organization>),
            employee_count: counts!(count_everything::<Employee>),
            project_count: counts!(count_everything::<Project>),
            organization_employee_count: counts!(organization::employee_counts),
            organization_project_count: counts!(directory::counts_by_organizations::<Project>),
            team_count: counts!(membership::team_counts),
            employee_project_count: counts!(membership::project_counts),
            employee_stats: employee_stats::of_all(shared),
            organization_employee_stats: employee_stats::of_organizations(shared),
            metric_stats: report::report(shared),
            metric_series: report::report(shared),
            metric_groups: report::report(shared),
            late: report::report(shared),
            metrics: report::report(shared),
            slowest: report::report(shared),
            worst_sample: Loader::new(shared, |source, asked| Box::pin(worst_samples(source, asked))),
            metric: Loader::new(shared, |source, keys| Box::pin(metrics(source, keys))),
            labels: Loader::new(shared, |Source { scope, db, .. }, keys: Vec<MetricKey>| {
                Box::pin(async move { Ok(in_order(&keys, reports::labels::by_keys(scope, db, &keys).await?)) })
            }),
        }
    }
}

/// The list of everything within the scope, as the list of the parent `()`.
async fn everything<N: Record>(
    scope: &Scope,
    db: &Session,
    _: &[()],
    list: &ListOf<N>,
    fields: N::Fields,
) -> Result<HashMap<(), Page<Arc<N>>>> {
    Ok(HashMap::from([((), directory::list(scope, db, list, fields).await?)]))
}

async fn count_everything<N: Record>(
    scope: &Scope,
    db: &Session,
    _: &[()],
    filter: Option<&Filter<N::Condition>>,
) -> Result<HashMap<(), u64>> {
    Ok(HashMap::from([((), directory::count::<N>(scope, db, filter).await?)]))
}

/// Reads the samples of all endpoints of a ranking in one report.
async fn worst_samples(Source { scope, db, .. }: &Source, asked: Vec<AskedSample>) -> Result<Vec<Option<WorstSample>>> {
    let mut samples = vec![None; asked.len()];
    for (question, positions) in group(asked.iter().map(|asked| &asked.question)) {
        let endpoints: Vec<_> = positions.iter().map(|position| asked[*position].endpoint).collect();
        let mut sorted = endpoints.clone();
        sorted.sort_unstable();
        let found = worst_sample::by_endpoint(scope, db, question, &sorted).await?;
        place(&mut samples, &positions, in_order(&endpoints, found));
    }
    Ok(samples)
}

async fn metrics(Source { scope, db, .. }: &Source, keys: Vec<MetricKey>) -> Result<Vec<Option<Measurement>>> {
    Ok(in_order(&keys, reports::metric::by_keys(scope, db, &keys).await?))
}

/// The distinct ids and the union of the columns. Ids are sorted, so that equal requests send equal statements.
fn union<'a, Id: Ord + Clone + 'a, Fields: Default + BitOr<Output = Fields>>(
    asked: impl Iterator<Item = (&'a Id, Fields)>,
) -> (Vec<Id>, Fields) {
    let (mut ids, mut union) = (Vec::new(), Fields::default());
    for (id, fields) in asked {
        ids.push(id.clone());
        union = union | fields;
    }
    ids.sort_unstable();
    ids.dedup();
    (ids, union)
}

/// The row of each id in `asked`; equal ids share a row. `ids` are the sorted ids of the rows.
fn share<'a, Id: Ord + Hash + 'a, Row>(
    ids: &[Id],
    found: HashMap<Id, Row>,
    asked: impl Iterator<Item = &'a Id>,
) -> Vec<Option<Arc<Row>>> {
    let rows: Vec<_> = in_order(ids, found).into_iter().map(|row| row.map(Arc::new)).collect();
    asked.map(|id| rows.get(ids.binary_search(id).ok()?)?.clone()).collect()
}

/// Stores the values of a group at the group's positions.
fn place<Value>(all: &mut [Option<Value>], positions: &[usize], values: Vec<Option<Value>>) {
    for (position, value) in positions.iter().zip(values) {
        all[*position] = value;
    }
}

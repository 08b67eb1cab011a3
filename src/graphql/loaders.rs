//! Loaders: fields that are resolved side by side share one statement, and a row is read once per request.
//!
//! What each loads stands here; how loading in batches works stands in `engine/loader.rs`.

mod employee_stats;
mod report;

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    ops::BitOr,
    sync::Arc,
};

pub use employee_stats::AskedEmployeeStats;
use employee_stats::Figures;
pub use report::{AskedReport, Reported};

use super::types::Metric;
use crate::{
    config::Limits,
    db::Session,
    directory::{
        self, Employee, EmployeeFields, ListOf, Member, Organization, OrganizationFields, Project, ProjectFields,
        Record, Release, ReleaseFields,
        filter::{EmployeeCondition, OrganizationCondition, ProjectCondition},
        membership,
        order::OrderField,
        organization,
        release::{self, ReleaseCondition, ReleaseRun, Version},
    },
    engine::loader::{self, Shared},
    error::Result,
    model::{
        EmployeeId, Key, Measurement, MetricKey, OrganizationId, ProjectId, ReleaseId, Scope, Timestamp,
        filter::Filter,
        page::{ListRequest, Page},
    },
    reports::{
        self, EndpointKey, Groups, Late, Measurements, Question, Series, Slowest, Totals, WorstSample, worst_sample,
    },
};

/// A row and the columns that are wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked<Id, Fields> {
    /// Which row.
    pub id: Id,
    /// Which columns.
    pub fields: Fields,
}

/// A page of a parent's list and the columns that are wanted; `()` is the parent of what the whole scope sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedPage<Parent, Condition, OrderField, Fields> {
    /// Whose list.
    pub parent: Parent,
    /// Which rows of it.
    pub list: Arc<ListRequest<Condition, OrderField>>,
    /// Which columns.
    pub fields: Fields,
}

/// How many rows of a parent's list pass a filter; `()` is the parent of what the whole scope sees.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedCount<Parent, Condition> {
    /// Whose list.
    pub parent: Parent,
    /// Which rows of it; without a filter, all.
    pub filter: Option<Arc<Filter<Condition>>>,
}

/// The worst_sample measurement of an endpoint that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedSample {
    /// Which measurements.
    pub question: Arc<Question>,
    /// The endpoint.
    pub endpoint: EndpointKey,
}

/// A loader of this schema.
pub type Loader<K, V> = loader::Loader<K, V, Source>;
type ById<Id, Fields, Row> = Loader<Asked<Id, Fields>, Arc<Row>>;
/// Pages of lists, by whose list it is.
pub type ByParent<Parent, C, F, Row> = Loader<AskedPage<Parent, C, F, <F as OrderField>::Fields>, Arc<Page<Row>>>;
type Lists<Parent, N, Row = Arc<N>> = ByParent<Parent, <N as Record>::Condition, <N as Record>::OrderField, Row>;
type Count<Parent, Condition> = Loader<AskedCount<Parent, Condition>, u64>;

/// Every loader of one request (of one event in a subscription), with the scope they load in.
pub struct Loaders {
    /// Organizations by id.
    pub organization: ById<OrganizationId, OrganizationFields, Organization>,
    /// Organizations by slug.
    pub organization_by_slug: ById<String, OrganizationFields, Organization>,
    /// Employees by key.
    pub employee: ById<Key<EmployeeId>, EmployeeFields, Employee>,
    /// Projects by key.
    pub project: ById<Key<ProjectId>, ProjectFields, Project>,
    /// Releases by key.
    pub release: ById<Key<ReleaseId>, ReleaseFields, Release>,
    /// Releases by the version that measurements carry.
    pub release_by_version: ById<Version, ReleaseFields, Release>,
    /// When releases ran.
    pub release_run: Loader<Key<ReleaseId>, ReleaseRun>,
    /// Pages of projects' releases.
    pub releases: Lists<Key<ProjectId>, Release>,
    /// How many releases projects have.
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
    /// How many organizations there are.
    pub organization_count: Count<(), OrganizationCondition>,
    /// How many employees there are.
    pub employee_count: Count<(), EmployeeCondition>,
    /// How many projects there are.
    pub project_count: Count<(), ProjectCondition>,
    /// How many employees organizations have.
    pub organization_employee_count: Count<OrganizationId, EmployeeCondition>,
    /// How many projects organizations have.
    pub organization_project_count: Count<OrganizationId, ProjectCondition>,
    /// How many people work on projects.
    pub team_count: Count<Key<ProjectId>, EmployeeCondition>,
    /// How many projects employees work on.
    pub employee_project_count: Count<Key<EmployeeId>, ProjectCondition>,
    /// Figures about all employees.
    pub employee_stats: Figures<()>,
    /// Figures about organizations' employees.
    pub organization_employee_stats: Figures<OrganizationId>,
    /// Figures about measurements.
    pub metric_stats: Reported<Totals>,
    /// Figures about measurements over time.
    pub metric_series: Reported<Series>,
    /// Figures about groups of measurements.
    pub metric_groups: Reported<Groups>,
    /// What came too late.
    pub late: Reported<Late>,
    /// Pages of single measurements.
    pub metrics: Reported<Measurements>,
    /// The worst_sample endpoints.
    pub slowest: Reported<Slowest>,
    /// The worst_sample measurements of endpoints.
    pub worst_sample: Loader<AskedSample, WorstSample>,
    /// Measurements by key.
    pub metric: Loader<MetricKey, Metric>,
}

/// What the loaders of a request load from.
pub struct Source {
    scope: Scope,
    db: Session,
    departments_max: usize,
    /// The moment that everything of the request ends at.
    as_of: Timestamp,
}

impl Loaders {
    /// Fresh loaders that see what `scope` sees.
    pub fn new(scope: Scope, db: &Session, limits: &Limits, as_of: Timestamp) -> Self {
        let source = Source { scope, db: db.clone(), departments_max: limits.departments_max, as_of };
        let shared = &Shared::new(source);
        /// One statement for all rows asked for, with the columns that any of them needs.
        macro_rules! by_id {
            ($load:path) => {
                Loader::new(shared, |Source { scope, db, .. }, asked: Vec<Asked<_, _>>| {
                    Box::pin(async move {
                        let (ids, fields) = wanted(asked.iter().map(|asked| (asked.id.clone(), asked.fields)));
                        let found = $load(scope, db, &ids, fields).await?;
                        let found = found.into_iter().map(|(id, row)| (id, Arc::new(row))).collect();
                        Ok(share(asked, &found, |asked| asked.id.clone()))
                    })
                })
            };
        }
        /// One statement for each distinct list (there is one, unless aliases ask for several).
        macro_rules! by_parent {
            ($load:expr) => {
                Loader::new(shared, |Source { scope, db, .. }, asked: Vec<AskedPage<_, _, _, _>>| {
                    Box::pin(async move {
                        let mut answer = HashMap::new();
                        for (list, asked) in grouped(asked, |asked| Arc::clone(&asked.list)) {
                            let (parents, fields) = wanted(asked.iter().map(|asked| (asked.parent, asked.fields)));
                            let found = $load(scope, db, &parents, &list, fields).await?;
                            let found = found.into_iter().map(|(parent, page)| (parent, Arc::new(page))).collect();
                            answer.extend(share(asked, &found, |asked| asked.parent));
                        }
                        Ok(answer)
                    })
                })
            };
        }
        /// One statement for each distinct filter.
        macro_rules! counts {
            ($load:expr) => {
                Loader::new(shared, |Source { scope, db, .. }, asked: Vec<AskedCount<_, _>>| {
                    Box::pin(async move {
                        let mut answer = HashMap::new();
                        for (filter, asked) in grouped(asked, |asked| asked.filter.clone()) {
                            let parents: Vec<_> = asked.iter().map(|asked| asked.parent).collect();
                            let found = $load(scope, db, &parents, filter.as_deref()).await?;
                            let count = |asked: AskedCount<_, _>| Some((found.get(&asked.parent).copied()?, asked));
                            answer.extend(asked.into_iter().filter_map(count).map(|(count, asked)| (asked, count)));
                        }
                        Ok(answer)
                    })
                })
            };
        }
        Self {
            organization: by_id!(directory::by_ids),
            organization_by_slug: by_id!(organization::by_slugs),
            employee: by_id!(directory::by_ids),
            project: by_id!(directory::by_ids),
            release: by_id!(directory::by_ids),
            release_by_version: by_id!(release::by_versions),
            release_run: Loader::new(shared, |Source { scope, db, as_of, .. }, keys: Vec<Key<ReleaseId>>| {
                Box::pin(async move { release::runs(scope, db, &keys, *as_of).await })
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
            employee_stats: employee_stats::of_everybody(shared),
            organization_employee_stats: employee_stats::of_organizations(shared),
            metric_stats: report::report(shared),
            metric_series: report::report(shared),
            metric_groups: report::report(shared),
            late: report::report(shared),
            metrics: report::report(shared),
            slowest: report::report(shared),
            worst_sample: Loader::new(shared, |source, asked| Box::pin(worst_sample(source, asked))),
            metric: Loader::new(shared, |source, keys| Box::pin(metric(source, keys))),
        }
    }
}

/// The list of what the whole scope sees, as the list of one parent.
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

/// One report for all endpoints of a ranking.
async fn worst_sample(
    Source { scope, db, .. }: &Source,
    asked: Vec<AskedSample>,
) -> Result<HashMap<AskedSample, WorstSample>> {
    let mut questions: HashMap<Arc<Question>, BTreeSet<EndpointKey>> = HashMap::new();
    for asked in asked {
        questions.entry(asked.question).or_default().insert(asked.endpoint);
    }
    let mut answer = HashMap::new();
    for (question, endpoints) in questions {
        let endpoints: Vec<_> = endpoints.into_iter().collect();
        let found = worst_sample::by_endpoint(scope, db, &question, &endpoints).await?;
        let named = found.into_iter();
        answer.extend(
            named.map(|(endpoint, sample)| (AskedSample { question: Arc::clone(&question), endpoint }, sample)),
        );
    }
    Ok(answer)
}

async fn metric(Source { scope, db, .. }: &Source, keys: Vec<MetricKey>) -> Result<HashMap<MetricKey, Metric>> {
    let found = reports::metric::by_keys(scope, db, &keys).await?;
    let wrap =
        |(key, measurement): (MetricKey, Measurement)| (key, Metric { id: key.id, project: key.project, measurement });
    Ok(found.into_iter().map(wrap).collect())
}

/// The distinct ids, in order so that equal requests send equal statements, and every column that any of them needs.
fn wanted<Id: Ord, Fields: Default + BitOr<Output = Fields>>(
    asked: impl Iterator<Item = (Id, Fields)>,
) -> (Vec<Id>, Fields) {
    let (mut ids, mut fields) = (BTreeSet::new(), Fields::default());
    for (id, more) in asked {
        ids.insert(id);
        fields = fields | more;
    }
    (ids.into_iter().collect(), fields)
}

/// Answers every key with the row that it shares with other keys of the same id.
fn share<Asked: Eq + Hash, Id: Eq + Hash, Value>(
    asked: Vec<Asked>,
    found: &HashMap<Id, Arc<Value>>,
    id: impl Fn(&Asked) -> Id,
) -> HashMap<Asked, Arc<Value>> {
    asked.into_iter().filter_map(|asked| found.get(&id(&asked)).map(|row| (asked, Arc::clone(row)))).collect()
}

/// Those that ask for the same, together.
fn grouped<Asked, Same: Eq + Hash>(asked: Vec<Asked>, same: impl Fn(&Asked) -> Same) -> HashMap<Same, Vec<Asked>> {
    let mut groups: HashMap<_, Vec<_>> = HashMap::new();
    for asked in asked {
        groups.entry(same(&asked)).or_default().push(asked);
    }
    groups
}

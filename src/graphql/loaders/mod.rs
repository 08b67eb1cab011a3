//! Loaders: fields that are resolved side by side share one statement, and a row is read once per request.
//!
//! What each loads stands here; how loading in batches works stands in `loader`.

mod loader;

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    ops::BitOr,
    sync::Arc,
};

pub use loader::Loader;

use super::types::Metric;
use crate::{
    db::Session,
    directory::{
        Employee, EmployeeFields, Member, Organization, OrganizationFields, Project, ProjectFields, employee,
        organization, project, team,
    },
    model::{
        EmployeeId, Key, Measurement, MetricKey, OrganizationId, ProjectId, Scope,
        page::{Page, PageRequest},
    },
    reports::{self, EndpointKey, Question, Sample, Stats, Want, stats, worst},
};

/// A row and the columns that are wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Asked<Id, Fields> {
    /// Which row.
    pub id: Id,
    /// Which columns.
    pub fields: Fields,
}

/// A page of a parent's list and the columns that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedPage<Parent, Fields> {
    /// Whose list.
    pub parent: Parent,
    /// Which page.
    pub page: PageRequest,
    /// Which columns.
    pub fields: Fields,
}

/// Figures of a project's measurements that are wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedStats {
    /// The project.
    pub project: Key<ProjectId>,
    /// Which measurements; the projects in it are replaced.
    pub question: Question,
    /// Which figures.
    pub want: Want,
}

/// The worst measurement of an endpoint that is wanted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AskedSample {
    /// Which measurements.
    pub question: Question,
    /// The endpoint.
    pub endpoint: EndpointKey,
}

type ById<Id, Fields, Row> = Loader<Asked<Id, Fields>, Arc<Row>>;
type ByParent<Parent, Fields, Row> = Loader<AskedPage<Parent, Fields>, Arc<Page<Row>>>;

/// Every loader of one request (of one event in a subscription), with the scope they load in.
pub struct Loaders {
    /// Organizations by id.
    pub organization: ById<OrganizationId, OrganizationFields, Organization>,
    /// Employees by key.
    pub employee: ById<Key<EmployeeId>, EmployeeFields, Employee>,
    /// Projects by key.
    pub project: ById<Key<ProjectId>, ProjectFields, Project>,
    /// Pages of organizations' employees.
    pub organization_employees: ByParent<OrganizationId, EmployeeFields, Arc<Employee>>,
    /// Pages of organizations' projects.
    pub organization_projects: ByParent<OrganizationId, ProjectFields, Arc<Project>>,
    /// How many projects organizations have.
    pub organization_project_count: Loader<OrganizationId, u64>,
    /// Pages of projects' teams.
    pub team: ByParent<Key<ProjectId>, EmployeeFields, Member>,
    /// Pages of employees' projects.
    pub employee_projects: ByParent<Key<EmployeeId>, ProjectFields, Arc<Project>>,
    /// How many projects employees work on.
    pub employee_project_count: Loader<Key<EmployeeId>, u64>,
    /// Figures about projects' measurements.
    pub metric_stats: Loader<AskedStats, Stats>,
    /// The worst measurements of endpoints.
    pub worst_sample: Loader<AskedSample, Sample>,
    /// Measurements by key.
    pub metric: Loader<MetricKey, Metric>,
}

impl Loaders {
    /// Fresh loaders that see what `scope` sees.
    pub fn new(scope: Scope, db: &Session) -> Self {
        /// One statement for all rows asked for, with the columns that any of them needs.
        macro_rules! by_id {
            ($load:path) => {{
                let db = db.clone();
                Loader::new(move |asked: Vec<Asked<_, _>>| {
                    let db = db.clone();
                    async move {
                        let (ids, fields) = wanted(asked.iter().map(|asked| (asked.id, asked.fields)));
                        let found = $load(&scope, &db, &ids, fields).await?;
                        let found = found.into_iter().map(|(id, row)| (id, Arc::new(row))).collect();
                        Ok(share(asked, &found, |asked| asked.id))
                    }
                })
            }};
        }
        /// One statement for each distinct page (there is one, unless aliases ask for several).
        macro_rules! by_parent {
            ($load:path) => {{
                let db = db.clone();
                Loader::new(move |asked: Vec<AskedPage<_, _>>| {
                    let db = db.clone();
                    async move {
                        let mut answer = HashMap::new();
                        for (page, asked) in by_page(asked) {
                            let (parents, fields) = wanted(asked.iter().map(|asked| (asked.parent, asked.fields)));
                            let found = $load(&scope, &db, &parents, &page, fields).await?;
                            let found = found.into_iter().map(|(parent, page)| (parent, Arc::new(page))).collect();
                            answer.extend(share(asked, &found, |asked| asked.parent));
                        }
                        Ok(answer)
                    }
                })
            }};
        }
        macro_rules! count {
            ($load:path) => {{
                let db = db.clone();
                Loader::new(move |keys: Vec<_>| {
                    let db = db.clone();
                    async move { $load(&scope, &db, &keys).await }
                })
            }};
        }
        Self {
            organization: by_id!(organization::by_ids),
            employee: by_id!(employee::by_ids),
            project: by_id!(project::by_ids),
            organization_employees: by_parent!(employee::by_organizations),
            organization_projects: by_parent!(project::by_organizations),
            organization_project_count: count!(project::counts_by_organizations),
            team: by_parent!(team::by_projects),
            employee_projects: by_parent!(project::by_employees),
            employee_project_count: count!(team::project_counts),
            metric_stats: metric_stats(scope, db.clone()),
            worst_sample: worst_sample(scope, db.clone()),
            metric: metric(scope, db.clone()),
        }
    }
}

/// One report for all projects that are asked the same question.
fn metric_stats(scope: Scope, db: Session) -> Loader<AskedStats, Stats> {
    Loader::new(move |asked: Vec<AskedStats>| {
        let db = db.clone();
        async move {
            let mut questions: HashMap<(Question, Want), Vec<AskedStats>> = HashMap::new();
            for asked in asked {
                questions.entry((asked.question.clone(), asked.want)).or_default().push(asked);
            }
            let mut answer = HashMap::new();
            for ((question, want), asked) in questions {
                let projects: BTreeSet<_> = asked.iter().map(|asked| asked.project).collect();
                let projects: Vec<_> = projects.into_iter().collect();
                let mut found = stats::by_project(&scope, &db, &question, &projects, want).await?;
                answer
                    .extend(asked.into_iter().filter_map(|asked| Some((asked.clone(), found.remove(&asked.project)?))));
            }
            Ok(answer)
        }
    })
}

/// One report for all endpoints of a ranking.
fn worst_sample(scope: Scope, db: Session) -> Loader<AskedSample, Sample> {
    Loader::new(move |asked: Vec<AskedSample>| {
        let db = db.clone();
        async move {
            let mut questions: HashMap<Question, BTreeSet<EndpointKey>> = HashMap::new();
            for asked in asked {
                questions.entry(asked.question).or_default().insert(asked.endpoint);
            }
            let mut answer = HashMap::new();
            for (question, endpoints) in questions {
                let endpoints: Vec<_> = endpoints.into_iter().collect();
                let found = worst::by_endpoint(&scope, &db, &question, &endpoints).await?;
                answer.extend(
                    found
                        .into_iter()
                        .map(|(endpoint, sample)| (AskedSample { question: question.clone(), endpoint }, sample)),
                );
            }
            Ok(answer)
        }
    })
}

fn metric(scope: Scope, db: Session) -> Loader<MetricKey, Metric> {
    Loader::new(move |keys: Vec<MetricKey>| {
        let db = db.clone();
        async move {
            let found = reports::metric::by_keys(&scope, &db, &keys).await?;
            let wrap = |(key, measurement): (MetricKey, Measurement)| {
                (key, Metric { id: key.id, project: key.project, measurement })
            };
            Ok(found.into_iter().map(wrap).collect())
        }
    })
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

fn by_page<Parent, Fields>(
    asked: Vec<AskedPage<Parent, Fields>>,
) -> HashMap<PageRequest, Vec<AskedPage<Parent, Fields>>> {
    let mut pages: HashMap<_, Vec<_>> = HashMap::new();
    for asked in asked {
        pages.entry(asked.page.clone()).or_default().push(asked);
    }
    pages
}

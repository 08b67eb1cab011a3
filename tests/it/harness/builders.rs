//! Fills a database through the rooms, like any client. The same seed at the same time generates the same ids and
//! names.

use perfgraph::{
    app::Core,
    auth,
    db::StatementLog,
    directory::{
        EmployeeOrderField, OrganizationOrderField, ProjectOrderField, ProjectStatus, cursor, employee,
        order::OrderField, organization, project, team,
    },
    graphql::node::NodeId,
    ingest::{Candidate, Mode, Submission},
    model::{
        EmployeeId, Key, MetricType, OrganizationId, ProjectId, StreamCursor, Timestamp, order::SortValue,
        timestamp::MINUTE_MICROS,
    },
};

/// The amount of data, from text like `organizations=1 employees=20 projects=20 members=8` in the head of a case.
#[derive(Clone, Debug, Default)]
pub struct Seed {
    pub organizations: usize,
    /// Employees of each organization.
    pub employees: usize,
    /// Projects of each organization.
    pub projects: usize,
    /// Members of each project.
    pub members: usize,
    /// Measurements of each project, one per minute before now.
    pub metrics: usize,
}

impl Seed {
    pub fn parse(text: &str) -> Self {
        let mut seed = Self::default();
        for word in text.split_whitespace() {
            let (name, count) = word.split_once('=').unwrap_or_else(|| panic!("`{word}` is not name=count"));
            let count = count.parse().unwrap_or_else(|_| panic!("`{word}`: not a count"));
            match name {
                "organizations" => seed.organizations = count,
                "employees" => seed.employees = count,
                "projects" => seed.projects = count,
                "members" => seed.members = count,
                "metrics" => seed.metrics = count,
                _ => panic!("a seed knows organizations, employees, projects, members and metrics, not `{name}`"),
            }
        }
        seed
    }
}

/// A created row: its key and the name that lists are ordered by.
#[derive(Clone, Debug)]
pub struct Named<K> {
    pub key: K,
    pub name: String,
}

/// The data in the database.
#[derive(Debug, Default)]
pub struct World {
    pub organizations: Vec<Named<OrganizationId>>,
    pub employees: Vec<Named<Key<EmployeeId>>>,
    pub projects: Vec<Named<Key<ProjectId>>>,
    /// The position after the last measurements.
    pub cursor: Option<StreamCursor>,
}

impl World {
    pub async fn build(core: &Core, seed: &Seed) -> Self {
        let mut world = Self::default();
        for number in 1..=seed.organizations {
            world.organization(core, number).await;
            world.employees(core, seed.employees).await;
            world.projects(core, seed.projects, seed.members.min(seed.employees)).await;
        }
        if seed.metrics > 0 {
            for project in world.projects.clone() {
                let metrics = metrics(core.clock.now(), seed.metrics);
                world.cursor = ingest(core, project.key, metrics).await;
            }
        }
        world
    }

    async fn organization(&mut self, core: &Core, number: usize) {
        let (scope, db, now) = (auth::server_scope(), core.database.writer(StatementLog::default()), core.clock.now());
        let (id, name) = (OrganizationId(core.ids.next(now).unwrap()), format!("Organization {number:02}"));
        let new =
            organization::NewOrganization { id, slug: Some(format!("organization-{number}")), name: name.clone() };
        organization::create(&scope, &db, new, now).await.unwrap();
        self.organizations.push(Named { key: id, name });
    }

    fn newest(&self) -> OrganizationId {
        self.organizations.last().unwrap().key
    }

    async fn employees(&mut self, core: &Core, count: usize) {
        let (scope, db, now) = (auth::server_scope(), core.database.writer(StatementLog::default()), core.clock.now());
        let organization = self.newest();
        let departments = ["Engineering", "Operations", "Design"];
        let new = |number: usize| employee::NewEmployee {
            id: EmployeeId(core.ids.next(now).unwrap()),
            name: format!("Employee {number:03}"),
            email: format!("employee.{number}@organization-{}.example", self.organizations.len()),
            department: departments[number % departments.len()].to_owned(),
            salary: Some(50_000.0),
        };
        let new: Vec<_> = (1..=count).map(new).collect();
        employee::create(&scope, &db, organization, &new, now).await.unwrap();
        let made = new.into_iter().map(|new| Named { key: Key::new(organization, new.id), name: new.name });
        self.employees.extend(made);
    }

    /// The members of each project start one person further on, so that the teams differ and overlap.
    async fn projects(&mut self, core: &Core, count: usize, members: usize) {
        let (scope, db, now) = (auth::server_scope(), core.database.writer(StatementLog::default()), core.clock.now());
        let organization = self.newest();
        let people: Vec<_> = self.employees.iter().filter(|one| one.key.organization == organization).collect();
        let mut made = Vec::new();
        for number in 1..=count {
            let name = format!("Project {number:03}");
            let member = |place: usize| team::NewMember {
                employee: people[(number - 1 + place) % people.len()].key,
                role: if place == 0 { "Lead" } else { "Member" }.to_owned(),
            };
            let new = project::NewProject {
                id: ProjectId(core.ids.next(now).unwrap()),
                slug: Some(format!("project-{number}")),
                name: name.clone(),
                status: ProjectStatus::Active,
                members: (0..members).map(member).collect(),
            };
            let key = project::create(&scope, &db, organization, new, now).await.unwrap();
            made.push(Named { key, name });
        }
        self.projects.extend(made);
    }

    /// The value of `{{noun.number}}` in a case: the id as clients see it.
    pub fn id(&self, noun: &str, number: usize) -> String {
        let at = number - 1;
        let node = match noun {
            "organization" => NodeId::Organization(self.organizations[at].key),
            "employee" => NodeId::Employee(self.employees[at].key),
            "project" => NodeId::Project(self.projects[at].key),
            _ => panic!("a case knows the ids of organization, employee and project, not of `{noun}`"),
        };
        node.encode().0
    }

    /// The value of `{{noun.number.cursor}}` in a case: the cursor of the item in its list.
    pub fn page_cursor(&self, noun: &str, number: usize) -> String {
        let at = number - 1;
        match noun {
            "organization" => {
                by_name::<OrganizationOrderField>(&self.organizations[at].name, self.organizations[at].key.0)
            }
            "employee" => by_name::<EmployeeOrderField>(&self.employees[at].name, self.employees[at].key.id.0),
            "project" => by_name::<ProjectOrderField>(&self.projects[at].name, self.projects[at].key.id.0),
            _ => panic!("a case knows the cursors of organization, employee and project, not of `{noun}`"),
        }
    }
}

fn by_name<F: OrderField>(name: &str, id: i64) -> String {
    cursor::encode::<F>(&[], id, |_| Ok(SortValue::Text(name))).unwrap()
}

/// One measurement per minute before now: three types in turn over three endpoints. Every seventh is an error if its
/// type has a status.
pub fn metrics(now: Timestamp, count: usize) -> Vec<Candidate> {
    const SHAPES: [(MetricType, &str); 3] = [
        (MetricType::ApiResponse, "GET /orders/:id"),
        (MetricType::PageLoad, "/checkout"),
        (MetricType::Database, "orders"),
    ];
    let one = |number: usize| {
        let (kind, endpoint) = SHAPES[number % SHAPES.len()];
        let status = (kind == MetricType::ApiResponse).then_some(if number.is_multiple_of(7) { 500 } else { 200 });
        let number = i32::try_from(number).unwrap();
        Candidate {
            kind,
            value: f64::from(number * 10 + 1),
            endpoint: endpoint.to_owned(),
            status,
            timestamp: Some(now.plus_micros(-i64::from(number + 1) * MINUTE_MICROS)),
            name: None,
            release: None,
            labels: Vec::new(),
        }
    };
    (0..count).map(one).collect()
}

pub async fn ingest(core: &Core, project: Key<ProjectId>, candidates: Vec<Candidate>) -> Option<StreamCursor> {
    let expected = u32::try_from(candidates.len()).unwrap();
    let submission =
        Submission { project, candidates, idempotency_key: None, source: "test".to_owned(), mode: Mode::Atomic };
    let receipt = core.ingest.submit(&auth::server_scope(), submission, &StatementLog::default()).await.unwrap();
    assert_eq!(receipt.accepted, expected, "{receipt:?}");
    receipt.cursor
}

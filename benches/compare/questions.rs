//! The questions: the same one as a GraphQL operation for perfgraph, as a URL of the plain endpoint, and for the textbook server.

use perfgraph::{
    graphql::node::NodeId,
    model::{Key, OrganizationId, ProjectId, Timestamp},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

use crate::{
    client,
    round::Expect,
    textbook::{self, Question as Textbook},
    world::World,
};

const HOUR_MICROS: i64 = 3_600 * 1_000_000;
const RNG_SEED: u64 = 5;
/// Different bodies of writes, sent in turn.
const BODIES: usize = 16;
/// Rows of a large write.
const MANY: usize = 1_000;
const INGEST: &str =
    "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted userErrors { message } } }";

/// A question in the words of each server.
pub struct Question {
    /// Its name in the reports.
    pub name: &'static str,
    /// The question in words.
    pub what: &'static str,
    /// For perfgraph, sent in turn.
    pub ours: Vec<Vec<u8>>,
    /// For the plain endpoint.
    pub plain: Vec<Vec<u8>>,
    /// For the textbook server, which does not answer all.
    pub textbook: Option<Vec<Vec<u8>>>,
    /// The order is that of estimates: neighbours that differ by less than their error may have changed places.
    pub is_ranked_by_estimates: bool,
    /// In every answer of a write; a read answers the same each time.
    pub written: Option<[Expect; 3]>,
    /// perfgraph's CPU may be this many times that of the plain endpoint, and its database's this many times the plain one's.
    pub goal: (f64, Option<f64>),
}

struct Asker<'a> {
    organization: i64,
    project: i64,
    world: &'a World,
}

impl<'a> Asker<'a> {
    fn of(world: &'a World) -> Self {
        let project = i64::from(world.shape.project());
        Self { organization: (project - 1) / 20 + 1, project, world }
    }

    fn ours(query: &str, variables: &Value) -> Vec<Vec<u8>> {
        vec![client::post("/graphql", &json!({ "query": query, "variables": variables }).to_string(), "")]
    }

    fn textbook(question: &Textbook) -> Vec<Vec<u8>> {
        vec![client::post("/graphql", &textbook::body(question), "")]
    }

    fn project_id(&self) -> String {
        NodeId::Project(Key::new(OrganizationId(self.organization), ProjectId(self.project))).encode().0
    }

    /// A window that ends at the whole minute of the data's end.
    fn window(&self, hours: i64) -> (Timestamp, Timestamp) {
        (self.world.until.plus_micros(-hours * HOUR_MICROS), self.world.until)
    }

    fn filter(&self, hours: i64, kinds: &[&str], has_project: bool) -> Value {
        let (from, to) = self.window(hours);
        let mut filter = json!({ "time": { "between": { "start": from.to_string(), "end": to.to_string() } } });
        if !kinds.is_empty() {
            filter["types"] = json!(kinds);
        }
        if has_project {
            filter["projectIds"] = json!([self.project_id()]);
        }
        filter
    }

    fn plain(&self, path: &str, hours: i64) -> Vec<Vec<u8>> {
        let (from, to) = self.window(hours);
        vec![client::get(&format!("/{path}?project={}&from={}&to={}", self.project, from.as_micros(), to.as_micros()))]
    }

    fn breakdown(&self, name: &'static str, what: &'static str, key: &str, path: &str, hours: i64) -> Question {
        let kind = if key == "NAME" { "PAGE_LOAD" } else { "API_RESPONSE" };
        let (from, to) = self.window(hours);
        let (from, to) = (from.as_micros(), to.as_micros());
        let textbook =
            (key == "STATUS_CODE").then(|| Self::textbook(&Textbook::StatusCodes { project: self.project, from, to }));
        Question {
            name,
            what,
            ours: Self::ours(
                &format!(
                    "query($filter: MetricFilter!) {{ metricGroups(filter: $filter, groupBy: [{key}], first: 100) {{ \
                     keys {{ value }} stats {{ count average p95: percentile(p: 95) }} }} }}"
                ),
                &json!({ "filter": self.filter(hours, &[kind], true) }),
            ),
            plain: self.plain(path, hours),
            textbook,
            is_ranked_by_estimates: false,
            written: None,
            goal: (1.0, Some(0.2)),
        }
    }

    fn ranking(&self, name: &'static str, what: &'static str, by: &str) -> Question {
        let (from, to) = self.window(24);
        let (from, to) = (from.as_micros(), to.as_micros());
        let textbook = (by == "AVERAGE").then(|| Self::textbook(&Textbook::Slowest { from, to }));
        Question {
            name,
            what,
            ours: Self::ours(
                &format!(
                    "query($filter: MetricFilter!) {{ slowestEndpoints(first: 10, rankBy: {by}, filter: $filter) {{ endpoint \
                     project {{ name }} stats {{ count average p95: percentile(p: 95) }} }} }}"
                ),
                &json!({ "filter": self.filter(24, &["API_RESPONSE"], false) }),
            ),
            plain: vec![client::get(&format!("/slowest?by={by}&from={from}&to={to}"))],
            textbook,
            is_ranked_by_estimates: by == "P95",
            written: None,
            goal: (2.0, Some(0.5)),
        }
    }

    /// Measurements of the last seconds before now.
    fn metrics(&self, rows: usize, random: &mut StdRng) -> Vec<Value> {
        let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
        let endpoints = self.world.shape.endpoints(self.world.shape.project());
        let metric = |_| {
            json!({
                "type": "API_RESPONSE", "endpoint": format!("/items/e{}x", random.random_range(0..endpoints)),
                "value": f64::from(random.random_range(1..1_000_000)) / 1_000.0, "statusCode": 200,
                "timestamp": now.plus_micros(-random.random_range(0..10_000_000)).to_string(),
            })
        };
        (0..rows).map(metric).collect()
    }

    fn write(&self, name: &'static str, what: &'static str, rows: usize, goal: (f64, Option<f64>)) -> Question {
        let (organization, project) = (self.organization, self.project);
        let mut random = StdRng::seed_from_u64(RNG_SEED);
        let bodies: Vec<Vec<Value>> = (0..BODIES).map(|_| self.metrics(rows, &mut random)).collect();
        let plain = |metrics: &Vec<Value>| {
            let own = |metric: &Value| {
                let mut metric = metric.clone();
                (metric["organization"], metric["project"]) = (organization.into(), project.into());
                metric
            };
            let mut own: Vec<Value> = metrics.iter().map(own).collect();
            if rows == 1 {
                client::post("/metric", &own.remove(0).to_string(), "")
            } else {
                client::post("/metrics", &json!(own).to_string(), "")
            }
        };
        let ours = |metrics: &Vec<Value>| {
            let input = json!({ "projectId": self.project_id(), "metrics": metrics });
            client::post("/graphql", &json!({ "query": INGEST, "variables": { "input": input } }).to_string(), "")
        };
        let textbook = |metrics: &Vec<Value>| {
            let question = match metrics.as_slice() {
                [metric] => Textbook::InsertOne { project, organization, metric: metric.clone() },
                many => Textbook::InsertMany { project, organization, metrics: many.to_vec() },
            };
            client::post("/graphql", &textbook::body(&question), "")
        };
        let accepted = if rows == 1 { "\"accepted\":1" } else { "\"accepted\":1000" };
        Question {
            name,
            what,
            ours: bodies.iter().map(ours).collect(),
            plain: bodies.iter().map(plain).collect(),
            textbook: Some(bodies.iter().map(textbook).collect()),
            is_ranked_by_estimates: false,
            written: Some([Expect::Text(accepted), Expect::Text(accepted), Expect::Text("{\"data\":{\"insert")]),
            goal,
        }
    }
}

/// The questions that write, with measurements of now.
pub fn writes(world: &World) -> Vec<Question> {
    let asker = Asker::of(world);
    vec![
        asker.write("W8", "one measurement", 1, (2.0, Some(1.0))),
        asker.write("W9", "1,000 measurements", MANY, (1.5, None)),
    ]
}

/// The questions that read.
pub fn reads(world: &World) -> Vec<Question> {
    let asker = Asker::of(world);
    let project = asker.project;
    let organization = asker.organization;
    let organization_id = NodeId::Organization(OrganizationId(organization)).encode().0;
    let (day, week) = (asker.window(24), asker.window(7 * 24));
    let textbook = Asker::textbook;
    vec![
        Question {
            name: "W1",
            what: "one organization",
            ours: Asker::ours(
                "query($id: ID!) { organization(id: $id) { name slug employeeCount } }",
                &json!({ "id": organization_id }),
            ),
            plain: vec![client::get(&format!("/organization?id={organization}"))],
            textbook: Some(textbook(&Textbook::Organization { id: organization })),
            is_ranked_by_estimates: false,
            written: None,
            goal: (2.0, None),
        },
        Question {
            name: "W2",
            what: "50 employees with organization",
            ours: Asker::ours(
                "{ employees(first: 50) { nodes { id name email department organization { id name } } } }",
                &json!({}),
            ),
            plain: vec![client::get("/employees")],
            textbook: Some(textbook(&Textbook::Employees)),
            is_ranked_by_estimates: false,
            written: None,
            goal: (1.5, None),
        },
        Question {
            name: "W3",
            what: "20 projects x 8 members",
            ours: Asker::ours(
                "{ projects(first: 20) { nodes { id name status team: members(first: 8) { nodes { id name email } } \
                 organization { id name } } } }",
                &json!({}),
            ),
            plain: vec![client::get("/projects")],
            textbook: Some(textbook(&Textbook::Projects)),
            is_ranked_by_estimates: false,
            written: None,
            goal: (2.0, Some(1.0)),
        },
        Question {
            name: "W4",
            what: "summary of 24 h by type",
            ours: Asker::ours(
                "query($filter: MetricFilter!) { metricGroups(filter: $filter, groupBy: [TYPE]) { type stats { count average \
                 min max p50: percentile(p: 50) p95: percentile(p: 95) p99: percentile(p: 99) } } }",
                &json!({ "filter": asker.filter(24, &[], true) }),
            ),
            plain: asker.plain("summary", 24),
            textbook: Some(textbook(&Textbook::Summary { project, from: day.0.as_micros(), to: day.1.as_micros() })),
            is_ranked_by_estimates: false,
            written: None,
            goal: (1.0, Some(0.2)),
        },
        Question {
            name: "W5",
            what: "departments of an organization",
            ours: Asker::ours(
                "query($id: ID!) { employeeStats(filter: { organizationId: $id }) { count activeCount averageSalary \
                 byDepartment { department count averageSalary } } }",
                &json!({ "id": organization_id }),
            ),
            plain: vec![client::get(&format!("/departments?id={organization}"))],
            textbook: Some(textbook(&Textbook::Departments { organization })),
            is_ranked_by_estimates: false,
            written: None,
            goal: (1.5, None),
        },
        Question {
            name: "W6",
            what: "hours of 7 days",
            ours: Asker::ours(
                "query($filter: MetricFilter!) { metricSeries(filter: $filter, bucket: \"PT1H\") { start stats { count \
                 average p95: percentile(p: 95) } } }",
                &json!({ "filter": asker.filter(7 * 24, &["API_RESPONSE"], true) }),
            ),
            plain: asker.plain("hourly", 7 * 24),
            textbook: Some(textbook(&Textbook::Hourly { project, from: week.0.as_micros(), to: week.1.as_micros() })),
            is_ranked_by_estimates: false,
            written: None,
            goal: (1.0, Some(0.15)),
        },
        asker.ranking("W7", "10 worst endpoints by average", "AVERAGE"),
        asker.ranking("W7p", "10 worst endpoints by p95", "P95"),
        asker.breakdown("B1", "24 h by status", "STATUS_CODE", "statuses", 24),
        asker.breakdown("B2", "7 days by release", "RELEASE", "releases", 7 * 24),
        asker.breakdown("B3", "24 h of page loads by name", "NAME", "names", 24),
    ]
}

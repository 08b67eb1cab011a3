//! The workloads: each question as a GraphQL operation and as a URL of the hand-written endpoint.

use serde_json::{Value, json};

use crate::{client, databases::Bench};

/// A question, and how often it is asked in one round.
pub struct Workload {
    /// Its name in the design.
    pub name: &'static str,
    /// The JSON body for perfgraph.
    pub body: String,
    /// The request for the hand-written endpoint.
    pub by_hand: Vec<u8>,
    /// Requests of a round on perfgraph.
    pub requests: usize,
    /// Requests of a round on the hand-written endpoint: more, where that number would be too quick to measure.
    pub requests_by_hand: usize,
}

fn body(query: &str, variables: &Value) -> String {
    json!({ "query": query, "variables": variables }).to_string()
}

/// The five reads. `from` and `to` bound the day that is summed up, as RFC 3339.
pub fn reads(bench: &Bench, from: &str, to: &str) -> Vec<Workload> {
    let organization = bench.read.organization_node_id();
    let project = bench.read.node_id();
    let filter = json!({ "time": { "between": { "from": from, "to": to } }, "projectIds": [project] });
    vec![
        Workload {
            name: "W1",
            body: body(
                "query W1($id: ID!) { organization(id: $id) { name slug employeeCount } }",
                &json!({ "id": organization }),
            ),
            by_hand: client::get(&format!("/organization?id={organization}")),
            requests: 5_000,
            requests_by_hand: 10_000,
        },
        Workload {
            name: "W2",
            body: body(
                "query W2 { employees(first: 50) { nodes { id name email department organization { id name } } } }",
                &json!({}),
            ),
            by_hand: client::get("/employees?first=50"),
            requests: 1_500,
            requests_by_hand: 5_000,
        },
        Workload {
            name: "W3",
            body: body(
                "query W3 { projects(first: 20) { nodes { id name status \
                 team: members(first: 8) { nodes { id name email } } organization { id name } } } }",
                &json!({}),
            ),
            by_hand: client::get("/projects?first=20&team=8"),
            requests: 700,
            requests_by_hand: 2_000,
        },
        Workload {
            name: "W4",
            body: body(
                "query W4($filter: MetricFilter!) { performanceSummary(type: API_RESPONSE, filter: $filter) { \
                 count averageValue: average minValue: min maxValue: max \
                 stats { p50: percentile(p: 50) p95: percentile(p: 95) p99: percentile(p: 99) } } }",
                &json!({ "filter": filter }),
            ),
            by_hand: client::get(&format!("/summary?project={project}&from={from}&to={to}")),
            requests: 1_000,
            // Reads every raw row of the day each time.
            requests_by_hand: 40,
        },
        Workload {
            name: "W5",
            body: body(
                "query W5($id: ID!) { employeeStats(filter: { organizationId: $id }) { \
                 count activeCount averageSalary byDepartment { department count averageSalary } } }",
                &json!({ "id": organization }),
            ),
            by_hand: client::get(&format!("/departments?id={organization}")),
            requests: 2_000,
            requests_by_hand: 3_000,
        },
    ]
}

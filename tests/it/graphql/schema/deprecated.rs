//! Documents written before names were settled keep working; a deprecated spelling beside its current one is an error.

use std::collections::BTreeSet;

use async_graphql::Variables;
use futures_util::StreamExt;
use perfgraph::{
    auth,
    engine::{Request, watch::Event},
};
use serde_json::{Value, json};

use super::elements;
use crate::harness::{Server, TestDatabase, World, builders};

const SEED: &str = "organizations=2 employees=6 projects=3 members=2 metrics=60";

/// Queries in the deprecated spellings.
const QUERIES: [&str; 4] = [
    "{ slowestEndpoints(limit: 2) { endpoint trend(bucket: \"PT1H\") { start } }
       allOrganizations { id } allEmployees { id } allProjects { id teamMembers { id } } }",
    "query($organization: ID!) { employeesByOrganization(organizationId: $organization) { id } }",
    "{ performanceSummary(metricType: API_RESPONSE) { metricType averageValue minValue maxValue }
       metricStats(filter: { time: { between: { from: \"2026-11-01T00:00:00Z\", to: \"2026-11-02T00:00:00Z\" } },
                             exact: true, releases: [\"\"] }) {
         accuracy { from to } histogram { from to } percentiles(p: [50]) { value } }
       metricColumns(filter: { time: { last: \"PT1H\" } }, bucket: \"PT30M\") { complete } }",
    "{ projects(orderBy: [{ field: TEAM_SIZE }]) { nodes { teamSize team(first: 1) { nodes { name } } } }
       employeesPage(pageSize: 1) { items { id } total pages } }",
];

/// Mutations in the deprecated spellings.
const MUTATIONS: [&str; 3] = [
    "mutation($project: ID!) {
       ingestMetrics(input: { projectId: $project, metrics: [
         { type: CUSTOM, value: 1, endpoint: \"/x\", release: \"1.0\" }] }) { duplicate userErrors { message } } }",
    "mutation($project: ID!, $employee: ID!) {
       removed: removeProjectMembers(projectId: $project, employeeIds: [$employee]) { userErrors { message } }
       added: addProjectMembers(projectId: $project, employeeIds: [$employee]) { userErrors { message } }
       archiveProject(id: $project) { userErrors { message } } }",
    "mutation($employee: ID!, $organization: ID!, $project: ID!) {
       updateEmployees(filter: { organizationId: $organization }, isActive: false, department: \"x\") {
         affected userErrors { message } }
       deleteEmployee(id: $employee) { userErrors { message } }
       deleteProject(id: $project) { deletedId }
       deleteOrganization(id: $organization) { deletedId } }",
];

/// Subscriptions in the deprecated spellings.
const SUBSCRIPTIONS: [&str; 2] = [
    "subscription($project: ID!) { metricStream(filter: { projectIds: [$project] }) {
       caughtUp gap { from to recoverable } } }",
    "subscription($project: ID!) { slowestEndpoints(filter: { projectIds: [$project] }, limit: 2) { value } }",
];

/// Read by validation alone: a gap needs changes that are no longer kept.
const GAP: &str =
    "subscription($organization: ID!) { entityChanged(organizationId: $organization) { gap { from to } } }";

/// A document that gives both spellings, the current one and the deprecated one.
const BOTH: [(&str, &str, &str); 13] = [
    ("{ slowestEndpoints(first: 1, limit: 1) { value } }", "first", "limit"),
    ("{ performanceSummary(type: DATABASE, metricType: DATABASE) { count } }", "type", "metricType"),
    ("{ metricStats { percentiles(ps: [1], p: [1]) { value } } }", "ps", "p"),
    ("{ metricStats(filter: { isExact: true, exact: true }) { count } }", "isExact", "exact"),
    ("{ metricStats(filter: { releaseVersions: [], releases: [] }) { count } }", "releaseVersions", "releases"),
    (
        "{ metricStats(filter: { time: { between: { start: \"2026-01-01T00:00:00Z\", from: \"2026-01-01T00:00:00Z\",
           end: \"2026-01-02T00:00:00Z\" } } }) { count } }",
        "start",
        "from",
    ),
    (
        "{ metricStats(filter: { time: { between: { start: \"2026-01-01T00:00:00Z\", to: \"2026-01-02T00:00:00Z\",
           end: \"2026-01-02T00:00:00Z\" } } }) { count } }",
        "end",
        "to",
    ),
    (
        "mutation($id: ID!) { ingestMetrics(input: { projectId: $id, metrics: [
           { type: CUSTOM, value: 1, endpoint: \"/x\", release: \"1\", releaseVersion: \"1\" }] }) { accepted } }",
        "releaseVersion",
        "release",
    ),
    ("mutation($id: ID!) { deleteEmployee(input: { id: $id }, id: $id) { deletedId } }", "input", "id"),
    ("mutation($id: ID!) { archiveProject(input: { id: $id }, id: $id) { project { id } } }", "input", "id"),
    (
        "mutation($id: ID!) { addProjectMembers(input: { projectId: $id, employeeIds: [] }, employeeIds: []) {
           project { id } } }",
        "input",
        "employeeIds",
    ),
    (
        "mutation($id: ID!) { removeProjectMembers(input: { projectId: $id, employeeIds: [] }, projectId: $id) {
           project { id } } }",
        "input",
        "projectId",
    ),
    (
        "mutation { updateEmployees(input: { filter: { isActive: true }, isActive: false }, isActive: null) { affected } }",
        "input",
        "isActive",
    ),
];

/// Documents that give neither spelling of what is required.
const NEITHER: [(&str, &str); 4] = [
    ("{ performanceSummary { count } }", "type"),
    ("{ metricStats(filter: { time: { between: { start: \"2026-01-01T00:00:00Z\" } } }) { count } }", "end"),
    ("mutation { deleteProject { deletedId } }", "input"),
    ("mutation($id: ID!) { addProjectMembers(projectId: $id) { project { id } } }", "input"),
];

fn variables(world: &World) -> Value {
    json!({
        "organization": world.id("organization", 1),
        "project": world.id("project", 1),
        "employee": world.id("employee", 1),
    })
}

/// What an operation uses of the variables: the rest would be refused.
fn used(document: &str, variables: &Value) -> Value {
    let all = variables.as_object().unwrap().iter();
    Value::Object(
        all.filter(|(name, _)| document.contains(&format!("${name}:")))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn documents_in_deprecated_spellings_are_answered() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world = server.seed(SEED).await;
    let variables = variables(&world);
    for document in QUERIES.iter().chain(&MUTATIONS) {
        let reply = server.graphql(document, used(document, &variables)).await;
        let answer = reply.json();
        assert!(answer.get("errors").is_none(), "{document}: {}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscriptions_in_deprecated_spellings_are_answered() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world = server.seed(SEED).await;
    let variables = variables(&world);
    for document in SUBSCRIPTIONS {
        let request = Request {
            query: Some(document.to_owned()),
            variables: Variables::from_json(used(document, &variables)),
            ..Request::default()
        };
        let events = server.app.engine().subscribe(auth::development_viewer(), request).events;
        let mut answers = events.filter(|event| std::future::ready(!matches!(event, Event::Opened(_))));
        let commit = async {
            loop {
                let now = server.app.core().clock.now();
                builders::ingest(server.app.core(), world.projects[0].key, builders::metrics(now, 3)).await;
            }
        };
        let answer = tokio::select! {
            answer = answers.next() => answer.unwrap(),
            () = commit => unreachable!("it commits for ever"),
        };
        let Event::Response(frame) = answer else { panic!("{document}: too slow") };
        let answer: Value = serde_json::from_str(&frame.payload).unwrap();
        assert!(answer.get("errors").is_none(), "{document}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_spellings_or_neither_are_an_error() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world = server.seed(SEED).await;
    let ids = |document: &str| {
        let noun = if document.contains("deleteEmployee") { "employee" } else { "project" };
        if document.contains("$id") { json!({ "id": world.id(noun, 1) }) } else { json!({}) }
    };
    for (document, current, deprecated) in BOTH {
        let (code, message) = server.graphql(document, ids(document)).await.error();
        assert_eq!(code, "BAD_USER_INPUT", "{document}: {message}");
        let names = format!("`{deprecated}`, its deprecated spelling; give `{current}` alone");
        assert!(message.contains(&names), "{document}: {message}");
    }
    for (document, name) in NEITHER {
        let (code, message) = server.graphql(document, ids(document)).await.error();
        assert_eq!(code, "BAD_USER_INPUT", "{document}: {message}");
        assert!(message.contains(&format!("{name}: is missing")), "{document}: {message}");
    }
}

/// What is deprecated and not tried here would be deprecated in name only.
#[test]
fn every_deprecated_name_is_tried() {
    let documents = QUERIES.iter().chain(&MUTATIONS).chain(&SUBSCRIPTIONS).chain([&GAP]);
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let tried: BTreeSet<_> =
        documents.flat_map(|document| document.split(move |character| !is_name(character))).collect();
    let all = elements::all();
    let untried = all.iter().filter(|element| element.is_deprecated && !tried.contains(element.name()));
    assert_eq!(untried.map(|element| element.path.clone()).collect::<Vec<_>>(), Vec::<String>::new());
}

//! How many statements an operation costs, whatever the number of rows; and that a field's failure is its own.

use perfgraph::clock::Clock;
mod relations;

use serde_json::{Value, json};

use crate::{
    harness::{Server, server::send},
    on_both_databases,
};

/// The data of an answer and the number of its statements.
pub async fn counted(server: &Server, query: &str, variables: Value) -> (Value, u64) {
    let body = json!({ "query": query, "variables": variables });
    let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
    let reply = send(request).await;
    let count = reply.json()["extensions"]["db"]["statements"].as_u64().unwrap();
    (reply.data(), count)
}

fn length(value: &Value) -> usize {
    value.as_array().unwrap().len()
}

on_both_databases! {
    async fn employees_with_their_organization_are_two_statements(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=2 employees=60").await;
        let query = "query ($first: Int) { employees(first: $first) { nodes { name organization { name } } } }";
        for first in [1, 20, 100] {
            let (data, statements) = counted(&server, query, json!({ "first": first })).await;
            assert_eq!((length(&data["employees"]["nodes"]), statements), (first, 2));
            assert!(data["employees"]["nodes"][first - 1]["organization"]["name"].is_string());
        }
    }
}

on_both_databases! {
    async fn projects_with_team_and_organization_are_three_statements(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=30 projects=100 members=9").await;
        let query = "query ($first: Int) {
            projects(first: $first) { nodes { name team(first: 8) { nodes { name } } organization { name } } }
        }";
        for first in [1, 20, 100] {
            let (data, statements) = counted(&server, query, json!({ "first": first })).await;
            let projects = &data["projects"]["nodes"];
            assert_eq!((length(projects), statements), (first, 3));
            for project in projects.as_array().unwrap() {
                assert_eq!(length(&project["team"]["nodes"]), 8);
                assert_eq!(project["organization"]["name"], "Organization 01");
            }
        }
    }
}

on_both_databases! {
    async fn figures_of_projects_are_one_statement_for_all(database: TestDatabase) {
        // A clock that goes on: every field would see another moment if each looked for itself.
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        server.seed("organizations=1 projects=40 metrics=3").await;
        let query = "query ($first: Int) {
            projects(first: $first) { nodes { metricStats(filter: { time: { last: \"PT1H\" } }) { count } } }
        }";
        for first in [1, 20, 40] {
            let (data, statements) = counted(&server, query, json!({ "first": first })).await;
            let projects = data["projects"]["nodes"].as_array().unwrap();
            assert_eq!((projects.len(), statements), (first, 2));
            assert!(projects.iter().all(|project| project["metricStats"]["count"] == 3), "{projects:?}");
        }
    }
}

on_both_databases! {
    async fn a_failing_field_hurts_no_sibling(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=2 projects=1 members=1").await;
        let ids = json!({ "employee": world.id("employee", 1), "project": world.id("project", 1) });
        let query = r#"query ($employee: ID!, $project: ID!) {
            bad: organization(id: "x", slug: "y") { name }
            good: organization(slug: "organization-1") { name }
            employee(id: $employee) { name }
            badly: project(id: $project) { name team(first: 1000) { nodes { name } } }
            project(id: $project) { name team(first: 1) { nodes { name } } }
        }"#;
        let reply = server.graphql(query, ids).await;
        let body = reply.json();
        assert_eq!(body["data"], json!({
            "bad": null,
            "good": { "name": "Organization 01" },
            "employee": { "name": "Employee 001" },
            "badly": null,
            "project": { "name": "Project 001", "team": { "nodes": [{ "name": "Employee 001" }] } },
        }), "{}", reply.text);
        let errors = body["errors"].as_array().unwrap();
        let mut paths: Vec<_> = errors.iter().map(|error| error["path"].to_string()).collect();
        paths.sort();
        assert_eq!(paths, [r#"["bad"]"#, r#"["badly","team"]"#]);
        assert!(errors.iter().all(|error| error["extensions"]["code"] == "BAD_USER_INPUT"), "{errors:?}");
    }
}

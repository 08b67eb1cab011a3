//! An id in a filter, a list or a stream that names nothing is `NOT_FOUND` and repeated, and never an answer of zero. What is
//! named is looked up once, in one statement for each kind of object.

use std::collections::BTreeSet;

use apollo_compiler::{Schema, schema::ExtendedType};
use perfgraph::{
    graphql::node::NodeId,
    model::{EmployeeId, Key, OrganizationId, ProjectId, ReleaseId},
};
use serde_json::{Value, json};

use super::statement_counts::counted;
use crate::{harness::Server, live::windows::subscriptions::subscribe, on_both_databases};
use futures_util::StreamExt;

/// Every condition on ids in the schema, each with the test that covers it.
const CONDITIONS: [&str; 11] = [
    "EmployeeFilter.organizationId",
    "EmployeeFilter.projectId",
    "MetricFilter.organizationId",
    "MetricFilter.projectIds",
    "MetricFilter.releaseId",
    "ProjectFilter.memberId",
    "ProjectFilter.organizationId",
    "StreamFilter.organizationId",
    "StreamFilter.projectIds",
    "TimeRange.release",
    "TimeRange.releaseId",
];

#[test]
fn every_condition_on_an_id_is_known() {
    let schema = Schema::parse_and_validate(perfgraph::graphql::schema::sdl(), "schema.graphql").unwrap();
    let mut found = BTreeSet::new();
    for kind in schema.types.values() {
        let ExtendedType::InputObject(input) = kind else { continue };
        if input.directives.has("conditions") {
            let ids = input.fields.values().filter(|field| field.ty.inner_named_type() == "ID");
            found.extend(ids.map(|field| format!("{}.{}", input.name, field.name)));
        }
    }
    assert_eq!(found, CONDITIONS.into_iter().map(str::to_owned).collect());
}

/// Ids of an organization, a project and a release that do not exist. Texts that are no such ids are in `malformed_ids`.
fn absent(own: OrganizationId) -> [Value; 3] {
    let project = NodeId::Project(Key::new(own, ProjectId(77)));
    let release = NodeId::Release(Key::new(own, ReleaseId(77)));
    [NodeId::Organization(OrganizationId(77)), project, release].map(|node| json!(node.encode().0))
}

async fn refused(server: &Server, query: &str, variables: Value, id: &Value, field: &str) {
    let body = server.graphql(query, variables).await.json();
    for error in body["errors"].as_array().unwrap_or_else(|| panic!("{query} {id}: {body}")) {
        assert_eq!(error["extensions"]["code"], "NOT_FOUND", "{query} {id}: {body}");
        let message = error["message"].as_str().unwrap();
        assert!(
            message.contains(id.as_str().unwrap()) && message.ends_with(&format!("in {field} was not found")),
            "{message}"
        );
    }
}

const REPORTS: &str = "metricStats(filter: $filter) { count }
    metricSeries(filter: $filter, bucket: \"PT24H\") { start }
    metricGroups(filter: $filter, groupBy: [TYPE]) { type }
    metricColumns(filter: $filter, bucket: \"PT24H\") { counts }
    slowestEndpoints(filter: $filter) { endpoint }
    metrics(filter: $filter) { nodes { id } }";

on_both_databases! {
    async fn an_unknown_id_in_a_filter_of_measurements_is_not_found(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=1 projects=1 metrics=3").await;
        let (organization, project) = (world.id("organization", 1), world.id("project", 1));
        let own = world.organizations[0].key;
        let [of_organization, of_project, of_release] = absent(own);
        let cases = [
            (json!({ "organizationId": of_organization }), &of_organization, "filter.organizationId"),
            (json!({ "projectIds": [of_project] }), &of_project, "filter.projectIds"),
            (json!({ "projectIds": [project, of_project], "organizationId": organization }), &of_project, "filter.projectIds"),
            (json!({ "releaseId": of_release }), &of_release, "filter.releaseId"),
            (json!({ "time": { "releaseId": of_release } }), &of_release, "filter.time.releaseId"),
            (json!({ "time": { "release": of_release } }), &of_release, "filter.time.releaseId"),
        ];
        let query = format!("query ($filter: MetricFilter) {{ {REPORTS} performanceSummary(type: DATABASE, filter: $filter) {{ count }} }}");
        for (filter, id, field) in cases {
            refused(&server, &query, json!({ "filter": filter }), id, field).await;
        }
        // Both exist, and no measurement can be of both.
        let filter = json!({ "projectIds": [world.id("project", 2)], "organizationId": organization });
        let (code, message) = server.graphql(&query, json!({ "filter": filter })).await.error();
        assert!(code == "BAD_USER_INPUT" && message.contains("another organization"), "{message}");
    }
}

on_both_databases! {
    async fn what_reports_name_is_one_statement_for_all_of_them(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=1 projects=6 metrics=3").await;
        let query = format!("query ($filter: MetricFilter) {{ {REPORTS} }}");
        let (_, reports) = counted(&server, &query, json!({ "filter": { "types": ["DATABASE", "API_RESPONSE"] } })).await;
        let ids: Vec<_> = (1..=12).map(|number| world.id("project", number)).collect();
        for filter in [
            json!({ "projectIds": [ids[0]] }),
            json!({ "projectIds": ids }),
            json!({ "organizationId": world.id("organization", 1) }),
            json!({ "organizationId": world.id("organization", 1), "projectIds": &ids[..6] }),
        ] {
            let (data, statements) = counted(&server, &query, json!({ "filter": filter })).await;
            assert!(data["metricStats"]["count"].as_u64().unwrap() >= 3);
            assert_eq!(statements, reports + 1, "{filter}");
        }
        // Also below many parents.
        let query = format!("query ($filter: MetricFilter) {{ projects(first: 6) {{ nodes {{ {REPORTS} }} }} }}");
        let (_, reports) = counted(&server, &query, json!({ "filter": {} })).await;
        let (_, named) = counted(&server, &query, json!({ "filter": { "projectIds": ids } })).await;
        assert_eq!(named, reports + 1);
        // A field that reads the object beside it has it read with its own columns.
        let query = "query ($id: ID!) { project(id: $id) { name } metricStats(filter: { projectIds: [$id] }) { count } }";
        let (data, statements) = counted(&server, query, json!({ "id": ids[0] })).await;
        assert_eq!((&data["metricStats"]["count"], statements), (&json!(3), 2));
    }
}

on_both_databases! {
    async fn an_unknown_id_in_a_filter_of_a_list_is_not_found(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=3 projects=1 members=2").await;
        let own = world.organizations[0].key;
        let employees = "query ($filter: EmployeeFilter) {
            employees(filter: $filter) { nodes { name } totalCount }
            employeesPage(filter: $filter) { nodes { name } }
            employeeStats(filter: $filter) { count }
            organization(slug: \"organization-1\") {
                employees(filter: $filter) { nodes { name } } employeeStats(filter: $filter) { count }
                projects { nodes { members(filter: $filter) { nodes { name } } } }
            }
        }";
        let projects = "query ($filter: ProjectFilter) {
            projects(filter: $filter) { nodes { name } }
            organization(slug: \"organization-1\") { projects(filter: $filter) { nodes { name } } }
            employees { nodes { projects(filter: $filter) { nodes { name } } } }
        }";
        let [organization, project, _] = absent(own);
        for query in [employees, projects] {
            let filter = json!({ "organizationId": organization });
            refused(&server, query, json!({ "filter": filter }), &organization, "filter.organizationId").await;
        }
        let filter = json!({ "or": [{ "isActive": true }, { "not": { "organizationId": organization } }] });
        refused(&server, employees, json!({ "filter": filter }), &organization, "filter.or.1.not.organizationId").await;
        let query = "query ($id: ID!) { employeesByOrganization(organizationId: $id) { name } }";
        refused(&server, query, json!({ "id": organization }), &organization, "organizationId").await;
        let query = "mutation ($filter: EmployeeFilter!) {
            updateEmployees(input: { filter: $filter, isActive: false }) { affected userErrors { code field } }
        }";
        let data = server.graphql(query, json!({ "filter": { "organizationId": organization } })).await.data();
        let errors = json!([{ "code": "NOT_FOUND", "field": ["filter", "organizationId"] }]);
        assert_eq!(data["updateEmployees"], json!({ "affected": 0, "userErrors": errors }));
        refused(&server, employees, json!({ "filter": { "projectId": project } }), &project, "filter.projectId").await;
        let employee = json!(NodeId::Employee(Key::new(own, EmployeeId(77))).encode().0);
        refused(&server, projects, json!({ "filter": { "memberId": employee } }), &employee, "filter.memberId").await;
        // Lookups stay null, as Relay has them.
        let query = "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } project(id: $id) { name } }";
        let data = server.graphql(query, json!({ "id": project })).await.data();
        assert_eq!(data, json!({ "node": null, "nodes": [null], "project": null }));
    }
}

on_both_databases! {
    async fn an_unknown_id_in_a_stream_is_named(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=1").await;
        let own = world.organizations[0].key;
        let project = world.id("project", 1);
        let [of_organization, of_project, _] = absent(own);
        let streams = ["metricStream(filter: $filter) { cursor }", "metricWindow(filter: $filter, window: \"PT1M\") { end }", "slowestEndpoints(filter: $filter) { value }"];
        let mut cases = Vec::new();
        for stream in streams {
            let query = format!("subscription ($filter: StreamFilter!) {{ {stream} }}");
            cases.push((query.clone(), json!({ "filter": { "projectIds": [project, of_project] } }), &of_project, "filter.projectIds"));
            cases.push((query, json!({ "filter": { "organizationId": of_organization } }), &of_organization, "filter.organizationId"));
        }
        let changed = "subscription ($id: ID!) { entityChanged(organizationId: $id) { cursor } }";
        cases.push((changed.to_owned(), json!({ "id": of_organization }), &of_organization, "organizationId"));
        let updated = "subscription ($id: ID!) { organizationUpdated(id: $id) { cursor } }";
        cases.push((updated.to_owned(), json!({ "id": of_organization }), &of_organization, "id"));
        for (query, variables, id, field) in cases {
            let push = subscribe(&server, &query, &variables).next().await.unwrap();
            let error = &push["errors"][0];
            assert_eq!(error["extensions"]["code"], "NOT_FOUND", "{query} {variables}: {push}");
            let message = error["message"].as_str().unwrap();
            assert!(message.contains(id.as_str().unwrap()) && message.ends_with(&format!("in {field} was not found")), "{message}");
        }
    }
}

//! A number, a text that is no id and the id of another type are mistakes of the caller: every place of the schema that takes an
//! id says what an id looks like and where to find one, and nothing is answered with null or an empty list.

use std::collections::BTreeSet;

use apollo_compiler::{Schema, schema::ExtendedType};
use futures_util::StreamExt;
use perfgraph::{
    graphql::node::NodeId,
    model::{Key, ReleaseId},
};
use serde_json::{Value, json};

use super::statement_counts::counted;
use crate::{harness::Server, live::windows::subscriptions::subscribe, on_both_databases};

/// A place that takes an id, the noun of the type that it takes, the field that the error names, and an operation with the id
/// in `$id`. `ORGANIZATION`, `PROJECT`, `EMPLOYEE` and `RELEASE` stand for ids of these types.
type IdPlace = (&'static str, &'static str, &'static str, &'static str);

const QUERIES: [IdPlace; 18] = [
    ("Query.node.id", "", "id", "node(id: $id) { id }"),
    ("Query.nodes.ids", "", "ids.1", "nodes(ids: [PROJECT, $id]) { id }"),
    ("Query.organization.id", "an organization", "id", "organization(id: $id) { name }"),
    ("Query.employee.id", "an employee", "id", "employee(id: $id) { name }"),
    ("Query.project.id", "a project", "id", "project(id: $id) { name }"),
    (
        "Query.employeesByOrganization.organizationId",
        "an organization",
        "organizationId",
        "employeesByOrganization(organizationId: $id) { name }",
    ),
    (
        "Query.compareReleases.projectId",
        "a project",
        "projectId",
        "compareReleases(projectId: $id, candidateId: RELEASE, type: DATABASE) { verdict }",
    ),
    (
        "Query.compareReleases.candidateId",
        "a release",
        "candidateId",
        "compareReleases(projectId: PROJECT, candidateId: $id, type: DATABASE) { verdict }",
    ),
    (
        "Query.compareReleases.baselineId",
        "a release",
        "baselineId",
        "compareReleases(projectId: PROJECT, baselineId: $id, candidateId: RELEASE, type: DATABASE) { verdict }",
    ),
    (
        "EmployeeFilter.organizationId",
        "an organization",
        "filter.or.0.organizationId",
        "employees(filter: { or: [{ organizationId: $id }, { isActive: true }] }) { totalCount }",
    ),
    (
        "EmployeeFilter.projectId",
        "a project",
        "filter.not.projectId",
        "employeeStats(filter: { not: { projectId: $id } }) { count }",
    ),
    (
        "ProjectFilter.organizationId",
        "an organization",
        "filter.organizationId",
        "projects(filter: { organizationId: $id }) { totalCount }",
    ),
    ("ProjectFilter.memberId", "an employee", "filter.memberId", "projects(filter: { memberId: $id }) { totalCount }"),
    (
        "MetricFilter.organizationId",
        "an organization",
        "filter.organizationId",
        "metricStats(filter: { organizationId: $id }) { count }",
    ),
    (
        "MetricFilter.projectIds",
        "a project",
        "filter.projectIds.1",
        "slowestEndpoints(filter: { projectIds: [PROJECT, $id] }) { value }",
    ),
    ("MetricFilter.releaseId", "a release", "filter.releaseId", "metrics(filter: { releaseId: $id }) { nodes { id } }"),
    (
        "TimeRange.releaseId",
        "a release",
        "filter.time.releaseId",
        "metricSeries(filter: { time: { releaseId: $id } }, bucket: \"PT1H\") { start }",
    ),
    (
        "TimeRange.release",
        "a release",
        "filter.time.releaseId",
        "metricSeries(filter: { time: { release: $id } }, bucket: \"PT1H\") { start }",
    ),
];

const SUBSCRIPTIONS: [IdPlace; 4] = [
    ("Subscription.organizationUpdated.id", "an organization", "id", "organizationUpdated(id: $id) { cursor }"),
    (
        "Subscription.entityChanged.organizationId",
        "an organization",
        "organizationId",
        "entityChanged(organizationId: $id) { cursor }",
    ),
    (
        "StreamFilter.organizationId",
        "an organization",
        "filter.organizationId",
        "metricStream(filter: { organizationId: $id }) { cursor }",
    ),
    (
        "StreamFilter.projectIds",
        "a project",
        "filter.projectIds.0",
        "metricWindow(filter: { projectIds: [$id] }, window: \"PT1M\") { end }",
    ),
];

const CHANGES: [IdPlace; 27] = [
    ("Mutation.deleteOrganization.id", "an organization", "id", "deleteOrganization(id: $id)"),
    ("Mutation.deleteEmployee.id", "an employee", "id", "deleteEmployee(id: $id)"),
    ("Mutation.deleteProject.id", "a project", "id", "deleteProject(id: $id)"),
    ("Mutation.archiveProject.id", "a project", "id", "archiveProject(id: $id)"),
    (
        "Mutation.addProjectMembers.projectId",
        "a project",
        "projectId",
        "addProjectMembers(projectId: $id, employeeIds: [EMPLOYEE])",
    ),
    (
        "Mutation.addProjectMembers.employeeIds",
        "an employee",
        "employeeIds.0",
        "addProjectMembers(projectId: PROJECT, employeeIds: [$id])",
    ),
    (
        "Mutation.removeProjectMembers.projectId",
        "a project",
        "projectId",
        "removeProjectMembers(projectId: $id, employeeIds: [EMPLOYEE])",
    ),
    (
        "Mutation.removeProjectMembers.employeeIds",
        "an employee",
        "employeeIds.0",
        "removeProjectMembers(projectId: PROJECT, employeeIds: [$id])",
    ),
    ("DeleteOrganizationInput.id", "an organization", "id", "deleteOrganization(input: { id: $id })"),
    ("DeleteEmployeeInput.id", "an employee", "id", "deleteEmployee(input: { id: $id })"),
    ("DeleteProjectInput.id", "a project", "id", "deleteProject(input: { id: $id })"),
    ("ArchiveProjectInput.id", "a project", "id", "archiveProject(input: { id: $id })"),
    ("UpdateOrganizationInput.id", "an organization", "id", "updateOrganization(input: { id: $id, name: \"New\" })"),
    ("UpdateEmployeeInput.id", "an employee", "id", "updateEmployee(input: { id: $id, name: \"New\" })"),
    ("UpdateProjectInput.id", "a project", "id", "updateProject(input: { id: $id, name: \"New\" })"),
    (
        "CreateEmployeeInput.organizationId",
        "an organization",
        "organizationId",
        "createEmployee(input: { organizationId: $id, name: \"A\", email: \"a@example.com\", department: \"B\" })",
    ),
    (
        "CreateProjectInput.organizationId",
        "an organization",
        "organizationId",
        "createProject(input: { organizationId: $id, name: \"New\" })",
    ),
    (
        "CreateProjectInput.memberIds",
        "an employee",
        "memberIds.1",
        "createProject(input: { organizationId: ORGANIZATION, name: \"New\", memberIds: [EMPLOYEE, $id] })",
    ),
    (
        "CreateReleaseInput.projectId",
        "a project",
        "projectId",
        "createRelease(input: { projectId: $id, version: \"2\" })",
    ),
    (
        "CreateReleaseInput.authorId",
        "an employee",
        "authorId",
        "createRelease(input: { projectId: PROJECT, version: \"2\", authorId: $id })",
    ),
    (
        "AddProjectMembersInput.projectId",
        "a project",
        "projectId",
        "addProjectMembers(input: { projectId: $id, employeeIds: [EMPLOYEE] })",
    ),
    (
        "AddProjectMembersInput.employeeIds",
        "an employee",
        "employeeIds.1",
        "addProjectMembers(input: { projectId: PROJECT, employeeIds: [EMPLOYEE, $id] })",
    ),
    (
        "RemoveProjectMembersInput.projectId",
        "a project",
        "projectId",
        "removeProjectMembers(input: { projectId: $id, employeeIds: [EMPLOYEE] })",
    ),
    (
        "RemoveProjectMembersInput.employeeIds",
        "an employee",
        "employeeIds.1",
        "removeProjectMembers(input: { projectId: PROJECT, employeeIds: [EMPLOYEE, $id] })",
    ),
    (
        "IngestMetricsInput.projectId",
        "a project",
        "projectId",
        "ingestMetrics(input: { projectId: $id, metrics: [{ type: CUSTOM, value: 1, endpoint: \"/\" }] })",
    ),
    // Conditions of a change, which fail as its other inputs do.
    (
        "EmployeeFilter.organizationId",
        "an organization",
        "filter.organizationId",
        "updateEmployees(input: { filter: { organizationId: $id }, isActive: false })",
    ),
    (
        "EmployeeFilter.projectId",
        "a project",
        "filter.projectId",
        "updateEmployees(input: { filter: { projectId: $id }, isActive: false })",
    ),
];

#[test]
fn every_place_that_takes_an_id_is_covered() {
    let schema = Schema::parse_and_validate(perfgraph::graphql::schema::sdl(), "schema.graphql").unwrap();
    let mut found = BTreeSet::new();
    for (name, kind) in &schema.types {
        match kind {
            ExtendedType::InputObject(input) => {
                let ids = input.fields.values().filter(|field| field.ty.inner_named_type() == "ID");
                found.extend(ids.map(|field| format!("{name}.{}", field.name)));
            }
            ExtendedType::Object(object) => {
                for field in object.fields.values() {
                    let ids = field.arguments.iter().filter(|argument| argument.ty.inner_named_type() == "ID");
                    found.extend(ids.map(|argument| format!("{name}.{}.{}", field.name, argument.name)));
                }
            }
            _ => {}
        }
    }
    let covered = QUERIES.iter().chain(&SUBSCRIPTIONS).chain(&CHANGES).map(|(place, ..)| (*place).to_owned());
    assert_eq!(found, covered.collect());
}

/// Texts and numbers that are no ids.
fn malformed() -> Vec<Value> {
    vec![json!(5), json!("5"), json!(0), json!(-1), json!("abc"), json!(""), json!("project-1"), json!("UHJvamVjdDox")]
}

/// The objects whose ids are used in the wrong places.
struct World {
    ids: [(&'static str, String); 4],
}

impl World {
    async fn of(server: &Server) -> Self {
        let world = server.seed("organizations=1 employees=2 projects=1 members=1").await;
        let project = world.id("project", 1);
        let query =
            "mutation ($id: ID!) { createRelease(input: { projectId: $id, version: \"1\" }) { release { id } } }";
        let made = server.graphql(query, json!({ "id": project })).await.data();
        let release = made["createRelease"]["release"]["id"].as_str().unwrap().to_owned();
        let ids = [
            ("an organization", world.id("organization", 1)),
            ("an employee", world.id("employee", 1)),
            ("a project", project),
            ("a release", release),
        ];
        Self { ids }
    }

    /// An operation of this kind with the ids in it.
    fn document(&self, kind: &str, field: &str) -> String {
        let mut text = format!("{kind} ($id: ID!) {{ {field} }}");
        for (place, (_, id)) in ["ORGANIZATION", "EMPLOYEE", "PROJECT", "RELEASE"].into_iter().zip(&self.ids) {
            text = text.replace(place, &format!("{id:?}"));
        }
        text
    }

    /// Mistakes in the place of an id, each with a part of its message.
    fn wrong(&self, noun: &str) -> Vec<(Value, String)> {
        let malformed = malformed().into_iter().map(|value| {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (value, format!("`{text}` is not an id. Ids are opaque text such as `"))
        });
        let others = self.ids.iter().filter(|(other, _)| !noun.is_empty() && *other != noun);
        let others =
            others.map(|(other, id)| (json!(id), format!("`{id}` is the id of {other}, not of {noun}; take one")));
        malformed.chain(others).collect()
    }
}

on_both_databases! {
    async fn a_query_says_what_an_id_looks_like_and_reads_nothing(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = World::of(&server).await;
        for (place, noun, field, text) in QUERIES {
            let query = world.document("query", text);
            for (id, expected) in world.wrong(noun) {
                let body = server.graphql(&query, json!({ "id": id })).await.json();
                let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{place} {id}: {body}"));
                assert_eq!(errors.len(), 1, "{place} {id}: {body}");
                assert_eq!(errors[0]["extensions"], json!({ "code": "BAD_USER_INPUT", "field": field }), "{place} {id}: {body}");
                let message = errors[0]["message"].as_str().unwrap();
                assert!(message.starts_with(&format!("{field}: {expected}")), "{place} {id}: {message}");
                assert!(message.contains("from an `id` field, as in `{ "), "{place} {id}: {message}");
            }
        }
        // Literals are as variables.
        for literal in ["5", "\"5\"", "\"abc\""] {
            let body = server.graphql(&format!("{{ project(id: {literal}) {{ name }} viewer {{ role }} }}"), json!({})).await.json();
            assert_eq!(body["data"], json!({ "project": null, "viewer": { "role": "OWNER" } }));
            assert!(body["errors"][0]["message"].as_str().unwrap().contains("is not an id. Ids are opaque text"), "{body}");
        }
        // The other ids of a list are answered.
        let project = &world.ids[2].1;
        let body = server.graphql("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": [5, project, "abc"] })).await.json();
        assert_eq!(body["data"]["nodes"], json!([null, { "id": project }, null]));
        let fields: Vec<_> = body["errors"].as_array().unwrap().iter().map(|error| &error["extensions"]["field"]).collect();
        assert_eq!(fields, [&json!("ids.0"), &json!("ids.2")]);
        // Nothing was read for them.
        let (_, statements) = counted(&server, "query ($id: ID!) { project(id: $id) { name } }", json!({ "id": project })).await;
        assert_eq!(statements, 1);
        let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1");
        let reply = request.json(&json!({ "query": "{ project(id: 5) { name } metricStats(filter: { projectIds: [5] }) { count } }" }));
        let body: Value = reply.send().await.unwrap().json().await.unwrap();
        assert_eq!(body["extensions"]["db"]["statements"], 0, "{body}");
    }
}

on_both_databases! {
    async fn an_id_of_the_right_type_without_an_object_stays_null(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let absent = NodeId::Release(Key::new(world.organizations[0].key, ReleaseId(77))).encode().0;
        let query = "query ($id: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } }";
        assert_eq!(server.graphql(query, json!({ "id": absent })).await.data(), json!({ "node": null, "nodes": [null] }));
    }
}

on_both_databases! {
    async fn a_change_says_what_an_id_looks_like_as_a_user_error(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = World::of(&server).await;
        for (place, noun, field, text) in CHANGES {
            let change = world.document("mutation", &format!("change: {text} {{ userErrors {{ code field message }} }}"));
            for (id, expected) in world.wrong(noun) {
                let data = server.graphql(&change, json!({ "id": id })).await.data();
                let errors = data["change"]["userErrors"].as_array().unwrap();
                assert_eq!(errors.len(), 1, "{place} {id}: {data}");
                let path: Vec<_> = field.split('.').collect();
                assert_eq!((&errors[0]["code"], &errors[0]["field"]), (&json!("INVALID"), &json!(path)), "{place} {id}: {data}");
                assert!(errors[0]["message"].as_str().unwrap().starts_with(&expected), "{place} {id}: {data}");
            }
        }
        // Each of several wrong ids is told.
        let change = world.document("mutation", "addProjectMembers(input: { projectId: PROJECT, employeeIds: [1, $id, 2] }) { userErrors { field } }");
        let data = server.graphql(&change, json!({ "id": world.ids[1].1 })).await.data();
        let fields = json!([{ "field": ["employeeIds", "0"] }, { "field": ["employeeIds", "2"] }]);
        assert_eq!(data["addProjectMembers"]["userErrors"], fields);
    }
}

on_both_databases! {
    async fn a_stream_says_what_an_id_looks_like_and_ends(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = World::of(&server).await;
        for (place, noun, field, text) in SUBSCRIPTIONS {
            let subscription = world.document("subscription", text);
            for (id, expected) in world.wrong(noun) {
                let mut pushes = subscribe(&server, &subscription, &json!({ "id": id }));
                let push = pushes.next().await.unwrap();
                let error = &push["errors"][0];
                assert_eq!(error["extensions"], json!({ "code": "BAD_USER_INPUT", "field": field }), "{place} {id}: {push}");
                assert!(error["message"].as_str().unwrap().starts_with(&format!("{field}: {expected}")), "{place} {id}: {push}");
                assert_eq!(pushes.next().await, None, "{place} {id}");
            }
        }
    }
}

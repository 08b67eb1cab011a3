//! Slugs name a project where measurements are sent, read and streamed. Slugs without a project are `NOT_FOUND` and repeated, a text that is not slugs
//! is told what they look like, and all slugs of a request are looked up in one statement.

use apollo_compiler::{Node, Schema, ast::InputValueDefinition, schema::ExtendedType};
use futures_util::StreamExt;
use perfgraph::{
    directory::{ProjectFields, project},
    model::{OrganizationId, ProjectSlug, Role, Scope},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::statement_counts::counted;
use crate::{
    harness::{Server, process::PATIENCE, server::NOW, wait},
    live::windows::subscriptions::{next, subscribe},
    on_both_databases,
};
use perfgraph::clock::Clock;

const REPORTS: &str = "metricStats(filter: $filter) { count }
    metricGroups(filter: $filter, groupBy: [PROJECT]) { project { slug } }
    slowestEndpoints(filter: $filter) { endpoint }
    metrics(filter: $filter) { nodes { id } }";

const FIRST: &str = "organization-1/project-1";

on_both_databases! {
    async fn reports_by_slugs_are_those_by_ids_and_cost_one_statement_alike(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=1 projects=6 metrics=3").await;
        let query = format!("query ($filter: MetricFilter) {{ {REPORTS} }}");
        for numbers in [vec![1], vec![2, 9], (1..=12).collect::<Vec<usize>>()] {
            let ids: Vec<_> = numbers.iter().map(|number| world.id("project", *number)).collect();
            let slug = |number: &usize| format!("organization-{}/project-{}", (number - 1) / 6 + 1, (number - 1) % 6 + 1);
            let slugs: Vec<_> = numbers.iter().map(slug).collect();
            let by_ids = counted(&server, &query, json!({ "filter": { "projectIds": ids } })).await;
            let by_slugs = counted(&server, &query, json!({ "filter": { "projectSlugs": slugs } })).await;
            assert_eq!(by_ids, by_slugs);
            assert_eq!(by_slugs.0["metricStats"]["count"], 3 * numbers.len());
        }
        let (data, _) = counted(&server, &query, json!({ "filter": { "projectSlugs": [] } })).await;
        assert_eq!(data["metricStats"]["count"], 0);
        let filter = json!({ "projectSlugs": [FIRST], "organizationId": world.id("organization", 1) });
        assert_eq!(counted(&server, &query, json!({ "filter": filter })).await.0["metricStats"]["count"], 3);
    }
}

/// The code and the message of every error.
async fn errors(server: &Server, query: &str, variables: Value) -> Vec<(String, String)> {
    let body = server.graphql(query, variables).await.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("{query} is refused: {body}")).iter();
    errors.map(|error| (text(&error["extensions"]["code"]), text(&error["message"]))).collect()
}

on_both_databases! {
    async fn slugs_without_a_project_are_named_and_other_texts_are_told_what_slugs_are(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=1 projects=1 metrics=3").await;
        let query = format!("query ($filter: MetricFilter) {{ {REPORTS} }}");
        let stream = "subscription ($filter: StreamFilter!) { metricStream(filter: $filter) { cursor } }";
        let window = "subscription ($filter: StreamFilter!) { metricWindow(filter: $filter, window: \"PT1M\") { end } }";
        let project = world.id("project", 1);
        let cases = [
            (json!({ "projectSlugs": [FIRST, "organization-1/nothing"] }), "NOT_FOUND", "the project `organization-1/nothing` in filter.projectSlugs was not found"),
            (json!({ "projectSlugs": ["nobody/project-1"] }), "NOT_FOUND", "`nobody/project-1`"),
            (json!({ "projectSlugs": ["project-1"] }), "BAD_USER_INPUT", "write ORGANIZATION/PROJECT"),
            (json!({ "projectSlugs": ["Organization 1/project-1"] }), "BAD_USER_INPUT", "write ORGANIZATION/PROJECT"),
            (json!({ "projectSlugs": [FIRST], "projectIds": [project] }), "BAD_USER_INPUT", "together with `projectIds`"),
            (json!({ "projectSlugs": ["organization-2/project-1"], "organizationId": world.id("organization", 1) }), "BAD_USER_INPUT", "another organization"),
        ];
        for (filter, code, message) in cases {
            for (known, said) in errors(&server, &query, json!({ "filter": filter })).await {
                assert!(known == code && said.contains(message), "{filter}: {known} {said}");
            }
            for query in [stream, window] {
                let push = subscribe(&server, query, &json!({ "filter": filter })).next().await.unwrap();
                let error = &push["errors"][0];
                assert_eq!(error["extensions"]["code"], code, "{query} {filter}: {push}");
                assert!(error["message"].as_str().unwrap().contains(message), "{push}");
            }
        }
        let empty = subscribe(&server, stream, &json!({ "filter": { "projectSlugs": [] } })).next().await.unwrap();
        assert!(empty["errors"][0]["message"].as_str().unwrap().contains("filter.projectSlugs"), "{empty}");
        let many = json!({ "filter": { "projectSlugs": vec![FIRST; 501] } });
        assert!(errors(&server, &query, many).await[0].1.contains("501 alternatives"));
        for arguments in ["slug: \"project-1\"", "slug: \"a/b\", id: \"x\"", ""] {
            let arguments = if arguments.is_empty() { String::new() } else { format!("({arguments})") };
            assert_eq!(errors(&server, &format!("{{ project{arguments} {{ id }} }}"), json!({})).await[0].0, "BAD_USER_INPUT");
        }
    }
}

on_both_databases! {
    async fn a_project_of_another_organization_is_not_found_by_its_slugs(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=1 projects=1").await;
        let db = server.database.reader();
        let slugs: Vec<ProjectSlug> = [FIRST, "organization-2/project-1", "organization-2/nothing"].map(|slug| slug.parse().unwrap()).into();
        let scope = |organization: OrganizationId, role| Scope::organization(organization, role);
        let (own, other) = (world.organizations[0].key, world.organizations[1].key);
        let found = project::by_slugs(&scope(own, Role::Viewer), &db, &slugs, ProjectFields::NAME).await.unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), [&slugs[0]]);
        let ingest = &server.app.core().ingest;
        let find = async |scope: &Scope, slug: &ProjectSlug| {
            let found = ingest.find(scope, slug, None).await;
            found.map_err(|fault| fault.to_string().replace(&slug.to_string(), "SLUGS"))
        };
        let refusal = Err("the project `SLUGS` was not found".to_owned());
        // The second time from the cache.
        for _ in 0..2 {
            assert_eq!(find(&scope(own, Role::Member), &slugs[0]).await, Ok(world.projects[0].key));
            // Foreign, absent, and not to be written by this role: all alike.
            assert_eq!(find(&scope(other, Role::Owner), &slugs[0]).await, refusal);
            assert_eq!(find(&scope(other, Role::Owner), &slugs[2]).await, refusal);
            assert_eq!(find(&scope(own, Role::Viewer), &slugs[0]).await, refusal);
        }
    }
}

on_both_databases! {
    async fn changes_take_slugs_for_ids(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1 projects=2").await;
        let ingest = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted userErrors { field code message } } }";
        // The usual window ends with the minute before.
        let at = NOW.plus_micros(-60_000_000).to_string();
        let metric = json!([{ "type": "CUSTOM", "endpoint": "x", "value": 1, "releaseVersion": "1", "timestamp": at }]);
        let recorded = server.graphql(ingest, json!({ "input": { "projectSlug": FIRST, "metrics": metric } })).await.data();
        assert_eq!(recorded["ingestMetrics"], json!({ "accepted": 1, "userErrors": [] }));
        let stats = "query ($filter: MetricFilter) { metricStats(filter: $filter) { count } }";
        let counted = server.graphql(stats, json!({ "filter": { "projectIds": [world.id("project", 1)], "time": { "last": "PT1H" } } })).await.data();
        assert_eq!(counted["metricStats"]["count"], 1);
        for (project, field, code, message) in [
            (json!({ "projectSlug": FIRST, "projectId": world.id("project", 1) }), "projectSlug", "INVALID", "together with `projectId`"),
            (json!({}), "projectId", "INVALID", "such as acme/web-shop"),
            (json!({ "projectSlug": "project-1" }), "projectSlug", "INVALID", "write ORGANIZATION/PROJECT"),
            (json!({ "projectSlug": "organization-1/x" }), "projectSlug", "NOT_FOUND", "`organization-1/x`"),
        ] {
            let mut input = project.clone();
            input["metrics"] = metric.clone();
            let refused = server.graphql(ingest, json!({ "input": input })).await.data();
            let error = &refused["ingestMetrics"]["userErrors"][0];
            assert!(error["field"] == json!([field]) && error["code"] == code && error["message"].as_str().unwrap().contains(message), "{project}: {refused}");
        }
        let create = "mutation ($input: CreateReleaseInput!) { createRelease(input: $input) { release { id project { slug } } userErrors { field code } } }";
        let created = server.graphql(create, json!({ "input": { "projectSlug": FIRST, "version": "1" } })).await.data();
        assert_eq!(created["createRelease"]["release"]["project"]["slug"], "project-1", "{created}");
        let compare = "query ($slug: String, $id: ID!) { compareReleases(projectSlug: $slug, candidateId: $id, type: CUSTOM) { verdict } }";
        let release = &created["createRelease"]["release"]["id"];
        let refused = errors(&server, compare, json!({ "slug": FIRST, "id": release })).await;
        assert!(refused[0].1.contains("no release before"), "{refused:?}");
        let refused = errors(&server, compare, json!({ "slug": "organization-1/nothing", "id": release })).await;
        assert!(refused[0].1.contains("organization-1/nothing"), "{refused:?}");
    }
}

on_both_databases! {
    async fn a_stream_by_slugs_ends_when_they_name_another_project(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlive.heartbeat_interval_ms = 20";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1 employees=1 projects=2").await;
        let query = "subscription ($filter: StreamFilter!) { metricStream(filter: $filter) { metrics { value project { slug } } } }";
        let by_slug = json!({ "filter": { "projectSlugs": ["organization-1/project-1", "organization-1/project-2"] } });
        let mut stream = subscribe(&server, query, &by_slug);
        next(&mut stream).await;
        let ingest = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
        let metrics = json!([{ "type": "CUSTOM", "endpoint": "x", "value": 7 }]);
        server.graphql(ingest, json!({ "input": { "projectSlug": "organization-1/project-2", "metrics": metrics } })).await.data();
        let pushed = async {
            loop {
                let event = next(&mut stream).await;
                if event["metricStream"]["metrics"] != json!([]) {
                    return event;
                }
            }
        };
        let pushed = timeout(PATIENCE, pushed).await.unwrap();
        assert_eq!(pushed["metricStream"]["metrics"], json!([{ "value": 7.0, "project": { "slug": "project-2" } }]));
        let delete = "mutation ($id: ID!) { deleteProject(input: { id: $id }) { userErrors { message } } }";
        assert_eq!(server.graphql(delete, json!({ "id": world.id("project", 1) })).await.data()["deleteProject"]["userErrors"], json!([]));
        let create = "mutation ($id: ID!) { createProject(input: { organizationId: $id, name: \"New\", slug: \"project-1\" }) { userErrors { message } } }";
        server.graphql(create, json!({ "id": world.id("organization", 1) })).await.data();
        let error = async {
            loop {
                let push = stream.next().await.expect("the stream ends with an error");
                if push["errors"].is_array() {
                    return push["errors"][0].clone();
                }
            }
        };
        let error = timeout(PATIENCE, error).await.unwrap();
        assert_eq!(error["extensions"]["code"], "NOT_FOUND", "{error}");
        assert!(error["message"].as_str().unwrap().contains("organization-1/project-1"), "{error}");
        // A later subscriber to the same document gets the new project.
        let mut again = subscribe(&server, query, &by_slug);
        next(&mut again).await;
        server.graphql(ingest, json!({ "input": { "projectSlug": FIRST, "metrics": metrics } })).await.data();
        let mut found = Value::Null;
        wait::until("the measurement of the new project arrives", async || {
            found = next(&mut again).await["metricStream"]["metrics"].clone();
            found != json!([])
        })
        .await;
        assert_eq!(found, json!([{ "value": 7.0, "project": { "slug": "project-1" } }]));
    }
}

on_both_databases! {
    async fn a_project_is_made_in_an_organization_named_by_its_slug(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let query = "mutation {
            createOrganization(input: { name: \"Acme\" }) { organization { slug } }
            createProject(input: { organizationSlug: \"acme\", name: \"Web shop\" }) { project { slug organization { slug } } userErrors { field code } }
            absent: createProject(input: { organizationSlug: \"nobody\", name: \"Web shop\" }) { userErrors { field code } }
            neither: createProject(input: { name: \"Web shop\" }) { userErrors { field code } }
        }";
        assert_eq!(server.graphql(query, json!({})).await.data(), json!({
            "createOrganization": { "organization": { "slug": "acme" } },
            "createProject": { "project": { "slug": "web-shop", "organization": { "slug": "acme" } }, "userErrors": [] },
            "absent": { "userErrors": [{ "field": ["organizationSlug"], "code": "NOT_FOUND" }] },
            "neither": { "userErrors": [{ "field": ["organizationId"], "code": "INVALID" }] },
        }));
    }
}

on_both_databases! {
    async fn filters_by_slugs_are_those_by_ids_and_cost_as_much(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=3 projects=3 metrics=3").await;
        let query = "query ($employees: EmployeeFilter, $projects: ProjectFilter, $metrics: MetricFilter) {
            employees(filter: $employees) { totalCount nodes { id } }
            employeeStats(filter: $employees) { count }
            projects(filter: $projects) { nodes { id } }
            metricStats(filter: $metrics) { count }
        }";
        let (organization, project) = (world.id("organization", 2), world.id("project", 5));
        let by_ids = json!({
            "employees": { "or": [{ "organizationId": organization }, { "not": { "projectId": project } }], "isActive": true },
            "projects": { "and": [{ "organizationId": organization }] },
            "metrics": { "organizationId": organization },
        });
        let by_slugs = json!({
            "employees": { "or": [{ "organizationSlug": "organization-2" }, { "not": { "projectSlug": "organization-2/project-2" } }], "isActive": true },
            "projects": { "and": [{ "organizationSlug": "organization-2" }] },
            "metrics": { "organizationSlug": "organization-2" },
        });
        let by_ids = counted(&server, query, by_ids).await;
        assert_eq!(by_ids, counted(&server, query, by_slugs).await);
        assert_eq!(by_ids.0["metricStats"]["count"], 9);
        assert_eq!(by_ids.0["projects"]["nodes"].as_array().unwrap().len(), 3);
        for (filter, code, message) in [
            (json!({ "or": [{ "isActive": true }, { "projectSlug": "organization-1/x" }] }), "NOT_FOUND", "`organization-1/x` in filter.or.1.projectSlug"),
            (json!({ "not": { "organizationSlug": "nobody\0" } }), "NOT_FOUND", "in filter.not.organizationSlug"),
            (json!({ "projectSlug": "project-1" }), "BAD_USER_INPUT", "write ORGANIZATION/PROJECT"),
            (json!({ "or": [{ "projectSlug": "organization-1/project-1", "projectId": project }] }), "BAD_USER_INPUT", "filter.or.0.projectSlug: is given together with `projectId`"),
            (json!({ "organizationSlug": "organization-1", "organizationId": organization }), "BAD_USER_INPUT", "together with `organizationId`"),
        ] {
            let refused = errors(&server, query, json!({ "employees": filter })).await;
            assert!(refused[0].0 == code && refused[0].1.contains(message), "{filter}: {refused:?}");
        }
        for (filter, code, message) in [
            (json!({ "organizationSlug": "nobody" }), "NOT_FOUND", "the organization `nobody` in filter.organizationSlug"),
            (json!({ "organizationSlug": "organization-1", "organizationId": organization }), "BAD_USER_INPUT", "together with `organizationId`"),
            (json!({ "organizationSlug": "organization-1", "projectIds": [project] }), "BAD_USER_INPUT", "another organization"),
        ] {
            let refused = errors(&server, query, json!({ "metrics": filter })).await;
            assert!(refused[0].0 == code && refused[0].1.contains(message), "{filter}: {refused:?}");
        }
    }
}

on_both_databases! {
    async fn objects_are_changed_by_slugs(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=2 projects=2").await;
        let (employee, project) = (world.id("employee", 1), world.id("project", 1));
        let change = async |call: &str| {
            let call = call.replace("EMPLOYEE", &format!("{employee:?}")).replace("PROJECT", &format!("{project:?}"));
            server.graphql(&format!("mutation {{ {call} }}"), json!({})).await.data()
        };
        let done = change("a: createEmployee(input: { organizationSlug: \"organization-2\", name: \"Ada\", email: \"ada@example.org\", department: \"X\" }) { employee { organization { slug } } }
            b: updateOrganization(input: { organizationSlug: \"organization-2\", name: \"Two\" }) { organization { name } }
            c: updateProject(input: { projectSlug: \"organization-1/project-1\", name: \"One\" }) { project { name } }
            d: addProjectMembers(input: { projectSlug: \"organization-1/project-2\", employeeIds: [EMPLOYEE] }) { project { slug } }
            e: updateEmployees(input: { filter: { projectSlug: \"organization-1/project-2\" }, department: \"Y\" }) { affected }
            f: removeProjectMembers(input: { projectSlug: \"organization-1/project-2\", employeeIds: [EMPLOYEE] }) { project { members { totalCount } } }
            g: archiveProject(input: { projectSlug: \"organization-1/project-2\" }) { project { status } }
            h: deleteProject(input: { projectSlug: \"organization-1/project-1\" }) { deletedId }
            i: createOrganization(input: { name: \"Empty\" }) { organization { slug } }
            j: deleteOrganization(input: { organizationSlug: \"empty\" }) { deletedId userErrors { code } }").await;
        assert!(done["j"]["deletedId"].is_string(), "{done}");
        let affected = done["e"]["affected"].as_i64().unwrap();
        assert!((1..=2).contains(&affected), "the employee, and who was a member before: {done}");
        for (place, expected) in [
            ("a", json!({ "employee": { "organization": { "slug": "organization-2" } } })),
            ("b", json!({ "organization": { "name": "Two" } })),
            ("c", json!({ "project": { "name": "One" } })),
            ("d", json!({ "project": { "slug": "project-2" } })),
            ("g", json!({ "project": { "status": "ARCHIVED" } })),
            ("h", json!({ "deletedId": project })),
        ] {
            assert_eq!(done[place], expected, "{place}");
        }
        for (call, field, code) in [
            ("updateProject(input: { projectSlug: \"organization-1/project-1\", name: \"One\" })", vec!["projectSlug"], "NOT_FOUND"),
            ("updateProject(input: { projectSlug: \"organization-1/project-1\", id: PROJECT, name: \"One\" })", vec!["projectSlug"], "INVALID"),
            ("archiveProject(input: {})", vec!["id"], "INVALID"),
            ("deleteProject(input: { projectSlug: \"x\" })", vec!["projectSlug"], "INVALID"),
            ("addProjectMembers(input: { projectSlug: \"nobody/x\", employeeIds: [EMPLOYEE] })", vec!["projectSlug"], "NOT_FOUND"),
            ("removeProjectMembers(input: { employeeIds: [EMPLOYEE] })", vec!["projectId"], "INVALID"),
            ("updateOrganization(input: { organizationSlug: \"empty\", name: \"X\" })", vec!["organizationSlug"], "NOT_FOUND"),
            ("deleteOrganization(input: {})", vec!["id"], "INVALID"),
            ("createEmployee(input: { organizationSlug: \"nobody\", name: \"X\", email: \"x@example.org\", department: \"X\" })", vec!["organizationSlug"], "NOT_FOUND"),
            ("updateEmployees(input: { filter: { projectSlug: \"organization-1/project-1\" }, isActive: false })", vec!["filter", "projectSlug"], "NOT_FOUND"),
            ("updateEmployees(input: { filter: { or: [{ organizationSlug: \"nobody\" }] }, isActive: false })", vec!["filter", "or", "0", "organizationSlug"], "NOT_FOUND"),
        ] {
            let refused = change(&format!("it: {call} {{ userErrors {{ field code }} }}")).await;
            assert_eq!(refused["it"]["userErrors"], json!([{ "field": field, "code": code }]), "{call}");
        }
    }
}

on_both_databases! {
    async fn streams_of_an_organization_are_named_by_its_slug(database: TestDatabase) {
        let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = false\nlive.heartbeat_interval_ms = 20").await;
        server.seed("organizations=1 employees=1 projects=1").await;
        let create = "mutation { createOrganization(input: { name: \"Empty\" }) { organization { id } } }";
        let empty = server.graphql(create, json!({})).await.data()["createOrganization"]["organization"]["id"].clone();
        let slug = json!({ "slug": "empty" });
        let changes = "subscription ($slug: String) { entityChanged(organizationSlug: $slug) { id } }";
        let own = "subscription ($slug: String) { organizationUpdated(slug: $slug) { id } }";
        let metrics = "subscription ($slug: String) { metricStream(filter: { organizationSlug: $slug }) { isCaughtUp } }";
        let mut streams = [changes, own].map(|query| subscribe(&server, query, &slug));
        let mut measurements = subscribe(&server, metrics, &slug);
        next(&mut measurements).await;
        let rename = "mutation ($name: String!) { updateOrganization(input: { organizationSlug: \"empty\", name: $name }) { userErrors { code } } }";
        // A stream opens when its first event is asked for, so the name changes until one has come.
        for stream in &mut streams {
            let renames = async {
                for number in 0.. {
                    server.graphql(rename, json!({ "name": format!("Empty {number}") })).await.data();
                }
            };
            let event = tokio::select! {
                event = timeout(PATIENCE, stream.next()) => event.unwrap().unwrap(),
                () = renames => unreachable!("there is always a next name"),
            };
            let id = ["entityChanged", "organizationUpdated"].iter().find_map(|field| event["data"][field]["id"].as_str());
            assert_eq!(id, empty.as_str(), "{event}");
        }
        server.graphql("mutation { deleteOrganization(input: { organizationSlug: \"empty\" }) { deletedId } }", json!({})).await.data();
        let error = async {
            loop {
                let push = measurements.next().await.expect("the stream ends with an error");
                if push["errors"].is_array() {
                    return push["errors"][0].clone();
                }
            }
        };
        let error = timeout(PATIENCE, error).await.unwrap();
        assert!(error["extensions"]["code"] == "NOT_FOUND" && error["message"].as_str().unwrap().contains("`empty`"), "{error}");
        for mut stream in streams {
            let end = async { while stream.next().await.is_some() {} };
            timeout(PATIENCE, end).await.expect("the stream ends with its organization");
        }
        for query in [changes, own, metrics] {
            let refused = subscribe(&server, query, &slug).next().await.unwrap();
            assert_eq!(refused["errors"][0]["extensions"]["code"], "NOT_FOUND", "{query} {refused}");
        }
    }
}

#[test]
fn whatever_takes_the_id_of_an_organization_or_a_project_takes_slugs() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql")).unwrap();
    let schema = Schema::parse(text, "schema.graphql").unwrap();
    let mut places: Vec<(String, Vec<&Node<InputValueDefinition>>)> = Vec::new();
    for (name, definition) in &schema.types {
        match definition {
            ExtendedType::InputObject(input) => {
                places.push((name.to_string(), input.fields.values().map(|field| &field.node).collect()));
            }
            ExtendedType::Object(object) => {
                let current = object.fields.values().filter(|field| !field.directives.has("deprecated"));
                places
                    .extend(current.map(|field| (format!("{name}.{}", field.name), field.arguments.iter().collect())));
            }
            _ => {}
        }
    }
    let mut checked = 0;
    for (place, fields) in &places {
        let has = |wanted: &str| fields.iter().any(|field| field.name == wanted);
        for (id, slug) in
            [("organizationId", "organizationSlug"), ("projectId", "projectSlug"), ("projectIds", "projectSlugs")]
        {
            if fields.iter().any(|field| field.name == id && !field.directives.has("deprecated")) {
                checked += 1;
                assert!(has(slug), "{place} takes `{id}`, but not `{slug}`");
            }
        }
        let noun = place
            .strip_suffix("Input")
            .and_then(|name| ["Update", "Archive", "Delete"].iter().find_map(|verb| name.strip_prefix(verb)));
        if let Some(noun @ ("Organization" | "Project")) = noun {
            checked += 1;
            assert!(has("id") && has(&format!("{}Slug", noun.to_lowercase())), "{place}");
        }
    }
    assert!(checked >= 18, "{checked} places were found");
}

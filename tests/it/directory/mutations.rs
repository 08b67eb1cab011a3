//! Changes of the directory: what the case files cannot show. Bad input of every size, roles, what ingest notices, and
//! (in `mutations/concurrency.rs`) many writers at once.

mod concurrency;
mod versions;

use perfgraph::{
    clock::Clock,
    directory::{
        Organization, OrganizationFields, by_ids, employee,
        employee::{EmployeeChange, NewEmployee},
        organization::{self, NewOrganization, OrganizationChange},
        project, team,
    },
    error::{Code, Error},
    model::{Assignment, EmployeeId, OrganizationId, Role, Scope},
};
use serde_json::{Value, json};

use crate::{
    harness::{Server, server::NOW},
    on_both_databases,
};

const CREATE_EMPLOYEE: &str = "mutation ($input: CreateEmployeeInput!) {
    createEmployee(input: $input) { employee { id } userErrors { field code message } }
}";

/// The codes and fields of the failures of a change.
fn failures(payload: &Value) -> Vec<(String, String)> {
    let failures = payload["userErrors"].as_array().unwrap_or_else(|| panic!("no payload: {payload}"));
    let path = |field: &Value| {
        let parts: Vec<_> = field.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        parts.join(".")
    };
    failures.iter().map(|one| (one["code"].as_str().unwrap().to_owned(), path(&one["field"]))).collect()
}

fn failure(code: &str, field: &str) -> Vec<(String, String)> {
    vec![(code.to_owned(), field.to_owned())]
}

on_both_databases! {
    async fn names_of_any_size_are_refused_and_never_repeated(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlimits.body_bytes_max = 50000000\nlimits.bodies_bytes_max = 50000000";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1").await;
        let new = |name: String, email: String| {
            let input = json!({
                "organizationId": world.id("organization", 1),
                "name": name,
                "email": email,
                "department": "Design",
            });
            json!({ "input": input })
        };
        let huge = "A".repeat(10_000_000);
        for (name, email, field) in [
            (huge.clone(), "a@b".to_owned(), "name"),
            ("Ada".to_owned(), format!("{huge}@b"), "email"),
            ("a\0b".to_owned(), "a@b".to_owned(), "name"),
            ("Ada".to_owned(), "a\0@b".to_owned(), "email"),
        ] {
            let reply = server.graphql(CREATE_EMPLOYEE, new(name, email)).await;
            assert!(reply.text.len() < 1_000, "{} bytes", reply.text.len());
            assert_eq!(failures(&reply.data()["createEmployee"]), failure("INVALID", field));
        }
        let data = server.graphql(CREATE_EMPLOYEE, new("é".repeat(200), "a@b".to_owned())).await.data();
        assert_eq!(failures(&data["createEmployee"]), []);
    }
}

on_both_databases! {
    async fn text_that_is_no_text_is_refused_before_anything_runs(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let mut body = br#"{"query": "mutation { createOrganization(input: { name: \""#.to_vec();
        body.extend([0xff, 0xfe]);
        body.extend(br#"\" }) { organization { id } } }"}"#);
        let reply = server.post("application/json", body).await;
        let (code, message) = reply.error();
        assert_eq!((reply.status.as_u16(), code.as_str()), (400, "BAD_USER_INPUT"), "{message}");
        let lone = r#"{"query": "mutation { createOrganization(input: { name: \"\ud800\" }) { organization { id } } }"}"#;
        let reply = server.post("application/json", lone).await;
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (400, "BAD_USER_INPUT"));
        let count = server.graphql("{ organizations { totalCount } }", json!({})).await.data();
        assert_eq!(count["organizations"]["totalCount"], 0);
    }
}

on_both_databases! {
    async fn ids_of_one_call_are_bounded(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlimits.team_change_max = 3";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1 employees=4 projects=1").await;
        let people = |count: usize| (1..=count).map(|number| world.id("employee", number)).collect::<Vec<_>>();
        let query = "mutation ($project: ID!, $people: [ID!]!) {
            addProjectMembers(projectId: $project, employeeIds: $people) {
                project { teamSize }
                userErrors { field code message }
            }
        }";
        for (count, expected) in [(4, failure("TOO_LARGE", "employeeIds")), (3, vec![])] {
            let variables = json!({ "project": world.id("project", 1), "people": people(count) });
            let data = server.graphql(query, variables).await.data();
            assert_eq!(failures(&data["addProjectMembers"]), expected, "{data}");
        }
        let create = "mutation ($organization: ID!, $people: [ID!]!) {
            createProject(input: { organizationId: $organization, name: \"New\", memberIds: $people }) {
                userErrors { field code message }
            }
        }";
        let variables = json!({ "organization": world.id("organization", 1), "people": people(4) });
        let data = server.graphql(create, variables).await.data();
        assert_eq!(failures(&data["createProject"]), failure("TOO_LARGE", "memberIds"));
    }
}

on_both_databases! {
    async fn a_filter_that_everybody_may_pass_changes_nobody(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=3").await;
        let query = "mutation ($filter: EmployeeFilter!) {
            updateEmployees(filter: $filter, department: \"Lost\") { affected userErrors { field code message } }
        }";
        let nobody = json!({ "name": { "in": [] } });
        for filter in [
            json!({}),
            json!({ "name": {}, "salary": {} }),
            json!({ "name": { "contains": "" }, "email": { "startsWith": "" } }),
            json!({ "name": { "ne": "" } }),
            json!({ "not": nobody }),
            json!({ "not": { "email": { "in": [] } } }),
            json!({ "not": { "department": { "in": [] } } }),
            json!({ "not": { "or": [] } }),
            json!({ "not": { "name": { "eq": "nobody" } } }),
            json!({ "not": { "organizationId": world.id("organization", 2) } }),
            json!({ "and": [{ "not": { "and": [nobody, { "isActive": true }] } }] }),
            json!({ "or": [{ "name": { "eq": "Employee 001" } }, { "not": nobody }] }),
        ] {
            let data = server.graphql(query, json!({ "filter": filter })).await.data();
            assert_eq!(failures(&data["updateEmployees"]), failure("INVALID", "filter"), "{filter}");
        }
        let lost = "{ employees(filter: { department: { eq: \"Lost\" } }) { totalCount } }";
        assert_eq!(server.graphql(lost, json!({})).await.data()["employees"]["totalCount"], 0);
        // Those who are meant may be denied something on top.
        let own = world.id("organization", 1);
        for (filter, affected) in [
            (json!({ "organizationId": own, "not": { "name": { "eq": "Employee 001" } } }), 2),
            (json!({ "or": [nobody, { "name": { "eq": "Employee 001" } }] }), 2),
            (nobody.clone(), 0),
        ] {
            let data = server.graphql(query, json!({ "filter": filter })).await.data();
            assert_eq!(data["updateEmployees"], json!({ "affected": affected, "userErrors": [] }), "{filter}");
        }
    }
}

on_both_databases! {
    async fn a_thousand_people_join_in_one_statement(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1000 projects=1").await;
        let people: Vec<_> = (1..=1_000).map(|number| world.id("employee", number)).collect();
        let query = "mutation ($project: ID!, $people: [ID!]!) {
            addProjectMembers(projectId: $project, employeeIds: $people) {
                project { teamSize }
                userErrors { field code message }
            }
        }";
        let variables = json!({ "project": world.id("project", 1), "people": people });
        let (data, statements) = crate::graphql::statement_counts::counted(&server, query, variables).await;
        assert_eq!((&data["addProjectMembers"]["project"]["teamSize"], statements), (&json!(1_000), 7));
    }
}

on_both_databases! {
    async fn ingest_notices_archived_and_deleted_projects_at_once(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=2").await;
        let ingest = async |project: &str| {
            let query = "mutation ($input: IngestMetricsInput!) {
                ingestMetrics(input: $input) { accepted userErrors { field code message } }
            }";
            let metric = json!({ "type": "CUSTOM", "endpoint": "x", "value": 1 });
            let input = json!({ "projectId": project, "metrics": [metric] });
            server.graphql(query, json!({ "input": input })).await.data()["ingestMetrics"].take()
        };
        let change = async |query: &str, id: &str| {
            let data = server.graphql(query, json!({ "id": id })).await.data();
            failures(&data["change"])
        };
        let archive = "mutation ($id: ID!) { change: archiveProject(id: $id) { userErrors { field code message } } }";
        let resume = "mutation ($id: ID!) {
            change: updateProject(input: { id: $id, status: ACTIVE }) { userErrors { field code message } }
        }";
        let delete = "mutation ($id: ID!) { change: deleteProject(id: $id) { userErrors { field code message } } }";
        let (busy, idle) = (world.id("project", 1), world.id("project", 2));
        assert_eq!(ingest(&busy).await["accepted"], 1);
        assert_eq!(change(archive, &busy).await, []);
        assert_eq!(failures(&ingest(&busy).await), failure("CONFLICT", ""));
        assert_eq!(change(delete, &busy).await, failure("CONFLICT", "id"), "it has metrics");
        assert_eq!(change(resume, &busy).await, []);
        assert_eq!(ingest(&busy).await["accepted"], 1);
        // Remembered as archived, then gone.
        assert_eq!(change(archive, &idle).await, []);
        assert_eq!(failures(&ingest(&idle).await), failure("CONFLICT", ""));
        assert_eq!(change(delete, &idle).await, []);
        assert_eq!(failures(&ingest(&idle).await), failure("NOT_FOUND", "projectId"));
    }
}

on_both_databases! {
    async fn an_organization_goes_when_nothing_is_left_in_it(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=2 projects=1 members=2").await;
        let query = "mutation ($employees: [ID!]!, $project: ID!, $organization: ID!, $one: ID!, $two: ID!) {
            early: deleteOrganization(id: $organization) { userErrors { field code message } }
            members: removeProjectMembers(projectId: $project, employeeIds: $employees) {
                project { teamSize organization { employeeCount } }
            }
            one: deleteEmployee(id: $one) { deletedId }
            two: deleteEmployee(id: $two) { deletedId }
            project: deleteProject(id: $project) { deletedId }
            organization: deleteOrganization(id: $organization) { deletedId userErrors { message } }
        }";
        let (one, two) = (world.id("employee", 1), world.id("employee", 2));
        let variables = json!({
            "employees": [one, two], "one": one, "two": two,
            "project": world.id("project", 1), "organization": world.id("organization", 1),
        });
        let data = server.graphql(query, variables).await.data();
        assert_eq!(failures(&data["early"]), failure("CONFLICT", "id"));
        assert_eq!(data["members"]["project"], json!({ "teamSize": 0, "organization": { "employeeCount": 2 } }));
        for gone in ["one", "two", "project", "organization"] {
            assert!(data[gone]["deletedId"].is_string(), "{gone}: {data}");
        }
        let count = server.graphql("{ organizations { totalCount } }", json!({})).await.data();
        assert_eq!(count["organizations"]["totalCount"], 0);
    }
}

on_both_databases! {
    async fn an_id_has_one_spelling(database: TestDatabase) {
        use data_encoding::BASE64URL_NOPAD;
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1").await;
        let key = world.employees[0].key;
        let query = "mutation ($id: ID!) { deleteEmployee(id: $id) { deletedId userErrors { field code message } } }";
        for spelling in [format!("+{}", key.id.0), format!("0{}", key.id.0)] {
            let id = BASE64URL_NOPAD.encode(format!("Employee:{}:{spelling}", key.organization.0).as_bytes());
            let data = server.graphql(query, json!({ "id": id })).await.data();
            assert_eq!(failures(&data["deleteEmployee"]), failure("INVALID", "id"), "{spelling}");
        }
        let id = world.id("employee", 1);
        let data = server.graphql(query, json!({ "id": id })).await.data();
        assert_eq!(data["deleteEmployee"], json!({ "deletedId": id, "userErrors": [] }));
    }
}

on_both_databases! {
    async fn there_is_one_zero(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1").await;
        let query = "mutation ($employee: ID!, $organization: ID!) {
            updateEmployee(input: { id: $employee, salary: -0.0 }) { employee { salary } }
            createEmployee(input: {
                organizationId: $organization, name: \"Ada\", email: \"a@b\", department: \"Any\", salary: -0.0
            }) { employee { salary } }
        }";
        let variables = json!({ "employee": world.id("employee", 1), "organization": world.id("organization", 1) });
        let reply = server.graphql(query, variables).await;
        for change in ["updateEmployee", "createEmployee"] {
            let salary = reply.data()[change]["employee"]["salary"].as_f64().unwrap();
            assert!(salary == 0.0 && salary.is_sign_positive(), "{}", reply.text);
        }
    }
}

on_both_databases! {
    async fn null_means_the_default(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1").await;
        let query = "mutation ($organization: ID!, $status: ProjectStatus) {
            literal: createProject(input: { organizationId: $organization, name: \"One\", status: null }) {
                project { status }
            }
            variable: createProject(input: { organizationId: $organization, name: \"Two\", status: $status }) {
                project { status }
            }
        }";
        let variables = json!({ "organization": world.id("organization", 1), "status": null });
        let data = server.graphql(query, variables).await.data();
        let created = json!({ "project": { "status": "ACTIVE" } });
        assert_eq!((&data["literal"], &data["variable"]), (&created, &created));
        let query = "query ($page: Int) {
            literal: employeesPage(page: null, pageSize: null) { page totalCount }
            variable: employeesPage(page: $page) { page totalCount }
        }";
        let data = server.graphql(query, json!({ "page": null })).await.data();
        let first = json!({ "page": 1, "totalCount": 1 });
        assert_eq!((&data["literal"], &data["variable"]), (&first, &first));
    }
}

on_both_databases! {
    async fn the_servers_own_organization_and_project_stay(database: TestDatabase) {
        let server = Server::start(database, Clock::fixed(NOW), "self_monitoring.enabled = true").await;
        let query = "{ organization(slug: \"perfgraph\") { id projects { nodes { id slug } } } }";
        let own = server.graphql(query, json!({})).await.data()["organization"].take();
        let query = "mutation ($organization: ID!, $project: ID!) {
            organization: deleteOrganization(id: $organization) { userErrors { field code message } }
            project: deleteProject(id: $project) { userErrors { field code message } }
        }";
        let variables = json!({ "organization": own["id"], "project": own["projects"]["nodes"][0]["id"] });
        let data = server.graphql(query, variables).await.data();
        for (what, reason) in [("organization", "own metrics"), ("project", "own metrics")] {
            assert_eq!(failures(&data[what]), failure("CONFLICT", "id"));
            assert!(data[what]["userErrors"][0]["message"].as_str().unwrap().contains(reason), "{data}");
        }
    }
}

on_both_databases! {
    async fn nothing_is_kept_when_a_later_step_fails(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1 projects=1").await;
        let organization = world.organizations[0].key;
        let (scope, db) = (Scope::everything(), server.database.writer());
        let new = |email: &str| NewEmployee {
            id: EmployeeId(server.app.core().ids.next(NOW).unwrap()),
            name: "Ada".to_owned(),
            email: email.to_owned(),
            department: "Design".to_owned(),
            salary: None,
        };
        // The second row of the insert is the one that is taken; the counter had been raised before.
        let people = [new("new@x"), new("employee.1@organization-1.example")];
        let refused = employee::create(&scope, &db, organization, &people, NOW).await.unwrap_err();
        assert!(refused.is_taken(), "{refused}");
        let query = "mutation ($id: ID!, $nobody: ID!) {
            createProject(input: { organizationId: $id, name: \"Half\", memberIds: [$nobody] }) { project { id } }
        }";
        let variables = json!({ "id": world.id("organization", 1), "nobody": world.id("project", 1) });
        assert!(server.graphql(query, variables).await.data()["createProject"]["project"].is_null());
        let query = "{ organizations { nodes { employeeCount employees { nodes { email } } projects { totalCount } } } }";
        let data = server.graphql(query, json!({})).await.data();
        assert_eq!(data["organizations"]["nodes"], json!([{
            "employeeCount": 1,
            "employees": { "nodes": [{ "email": "employee.1@organization-1.example" }] },
            "projects": { "totalCount": 1 },
        }]));
    }
}

on_both_databases! {
    async fn roles_reach_so_far_and_tenants_see_no_other(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=2 projects=1 members=1").await;
        let (own, foreign) = (world.organizations[0].key, world.organizations[1].key);
        let db = server.database.writer();
        let id = world.employees[0].key;
        let rename = || EmployeeChange { name: Assignment::Set("Ada".to_owned()), ..EmployeeChange::default() };
        for role in [Role::Viewer, Role::Member] {
            let scope = Scope::organization(own, role);
            for refused in [
                employee::update(&scope, &db, id, rename(), NOW).await,
                employee::delete(&scope, &db, id, NOW).await,
                employee::create(&scope, &db, own, &[], NOW).await,
                project::archive(&scope, &db, world.projects[0].key, NOW).await,
                project::delete(&scope, &db, world.projects[0].key, NOW).await,
                team::remove(&scope, &db, world.projects[0].key, &[], NOW).await.map(drop),
                organization::update(&scope, &db, own, OrganizationChange::default(), NOW).await,
            ] {
                assert!(matches!(refused, Err(Error::Forbidden(_))), "{role:?}: {refused:?}");
            }
        }
        let admin = Scope::organization(own, Role::Admin);
        assert!(matches!(organization::delete(&admin, &db, own, NOW).await, Err(Error::Forbidden(_))));
        // An owner of one tenant creates no other, and what is foreign is absent.
        let owner = Scope::organization(own, Role::Owner);
        let new = NewOrganization { id: OrganizationId(1), slug: None, name: "Mine".to_owned() };
        assert!(matches!(organization::create(&owner, &db, new, NOW).await, Err(Error::Forbidden(_))));
        let absent = [
            employee::update(&owner, &db, world.employees[2].key, rename(), NOW).await,
            employee::delete(&owner, &db, world.employees[2].key, NOW).await,
            employee::create(&owner, &db, foreign, &[], NOW).await,
            project::delete(&owner, &db, world.projects[1].key, NOW).await,
            organization::delete(&owner, &db, foreign, NOW).await,
            organization::delete(&owner, &db, OrganizationId(7), NOW).await,
        ];
        let expected = absent.last().unwrap().as_ref().unwrap_err().to_string();
        for absent in &absent {
            let error = absent.as_ref().unwrap_err();
            assert_eq!(error.code(), Code::NotFound);
            assert!(error.to_string().ends_with(expected.trim_start_matches("id")), "{error}");
        }
        employee::update(&admin, &db, id, rename(), NOW).await.unwrap();
        let ids = [own, foreign];
        let left = by_ids::<Organization>(&owner, &db, &ids, OrganizationFields::empty()).await.unwrap();
        assert_eq!(left.len(), 1);
    }
}

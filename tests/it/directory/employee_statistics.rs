//! Figures about employees: right, also after changes; hidden where salaries are; one statement for many organizations.

use perfgraph::{
    clock::Clock,
    directory::employee::{self, EmployeeChange, NewEmployee, StatisticsFields},
    model::{Assignment, EmployeeId, Key, Role, Scope},
};
use serde_json::{Value, json};

use crate::{
    graphql::statement_counts::counted,
    harness::{
        Server, World,
        server::{NOW, send},
    },
    on_both_databases,
};

const SALARIES: [Option<f64>; 5] = [Some(10.25), None, Some(30.5), Some(1e12), Some(0.0)];

/// People of two departments in the first organization; the second of them has left.
async fn hire(server: &Server, world: &World) {
    let (scope, db, organization) = (Scope::everything(), server.database.writer(), world.organizations[0].key);
    let new = |(place, salary): (usize, &Option<f64>)| NewEmployee {
        id: EmployeeId(server.app.core().ids.next(NOW).unwrap()),
        name: format!("New {place}"),
        email: format!("{place}@x"),
        department: if place < 2 { "A" } else { "B" }.to_owned(),
        salary: *salary,
    };
    let people: Vec<_> = SALARIES.iter().enumerate().map(new).collect();
    employee::create(&scope, &db, organization, &people, NOW).await.unwrap();
    let change = EmployeeChange { is_active: Assignment::Set(false), ..EmployeeChange::default() };
    employee::update(&scope, &db, Key::new(organization, people[1].id), change, NOW).await.unwrap();
}

on_both_databases! {
    async fn figures_are_those_of_the_rows(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1").await;
        hire(&server, &world).await;
        let query = "{ employeeStats {
            count activeCount inactiveCount averageSalary minSalary maxSalary sumSalary
            byDepartment { department count averageSalary }
        } }";
        let (data, statements) = counted(&server, query, json!({})).await;
        let sum = 10.25 + 30.5 + 1e12;
        assert_eq!((&data["employeeStats"], statements), (&json!({
            "count": 5, "activeCount": 4, "inactiveCount": 1,
            "averageSalary": sum / 4.0, "minSalary": 0.0, "maxSalary": 1e12, "sumSalary": sum,
            "byDepartment": [
                { "department": "A", "count": 2, "averageSalary": 10.25 },
                { "department": "B", "count": 3, "averageSalary": (30.5 + 1e12) / 3.0 },
            ],
        }), 1));
        let query = "{ employeeStats(filter: { name: { eq: \"New 1\" } }) { count averageSalary sumSalary maxSalary } }";
        let (data, _) = counted(&server, query, json!({})).await;
        let nothing = json!({ "count": 1, "averageSalary": null, "sumSalary": null, "maxSalary": null });
        assert_eq!(data["employeeStats"], nothing);
    }
}

on_both_databases! {
    async fn organizations_share_a_statement_and_the_empty_have_figures(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=20").await;
        hire(&server, &world).await;
        let query = "query ($first: Int) { organizations(first: $first) { nodes {
            employeeStats { count activeCount averageSalary byDepartment { department count } }
        } } }";
        for first in [1, 20] {
            let (data, statements) = counted(&server, query, json!({ "first": first })).await;
            let nodes = data["organizations"]["nodes"].as_array().unwrap();
            assert_eq!((nodes.len(), statements), (first, 2));
            assert_eq!(nodes[0]["employeeStats"]["count"], 5);
            let nobody = json!({ "count": 0, "activeCount": 0, "averageSalary": null, "byDepartment": [] });
            assert!(nodes[1..].iter().all(|node| node["employeeStats"] == nobody), "{data}");
        }
    }
}

on_both_databases! {
    async fn salaries_are_hidden_below_administrators(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=3").await;
        let (own, db, all) = (world.organizations[0].key, server.database.reader(), StatisticsFields::all());
        for role in [Role::Viewer, Role::Member, Role::Admin] {
            let scope = Scope::organization(own, role);
            let found = employee::statistics(&scope, &db, None, all, 9).await.unwrap();
            assert_eq!((found.total.count, found.total.active, found.departments.len()), (3, 3, 3));
            let shown = role == Role::Admin;
            let figures = found.departments.iter().map(|(_, figures)| figures).chain([&found.total]);
            for figures in figures {
                assert_eq!(figures.average().is_some(), shown, "{role:?}");
                assert_eq!((figures.sum.is_some(), figures.lowest.is_some()), (shown, shown));
                assert_eq!(figures.highest.is_some(), shown);
            }
            let others: Vec<_> = world.organizations.iter().map(|one| one.key).collect();
            let found = employee::statistics_by_organizations(&scope, &db, &others, None, all, 9).await.unwrap();
            assert_eq!(found.keys().copied().collect::<Vec<_>>(), [own]);
        }
    }
}

on_both_databases! {
    async fn what_is_asked_twice_is_read_once(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=3 employees=4").await;
        let query = "{
            a: employeeStats { count }
            b: employeeStats { averageSalary }
            c: employeeStats { byDepartment { department } }
            one: organization(slug: \"organization-1\") { name }
            same: organization(slug: \"organization-1\") { employeeCount }
            other: organization(slug: \"organization-2\") { slug }
            none: organization(slug: \"organization-9\") { name }
        }";
        let (data, statements) = counted(&server, query, json!({})).await;
        assert_eq!((data, statements), (json!({
            "a": { "count": 12 },
            "b": { "averageSalary": 50_000.0 },
            "c": { "byDepartment": [
                { "department": "Design" }, { "department": "Engineering" }, { "department": "Operations" },
            ] },
            "one": { "name": "Organization 01" },
            "same": { "employeeCount": 4 },
            "other": { "slug": "organization-2" },
            "none": null,
        }), 2));
    }
}

on_both_databases! {
    async fn departments_of_each_organization_are_bounded(database: TestDatabase) {
        let ask = "query ($filter: EmployeeFilter) {
            employeeStats(filter: $filter) { byDepartment { department } }
            organizations { nodes { employeeStats(filter: $filter) { byDepartment { department } } } }
        }";
        let settings = "self_monitoring.enabled = false\nlimits.departments_max = 3";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=4 employees=6").await;
        // Three departments in each of four organizations: the limit is not that of all together.
        let (data, statements) = counted(&server, ask, json!({})).await;
        let nodes = data["organizations"]["nodes"].as_array().unwrap();
        assert_eq!((nodes.len(), statements), (4, 3));
        for figures in nodes.iter().map(|node| &node["employeeStats"]).chain([&data["employeeStats"]]) {
            assert_eq!(figures["byDepartment"].as_array().unwrap().len(), 3);
        }
        let change = EmployeeChange { department: Assignment::Set("A fourth".to_owned()), ..EmployeeChange::default() };
        let (scope, db) = (Scope::everything(), server.database.writer());
        employee::update(&scope, &db, world.employees[0].key, change, NOW).await.unwrap();
        for ask in [
            "{ employeeStats { byDepartment { department } } }",
            "{ organizations { nodes { employeeStats { byDepartment { department } } } } }",
        ] {
            let (code, message) = server.graphql(ask, json!({})).await.error();
            assert_eq!(code, "COMPLEXITY_LIMIT", "{message}");
            assert!(message.starts_with("the number of departments is 4; the maximum is 3"), "{message}");
        }
        let filter = json!({ "department": { "ne": "A fourth" } });
        let (data, _) = counted(&server, ask, json!({ "filter": filter })).await;
        assert_eq!(data["employeeStats"]["byDepartment"].as_array().unwrap().len(), 3);
    }
}

on_both_databases! {
    async fn departments_cost_what_a_list_costs(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let body = json!({ "query": "{ employeeStats { byDepartment { department } } }" });
        let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
        assert_eq!(send(request).await.json()["extensions"]["cost"]["requested"], 22);
    }
}

on_both_databases! {
    async fn active_employees_are_counted_in_one_statement_and_correct_after_each_change(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=3 employees=4").await;
        let query = "{ organizations { nodes { employeeCount activeEmployeeCount employeeStats { byDepartment { count activeCount inactiveCount } } } } }";
        let only = "{ organizations { nodes { employeeCount activeEmployeeCount } } }";
        let expect = async |first: [i64; 2]| {
            let (data, statements) = counted(&server, only, json!({})).await;
            assert_eq!(statements, 2);
            let nodes = data["organizations"]["nodes"].as_array().unwrap();
            let counts: Vec<_> = nodes.iter().map(|one| [&one["employeeCount"], &one["activeEmployeeCount"]]).collect();
            assert_eq!(json!(counts), json!([first, [4, 4], [4, 4]]));
            // The departments add up to both.
            let (data, statements) = counted(&server, query, json!({})).await;
            assert_eq!(statements, 3);
            let departments = data["organizations"]["nodes"][0]["employeeStats"]["byDepartment"].as_array().unwrap();
            let sum = |field: &str| departments.iter().map(|one| one[field].as_i64().unwrap()).sum::<i64>();
            assert_eq!([sum("count"), sum("activeCount"), sum("inactiveCount")], [first[0], first[1], first[0] - first[1]]);
        };
        expect([4, 4]).await;
        let change = async |text: &str, id: String| {
            let data = server.graphql(&format!("mutation ($id: ID!) {{ change: {text} {{ userErrors {{ message }} }} }}"), json!({ "id": id })).await.data();
            assert_eq!(data["change"]["userErrors"], json!([]), "{text}");
        };
        change("updateEmployee(input: { id: $id, isActive: false })", world.id("employee", 1)).await;
        expect([4, 3]).await;
        change("updateEmployees(input: { filter: { organizationId: $id }, isActive: false })", world.id("organization", 1)).await;
        expect([4, 0]).await;
        change("updateEmployee(input: { id: $id, isActive: true })", world.id("employee", 2)).await;
        expect([4, 1]).await;
        change("deleteEmployee(input: { id: $id })", world.id("employee", 2)).await;
        expect([3, 0]).await;
        let new = "createEmployee(input: { organizationId: $id, name: \"New\", email: \"new@example.com\", department: \"Design\" })";
        change(new, world.id("organization", 1)).await;
        expect([4, 1]).await;
    }
}

on_both_databases! {
    async fn many_employees_of_several_organizations_are_changed_by_one_update(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=3 employees=700").await;
        let change = "mutation ($department: String!) {
            updateEmployees(input: { filter: { department: { contains: \"e\" } }, department: $department }) {
                affected userErrors { message }
            }
        }";
        let body = json!({ "query": change, "variables": { "department": "One Department" } });
        let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
        let reply: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(reply["data"]["updateEmployees"], json!({ "affected": 2_100, "userErrors": [] }));
        let sent = reply["extensions"]["db"]["sql"].as_array().unwrap();
        let updates: Vec<_> = sent.iter().filter(|one| one["sql"].as_str().unwrap().starts_with("UPDATE")).collect();
        assert_eq!(updates.len(), 1, "{sent:#?}");
        assert_eq!((&updates[0]["rows"], sent.len()), (&json!(2_100), 4), "{sent:#?}");
    }
}

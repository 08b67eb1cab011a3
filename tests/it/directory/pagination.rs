//! Lists as clients read them, page after page over HTTP: to their end and back, of several parents at once; and what
//! bounds the lists that have no pages.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::{harness::Server, on_both_databases};

fn ids(nodes: &Value) -> Vec<String> {
    nodes.as_array().unwrap().iter().map(|node| node["id"].as_str().unwrap().to_owned()).collect()
}

const PAGE: &str = "{ nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }";

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Forwards,
    Backwards,
}

impl Way {
    /// So many items behind a place, or before it.
    fn arguments(self, size: usize, cursor: Option<&str>) -> String {
        let (count, place) = if self == Self::Forwards { ("first", "after") } else { ("last", "before") };
        cursor.map_or(format!("({count}: {size})"), |cursor| format!("({count}: {size}, {place}: \"{cursor}\")"))
    }
}

/// A list that is being walked.
#[derive(Default)]
struct Walk {
    met: Vec<String>,
    cursor: Option<String>,
    is_over: bool,
}

impl Walk {
    fn take(&mut self, way: Way, size: usize, page: &Value) {
        let (found, info) = (ids(&page["nodes"]), &page["pageInfo"]);
        let (more, behind, edge) = match way {
            Way::Forwards => (&info["hasNextPage"], &info["hasPreviousPage"], &info["endCursor"]),
            Way::Backwards => (&info["hasPreviousPage"], &info["hasNextPage"], &info["startCursor"]),
        };
        assert_eq!(behind, &json!(!self.met.is_empty()), "{page}");
        assert!(found.len() == size || more == false, "a page with a neighbour is full: {page}");
        let at = if way == Way::Forwards { self.met.len() } else { 0 };
        self.met.splice(at..at, found);
        self.is_over = more == false;
        self.cursor = edge.as_str().map(str::to_owned);
    }
}

/// The lists of several parents, walked side by side in the same requests, each from where it stands.
async fn walked(server: &Server, parents: &[String], kind: &str, field: &str, way: Way, size: usize) -> Vec<Walk> {
    let mut walks: Vec<_> = parents.iter().map(|_| Walk::default()).collect();
    while walks.iter().any(|walk| !walk.is_over) {
        let mut query = String::new();
        for (number, (parent, walk)) in parents.iter().zip(&walks).enumerate().filter(|(_, (_, walk))| !walk.is_over) {
            let arguments = way.arguments(size, walk.cursor.as_deref());
            write!(query, "n{number}: node(id: \"{parent}\") {{ ... on {kind} {{ {field}{arguments} {PAGE} }} }} ")
                .unwrap();
        }
        let data = server.graphql(&format!("{{ {query} }}"), json!({})).await.data();
        for (name, node) in data.as_object().unwrap() {
            walks[name[1..].parse::<usize>().unwrap()].take(way, size, &node[field]);
        }
    }
    walks
}

on_both_databases! {
    async fn lists_inside_of_many_parents_are_read_to_their_end_and_back(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=6 projects=30 members=5").await;
        for (noun, kind, field, size, parents, length) in [
            ("project", "Project", "team", 2, [1, 2, 29, 31], 5),
            ("employee", "Employee", "projects", 7, [1, 2, 6, 7], 25),
        ] {
            let parents: Vec<_> = parents.iter().map(|number| world.id(noun, *number)).collect();
            let query = format!(
                "query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {kind} {{ {field}(first: 100) {{ nodes {{ id }} totalCount }} }} }} }}"
            );
            let whole = server.graphql(&query, json!({ "ids": parents })).await.data();
            for way in [Way::Forwards, Way::Backwards] {
                let walks = walked(&server, &parents, kind, field, way, size).await;
                for (walk, node) in walks.iter().zip(whole["nodes"].as_array().unwrap()) {
                    assert_eq!(walk.met, ids(&node[field]["nodes"]), "{field} {way:?}");
                    assert_eq!(node[field]["totalCount"], json!(length));
                }
            }
        }
    }
}

on_both_databases! {
    async fn one_place_means_the_same_in_the_lists_of_all_parents(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=12 projects=9 members=8").await;
        for (parents, field, noun, name, count) in
            [("projects", "team", "employee", "Employee", 12), ("employees", "projects", "project", "Project", 9)]
        {
            for number in 1..=count {
                let (cursor, edge) = (world.page_cursor(noun, number), format!("{name} {number:03}"));
                let query = format!(
                    "{{ {parents}(first: 12) {{ nodes {{ whole: {field} {{ nodes {{ name }} }}
                        after: {field}(first: 20, after: \"{cursor}\") {{ nodes {{ name }} }}
                        before: {field}(last: 20, before: \"{cursor}\") {{ nodes {{ name }} }}
                    }} }} }}"
                );
                let data = server.graphql(&query, json!({})).await.data();
                for parent in data[parents]["nodes"].as_array().unwrap() {
                    let names = |list: &str| {
                        let nodes = parent[list]["nodes"].as_array().unwrap();
                        nodes.iter().map(|node| node["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
                    };
                    let (before, rest): (Vec<_>, Vec<_>) = names("whole").into_iter().partition(|name| *name < edge);
                    let after: Vec<_> = rest.into_iter().filter(|name| *name != edge).collect();
                    assert_eq!((names("before"), names("after")), (before, after), "{field} {edge}");
                }
            }
        }
    }
}

on_both_databases! {
    async fn organizations_are_walked_both_ways_and_filtered(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=11").await;
        let whole = server.graphql("{ organizations(first: 100) { nodes { id } } }", json!({})).await.data();
        let whole = ids(&whole["organizations"]["nodes"]);
        assert_eq!(whole, (1..=11).map(|number| world.id("organization", number)).collect::<Vec<_>>());
        for way in [Way::Forwards, Way::Backwards] {
            for size in [1, 3, 11] {
                let mut walk = Walk::default();
                while !walk.is_over {
                    let query = format!("{{ organizations{} {PAGE} }}", way.arguments(size, walk.cursor.as_deref()));
                    walk.take(way, size, &server.graphql(&query, json!({})).await.data()["organizations"]);
                }
                assert_eq!(walk.met, whole, "{way:?} {size}");
            }
        }

        let leave = "mutation ($id: ID!) { updateOrganization(input: { id: $id, isActive: false }) { userErrors { message } } }";
        for number in [2, 5, 11] {
            let left = server.graphql(leave, json!({ "id": world.id("organization", number) })).await.data();
            assert_eq!(left["updateOrganization"]["userErrors"], json!([]));
        }
        let named = |name: &str| json!({ "name": { "eq": format!("Organization {name}") } });
        let (active, left) = (json!({ "isActive": true }), json!({ "isActive": false }));
        let all: Vec<usize> = (1..=11).collect();
        for (filter, expected) in [
            (left.clone(), vec![2, 5, 11]),
            (active.clone(), vec![1, 3, 4, 6, 7, 8, 9, 10]),
            (json!({ "not": active }), vec![2, 5, 11]),
            (json!({ "not": { "not": left } }), vec![2, 5, 11]),
            (json!({ "and": [left, named("02")] }), vec![2]),
            (json!({ "and": [left, named("03")] }), vec![]),
            (json!({ "or": [named("01"), named("05"), named("none")] }), vec![1, 5]),
            (json!({ "or": [left, named("01")] }), vec![1, 2, 5, 11]),
            (json!({ "and": [] }), all.clone()),
            (json!({ "or": [] }), vec![]),
            (json!({}), all),
            // All that stands side by side must hold.
            (json!({ "isActive": false, "name": { "startsWith": "Organization 0" } }), vec![2, 5]),
            (json!({ "isActive": true, "or": [named("01"), named("02")], "not": named("09") }), vec![1]),
            (json!({ "not": { "or": [{ "name": { "startsWith": "Organization 0" } }, { "isActive": false }] } }), vec![10]),
            (json!({ "name": { "contains": "1" } }), vec![1, 10, 11]),
            (json!({ "name": { "in": ["Organization 03", "Organization 11"] } }), vec![3, 11]),
            (json!({ "name": { "ne": "Organization 03" }, "and": [{ "name": { "contains": "03" } }] }), vec![]),
        ] {
            let query = "query ($filter: OrganizationFilter) { organizations(filter: $filter) { nodes { id } totalCount } }";
            let found = server.graphql(query, json!({ "filter": filter })).await.data();
            let expected: Vec<_> = expected.into_iter().map(|number| world.id("organization", number)).collect();
            assert_eq!(ids(&found["organizations"]["nodes"]), expected, "{filter}");
            assert_eq!(found["organizations"]["totalCount"], expected.len(), "{filter}");
        }
    }
}

on_both_databases! {
    async fn lists_without_pages_end_after_a_hundred(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=101 employees=101").await;
        let query = "query ($id: ID!) {
            allOrganizations { id } organizations(first: 100) { nodes { id } totalCount }
            allEmployees { id } employees(first: 100) { nodes { id } totalCount }
            employeesByOrganization(organizationId: $id) { id }
            organization(id: $id) { employees(first: 100) { nodes { id } totalCount } }
        }";
        let data = server.graphql(query, json!({ "id": world.id("organization", 3) })).await.data();
        for (plain, list, total) in [
            (&data["allOrganizations"], &data["organizations"], 101),
            (&data["allEmployees"], &data["employees"], 101 * 101),
            (&data["employeesByOrganization"], &data["organization"]["employees"], 101),
        ] {
            assert_eq!((ids(plain).len(), &list["totalCount"]), (100, &json!(total)));
            assert_eq!(ids(plain), ids(&list["nodes"]), "the first ones, by name");
        }
    }
}

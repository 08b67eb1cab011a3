//! Optimistic locks by `ifVersion`, and by times that a client cut to milliseconds.

use perfgraph::clock::Clock;
use serde_json::{Value, json};

use super::{failure, failures};
use crate::{harness::Server, on_both_databases};

/// The mutation, its object and a change of each type with an optimistic lock.
const CHANGES: [(&str, &str, &str); 3] = [
    ("updateOrganization", "organization", "UpdateOrganizationInput"),
    ("updateEmployee", "employee", "UpdateEmployeeInput"),
    ("updateProject", "project", "UpdateProjectInput"),
];

async fn change(server: &Server, (mutation, object, input): (&str, &str, &str), values: Value) -> Value {
    let query = format!(
        "mutation ($input: {input}!) {{ change: {mutation}(input: $input) {{
            {object} {{ name version updatedAt }} userErrors {{ field code message }}
        }} }}"
    );
    server.graphql(&query, json!({ "input": values })).await.data()["change"].take()
}

on_both_databases! {
    async fn a_version_holds_until_the_record_changes(database: TestDatabase) {
        // A clock that goes on: `updatedAt` has microseconds.
        let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 employees=1 projects=1").await;
        for kind in CHANGES {
            let (_, object, _) = kind;
            let id = world.id(object, 1);
            let query = format!("query ($id: ID!) {{ {object}(id: $id) {{ version }} list: {object}s {{ nodes {{ version }} }} }}");
            let read = server.graphql(&query, json!({ "id": id })).await.data();
            let version = read[object]["version"].clone();
            assert_eq!(read["list"]["nodes"][0]["version"], version);
            let first = change(&server, kind, json!({ "id": id, "name": "First", "ifVersion": version })).await;
            assert_eq!(failures(&first), [], "{first}");
            let next = &first[object]["version"];
            assert!(next.is_string() && *next != version, "{first}");
            let late = change(&server, kind, json!({ "id": id, "name": "Late", "ifVersion": version })).await;
            assert_eq!(failures(&late), failure("CONFLICT", "ifVersion"), "{late}");
            let same = change(&server, kind, json!({ "id": id, "name": "First", "ifVersion": next })).await;
            assert_eq!((failures(&same), &same[object]["version"]), (vec![], next), "nothing changed");
            for wrong in [json!(id), json!(""), json!(first[object]["updatedAt"]), json!(null)] {
                let refused = change(&server, kind, json!({ "id": id, "name": "Wrong", "ifVersion": wrong })).await;
                assert_eq!(failures(&refused), failure("INVALID", "ifVersion"), "{refused}");
            }
            let updated_at = &first[object]["updatedAt"];
            let both = json!({ "id": id, "name": "Both", "ifVersion": next, "ifUpdatedAt": updated_at });
            assert_eq!(failures(&change(&server, kind, both.clone()).await), []);
            assert_eq!(failures(&change(&server, kind, both).await), failure("CONFLICT", "ifVersion"));
        }
    }
}

on_both_databases! {
    async fn a_time_that_lost_its_microseconds_is_told_apart_from_a_change(database: TestDatabase) {
        let start: perfgraph::model::Timestamp = "2026-11-01T12:00:00.123456Z".parse().unwrap();
        let server = Server::start(database, Clock::fixed(start), "self_monitoring.enabled = false").await;
        let world = server.seed("organizations=1 employees=1 projects=1").await;
        for kind in CHANGES {
            let id = world.id(kind.1, 1);
            for (given, is_cut) in [
                ("2026-11-01T12:00:00.123Z", true),
                ("2026-11-01T13:00:00.123+01:00", true),
                ("2026-11-01T12:00:00.124Z", false),
                ("2026-11-01T11:00:00.123456Z", false),
            ] {
                let refused = change(&server, kind, json!({ "id": id, "name": "Cut", "ifUpdatedAt": given })).await;
                assert_eq!(failures(&refused), failure("CONFLICT", "ifUpdatedAt"), "{refused}");
                let message = refused["userErrors"][0]["message"].as_str().unwrap();
                let tells = message.contains("only digits below the millisecond differ") && message.contains("ifVersion");
                assert_eq!(tells, is_cut, "{given}: {message}");
            }
            let whole = json!({ "id": id, "name": "Whole", "ifUpdatedAt": "2026-11-01T12:00:00.123456Z" });
            assert_eq!(failures(&change(&server, kind, whole).await), []);
        }
    }
}

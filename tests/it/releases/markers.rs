//! Releases as markers: created once however often, listed by project, found by version, named in filters.

use perfgraph::{clock::Clock, model::timestamp::HOUR_MICROS};
use serde_json::{Value, json};

use crate::{
    graphql::statement_counts::counted,
    harness::{Server, World, builders, server::NOW},
    on_both_databases,
};

/// Creates a release and answers the payload.
pub async fn create(server: &Server, input: Value) -> Value {
    let mutation = "mutation($input: CreateReleaseInput!) { createRelease(input: $input) {
        release { id version deployedAt commit author { name } project { name } }
        userErrors { field code message }
    } }";
    server.graphql(mutation, json!({ "input": input })).await.data()["createRelease"].take()
}

/// The id of a release that was deployed so many hours ago.
pub async fn deployed(server: &Server, project: &str, version: &str, hours_ago: i64) -> Value {
    let at = NOW.plus_micros(-hours_ago * HOUR_MICROS).to_string();
    let answer = create(server, json!({ "projectId": project, "version": version, "deployedAt": at })).await;
    assert_eq!(answer["userErrors"], json!([]), "{answer}");
    answer["release"]["id"].clone()
}

on_both_databases! {
    async fn a_pipeline_may_create_twice(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=1 projects=2").await;
        let (first, second) = (world.id("project", 1), world.id("project", 2));
        let full = json!({
            "projectId": first, "version": " 1.4.2 ", "commit": "9f86d08", "authorId": world.id("employee", 1),
            "deployedAt": "2026-10-31T12:00:00Z",
        });
        let made = create(&server, full.clone()).await;
        assert_eq!(made["release"], json!({
            "id": made["release"]["id"], "version": "1.4.2", "deployedAt": "2026-10-31T12:00:00Z", "commit": "9f86d08",
            "author": { "name": "Employee 001" }, "project": { "name": "Project 001" },
        }));
        for same in [full.clone(), json!({ "projectId": first, "version": "1.4.2" })] {
            assert_eq!(create(&server, same).await, made);
        }
        for (field, value) in [("commit", "x"), ("deployedAt", "2026-10-31T12:00:01Z")] {
            let mut other = full.clone();
            other[field] = json!(value);
            let refused = create(&server, other).await;
            assert_eq!((&refused["release"], &refused["userErrors"][0]["code"]), (&Value::Null, &json!("TAKEN")));
            assert_eq!(refused["userErrors"][0]["field"], json!(["version"]));
        }
        // Another project has versions of its own; what is left out is now, nobody and nothing.
        let other = create(&server, json!({ "projectId": second, "version": "1.4.2" })).await;
        assert_ne!(other["release"]["id"], made["release"]["id"]);
        assert_eq!(other["release"]["deployedAt"], "2026-11-01T12:00:00Z");
        assert_eq!((&other["release"]["commit"], &other["release"]["author"]), (&Value::Null, &Value::Null));
        let node = "query($id: ID!) { node(id: $id) { id ... on Release { version project { name } } } }";
        let found = server.graphql(node, json!({ "id": made["release"]["id"] })).await.data();
        assert_eq!(found["node"]["project"]["name"], "Project 001");
    }
}

on_both_databases! {
    async fn what_cannot_be_a_release_is_refused_by_field(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=2 employees=1 projects=1").await;
        let project = world.id("project", 1);
        for (input, field, code) in [
            (json!({ "projectId": project, "version": " " }), "version", "INVALID"),
            (json!({ "projectId": project, "version": "a\u{0}" }), "version", "INVALID"),
            // No measurement can carry it: their limit is the same.
            (json!({ "projectId": project, "version": "x".repeat(201) }), "version", "INVALID"),
            (json!({ "projectId": project, "version": "1", "commit": "x".repeat(2_001) }), "commit", "INVALID"),
            (json!({ "projectId": project, "version": "1", "commit": "" }), "commit", "INVALID"),
            (json!({ "projectId": project, "version": "1", "deployedAt": "2026-11-03T12:00:00Z" }), "deployedAt", "INVALID"),
            (json!({ "projectId": "x", "version": "1" }), "projectId", "INVALID"),
            (json!({ "projectId": world.id("employee", 1), "version": "1" }), "projectId", "INVALID"),
            (json!({ "projectId": "UHJvamVjdDo3Nzo3Nw", "version": "1" }), "projectId", "NOT_FOUND"),
            (json!({ "projectId": project, "version": "1", "authorId": "x" }), "authorId", "INVALID"),
            (json!({ "projectId": project, "version": "1", "authorId": world.id("employee", 2) }), "authorId", "NOT_FOUND"),
        ] {
            let refused = create(&server, input.clone()).await;
            let error = &refused["userErrors"][0];
            assert_eq!((&error["field"], &error["code"]), (&json!([field]), &json!(code)), "{input}: {refused}");
        }
        let query = "query($id: ID!) { project(id: $id) { releases { totalCount } } }";
        assert_eq!(server.graphql(query, json!({ "id": project })).await.data()["project"]["releases"]["totalCount"], 0);
    }
}

on_both_databases! {
    async fn releases_of_many_projects_are_one_statement(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=12").await;
        for project in 1..=12 {
            for (version, hours_ago) in [("1.0", 30), ("1.2", 10), ("1.1", 20)] {
                deployed(&server, &world.id("project", project), version, hours_ago).await;
            }
        }
        let query = "query($first: Int, $after: String) { projects(first: $first) { nodes {
            releases(first: 2, after: $after) { nodes { version } pageInfo { hasNextPage endCursor } totalCount }
        } } }";
        for first in [1, 12] {
            let (data, statements) = counted(&server, query, json!({ "first": first })).await;
            assert_eq!(statements, 3, "projects, releases, counts");
            for project in data["projects"]["nodes"].as_array().unwrap() {
                let releases = &project["releases"];
                assert_eq!(releases["nodes"], json!([{ "version": "1.2" }, { "version": "1.1" }]));
                assert_eq!((&releases["pageInfo"]["hasNextPage"], &releases["totalCount"]), (&json!(true), &json!(3)));
            }
        }
        let (data, _) = counted(&server, query, json!({ "first": 1 })).await;
        let after = &data["projects"]["nodes"][0]["releases"]["pageInfo"]["endCursor"];
        let (data, _) = counted(&server, query, json!({ "first": 1, "after": after })).await;
        assert_eq!(data["projects"]["nodes"][0]["releases"]["nodes"], json!([{ "version": "1.0" }]));
    }
}

/// Twelve hours of one measurement an hour of the first project, tagged by the version of each hour.
async fn measured(server: &Server, world: &World, project: usize, versions: [&str; 2]) {
    let tagged = (1..=12_i64).map(|hours| {
        let mut row = builders::metrics(NOW, 1).remove(0);
        row.timestamp = Some(NOW.plus_micros(-hours * HOUR_MICROS));
        row.value = f64::from(i32::try_from(hours).unwrap());
        row.endpoint = format!("GET /{hours}");
        row.release = Some(versions[usize::from(hours <= 6)].to_owned());
        row
    });
    builders::ingest(server.app.core(), world.projects[project - 1].key, tagged.collect()).await;
}

on_both_databases! {
    async fn measurements_find_their_release_whenever_it_was_created(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\ningest.endpoint_templates = false";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1 projects=2").await;
        measured(&server, &world, 1, ["1.0", "1.1"]).await;
        measured(&server, &world, 2, ["1.0", "1.1"]).await;
        let query = "query($filter: MetricFilter) { slowestEndpoints(filter: $filter, limit: 100, rankBy: MAX) {
            worstSample { value releaseVersion release { version project { name } } }
        } }";
        let ask = async |filter: Value| {
            let (data, statements) = counted(&server, query, json!({ "filter": filter })).await;
            let samples: Vec<_> =
                data["slowestEndpoints"].as_array().unwrap().iter().map(|one| one["worstSample"].clone()).collect();
            (samples, statements)
        };
        let (before, _) = ask(json!({ "time": { "last": "PT24H" } })).await;
        assert_eq!(before.len(), 24);
        assert!(before.iter().all(|one| one["release"].is_null() && one["releaseVersion"].is_string()), "{before:?}");
        let project = world.id("project", 1);
        let first = deployed(&server, &project, "1.0", 13).await;
        let second = deployed(&server, &project, "1.1", 6).await;
        let (after, statements) = ask(json!({ "time": { "last": "PT24H" } })).await;
        assert_eq!(statements, 4, "ranking, samples, releases, their project");
        let with: Vec<_> = after.iter().filter(|one| !one["release"].is_null()).collect();
        assert!(with.len() == 12 && with.iter().all(|one| one["release"]["version"] == one["releaseVersion"]), "{after:?}");
        assert!(with.iter().all(|one| one["release"]["project"]["name"] == "Project 001"));

        // While it ran: of both projects, for a window is a window.
        assert_eq!(ask(json!({ "time": { "releaseId": first } })).await.0.len(), 2 * 6);
        assert_eq!(ask(json!({ "time": { "releaseId": second }, "projectIds": [project] })).await.0.len(), 6);
        // Tagged with it: of its project alone.
        let tagged = ask(json!({ "time": { "last": "PT24H" }, "releaseId": second })).await.0;
        assert!(tagged.len() == 6 && tagged.iter().all(|one| one["releaseVersion"] == "1.1"), "{tagged:?}");
        assert_eq!(ask(json!({ "time": { "release": first }, "releaseId": second })).await.0.len(), 0);

        let nested = "query($filter: MetricFilter!) { projects { nodes { metricStats(filter: $filter) { count } } } }";
        let filter = json!({ "filter": { "time": { "release": first }, "releaseId": first } });
        let (data, statements) = counted(&server, nested, filter).await;
        assert_eq!(data["projects"]["nodes"], json!([
            { "metricStats": { "count": 6 } }, { "metricStats": { "count": 0 } },
        ]));
        assert_eq!(statements, 4, "projects, when it ran, its version, figures");

        let tomorrow = json!({ "projectId": project, "version": "2", "deployedAt": "2026-11-02T00:00:00Z" });
        let tomorrow = create(&server, tomorrow).await["release"]["id"].clone();
        let refused = |release: Value| server.graphql(query, json!({ "filter": { "time": { "releaseId": release } } }));
        assert_eq!(refused(tomorrow).await.error().0, "BAD_USER_INPUT");
        assert_eq!(refused(json!("x")).await.error().0, "BAD_USER_INPUT");
        assert_eq!(refused(json!("UmVsZWFzZTo3Nzo3Nw")).await.error().0, "NOT_FOUND");
    }
}

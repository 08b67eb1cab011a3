//! `Project.ingestStatus`: every row counts once, by its way in and by what became of it, on every instance and across restarts.

use perfgraph::{clock::Clock, entity::ingest_status};
use reqwest::Method;
use sea_orm::EntityTrait;
use serde_json::{Value, json};

use super::http_api::{NDJSON, PATH, rows};
use crate::{
    cli::import::PROJECT,
    graphql::statement_counts::counted,
    harness::{
        Server, TestDatabase, World,
        process::{command, run},
        server::{NOW, send},
        wait,
    },
    on_both_databases,
};

const STATUS: &str = "query ($slug: String!) { project(slug: $slug) { ingestStatus {
    way accepted refused late ignored refusedRequests lastSeenAt lastRefusals { field message lastAt }
} } }";

async fn server(database: TestDatabase) -> (Server, World) {
    let settings = "self_monitoring.enabled = false\ningest.part_rows = 100\nlimits.ingest_refused_rows_max = 200";
    let server = Server::start(database, Clock::fixed(NOW), settings).await;
    let world = server.seed("organizations=2 employees=1 projects=2").await;
    (server, world)
}

/// The status of a project: the same before and after the counters are written.
async fn status(server: &Server, slug: &str) -> Vec<Value> {
    let before = read(server, slug).await;
    server.app.core().ingest.write_status().await.unwrap();
    assert_eq!(read(server, slug).await, before);
    before
}

async fn read(server: &Server, slug: &str) -> Vec<Value> {
    let data = server.graphql(STATUS, json!({ "slug": slug })).await.data();
    data["project"]["ingestStatus"].as_array().unwrap().clone()
}

/// The counters of a way: accepted, refused, late, ignored, refused requests.
fn counts(status: &[Value], way: &str) -> [u64; 5] {
    let of_way = status.iter().find(|one| one["way"] == way).unwrap_or_else(|| panic!("{way} is not in {status:?}"));
    ["accepted", "refused", "late", "ignored", "refusedRequests"].map(|field| of_way[field].as_u64().unwrap())
}

/// The last refusals of a way: the field and the message of each.
fn refusals(status: &[Value], way: &str) -> Vec<(String, String)> {
    let of_way = status.iter().find(|one| one["way"] == way).unwrap();
    let text = |value: &Value| value.as_str().unwrap_or("null").to_owned();
    let refusals = of_way["lastRefusals"].as_array().unwrap().iter();
    refusals.map(|refusal| (text(&refusal["field"]), text(&refusal["message"]))).collect()
}

async fn mutate(server: &Server, input: Value) -> Value {
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted isDuplicate userErrors { code } } }";
    server.graphql(query, json!({ "input": input })).await.data()["ingestMetrics"].clone()
}

async fn post(server: &Server, query: &str, key: Option<&str>, text: String) -> u16 {
    let mut request = server.request(Method::POST, &format!("{PATH}{query}")).header("content-type", NDJSON);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    send(request.body(text)).await.status.as_u16()
}

on_both_databases! {
    async fn the_mutation_counts_rows_by_what_became_of_them(database: TestDatabase) {
        let (server, _) = server(database).await;
        assert_eq!(status(&server, PROJECT).await, Vec::<Value>::new());
        let metric = |value: f64| json!({ "type": "CUSTOM", "endpoint": "x", "value": value });
        let late = json!({ "type": "CUSTOM", "endpoint": "x", "value": 1, "timestamp": "2026-01-01T00:00:00Z" });
        let mixed = json!({ "projectSlug": PROJECT, "idempotencyKey": "once", "metrics": [metric(1.0), metric(-1.0), late, metric(2.0)] });
        mutate(&server, mixed.clone()).await;
        assert_eq!(mutate(&server, mixed.clone()).await["isDuplicate"], true);
        let found = status(&server, PROJECT).await;
        assert_eq!(counts(&found, "MUTATION"), [2, 2, 1, 2, 0]);
        assert_eq!(found[0]["lastSeenAt"], "2026-11-01T12:00:00Z");
        let said = refusals(&found, "MUTATION");
        assert!(said[0].0 == "timestamp" && said[1].0 == "value" && said[1].1.starts_with("-1 is negative"), "{said:?}");
        // A call that stores nothing refuses its valid rows as well.
        mutate(&server, json!({ "projectSlug": PROJECT, "mode": "ATOMIC", "metrics": [metric(1.0), metric(-1.0)] })).await;
        // Other content under a used key, and no row at all.
        let other = json!({ "projectSlug": PROJECT, "idempotencyKey": "once", "metrics": [metric(7.0)] });
        assert_eq!(mutate(&server, other).await["userErrors"][0]["code"], "CONFLICT");
        mutate(&server, json!({ "projectSlug": PROJECT, "metrics": [] })).await;
        let found = status(&server, PROJECT).await;
        assert_eq!(counts(&found, "MUTATION"), [2, 5, 1, 2, 2]);
        let said = refusals(&found, "MUTATION");
        // The key may be a secret.
        assert!(said[1].0 == "null" && said[1].1.contains("`…` was already used") && said[0].0 == "metrics", "{said:?}");
        assert_eq!(found.len(), 1);
        assert_eq!(status(&server, "organization-1/project-2").await, Vec::<Value>::new());
    }
}

on_both_databases! {
    async fn the_ingest_api_counts_unreadable_rows_and_bodies(database: TestDatabase) {
        let (server, world) = server(database).await;
        let query = format!("?project={PROJECT}");
        let text = format!("{}{{\"type\":\"SECRET\"}}\nno json\n", rows(0..250));
        assert_eq!(post(&server, &query, Some("key"), text.clone()).await, 200);
        let found = status(&server, PROJECT).await;
        assert_eq!(counts(&found, "INGEST_API"), [250, 2, 0, 0, 0]);
        let said = refusals(&found, "INGEST_API");
        assert!(said[1].0 == "type" && said[1].1.starts_with("`…` is not a type of metric"), "{said:?}");
        // All parts again; rows that cannot be read count again.
        assert_eq!(post(&server, &query, Some("key"), text).await, 200);
        assert_eq!(counts(&status(&server, PROJECT).await, "INGEST_API"), [250, 4, 0, 250, 0]);
        // Bodies that are refused as a whole.
        let json_body = server.request(Method::POST, &format!("{PATH}{query}")).header("content-type", "application/json").body("{}");
        assert_eq!(send(json_body).await.status, 400);
        assert_eq!(post(&server, &query, None, String::new()).await, 400);
        assert_eq!(post(&server, &query, None, "no json\n".repeat(300)).await, 400);
        let found = status(&server, PROJECT).await;
        assert_eq!(counts(&found, "INGEST_API"), [250, 4 + 201, 0, 250, 3]);
        let said = refusals(&found, "INGEST_API");
        assert!(said.iter().filter(|(field, _)| field == "body").count() == 3, "{said:?}");
        // Rows that name another project count there; those that name none to write to count for the project in the address.
        let of = |project: &str| rows(0..1).replace("\"type\"", &format!("\"project\":\"{project}\",\"type\""));
        let text = [of("organization-1/project-2"), of("organization-1/nothing"), of("organization-2/project-1")].concat();
        assert_eq!(post(&server, &query, None, text).await, 200);
        assert_eq!(counts(&status(&server, "organization-1/project-2").await, "INGEST_API"), [1, 0, 0, 0, 0]);
        assert_eq!(status(&server, "organization-2/project-1").await, Vec::<Value>::new());
        assert_eq!(counts(&status(&server, PROJECT).await, "INGEST_API"), [250, 4 + 201 + 2, 0, 250, 3]);
        // An atomic body refuses its readable rows as well, as the mutation does, and an archived project all.
        let second = "organization-1/project-2";
        let query = format!("?project={second}&mode=atomic");
        assert_eq!(post(&server, &query, None, format!("{}no json\n", rows(0..2))).await, 400);
        assert_eq!(counts(&status(&server, second).await, "INGEST_API"), [1, 3, 0, 0, 0]);
        let archive = "mutation ($id: ID!) { archiveProject(input: { id: $id }) { userErrors { message } } }";
        server.graphql(archive, json!({ "id": world.id("project", 2) })).await.data();
        assert_eq!(post(&server, &query, None, rows(0..2)).await, 409);
        assert_eq!(counts(&status(&server, second).await, "INGEST_API"), [1, 3, 0, 0, 1]);
    }
}

on_both_databases! {
    async fn an_import_counts_and_the_counters_outlive_restarts(database: TestDatabase) {
        let (first, _) = server(database).await;
        let metrics = json!([{ "type": "CUSTOM", "endpoint": "x", "value": 1 }]);
        mutate(&first, json!({ "projectSlug": PROJECT, "metrics": metrics })).await;
        // The stop writes what no job has written.
        let database = first.stop().await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.ndjson"), format!("{}no json\n", rows(0..250))).unwrap();
        for _ in 0..2 {
            let mut import = command(folder.path(), &["import", "a.ndjson", "--project", PROJECT]);
            import.env("DATABASE_URL", &database.url);
            assert_eq!(run(import).await.code, Some(65));
        }
        let settings = "self_monitoring.enabled = false";
        let again = Server::start(database, Clock::system(), settings).await;
        mutate(&again, json!({ "projectSlug": PROJECT, "metrics": metrics })).await;
        let found = status(&again, PROJECT).await;
        assert_eq!((counts(&found, "MUTATION"), counts(&found, "IMPORT")), ([2, 0, 0, 0, 0], [250, 2, 0, 250, 0]));
        // Without a call the job of the server writes them.
        mutate(&again, json!({ "projectSlug": PROJECT, "metrics": metrics })).await;
        wait::until("the job writes the counters", async || {
            let rows = ingest_status::Entity::find().all(&again.database.reader()).await.unwrap();
            rows.iter().any(|row| row.accepted == 3)
        })
        .await;
    }
}

on_both_databases! {
    async fn the_status_of_twenty_projects_is_one_statement(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=2 employees=1 projects=10").await;
        let metrics = json!([{ "type": "CUSTOM", "endpoint": "x", "value": 1 }, { "type": "CUSTOM", "endpoint": "x", "value": -1 }]);
        for number in 1..=10 {
            mutate(&server, json!({ "projectSlug": format!("organization-1/project-{number}"), "metrics": metrics })).await;
        }
        server.app.core().ingest.write_status().await.unwrap();
        let query = "query { projects(first: 20) { nodes { slug ingestStatus { accepted refused lastRefusals { field } } organization { slug } } } }";
        let (data, statements) = counted(&server, query, json!({})).await;
        let nodes = data["projects"]["nodes"].as_array().unwrap();
        assert_eq!((nodes.len(), statements), (20, 3));
        for node in nodes {
            let expected = if node["organization"]["slug"] == "organization-1" {
                json!([{ "accepted": 1, "refused": 1, "lastRefusals": [{ "field": "value" }] }])
            } else {
                json!([])
            };
            assert_eq!(node["ingestStatus"], expected);
        }
    }
}

on_both_databases! {
    async fn the_status_goes_with_its_project(database: TestDatabase) {
        let (server, world) = server(database).await;
        let refused = json!([{ "type": "CUSTOM", "endpoint": "x", "value": -1 }]);
        mutate(&server, json!({ "projectSlug": PROJECT, "metrics": refused })).await;
        assert_eq!(status(&server, PROJECT).await.len(), 1);
        // Counted, not yet written, when the project is deleted; the others are written.
        mutate(&server, json!({ "projectSlug": PROJECT, "metrics": refused })).await;
        mutate(&server, json!({ "projectSlug": "organization-1/project-2", "metrics": refused })).await;
        let delete = "mutation ($id: ID!) { deleteProject(input: { id: $id }) { userErrors { message } } }";
        let deleted = server.graphql(delete, json!({ "id": world.id("project", 1) })).await.data();
        assert_eq!(deleted["deleteProject"]["userErrors"], json!([]));
        assert_eq!(counts(&status(&server, "organization-1/project-2").await, "MUTATION"), [0, 1, 0, 0, 0]);
        let rows = ingest_status::Entity::find().all(&server.database.reader()).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.project_id).collect::<Vec<_>>(), [world.projects[1].key.id]);
    }
}

/// Sends rows of which every second one has this value, to two projects in turns.
async fn send_bad_rows(server: &Server, value: f64) {
    for _ in 0..20 {
        let metrics = json!([{ "type": "CUSTOM", "endpoint": "x", "value": 1 }, { "type": "CUSTOM", "endpoint": "x", "value": value }]);
        mutate(server, json!({ "projectSlug": PROJECT, "metrics": metrics })).await;
        mutate(server, json!({ "projectSlug": "organization-1/project-2", "metrics": metrics })).await;
        server.app.core().ingest.write_status().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn instances_add_up() {
    let database = TestDatabase::postgres().await;
    let url = database.url.clone();
    let settings = "self_monitoring.enabled = false";
    let one = Server::start_with(database, Clock::system(), settings).await;
    one.seed("organizations=1 employees=1 projects=2").await;
    let other = Server::start_with(TestDatabase::at(&url).await, Clock::system(), settings).await;
    tokio::join!(send_bad_rows(&one, -1.0), send_bad_rows(&other, 1e300));
    for slug in [PROJECT, "organization-1/project-2"] {
        let found = read(&other, slug).await;
        assert_eq!(counts(&found, "MUTATION"), [40, 40, 0, 0, 0]);
        let mut said = refusals(&found, "MUTATION");
        said.sort();
        assert!(said.len() == 2 && said[0].1.starts_with("-1 ") && said[1].1.starts_with("1e300 "), "{said:?}");
    }
}

//! Requests that take longer than a request may: each is answered in time, with a code; what it asked of the database is
//! given up, and the server has an answer for whoever comes next.

use futures_util::FutureExt;
use perfgraph::{clock::Clock, db::Backend};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    harness::{
        Reply, Server, TestDatabase, World, books,
        held::{Held, waiting},
        process::PATIENCE,
        server::{NOW, send},
        socket::{Said, Socket},
        wait,
    },
    ingest::http_api::{NDJSON, PATH, rows, stored},
    on_both_databases,
};

const NAMES: &str = "{ organizations { nodes { name } } }";
const PEOPLE: &str = "{ employees { nodes { name } } }";

async fn server(database: TestDatabase, settings: &str) -> (Server, World) {
    // No job takes SQLite's only connection for writes meanwhile.
    let settings = format!(
        "self_monitoring.enabled = false\ncompaction.interval_ms = 86400000\nserver.request_timeout_ms = 1000\n\
         database.acquire_timeout_ms = 1000\n{settings}"
    );
    let server = Server::start(database, Clock::fixed(NOW), &settings).await;
    let world = server.seed("organizations=1 employees=1 projects=1").await;
    if matches!(server.database.database.backend(), Backend::Sqlite(_)) {
        // The last write of the first pass of retention; the next pass is 15 seconds later.
        wait::until("the bounds are published", async || books::count(&server.database, "metric_kept").await > 0).await;
    }
    (server, world)
}

/// The status and the code say so, and nothing else is told.
#[track_caller]
fn assert_late(reply: &Reply) {
    assert_eq!(reply.status, 504, "{}", reply.text);
    let message = "the request took too long (server.request_timeout_ms); request less data, or try again later";
    assert_eq!(reply.json(), json!({ "errors": [{ "message": message, "extensions": { "code": "TIMEOUT" } }] }));
    assert!(!reply.header("x-request-id").is_empty());
    let timing = reply.header("server-timing");
    let elapsed_ms: f64 = timing.strip_prefix("total;dur=").unwrap().parse().unwrap();
    assert!((1_000.0..4_000.0).contains(&elapsed_ms), "{timing}");
}

async fn create(server: &Server, slug: &str) -> Reply {
    let query = "mutation ($input: CreateOrganizationInput!) {
        createOrganization(input: $input) { organization { slug } userErrors { code } }
    }";
    server.graphql(query, json!({ "input": { "name": "New", "slug": slug } })).await
}

async fn ingest(server: &Server, world: &World) -> Reply {
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted duplicate } }";
    let metrics = vec![json!({ "type": "CUSTOM", "endpoint": "a", "value": 1 }); 5];
    let input = json!({ "projectId": world.id("project", 1), "idempotencyKey": "late", "metrics": metrics });
    server.graphql(query, json!({ "input": input })).await
}

on_both_databases! {
    async fn a_change_that_waits_for_too_long_is_given_up_whole(database: TestDatabase) {
        // Longer than the lock is held: it is the request that ends, not the database's patience.
        let (server, _) = server(database, "database.busy_timeout_ms = 60000\ndatabase.statement_timeout_ms = 60000").await;
        let held = Held::against_writers(&server.database, "organization").await;
        assert_late(&create(&server, "new").await);
        // Who reads has connections of their own.
        assert_eq!(server.graphql(NAMES, json!({})).await.status, 200);
        held.release().await;
        // Nothing of it was written, so the slug is free.
        let created = create(&server, "new").await.data()["createOrganization"].take();
        assert_eq!(created, json!({ "organization": { "slug": "new" }, "userErrors": [] }));
        let names = server.graphql(NAMES, json!({})).await.data();
        assert_eq!(names["organizations"]["nodes"].as_array().unwrap().len(), 2);
    }
}

on_both_databases! {
    async fn metrics_that_were_not_confirmed_in_time_are_confirmed_by_a_retry(database: TestDatabase) {
        let (server, world) = server(database, "database.busy_timeout_ms = 60000\ndatabase.statement_timeout_ms = 60000").await;
        let held = Held::against_writers(&server.database, "metric_event").await;
        let path = format!("{PATH}?project={}", world.id("project", 1));
        let request = server.request(Method::POST, &path).header("content-type", NDJSON).body(rows(0..3));
        // A body has patience of its own: it is answered when it is stored.
        let mut body = Box::pin(send(request));
        assert!(body.as_mut().now_or_never().is_none());
        assert_late(&ingest(&server, &world).await);
        assert!(body.as_mut().now_or_never().is_none(), "nothing can be stored yet");
        held.release().await;
        // What stood in the queue is stored, whoever still waited for it.
        let retried = ingest(&server, &world).await.data()["ingestMetrics"].take();
        assert_eq!(retried, json!({ "accepted": 5, "duplicate": true }));
        let body = timeout(PATIENCE, body).await.expect("it is stored now");
        assert_eq!((body.status.as_u16(), &body.json()["accepted"]), (200, &json!(3)), "{}", body.text);
        assert_eq!(stored(&server.database).await, 8);
        books::check(&server.database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_waits_for_too_long_leaves_its_connection_to_the_next() {
    let settings = "database.read_connections = 1\ndatabase.statement_timeout_ms = 2000";
    let (server, _) = server(TestDatabase::postgres().await, settings).await;
    let held = Held::against_everybody(&server.database, "organization").await;
    assert_late(&server.graphql(NAMES, json!({})).await);
    // What needs no statement never noticed.
    assert_eq!(server.graphql("{ viewer { role } }", json!({})).await.status, 200);
    let next = async {
        loop {
            let reply = server.graphql(PEOPLE, json!({})).await;
            if reply.status == 200 {
                return reply;
            }
            // It waits for the connection or for its answer.
            assert!(["UNAVAILABLE", "TIMEOUT"].contains(&&*reply.error().0), "{}", reply.text);
        }
    };
    let people =
        timeout(PATIENCE, next).await.expect("the database gives the statement up, and the connection is free");
    assert_eq!(people.data()["employees"]["nodes"].as_array().unwrap().len(), 1);
    assert_eq!(waiting(&server.database).await, 0);
    let late = server.post("application/json", json!([{ "query": PEOPLE }, { "query": NAMES }]).to_string()).await;
    assert_late(&late);
    held.release().await;
    let names = server.graphql(NAMES, json!({})).await.data();
    assert_eq!(names, json!({ "organizations": { "nodes": [{ "name": "Organization 01" }] } }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operation_of_a_stream_ends_alone_when_it_takes_too_long() {
    let (server, _) = server(TestDatabase::postgres().await, "").await;
    let held = Held::against_everybody(&server.database, "organization").await;
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.subscribe("late", NAMES, &json!({})).await.unwrap();
    let errors = match socket.next().await {
        Said::Error(errors) => errors,
        Said::Next(mut payload) => payload["errors"].take(),
        other => panic!("{other:?}"),
    };
    assert_eq!(errors[0]["extensions"]["code"], "TIMEOUT", "{errors}");
    let request = server.request(Method::POST, "/graphql").header("accept", "text/event-stream");
    let reply = send(request.json(&json!({ "query": NAMES }))).await;
    assert!(reply.text.contains(r#""code":"TIMEOUT""#), "{}", reply.text);
    // The socket lives on.
    socket.subscribe("next", PEOPLE, &json!({})).await.unwrap();
    let people: Value = loop {
        match socket.next().await {
            Said::Next(payload) => break payload,
            Said::Complete => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(people["data"]["employees"]["nodes"][0]["name"], "Employee 001", "{people}");
    held.release().await;
}

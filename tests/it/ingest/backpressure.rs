//! More writers at once than the server can store one by one: over HTTP they share commits, and those for whom there is no
//! room are told so at once, and when to come back.

use futures_util::future::{Either, join_all, select};
use perfgraph::clock::Clock;
use reqwest::Method;
use serde_json::json;
use tokio::time::timeout;

use crate::{
    harness::{
        Reply, Server, World, books,
        held::Held,
        process::PATIENCE,
        server::{NOW, send},
    },
    ingest::http_api::{NDJSON, PATH, rows, stored},
    on_both_databases,
};

async fn mutate(server: &Server, world: &World, key: &str, count: usize) -> Reply {
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted duplicate } }";
    let metrics = vec![json!({ "type": "CUSTOM", "endpoint": "a", "value": 1 }); count];
    let input = json!({ "projectId": world.id("project", 1), "idempotencyKey": key, "metrics": metrics });
    let request = server.request(Method::POST, "/graphql").header("perfgraph-explain", "1");
    send(request.json(&json!({ "query": query, "variables": { "input": input } }))).await
}

async fn upload(server: &Server, world: &World, key: &str, count: usize) -> Reply {
    let path = format!("{PATH}?project={}", world.id("project", 1));
    let request = server.request(Method::POST, &path).header("content-type", NDJSON).header("idempotency-key", key);
    send(request.body(rows(0..count))).await
}

#[track_caller]
fn assert_no_room(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"), "{}", reply.text);
    let body = reply.json();
    let (code, message) = match &body["error"] {
        serde_json::Value::Null => (&body["errors"][0]["extensions"]["code"], &body["errors"][0]["message"]),
        error => (&error["code"], &error["message"]),
    };
    assert_eq!(code, "UNAVAILABLE", "{}", reply.text);
    assert_eq!(message, "the ingest queue is full; send the same batch again", "{}", reply.text);
}

on_both_databases! {
    async fn whoever_finds_the_queue_full_is_told_at_once_and_loses_nothing(database: TestDatabase) {
        let settings = "self_monitoring.enabled = false\nlimits.ingest_rows_max = 10\ningest.part_rows = 10\n\
                        ingest.queue_rows_max = 10\ningest.commit_rows_max = 10\nserver.request_timeout_ms = 60000\n\
                        database.busy_timeout_ms = 60000\ndatabase.statement_timeout_ms = 60000";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1 projects=1").await;
        let held = Held::against_writers(&server.database, "metric_event").await;
        // There is room for one of the two, and it stays in the queue until it is stored.
        let (one, other) = (Box::pin(mutate(&server, &world, "one", 10)), Box::pin(mutate(&server, &world, "other", 10)));
        let answered = timeout(PATIENCE, select(one, other)).await.expect("who has no room is answered at once");
        let (refused, waits, key) = match answered {
            Either::Left((refused, other)) => (refused, other, "one"),
            Either::Right((refused, one)) => (refused, one, "other"),
        };
        assert_no_room(&refused);
        let body = upload(&server, &world, "body", 25).await;
        assert_no_room(&body);
        assert_eq!(body.json()["accepted"], 0);
        held.release().await;
        assert_eq!(timeout(PATIENCE, waits).await.unwrap().data()["ingestMetrics"]["accepted"], 10);
        assert_eq!(stored(&server.database).await, 10, "who was told to come back left nothing behind");
        let again = mutate(&server, &world, key, 10).await.data()["ingestMetrics"].take();
        assert_eq!(again, json!({ "accepted": 10, "duplicate": false }));
        let body = upload(&server, &world, "body", 25).await;
        assert_eq!((body.status.as_u16(), &body.json()["accepted"]), (200, &json!(25)), "{}", body.text);
        assert_eq!(stored(&server.database).await, 45);
        books::check(&server.database).await;
    }
}

on_both_databases! {
    async fn a_thousand_single_rows_share_commits(database: TestDatabase) {
        const CALLS: usize = 1_000;
        let settings = "self_monitoring.enabled = false\nserver.request_timeout_ms = 60000";
        let server = Server::start(database, Clock::fixed(NOW), settings).await;
        let world = server.seed("organizations=1 projects=1").await;
        let keys: Vec<_> = (0..CALLS).map(|number| number.to_string()).collect();
        let calls = keys.iter().map(|key| mutate(&server, &world, key, 1));
        let replies = timeout(3 * PATIENCE, join_all(calls)).await.expect("all are stored in time");
        let mut commits = 0;
        for reply in replies {
            assert_eq!(reply.data()["ingestMetrics"], json!({ "accepted": 1, "duplicate": false }));
            // Whoever leads a group has its statements, and each commit moves the sequence on once.
            let body = reply.json();
            let statements = body["extensions"]["db"]["sql"].as_array().unwrap();
            let moves = |sql: &str| sql.contains("INSERT INTO organization_stream");
            commits += statements.iter().filter(|one| moves(one["sql"].as_str().unwrap())).count();
        }
        assert!((1..=200).contains(&commits), "{commits} commits");
        assert_eq!(stored(&server.database).await, CALLS);
        assert_eq!(books::check(&server.database).await.len(), CALLS);
    }
}

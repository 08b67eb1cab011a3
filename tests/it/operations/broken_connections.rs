//! Connections to PostgreSQL that break: a path that swallows bytes, a restart, a client that goes away. Others are served
//! within seconds, and nothing that was acknowledged is lost or doubled.

use std::time::Duration;

use futures_util::future::join_all;
use perfgraph::clock::{Clock, Stopwatch};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

use crate::{
    harness::{
        Reply, Server, TestDatabase, World, books,
        cluster::Cluster,
        held::{Held, waiting},
        process::PATIENCE,
        proxy::Proxy,
        server::NOW,
        wait,
    },
    ingest::http_api::stored,
};

const SETTINGS: &str =
    "self_monitoring.enabled = false\ndatabase.acquire_timeout_ms = 5000\ncompaction.interval_ms = 86400000";
const PEOPLE: &str = "{ employees { nodes { name } } }";
const NAMES: &str = "{ organizations { nodes { name } } }";
/// The bound on the time after which a path that is whole again is used again.
const HEALS_WITHIN: Duration = Duration::from_secs(5);

/// The time for which the path swallows all bytes: longer than any deadline of a connection.
const SWALLOWED_FOR: Duration = Duration::from_secs(15);

async fn server(database: TestDatabase, settings: &str) -> (Server, World) {
    let server = Server::start(database, Clock::fixed(NOW), &format!("{SETTINGS}\n{settings}")).await;
    let world = server.seed("organizations=1 employees=3 projects=1").await;
    (server, world)
}

async fn ingest(server: &Server, project: &str, key: &str) -> Reply {
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted duplicate } }";
    let metrics = vec![json!({ "type": "CUSTOM", "endpoint": "a", "value": 1 }); 5];
    server.graphql(query, json!({ "input": { "projectId": project, "idempotencyKey": key, "metrics": metrics } })).await
}

/// Connections for queries and for writes that have all been used.
async fn warm_up(server: &Server, project: &str) -> usize {
    let keys: Vec<_> = (0..12).map(|number| format!("warm {number}")).collect();
    let (written, read) = tokio::join!(
        join_all(keys.iter().map(|key| ingest(server, project, key))),
        join_all((0..12).map(|_| server.graphql(PEOPLE, json!({})))),
    );
    for reply in written.iter().chain(&read) {
        reply.data();
    }
    written.len()
}

fn is_accepted(reply: &Reply) -> bool {
    reply.status == 200 && reply.json()["data"]["ingestMetrics"]["accepted"] == 5
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_swallowed_bytes_is_used_again_within_seconds() {
    let mut database = TestDatabase::postgres().await;
    let proxy = Proxy::before(&database.url).await;
    database.url = proxy.url(&database.url);
    let (server, world) = server(database, "").await;
    let project = world.id("project", 1);
    let mut keys: Vec<String> = (0..warm_up(&server, &project).await).map(|number| format!("warm {number}")).collect();
    let mut acknowledged = keys.clone();

    proxy.swallow();
    let during = Stopwatch::start();
    let mut round = 0;
    // Load goes on all the time, and every request has an answer in time.
    while during.elapsed() < SWALLOWED_FOR {
        let new: Vec<_> = (0..6).map(|number| format!("swallowed {round} {number}")).collect();
        let asked = async {
            tokio::join!(
                join_all(new.iter().map(|key| ingest(&server, &project, key))),
                join_all((0..6).map(|_| server.graphql(PEOPLE, json!({})))),
            )
        };
        // The last round is in the air when the path is whole again.
        let Ok((written, read)) = timeout(Duration::from_secs(6), asked).await else {
            // The server may have stored what nobody waited for.
            keys.extend(new);
            break;
        };
        for reply in read.iter().chain(&written) {
            assert_ne!(reply.status, 500, "{}", reply.text);
        }
        acknowledged
            .extend(new.iter().zip(&written).filter(|(_, reply)| is_accepted(reply)).map(|(key, _)| key.clone()));
        keys.extend(new);
        round += 1;
    }
    proxy.heal();
    let healing = well_again(&server, &project, &mut keys, &mut acknowledged).await;
    println!("well {healing:?} after the path was whole again");
    assert_nothing_lost(&server, &project, &keys, &acknowledged).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_swallow_bytes_are_replaced_where_new_ones_work() {
    let mut database = TestDatabase::postgres().await;
    let proxy = Proxy::before(&database.url).await;
    database.url = proxy.url(&database.url);
    let (server, world) = server(database, "").await;
    let project = world.id("project", 1);
    let mut keys: Vec<String> = (0..warm_up(&server, &project).await).map(|number| format!("warm {number}")).collect();
    let mut acknowledged = keys.clone();
    // Twice, so that those that replaced the first are lost as well.
    for _ in 0..2 {
        proxy.lose_open();
        let healing = well_again(&server, &project, &mut keys, &mut acknowledged).await;
        println!("well {healing:?} after all connections were lost");
    }
    assert_nothing_lost(&server, &project, &keys, &acknowledged).await;
}

/// Writes and reads until eight in a row succeed. The time that it took, within the bound.
async fn well_again(
    server: &Server,
    project: &str,
    keys: &mut Vec<String>,
    acknowledged: &mut Vec<String>,
) -> Duration {
    let healing = Stopwatch::start();
    let mut in_a_row = 0;
    let mut first = None;
    while in_a_row < 8 {
        let key = format!("healed {}", keys.len());
        let (written, read) = tokio::join!(ingest(server, project, &key), server.graphql(PEOPLE, json!({})));
        in_a_row = if is_accepted(&written) && read.status == 200 { in_a_row + 1 } else { 0 };
        if in_a_row == 1 {
            first = Some(healing.elapsed());
        }
        if is_accepted(&written) {
            acknowledged.push(key.clone());
        }
        keys.push(key);
        assert!(healing.elapsed() < 2 * HEALS_WITHIN, "not yet well: {} {}", written.text, read.text);
    }
    assert!(healing.elapsed() < HEALS_WITHIN, "{:?}", healing.elapsed());
    first.unwrap()
}

/// Checks that everything acknowledged is stored, and each key once.
async fn assert_nothing_lost(server: &Server, project: &str, keys: &[String], acknowledged: &[String]) {
    for key in acknowledged {
        let again = ingest(server, project, key).await.data()["ingestMetrics"].take();
        assert_eq!(again, json!({ "accepted": 5, "duplicate": true }), "{key} was acknowledged");
    }
    for key in keys {
        assert_eq!(ingest(server, project, key).await.data()["ingestMetrics"]["accepted"], 5, "{key}");
    }
    let count =
        server.graphql("{ metricStats(filter: { time: { last: \"PT1M\" } }) { count } }", json!({})).await.data();
    assert_eq!(stored(&server.database).await, keys.len() * 5);
    assert!(count["metricStats"]["count"].is_number(), "{count}");
    books::check(&server.database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_postgres_fails_neither_writes_nor_queries_after_it() {
    let mut cluster = Cluster::start().await;
    let (server, world) = server(TestDatabase::at(&cluster.url).await, "").await;
    let project = world.id("project", 1);
    let before = warm_up(&server, &project).await;
    cluster.kill().await;
    cluster.start_again().await;
    let keys: Vec<_> = (0..12).map(|number| format!("after {number}")).collect();
    let (written, read) = tokio::join!(
        join_all(keys.iter().map(|key| ingest(&server, &project, key))),
        join_all((0..12).map(|_| server.graphql(PEOPLE, json!({})))),
    );
    for reply in written.iter().chain(&read) {
        reply.data();
    }
    let database = TestDatabase::at(&cluster.url).await;
    assert_eq!(stored(&database).await, (before + keys.len()) * 5);
    books::check(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_takes_its_statement_with_it() {
    // Nothing but the client's end can end the statement within the test.
    let patient =
        "database.read_connections = 1\ndatabase.statement_timeout_ms = 120000\nserver.request_timeout_ms = 120000";
    let (server, _) = server(TestDatabase::postgres().await, patient).await;
    server.graphql(PEOPLE, json!({})).await.data();
    let held = Held::against_everybody(&server.database, "organization").await;
    for _ in 0..3 {
        let mut client = TcpStream::connect(server.app.address()).await.unwrap();
        let body = json!({ "query": NAMES }).to_string();
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        client.write_all(request.as_bytes()).await.unwrap();
        wait::until("the statement waits for the lock", async || waiting(&server.database).await == 1).await;
        drop(client);
        let watch = Stopwatch::start();
        let people = server.graphql(PEOPLE, json!({})).await.data();
        assert_eq!(people["employees"]["nodes"].as_array().map(Vec::len), Some(3), "{people}");
        assert!(watch.elapsed() < HEALS_WITHIN, "{:?}", watch.elapsed());
        wait::until("its statement is cancelled", async || waiting(&server.database).await == 0).await;
    }
    held.release().await;
    let names: Value = timeout(PATIENCE, server.graphql(NAMES, json!({}))).await.unwrap().data();
    assert_eq!(names["organizations"]["nodes"].as_array().map(Vec::len), Some(1), "{names}");
}

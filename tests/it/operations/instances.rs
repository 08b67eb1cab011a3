//! Three instances on one PostgreSQL whose clocks jump, whose connections are cut, whose database is killed and whose paths
//! swallow bytes: no id is made twice, every instance hears everything in order, and the books balance.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt, future::join_all, stream::iter};
use perfgraph::{
    clock::Clock,
    entity::{ingest_batch, metric_event},
    live::{Filter, StreamSource, stream},
    model::{Scope, timestamp::DAY_MICROS},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use tokio::{sync::mpsc, time::timeout};

use super::crash::{assert_nothing_lost, prepared, with_url};
use crate::{
    harness::{
        Server, TestDatabase, books,
        cluster::Cluster,
        process::{PATIENCE, Served},
        proxy::Proxy,
        server::client,
        wait,
    },
    live::streams::PACING,
};

const INGEST: &str = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
/// Batches of each instance in one round.
const BATCHES: usize = 8;

/// Sends a batch until it is acknowledged.
async fn send(server: &Server, project: &str, key: &str, values: &[usize]) {
    let metrics: Vec<Value> =
        values.iter().map(|value| json!({ "type": "CUSTOM", "endpoint": "a", "value": value })).collect();
    let input = json!({ "projectId": project, "metrics": metrics, "idempotencyKey": key });
    wait::until("the batch is acknowledged", async || {
        let answer = server.graphql(INGEST, json!({ "input": input })).await.json();
        if answer["data"]["ingestMetrics"]["accepted"] == json!(values.len()) {
            return true;
        }
        let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap();
        assert!(["UNAVAILABLE", "TIMEOUT"].contains(&code), "{answer}");
        false
    })
    .await;
}

/// Every value that an instance hears, in order.
async fn heard(server: &Server) -> mpsc::UnboundedReceiver<f64> {
    let core = server.app.core();
    let source = StreamSource { database: core.database.clone(), publisher: core.publisher.clone() };
    let (_, events) = stream::tail(&Scope::everything(), source, Filter::default(), PACING).await.unwrap();
    let (sender, values) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut metrics = Box::pin(events.flat_map(|event| {
            let event = event.unwrap();
            assert_eq!(event.gap, None, "nothing was removed");
            iter(event.metrics)
        }));
        while let Some(metric) = metrics.next().await {
            if sender.send(metric.measurement.value).is_err() {
                return;
            }
        }
    });
    values
}

/// The first moment of 1970, back, far ahead, or right. Measurements get the time of the database all the same, or retention
/// would remove those of 1970. Ids under clocks that are believed have a test of their own,
/// `db::leases::ids_survive_any_clock`.
fn jump(rng: &mut StdRng, clocks: &[Clock]) {
    let right = Clock::system().now();
    for clock in clocks {
        let days = match rng.random_range(0..4) {
            0 => 0,
            1 => rng.random_range(-400..0_i64),
            2 => -right.as_micros() / DAY_MICROS,
            _ => rng.random_range(1..700),
        };
        clock.set(right.plus_micros(days * DAY_MICROS));
    }
}

/// The values in the order of commits.
async fn stored(database: &TestDatabase) -> Vec<f64> {
    let reader = database.reader();
    let batches = ingest_batch::Entity::find()
        .filter(ingest_batch::Column::Seq.is_not_null())
        .order_by_asc(ingest_batch::Column::Seq)
        .all(&reader)
        .await
        .unwrap();
    let rows = metric_event::Entity::find().all(&reader).await.unwrap();
    let ids: BTreeSet<i64> = rows.iter().map(|row| row.id.0).collect();
    assert_eq!(ids.len(), rows.len(), "an id was made twice");
    let by_id: std::collections::BTreeMap<i64, f64> = rows.iter().map(|row| (row.id.0, row.value)).collect();
    let of = |batch: &ingest_batch::Model| batch.first_id..batch.first_id + i64::from(batch.n_accepted);
    batches.iter().flat_map(|batch| of(batch).map(|id| by_id[&id])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_instances_survive_cuts_restarts_dead_paths_and_clocks_that_jump() {
    let seed = rand::random();
    // Shown when the test fails, so that the run can be repeated.
    println!("rng seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut cluster = Cluster::start().await;
    let clocks: Vec<Clock> = (0..3).map(|_| Clock::wrong_by(0)).collect();
    let settings = "self_monitoring.enabled = false\ndatabase.node_lease_ms = 3000\ndatabase.write_connections = 2\n\
                    retention.clock_settle_hours = 24";
    // The path of the last instance.
    let proxy = Proxy::before(&cluster.url).await;
    let urls = [cluster.url.clone(), cluster.url.clone(), proxy.url(&cluster.url)];
    let mut servers = Vec::new();
    for (clock, url) in clocks.iter().zip(&urls) {
        servers.push(Server::start_with(TestDatabase::at(url).await, clock.clone(), settings).await);
    }
    let world = servers[0].seed("organizations=1 projects=1").await;
    let project = world.id("project", 1);
    let followers = join_all(servers.iter().map(heard)).await;
    let mut sent = 0;
    for round in 0..6 {
        let mut batches: Vec<Vec<Vec<usize>>> = Vec::new();
        for _ in &servers {
            let mut own = Vec::new();
            for _ in 0..BATCHES {
                let rows = rng.random_range(1..30);
                own.push((sent..sent + rows).collect());
                sent += rows;
            }
            batches.push(own);
        }
        jump(&mut rng, &clocks);
        let writing = join_all(servers.iter().zip(&batches).enumerate().map(|(number, (server, own))| {
            let project = &project;
            async move {
                for (place, values) in own.iter().enumerate() {
                    send(server, project, &format!("{round}-{number}-{place}"), values).await;
                }
            }
        }));
        if round % 3 == 0 {
            let url = cluster.url.clone();
            let cutting = async move {
                // Every connection of every instance, those of the leases first of all.
                let mut admin = PgConnection::connect(&url).await.unwrap();
                for _ in 0..3 {
                    sqlx::query(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() \
                         AND backend_type = 'client backend'",
                    )
                    .execute(&mut admin)
                    .await
                    .unwrap();
                    wait::step().await;
                }
            };
            tokio::join!(writing, cutting);
        } else if round % 3 == 1 {
            let killing = async {
                cluster.kill().await;
                jump(&mut rng, &clocks);
                cluster.start_again().await;
            };
            tokio::join!(writing, killing);
        } else {
            let swallowing = async {
                proxy.swallow();
                wait::fixed(Duration::from_secs(4), "the lease of the instance on this path ends").await;
                proxy.heal();
            };
            tokio::join!(writing, swallowing);
        }
    }
    let database = TestDatabase::at(&cluster.url).await;
    assert_eq!(books::check(&database).await.values().sum::<i64>(), i64::try_from(sent).unwrap());
    let expected = stored(&database).await;
    assert_eq!(expected.len(), sent);
    for mut follower in followers {
        let mut values: Vec<f64> = Vec::new();
        while values.len() < sent {
            values.push(timeout(PATIENCE, follower.recv()).await.expect("every value arrives").expect("it goes on"));
        }
        assert!(values == expected, "a follower heard something else");
    }
    let nodes: BTreeSet<u8> = servers.iter().map(|server| server.app.core().ids.node()).collect();
    assert_eq!(nodes.len(), 3, "{nodes:?}");
    for server in servers {
        server.stop().await;
    }
}

/// A process that is paused for longer than its lease finds its node taken by another, and writes under a new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_process_does_not_use_its_old_node() {
    const LEASE: &str = "1500";
    let folder = tempfile::tempdir().unwrap();
    let (database, mut writers) = prepared(TestDatabase::postgres().await).await;
    let serve = async || {
        let mut command = with_url(&database, folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        command.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
        command.env("PERFGRAPH_DATABASE__NODE_LEASE_MS", LEASE);
        Served::start(command).await
    };
    let client = client();
    let paused = serve().await;
    writers[0].send(&client, &paused.url("/graphql")).await.expect("it writes");
    paused.signal("STOP").await;
    wait::fixed(Duration::from_millis(1_600), "the lease of a process that says nothing ends").await;
    let other = serve().await;
    writers[1].send(&client, &other.url("/graphql")).await.expect("it writes");
    paused.signal("CONT").await;
    let url = paused.url("/graphql");
    let writer = &mut writers[2];
    wait::until("it writes again", async || writer.send(&client, &url).await.is_some()).await;
    writers[3].send(&client, &other.url("/graphql")).await.expect("it still writes");
    assert_nothing_lost(&database, &writers).await;
    let nodes: Vec<i64> = nodes_of_batches(&database).await;
    assert_eq!(nodes.len(), 2, "{nodes:?}");
    for served in [paused, other] {
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
    }
}

/// The nodes in the ids of batches.
async fn nodes_of_batches(database: &TestDatabase) -> Vec<i64> {
    let batches = ingest_batch::Entity::find().all(&database.reader()).await.unwrap();
    let nodes: BTreeSet<i64> = batches.iter().map(|batch| (batch.first_id >> 14) & 255).collect();
    nodes.into_iter().collect()
}

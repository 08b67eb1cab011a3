//! Every subscriber sees the order of the database after its cursor: no gap, no repeat, or a gap that says its size. With
//! two real servers on one database, a broker between them, and somebody who kills all of these, and sockets, at random.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::{join, join_all};
use perfgraph::{
    entity::{ingest_batch, metric_event},
    model::ProjectId,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{
    Server, TestDatabase, World,
    broker::Broker,
    process::{self, Served},
    server,
    socket::{Said, Socket},
    wait,
};

const WATCHERS: usize = 24;
/// Batches that are written: a short run by default, more by `make simulate`.
fn batches() -> u64 {
    match std::env::var("FAILOVER_BATCHES") {
        Ok(number) if !number.is_empty() => number.parse().expect("FAILOVER_BATCHES is a whole number"),
        _ => 100,
    }
}

const BATCH_ROWS: u64 = 18;
const WRITERS: u64 = 3;
/// Far more than a run takes.
fn patience() -> Duration {
    Duration::from_mins(2) + Duration::from_secs(batches())
}

const STREAM: &str =
    "subscription ($filter: StreamFilter!, $after: StreamCursor, $overflow: OverflowPolicy! = REPLAY) {
    metricStream(filter: $filter, after: $after, overflow: $overflow, maxBatch: 50, maxDelay: \"PT0.02S\") {
        cursor gap { missed } metrics { value endpoint }
    }
}";

/// What everybody shares.
struct Stage {
    database: TestDatabase,
    filter: Value,
    project: String,
    /// Where the servers listen at the moment.
    addresses: Mutex<[String; 2]>,
    has_settled: AtomicBool,
    written: AtomicU64,
}

impl Stage {
    fn address(&self, rng: &mut StdRng) -> String {
        self.addresses.lock().unwrap()[rng.random_range(0..2)].clone()
    }
}

/// Everything that will be sent.
fn total() -> usize {
    usize::try_from(batches() * BATCH_ROWS).unwrap()
}

async fn serve(stage_url: &str, broker: &str, folder: &std::path::Path) -> Served {
    let mut command = process::command(folder, &["serve"]);
    command.env("PATH", std::env::var("PATH").unwrap_or_default());
    for (key, value) in [
        ("DATABASE_URL", stage_url),
        ("PERFGRAPH_SERVER__LISTEN", "127.0.0.1:0"),
        ("PERFGRAPH_SELF_MONITORING__ENABLED", "false"),
        ("PERFGRAPH_LIVE__BUS", "redis"),
        ("PERFGRAPH_LIVE__BUS_URL", broker),
        // Few, so that whoever is slow notices.
        ("PERFGRAPH_LIVE__FRAMES_MAX", "8"),
        ("PERFGRAPH_LIVE__CHANNEL_BATCHES_MAX", "16"),
        ("PERFGRAPH_DATABASE__READ_CONNECTIONS", "4"),
        ("PERFGRAPH_DATABASE__WRITE_CONNECTIONS", "2"),
    ] {
        command.env(key, value);
    }
    Served::start(command).await
}

/// Sends its share of the batches, each until somebody has acknowledged it.
async fn write(stage: &Stage, writer: u64, seed: u64) {
    let mut rng = StdRng::seed_from_u64(seed);
    let client = server::builder().timeout(Duration::from_secs(3)).build().unwrap();
    for batch in (writer..batches()).step_by(usize::try_from(WRITERS).unwrap()) {
        let rows = (0..BATCH_ROWS).map(|row| {
            json!({ "type": "CUSTOM", "endpoint": "numbered", "value": batch * BATCH_ROWS + row }).to_string()
        });
        let body = rows.collect::<Vec<_>>().join("\n");
        loop {
            let url = format!("http://{}/ingest/v1/metrics?project={}", stage.address(&mut rng), stage.project);
            let request = client.post(url).header("content-type", "application/x-ndjson");
            let sent = request.header("idempotency-key", format!("batch-{batch}")).body(body.clone()).send().await;
            if sent.is_ok_and(|reply| reply.status().is_success()) {
                break;
            }
            wait::step().await;
        }
        stage.written.fetch_add(1, Ordering::Relaxed);
        let pause = Duration::from_millis(rng.random_range(20..140));
        wait::fixed(pause, "writers write now and then").await;
    }
}

/// Ends servers, the broker and commits for as long as something is written.
/// Answers what it did, and those who are to live on until the last watcher is done.
async fn disturb(
    stage: &Stage,
    mut servers: [Served; 2],
    mut broker: Broker,
    folder: &std::path::Path,
    seed: u64,
) -> (Vec<String>, [Served; 2], Broker) {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut done = Vec::new();
    while stage.written.load(Ordering::Relaxed) < batches() {
        let pause = Duration::from_millis(rng.random_range(200..900));
        wait::fixed(pause, "faults come at random times").await;
        match rng.random_range(0..4) {
            0 | 1 => {
                let which = rng.random_range(0..2);
                let signal = ["KILL", "TERM"][rng.random_range(0..2)];
                servers[which].signal(signal).await;
                let started = serve(&stage.database.url, &broker.url(), folder).await;
                stage.addresses.lock().unwrap()[which].clone_from(&started.address);
                std::mem::replace(&mut servers[which], started).ended().await;
                done.push(format!("{signal} of server {which}"));
            }
            2 => {
                broker.kill().await;
                let pause = Duration::from_millis(rng.random_range(100..1_500));
                wait::fixed(pause, "the broker is gone for a while").await;
                broker.begin().await;
                done.push("broker".to_owned());
            }
            _ => {
                // Whoever wants a sequence waits; what was begun meanwhile commits late and in another order.
                let mut connection = PgConnection::connect(&stage.database.url).await.unwrap();
                let lock = "BEGIN; SELECT 1 FROM organization_stream FOR UPDATE";
                sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut connection).await.unwrap();
                let pause = Duration::from_millis(rng.random_range(50..400));
                wait::fixed(pause, "commits are held up for a while").await;
                sqlx::raw_sql(AssertSqlSafe("COMMIT")).execute(&mut connection).await.unwrap();
                done.push("commits".to_owned());
            }
        }
    }
    stage.has_settled.store(true, Ordering::Relaxed);
    (done, servers, broker)
}

/// Numbers are whole, however they are written.
fn whole(number: &str) -> u64 {
    number.trim_end_matches(".0").parse().unwrap()
}

/// What a watcher saw.
#[derive(Debug, Default)]
struct Seen {
    values: Vec<u64>,
    missed: u64,
    gaps: u64,
    connections: u64,
}

/// Watches until everything came or was told as missing; leaves without a word now and then, and comes back anywhere.
async fn watch(stage: &Stage, after: &str, slow: bool, seed: u64) -> Seen {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut view = Seen::default();
    let mut after = after.to_owned();
    let overflow = if slow { "COALESCE" } else { "REPLAY" };
    while view.values.len() + usize::try_from(view.missed).unwrap() < total() {
        let address = stage.address(&mut rng);
        let Ok(mut socket) = connect(&address, slow).await else {
            wait::step().await;
            continue;
        };
        view.connections += 1;
        let variables = json!({ "filter": stage.filter, "after": after, "overflow": overflow });
        if socket.subscribe("w", STREAM, &variables).await.is_err() {
            continue;
        }
        let stays = if slow { 10_000 } else { rng.random_range(5..120) };
        for _ in 0..stays {
            if slow && !stage.has_settled.load(Ordering::Relaxed) {
                wait::fixed(Duration::from_millis(150), "the slow watcher reads slowly").await;
            }
            match socket.next().await {
                Said::Next(payload) if payload.get("errors").is_none() => {
                    let event = &payload["data"]["metricStream"];
                    let metrics = event["metrics"].as_array().unwrap();
                    view.values.extend(metrics.iter().map(|metric| whole(&metric["value"].to_string())));
                    if let Some(missed) = event["gap"]["missed"].as_u64() {
                        view.missed += missed;
                        view.gaps += 1;
                    }
                    event["cursor"].as_str().unwrap().clone_into(&mut after);
                }
                // It is over here, by a word or without one: somewhere else it goes on.
                _ => break,
            }
            if view.values.len() + usize::try_from(view.missed).unwrap() >= total() {
                break;
            }
        }
    }
    view
}

async fn connect(address: &str, slow: bool) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
    let url = format!("ws://{address}/graphql");
    let connection = if slow {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(4_096)?;
        socket.connect(address.parse().unwrap()).await?
    } else {
        TcpStream::connect(address).await?
    };
    timeout(Duration::from_secs(5), Socket::over(connection, &url))
        .await
        .unwrap_or(Err(tokio_tungstenite::tungstenite::Error::ConnectionClosed))
}

/// The values of a project in the order of its commits, as the database has them.
async fn committed(database: &TestDatabase, project: ProjectId) -> Vec<u64> {
    let mut batches = ingest_batch::Entity::find().all(&database.reader()).await.unwrap();
    batches.retain(|batch| batch.project_id == project && batch.idem_key.contains("batch-"));
    batches.sort_by_key(|batch| batch.seq);
    let events = metric_event::Entity::find().all(&database.reader()).await.unwrap();
    let values: std::collections::HashMap<i64, f64> =
        events.into_iter().map(|event| (event.id.0, event.value)).collect();
    let ids = batches.iter().flat_map(|batch| batch.first_id..batch.first_id + i64::from(batch.n_accepted));
    ids.map(|id| whole(&values[&id].to_string())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_see_the_commit_order_while_servers_fail() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    // Seeded in this process, which then leaves the database to the servers.
    let seeding = Server::start(
        TestDatabase::postgres().await,
        perfgraph::clock::Clock::system(),
        "self_monitoring.enabled = false",
    );
    let seeding = seeding.await;
    let world: World = seeding.seed("organizations=1 projects=1").await;
    let core = seeding.app.core();
    let first = crate::harness::builders::metrics(core.clock.now(), 1);
    let first = crate::harness::builders::ingest(core, world.projects[0].key, first).await.unwrap();
    let after = core.cursors.receipt(first);
    let database = seeding.stop().await;

    let folder = tempfile::tempdir().unwrap();
    let broker = Broker::start().await;
    let (one, other) =
        join(serve(&database.url, &broker.url(), folder.path()), serve(&database.url, &broker.url(), folder.path()))
            .await;
    let stage = Arc::new(Stage {
        filter: json!({ "projectIds": [world.id("project", 1)] }),
        project: world.id("project", 1),
        addresses: Mutex::new([one.address.clone(), other.address.clone()]),
        has_settled: AtomicBool::new(false),
        written: AtomicU64::new(0),
        database,
    });
    let disturbing = disturb(&stage, [one, other], broker, folder.path(), rng.random());
    let writing = join_all((0..WRITERS).map(|writer| write(&stage, writer, rng.random())).collect::<Vec<_>>());
    let watchers = (0..=WATCHERS).map(|number| {
        let (stage, after, seed) = (Arc::clone(&stage), after.clone(), rng.random());
        tokio::spawn(async move { watch(&stage, &after, number == WATCHERS, seed).await })
    });
    let watching = join_all(watchers.collect::<Vec<_>>());
    let all = async { tokio::join!(disturbing, writing, watching) };
    let ((done, _servers, _broker), _, views) = timeout(patience(), all).await.expect("everything arrives in time");

    let expected = committed(&stage.database, world.projects[0].key.id).await;
    assert_eq!(expected.len(), total());
    let views: Vec<Seen> = views.into_iter().map(Result::unwrap).collect();
    let delivered: usize = views.iter().map(|view| view.values.len()).sum();
    let connections: u64 = views.iter().map(|view| view.connections).sum();
    println!(
        "{delivered} events delivered over {connections} connections; the slow one: {:?}; disturbed: {}",
        views.last().map(|slow| (slow.values.len(), slow.gaps, slow.missed)),
        done.join(", ")
    );
    for (number, view) in views.iter().enumerate() {
        if number < WATCHERS {
            assert!(view.values == expected, "watcher {number} of seed {seed} saw another order");
            assert_eq!(view.gaps, 0);
        } else {
            // What it was too slow for is missing, counted, and nothing else is.
            let mut rest = expected.iter();
            assert!(view.values.iter().all(|value| rest.any(|one| one == value)), "the slow one of seed {seed}");
            assert_eq!(expected.len() - view.values.len(), usize::try_from(view.missed).unwrap());
        }
    }
    assert!(delivered >= WATCHERS * total(), "{delivered}");
    assert!(connections > WATCHERS as u64 && !done.is_empty());
}

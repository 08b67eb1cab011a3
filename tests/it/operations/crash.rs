//! Processes that are killed while much is under way: servers, and a database of the test's own. What was acknowledged is
//! there once and whole, what was not is there once or not at all, and rollups are what the raw rows add up to.

use std::{collections::BTreeMap, path::Path, str::FromStr};

use perfgraph::{
    clock::Clock,
    db::Backend,
    model::{Timestamp, timestamp::MINUTE_MICROS},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use tokio::{process::Command, sync::mpsc, task::JoinHandle, time::timeout};

use crate::{
    harness::{
        Server, TestDatabase, books,
        cluster::Cluster,
        process::{PATIENCE, Served, command},
        server::client,
        wait,
    },
    on_both_databases,
};

/// By environment, as its help advises: a flag shows the password to everybody.
pub fn with_url(database: &TestDatabase, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = command(folder, arguments);
    command.env("DATABASE_URL", &database.url);
    command
}

const INGEST: &str = "mutation ($input: IngestMetricsInput!) {
    ingestMetrics(input: $input) { accepted duplicate userErrors { message } }
}";

/// A writer that sends batch after batch, each under a key of its own, until the server is gone. It knows which were
/// acknowledged, and which one it does not know about.
#[derive(Clone)]
pub struct Writer {
    number: usize,
    next: usize,
    project: String,
    started: Timestamp,
    pub acknowledged: BTreeMap<String, i64>,
}

impl Writer {
    pub fn new(number: usize, project: String) -> Self {
        let started = Clock::system().now().plus_micros(-MINUTE_MICROS);
        Self { number, next: 0, project, started, acknowledged: BTreeMap::new() }
    }

    pub fn batch(&self) -> (String, Vec<Value>) {
        let rows = 1 + (self.number * 7 + self.next) % 40;
        // Of the hours before, so that their minutes are over and merged at once.
        let metric = |row: usize| {
            let timestamp = self.started.plus_micros(-i64::try_from(row).unwrap() * 7 * MINUTE_MICROS).to_string();
            let (endpoint, value) = (format!("/{}", row % 5), row + self.next);
            json!({ "type": "API_RESPONSE", "endpoint": endpoint, "value": value, "timestamp": timestamp })
        };
        (format!("{}-{}", self.number, self.next), (0..rows).map(metric).collect())
    }

    /// One batch; nothing when the server did not answer, and then the same batch comes again.
    pub async fn send(&mut self, client: &reqwest::Client, url: &str) -> Option<()> {
        let (key, metrics) = self.batch();
        let input = json!({ "projectId": self.project, "metrics": metrics, "idempotencyKey": key });
        let body = json!({ "query": INGEST, "variables": { "input": input } });
        let response = client.post(url).json(&body).send().await.ok()?;
        let answer: Value = response.json().await.ok()?;
        let accepted = answer["data"]["ingestMetrics"]["accepted"].as_i64();
        if accepted.is_none() {
            // A refusal to write must say so; then nothing was acknowledged.
            assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}");
            return None;
        }
        assert_eq!(accepted, i64::try_from(metrics.len()).ok(), "{answer}");
        self.acknowledged.insert(key, accepted?);
        self.next += 1;
        Some(())
    }

    /// Writes until the server is gone, and tells of every acknowledgement.
    pub async fn write(mut self, url: String, told: mpsc::UnboundedSender<()>) -> Self {
        let client = client();
        while self.send(&client, &url).await.is_some() {
            // Nobody counts any more once the signal is sent.
            let _ = told.send(());
        }
        self
    }
}

const WRITERS: usize = 4;

/// A database with a project, and writers to it.
pub async fn prepared(database: TestDatabase) -> (TestDatabase, Vec<Writer>) {
    let server = Server::start(database, Clock::system(), "self_monitoring.enabled = false").await;
    let world = server.seed("organizations=1 projects=2").await;
    let project = |number: usize| world.id("project", 1 + number % 2);
    let writers = (0..WRITERS).map(|number| Writer::new(number, project(number))).collect();
    (server.stop().await, writers)
}

pub async fn serve(database: &TestDatabase, folder: &Path) -> Served {
    let mut command = with_url(database, folder, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("PERFGRAPH_SELF_MONITORING__ENABLED", "false");
    // Merging all the time, so that a signal comes in the middle of it.
    command.env("PERFGRAPH_COMPACTION__INTERVAL_MS", "1").env("PERFGRAPH_COMPACTION__DELAY_MS", "1");
    Served::start(command).await
}

/// Starts the writers on a server, each half on one where there are two. The receiver hears of acknowledgements.
fn start(urls: &[String], writers: Vec<Writer>) -> (Vec<JoinHandle<Writer>>, mpsc::UnboundedReceiver<()>) {
    let (sender, told) = mpsc::unbounded_channel();
    let write =
        |writer: Writer| tokio::spawn(writer.clone().write(urls[writer.number % urls.len()].clone(), sender.clone()));
    (writers.into_iter().map(write).collect(), told)
}

async fn acknowledged(told: &mut mpsc::UnboundedReceiver<()>, batches: usize) {
    for _ in 0..batches {
        timeout(PATIENCE, told.recv()).await.expect("batches are acknowledged").expect("somebody still writes");
    }
}

async fn all_noticed(running: Vec<JoinHandle<Writer>>) -> Vec<Writer> {
    let mut ended = Vec::new();
    for writer in running {
        ended.push(timeout(PATIENCE, writer).await.expect("the writers notice").unwrap());
    }
    ended
}

/// Lets the writers write until so many batches are acknowledged, then sends the signal; answers the writers when all of
/// them have noticed, and the exit code.
pub async fn written_until(
    served: Served,
    writers: Vec<Writer>,
    batches: usize,
    signal: &str,
) -> (Vec<Writer>, Option<i32>) {
    let (running, mut told) = start(&[served.url("/graphql")], writers);
    acknowledged(&mut told, batches).await;
    served.signal(signal).await;
    let code = served.ended().await;
    (all_noticed(running).await, code)
}

/// Every acknowledged batch is in the ledger once and whole; what is there besides is at most what each writer was not
/// told about.
pub async fn assert_nothing_lost(database: &TestDatabase, writers: &[Writer]) {
    let mut ledger = books::check(database).await;
    for writer in writers {
        for (key, accepted) in &writer.acknowledged {
            assert_eq!(ledger.remove(key), Some(*accepted), "batch {key} was acknowledged");
        }
        ledger.remove(&writer.batch().0);
    }
    assert_eq!(ledger, BTreeMap::new(), "nobody sent these");
}

/// How often, and by which random numbers: `make crash` asks for more.
fn plan() -> (usize, u64) {
    fn number<T: FromStr>(name: &str) -> Option<T> {
        std::env::var(name).ok().filter(|text| !text.is_empty()).map(|text| text.parse().ok().expect("a whole number"))
    }
    let (kills, rng_seed) = (number("CRASH_KILLS").unwrap_or(20), number("CRASH_SEED").unwrap_or_else(rand::random));
    #[expect(clippy::print_stdout, reason = "shown when the test fails, so that the run can be repeated")]
    {
        println!("rng seed {rng_seed}, {kills} kills (CRASH_SEED={rng_seed} CRASH_KILLS={kills} repeats the run)");
    }
    (kills, rng_seed)
}

/// Everything again once more, and the books balance.
async fn settled(database: &TestDatabase, served: &Served, writers: &mut [Writer]) {
    let (client, url) = (client(), served.url("/graphql"));
    for writer in &mut *writers {
        writer.send(&client, &url).await.expect("a server that runs again answers");
    }
    assert_nothing_lost(database, writers).await;
}

on_both_databases! {
    async fn a_kill_loses_nothing_and_doubles_nothing(database: TestDatabase) {
        let (kills, rng_seed) = plan();
        let mut rng = StdRng::seed_from_u64(rng_seed);
        let folder = tempfile::tempdir().unwrap();
        let (database, mut writers) = prepared(database).await;
        for _ in 0..kills {
            let served = serve(&database, folder.path()).await;
            let code;
            // What a writer does not know about it sends again after the restart, under the same key.
            (writers, code) = written_until(served, writers, rng.random_range(1..12), "KILL").await;
            assert_eq!(code, None, "a killed process has no exit code");
            assert_nothing_lost(&database, &writers).await;
        }
        let served = serve(&database, folder.path()).await;
        settled(&database, &served, &mut writers).await;
        served.signal("TERM").await;
        assert_eq!(served.ended().await, Some(0));
        let hours = books::rows(&database, "metric_rollup_1h").await;
        assert!(hours.iter().any(|row| row.n > 100), "much was merged meanwhile: {}", hours.len());
    }
}

/// Two servers write and merge in one database; one is killed, and started again, while the other goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_share_one_postgres_while_one_is_killed() {
    let (_, rng_seed) = plan();
    let mut rng = StdRng::seed_from_u64(rng_seed);
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (database, mut writers) = prepared(TestDatabase::postgres().await).await;
    let stays = serve(&database, folders[0].path()).await;
    for round in 1..=3 {
        let killed = serve(&database, folders[1].path()).await;
        let on_killed: Vec<bool> = writers.iter().map(|writer| writer.number % 2 == 1).collect();
        let (running, mut told) = start(&[stays.url("/graphql"), killed.url("/graphql")], writers);
        acknowledged(&mut told, rng.random_range(10..30)).await;
        killed.signal("KILL").await;
        assert_eq!(killed.ended().await, None);
        let (left, survivors): (Vec<_>, Vec<_>) =
            running.into_iter().zip(on_killed).partition(|(_, on_killed)| *on_killed);
        let left = all_noticed(left.into_iter().map(|(writer, _)| writer).collect()).await;
        acknowledged(&mut told, 10).await;
        // Whoever wrote there sends what it does not know about to the one that stays: keys are not the instance's.
        let (client, url) = (client(), stays.url("/graphql"));
        writers = Vec::new();
        for mut writer in left {
            writer.send(&client, &url).await.expect("the other one answers");
            writers.push(writer);
        }
        for (writer, _) in survivors {
            writer.abort();
            drop(writer.await);
        }
        // Those that went on are not known to the end; the books know what they stored.
        books::check(&database).await;
        let fresh = |writer: &Writer| Writer::new(writer.number - 1 + 2 * WRITERS * round, writer.project.clone());
        let fresh: Vec<_> = writers.iter().map(fresh).collect();
        writers.extend(fresh);
    }
    stays.signal("TERM").await;
    assert_eq!(stays.ended().await, Some(0));
    books::check(&database).await;
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap(), 0);
}

/// The database's own processes are killed, all at once and the hard way; the server stays and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_postgres_loses_nothing_and_doubles_nothing() {
    let (kills, rng_seed) = plan();
    let mut rng = StdRng::seed_from_u64(rng_seed);
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start().await;
    let (database, mut writers) = prepared(TestDatabase::at(&cluster.url).await).await;
    let served = serve(&database, folder.path()).await;
    for _ in 0..kills.div_ceil(4) {
        let (running, mut told) = start(&[served.url("/graphql")], writers);
        acknowledged(&mut told, rng.random_range(1..12)).await;
        cluster.kill().await;
        writers = all_noticed(running).await;
        cluster.start_again().await;
        let database = TestDatabase::at(&cluster.url).await;
        assert_nothing_lost(&database, &writers).await;
        // The first connections of the pool are dead; the server notices by itself.
        let (client, url) = (client(), served.url("/graphql"));
        for writer in &mut writers {
            wait::until("the server finds its database again", async || writer.send(&client, &url).await.is_some())
                .await;
        }
    }
    settled(&TestDatabase::at(&cluster.url).await, &served, &mut writers).await;
    served.signal("TERM").await;
    assert_eq!(served.ended().await, Some(0));
}

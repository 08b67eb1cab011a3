//! A pooler in transaction mode between the server and PostgreSQL: everything works, with the settings and the limits of each
//! statement, and nothing is left behind for others.

use std::{str::FromStr, time::Duration};

use futures_util::future::join_all;
use perfgraph::{
    clock::Clock,
    config,
    db::{Database, StatementLog},
    jobs::{breakdowns, compaction},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{
    harness::{
        Server, TestDatabase, World, books,
        database::{options, pooled_options},
        process::PATIENCE,
        server::NOW,
        socket::Socket,
        wait,
    },
    ingest::batches::{self, ACME, GLOBEX, Rig, candidate, submission},
};

fn sql(text: &str) -> Statement {
    Statement::from_string(DbBackend::Postgres, text.to_owned())
}

async fn text(database: &Database, question: &str) -> String {
    let session = database.reader(StatementLog::default());
    session.query_one_raw(sql(question)).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// A measurement that is one more than the last.
async fn ingest(server: &Server, world: &World, value: usize) -> Value {
    let metrics = json!([{ "type": "CUSTOM", "endpoint": "a", "value": value }]);
    let input = json!({ "projectId": world.id("project", 1), "metrics": metrics });
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
    server.graphql(query, json!({ "input": input })).await.data()["ingestMetrics"]["accepted"].take()
}

/// The data of every kind of question.
async fn answers(server: &Server) -> Vec<Value> {
    let mut answers = Vec::new();
    for query in [
        "{ organizations(first: 5) { nodes { slug employees(first: 3) { nodes { name } } projects(first: 3) { nodes { name } } } } }",
        "{ metricStats { count average percentile(p: 95) } }",
        "{ slowestEndpoints(first: 3, rankBy: P95) { endpoint value project { name } owners { name } } }",
        "{ metrics(first: 5) { edges { node { value endpoint } } } }",
    ] {
        answers.push(server.graphql(query, json!({})).await.data());
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_serve_and_listen_behind_a_pooler() {
    let (database, _pooler) = TestDatabase::pooled(6).await;
    let beside = database.beside().await;
    let settings = "self_monitoring.enabled = false";
    let first = Server::start_with(database, Clock::fixed(NOW), settings).await;
    let world = first.seed("organizations=2 employees=5 projects=2 members=2 metrics=20").await;
    let second = Server::start_with(beside, Clock::fixed(NOW), settings).await;
    let mut socket = Socket::open(&second.websocket_url()).await.unwrap();
    let query = "subscription ($id: ID!) { metricStream(filter: { projectIds: [$id] }) { metrics { value } } }";
    socket.subscribe("1", query, &json!({ "id": world.id("project", 1) })).await.unwrap();
    let heard = async {
        let mut values: Vec<Value> = Vec::new();
        while values.len() < 10 {
            let mut event = socket.next().await.event();
            let metrics = event["metrics"].take();
            values.extend(metrics.as_array().unwrap().iter().map(|metric| metric["value"].clone()));
        }
        values
    };
    let sent = async {
        for value in 0..10 {
            assert_eq!(ingest(&first, &world, value).await, 1);
        }
    };
    let (values, ()) = tokio::join!(heard, sent);
    assert_eq!(values, (0..10).map(|value| json!(f64::from(value))).collect::<Vec<_>>());
    let behind = answers(&second).await;
    let url = first.database.direct_url.clone().unwrap();
    second.stop().await;
    // Not dropped yet: the database would go with it.
    let _database = first.stop().await;
    let direct = Server::start_with(TestDatabase::at(&url).await, Clock::fixed(NOW), settings).await;
    assert_eq!(behind, answers(&direct).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_and_jobs_share_few_connections() {
    let (database, _pooler) = TestDatabase::pooled(3).await;
    let rig = Rig::with_all_rollups(&database).await;
    let send = |number: i32| {
        let rig = &rig;
        async move {
            let project = if number % 3 == 0 { GLOBEX } else { ACME };
            let rows = (0..20).map(|row| candidate(f64::from(number * 20 + row))).collect();
            rig.submit(submission(project, rows)).await.unwrap();
        }
    };
    for round in 0..4 {
        let merging = compaction::round(&database.database, batches::NOW);
        let (_, merged) = tokio::join!(join_all((round * 25..round * 25 + 25).map(send)), merging);
        merged.unwrap();
    }
    breakdowns::pass(&database.database, &Clock::fixed(batches::NOW)).await.unwrap();
    books::check(&database).await;
    assert_eq!(books::count(&database, "metric_event").await, 2_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_brings_its_settings_and_leaves_none_behind() {
    let (database, pooler) = TestDatabase::pooled(1).await;
    let settings = config::Database {
        statement_timeout: Duration::from_millis(300),
        ..pooled_options(&database.url, database.direct_url.as_ref().unwrap())
    };
    database.database.close().await;
    let hurried = Database::open(&settings).await.unwrap();
    assert_eq!(text(&hurried, "SHOW statement_timeout").await, "300ms");
    assert_eq!(text(&hurried, "SHOW jit").await, "off");
    let session = hurried.writer(StatementLog::default());
    let seqscan = session.query_one_raw(sql("SHOW enable_seqscan")).await.unwrap().unwrap();
    assert_eq!(seqscan.try_get_by_index::<String>(0).unwrap(), "off");
    let late = timeout(PATIENCE, session.execute_raw(sql("SELECT pg_sleep(20)"))).await.unwrap().unwrap_err();
    assert!(late.to_string().contains("statement timeout"), "{late}");
    // The only connection of the pooler serves others, with settings of their own.
    let address = PgConnectOptions::from_str(&database.url).unwrap().port(pooler.port()).extra_float_digits(None);
    let mut other = PgConnection::connect_with(&address.statement_cache_capacity(0)).await.unwrap();
    let shown = sqlx::raw_sql("SHOW statement_timeout").fetch_one(&mut other).await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&shown, 0), "0");
    let prepared =
        sqlx::raw_sql("SELECT count(*)::text FROM pg_prepared_statements").fetch_one(&mut other).await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&prepared, 0), "0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_that_nobody_waits_for_gives_its_connection_up() {
    let (database, mut pooler) = TestDatabase::pooled(4).await;
    let settings = config::Database {
        read_connections: 1,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(5),
        ..pooled_options(&database.url, database.direct_url.as_ref().unwrap())
    };
    let narrow = Database::open(&settings).await.unwrap();
    for _ in 0..3 {
        let session = narrow.reader(StatementLog::default());
        let slow = session.query_all_raw(sql("SELECT pg_sleep(20)"));
        timeout(Duration::from_millis(50), slow).await.unwrap_err();
        assert_eq!(text(&narrow, "SELECT 'here'").await, "here");
        // Neither is a transaction that nobody commits.
        let transaction = narrow.reader(StatementLog::default()).begin().await.unwrap();
        transaction.query_all_raw(sql("SELECT 1")).await.unwrap();
        drop(transaction);
        assert_eq!(text(&narrow, "SELECT 'here'").await, "here");
    }
    pooler.kill().await;
    pooler.begin().await;
    wait::until("the next pooler serves", async || {
        let session = narrow.reader(StatementLog::default());
        session.query_one_raw(sql("SELECT 1")).await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_is_taken_for_a_server_is_recognized() {
    let (database, _pooler) = TestDatabase::pooled(1).await;
    let opened = timeout(PATIENCE, Database::open(&options(&database.url))).await.unwrap();
    let message = opened.unwrap_err().to_string();
    for part in ["is a pooler", "database.transaction_pooling", "database.direct_url"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Statements that the URL says not to prepare are not prepared, without a pooler as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_url_says_how_many_statements_are_prepared() {
    let database = TestDatabase::postgres().await;
    let address = database.url.split('?').next().unwrap();
    for (parameter, expected) in [("0", 0..1), ("1", 1..2), ("100", 4..6)] {
        let url = format!("{address}?statement-cache-capacity={parameter}");
        let settings = config::Database { read_connections: 1, ..options(&url) };
        let few = Database::open(&settings).await.unwrap();
        for number in 0..4 {
            text(&few, &format!("SELECT '{number}'::text")).await;
        }
        let count = text(&few, "SELECT count(*)::text FROM pg_prepared_statements").await;
        assert!(expected.contains(&count.parse::<u32>().unwrap()), "{parameter}: {count}");
        few.close().await;
    }
}

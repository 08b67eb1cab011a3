//! Ingest finds rows by their keys with plans that PostgreSQL made while the tables were empty, as during a first import: it
//! keeps them until somebody collects statistics.

use perfgraph::{
    clock::Clock,
    db::{Backend, StatementLog},
};
use reqwest::Method;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, Row};

use crate::harness::{
    Server, TestDatabase,
    server::{NOW, send},
};

/// The texts of the statements of an operation.
async fn statements(server: &Server, query: &str, variables: Value) -> Vec<String> {
    let body = json!({ "query": query, "variables": variables });
    let reply = send(server.request(Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body)).await;
    assert!(reply.json().get("errors").is_none(), "{}", reply.text);
    let sql = reply.json()["extensions"]["db"]["sql"].as_array().unwrap().clone();
    sql.iter().map(|statement| statement["sql"].as_str().unwrap().to_owned()).collect()
}

/// The plan that is kept for a prepared statement.
async fn kept_plan(database: &TestDatabase, sql: &str) -> String {
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let mut transaction = pool.begin().await.unwrap();
    transaction.execute("SET LOCAL plan_cache_mode = force_generic_plan").await.unwrap();
    // As the connections of writers have it.
    transaction.execute("SET LOCAL enable_seqscan = off").await.unwrap();
    let parameters = (1..100).take_while(|number| sql.contains(&format!("${number}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    transaction.execute(AssertSqlSafe(format!("PREPARE asked AS {sql}"))).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE asked ({nulls})"));
    let rows = transaction.fetch_all(explain).await.unwrap();
    transaction.execute("DEALLOCATE asked").await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ingest_finds_rows_by_their_keys_also_with_plans_made_for_empty_tables() {
    let server = Server::start(TestDatabase::postgres().await, Clock::fixed(NOW), "").await;
    let world = server.seed("organizations=1 employees=1 projects=1").await;
    let query =
        "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted userErrors { message } } }";
    let metric = json!({ "type": "DATABASE", "endpoint": "query q", "value": 1.0 });
    let input = json!({ "projectId": world.id("project", 1), "idempotencyKey": "once", "metrics": [metric] });
    let mut sent = Vec::new();
    // The second time, the receipt of the first one is read.
    for _ in 0..2 {
        sent.extend(statements(&server, query, json!({ "input": input })).await);
    }
    // And then measurements of a time that was broken down.
    let writer = server.app.core().database.writer(StatementLog::default());
    for sql in
        ["UPDATE organization_stream SET breakdowns_before = 9000000000000000", "UPDATE metric_grain SET build = 1"]
    {
        writer.execute_unprepared(sql).await.unwrap();
    }
    let late = json!({ "projectId": world.id("project", 1), "idempotencyKey": "late", "metrics": [metric] });
    sent.extend(statements(&server, query, json!({ "input": late })).await);
    let by_key: Vec<_> = sent.iter().filter(|sql| sql.contains("LATERAL")).collect();
    let expected = "endpoints, two ends of commits, the receipt, marks of breakdowns, and their removal";
    assert_eq!(by_key.len(), 6, "{expected}: {sent:#?}");
    let asked = Statement::from_string(DbBackend::Postgres, "SHOW enable_seqscan");
    let scans: String = writer.query_one_raw(asked).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(scans, "off", "connections for writes do not read whole tables");
    for sql in by_key {
        let plan = kept_plan(&server.database, sql).await;
        assert!(plan.contains("Index Cond") || plan.contains("Index Only Scan"), "{sql}\n{plan}");
        for whole in ["Seq Scan on endpoint", "Seq Scan on ingest_batch", "Seq Scan on metric_grain", "Merge Join"] {
            assert!(!plan.contains(whole), "{whole}: {sql}\n{plan}");
        }
    }
}

//! Databases that cannot take more in the middle of something, by every way in: it is told as such, nothing is half
//! written, what was acknowledged stays, and the same call finishes when the database is there again.

use std::process::Stdio;

use perfgraph::{clock::Clock, db::Backend};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, SqliteConnection};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    cli::import::{PROJECT, import},
    harness::{
        Reply, Server, TestDatabase, World, books,
        cluster::Cluster,
        process::PATIENCE,
        server::{NOW, send},
        wait,
    },
    ingest::http_api::{NDJSON, PATH, begin, rows, stored, until_stored},
    on_both_databases,
};

/// A server that stores a hundred rows at a time and does not wait long for its database.
async fn server(database: TestDatabase) -> (Server, World) {
    let settings = "self_monitoring.enabled = false\ningest.part_rows = 100\ndatabase.acquire_timeout_ms = 1000\n\
                    database.busy_timeout_ms = 300";
    let server = Server::start(database, Clock::fixed(NOW), settings).await;
    let world = server.seed("organizations=1 projects=2").await;
    (server, world)
}

async fn upload(server: &Server, world: &World, key: &str, body: String) -> Reply {
    upload_to(server, &world.id("project", 1), key, body).await
}

async fn upload_to(server: &Server, project: &str, key: &str, body: String) -> Reply {
    let path = format!("{PATH}?project={project}");
    let request = server.request(Method::POST, &path).header("content-type", NDJSON).header("idempotency-key", key);
    send(request.body(body)).await
}

async fn mutate(server: &Server, world: &World, key: &str, count: usize) -> Reply {
    let metric = |number: usize| json!({ "type": "CUSTOM", "endpoint": "a", "value": number });
    let input = json!({
        "projectId": world.id("project", 1), "idempotencyKey": key,
        "metrics": (0..count).map(metric).collect::<Vec<_>>(),
    });
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted duplicate } }";
    server.graphql(query, json!({ "input": input })).await
}

/// It says when to come back, and not why.
#[track_caller]
fn assert_turned_away(reply: &Reply) {
    assert_eq!((reply.status.as_u16(), reply.header("retry-after")), (503, "1"), "{}", reply.text);
    let body = reply.json();
    let code = body["error"]["code"].as_str().or_else(|| body["errors"][0]["extensions"]["code"].as_str());
    assert_eq!(code, Some("UNAVAILABLE"), "{}", reply.text);
    for inside in ["disk", "locked", "INSERT", "53100", "refused"] {
        assert!(!reply.text.contains(inside), "{inside} in {}", reply.text);
    }
}

/// From here on there is room for few parts: SQLite gets no further page after some, PostgreSQL raises what it raises where
/// the file system is full, in the middle of the rows.
async fn fill_disk(server: &Server) {
    match server.app.core().database.backend() {
        Backend::Sqlite(pool) => {
            let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(pool).await.unwrap();
            limit_pages(pool, pages + 20).await;
        }
        Backend::Postgres(pool) => {
            let full = "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                        IF NEW.value >= 250 THEN RAISE EXCEPTION 'could not extend file \"base/1/2\": No space left on device' \
                        USING ERRCODE = 'disk_full'; END IF; RETURN NEW; END $$";
            let always = "CREATE OR REPLACE TRIGGER full_disk BEFORE INSERT ON metric_event FOR EACH ROW EXECUTE FUNCTION full_disk()";
            for sql in [full, always] {
                pool.execute(sql).await.unwrap();
            }
        }
    }
}

async fn make_room(server: &Server) {
    match server.app.core().database.backend() {
        Backend::Sqlite(pool) => limit_pages(pool, 1_000_000).await,
        Backend::Postgres(pool) => drop(pool.execute("DROP FUNCTION full_disk CASCADE").await.unwrap()),
    }
}

async fn limit_pages(pool: &sqlx::SqlitePool, pages: i64) {
    let sql = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    assert_eq!(sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap(), pages);
}

on_both_databases! {
    async fn a_full_disk_refuses_what_it_cannot_hold_and_keeps_what_it_has(database: TestDatabase) {
        let (server, world) = server(database).await;
        let before = mutate(&server, &world, "before", 50).await;
        assert_eq!(before.data()["ingestMetrics"]["accepted"], 50);
        let mut kept = 0;
        for _ in 0..3 {
            // The limit of SQLite is one connection's, and the pool may have taken another.
            fill_disk(&server).await;
            let broken_off = upload(&server, &world, "body", rows(0..5_000)).await;
            assert_turned_away(&broken_off);
            let accepted = usize::try_from(broken_off.json()["accepted"].as_u64().unwrap()).unwrap();
            assert!(accepted >= kept && accepted.is_multiple_of(100), "{kept} and then {accepted}: whole parts");
            kept = accepted;
            assert_eq!(stored(&server.database).await, 50 + kept);
        }
        assert!(kept > 0 && kept < 5_000, "{kept}");
        fill_disk(&server).await;
        assert_turned_away(&mutate(&server, &world, "call", 2_000).await);
        // Who reads or repeats does not notice.
        let count = "{ metricStats(filter: { time: { last: \"PT1M\" } }) { count } }";
        books::check(&server.database).await;
        assert_eq!(server.graphql(count, json!({})).await.status, 200);
        let same = mutate(&server, &world, "before", 50).await;
        assert_eq!(same.data()["ingestMetrics"], json!({ "accepted": 50, "duplicate": true }));

        make_room(&server).await;
        let whole = upload(&server, &world, "body", rows(0..5_000)).await;
        assert_eq!((whole.status.as_u16(), &whole.json()["accepted"]), (200, &json!(5_000)), "{}", whole.text);
        assert_eq!(whole.json()["duplicate"], false);
        let call = mutate(&server, &world, "call", 2_000).await;
        assert_eq!(call.data()["ingestMetrics"], json!({ "accepted": 2_000, "duplicate": false }));
        assert_eq!(stored(&server.database).await, 7_050);
        books::check(&server.database).await;
    }
}

/// The command imports into a database that only PostgreSQL can fill from outside.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_fills_the_disk_ends_and_goes_on_later() {
    let (server, _) = server(TestDatabase::postgres().await).await;
    fill_disk(&server).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.ndjson"), rows(0..1_000)).unwrap();
    let run =
        || crate::harness::process::run(import(&server.database, folder.path(), &["a.ndjson", "--project", PROJECT]));
    for _ in 0..2 {
        let full = run().await;
        assert_eq!((full.code, stored(&server.database).await), (Some(69), 200), "{full:?}");
        // At the terminal the cause helps.
        assert!(full.stderr.contains("No space left on device"), "{full:?}");
        books::check(&server.database).await;
    }
    make_room(&server).await;
    let whole = run().await;
    assert!(whole.stderr.contains("1000 metrics imported, 200 of them by an earlier run"), "{whole:?}");
    assert_eq!((whole.code, stored(&server.database).await), (Some(0), 1_000));
    books::check(&server.database).await;
}

/// A body of which the first parts are stored and the rest is still to be sent.
async fn begun(server: &Server, world: &World) -> TcpStream {
    let path = format!("{PATH}?project={}", world.id("project", 1));
    let socket = begin(&server.app.address().to_string(), &path, "body", &rows(0..250)).await;
    until_stored(&server.database, 200).await;
    socket
}

/// Sends the rest while the database is away: the answer counts what is stored.
async fn assert_broken_off(mut socket: TcpStream) {
    let rest = rows(250..600);
    socket.write_all(format!("{:x}\r\n{rest}\r\n0\r\n\r\n", rest.len()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, socket.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("Retry-After: 1\r\n"), "{answer}");
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(&body[body.find('{').unwrap()..=body.rfind('}').unwrap()]).unwrap();
    assert_eq!((&body["accepted"], &body["error"]["code"]), (&json!(200), &json!("UNAVAILABLE")), "{body}");
    assert!(body["cursor"].is_string(), "{body}");
}

/// An upload that goes through. The server may turn it away until it has found its database again, and confirmed its lease.
async fn upload_in_time(server: &Server, world: &World) -> Reply {
    let retried = async {
        loop {
            let reply = upload(server, world, "body", rows(0..600)).await;
            if reply.status == 200 {
                return reply;
            }
            assert_turned_away(&reply);
            wait::step().await;
        }
    };
    timeout(PATIENCE, retried).await.expect("the server finds its database again")
}

/// The retry finds the parts that are there.
async fn assert_finished(server: &Server, world: &World) {
    let reply = upload_in_time(server, world).await;
    assert_eq!((&reply.json()["accepted"], &reply.json()["duplicate"]), (&json!(600), &json!(false)), "{}", reply.text);
    let again = upload_in_time(server, world).await;
    assert_eq!((&again.json()["accepted"], &again.json()["duplicate"]), (&json!(600), &json!(true)), "{}", again.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_goes_away_in_the_middle_of_a_body_costs_a_retry() {
    let mut cluster = Cluster::start().await;
    let (server, world) = server(TestDatabase::at(&cluster.url).await).await;
    let body = begun(&server, &world).await;
    let folder = tempfile::tempdir().unwrap();
    let mut importing = import(&server.database, folder.path(), &["-", "--format", "ndjson", "--project", PROJECT]);
    importing.env("PERFGRAPH_DATABASE__ACQUIRE_TIMEOUT_MS", "1000").stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut importing = importing.spawn().unwrap();
    let mut stdin = importing.stdin.take().unwrap();
    stdin.write_all(rows(0..250).as_bytes()).await.unwrap();
    until_stored(&server.database, 400).await;

    cluster.kill().await;
    assert_broken_off(body).await;
    assert_turned_away(&mutate(&server, &world, "call", 10).await);
    // Nobody has asked for this one yet, so that not even the project can be looked up.
    assert_turned_away(&upload_to(&server, &world.id("project", 2), "other", rows(0..1)).await);
    stdin.write_all(rows(250..600).as_bytes()).await.unwrap();
    drop(stdin);
    let ended = timeout(PATIENCE, importing.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(69), "{}", String::from_utf8_lossy(&ended.stderr));

    cluster.start_again().await;
    assert_finished(&server, &world).await;
    assert_eq!(mutate(&server, &world, "call", 10).await.data()["ingestMetrics"]["accepted"], 10);
    std::fs::write(folder.path().join("a.ndjson"), rows(0..600)).unwrap();
    let database = TestDatabase::at(&cluster.url).await;
    let whole =
        crate::harness::process::run(import(&database, folder.path(), &["a.ndjson", "--project", PROJECT])).await;
    assert!(whole.stderr.contains("600 metrics imported, 200 of them by an earlier run"), "{whole:?}");
    assert_eq!(stored(&database).await, 600 + 10 + 600);
    books::check(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_else_writes_to_costs_a_retry() {
    let (server, world) = server(TestDatabase::sqlite().await).await;
    let body = begun(&server, &world).await;
    let mut other = SqliteConnection::connect(&server.database.url).await.unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    assert_broken_off(body).await;
    assert_turned_away(&mutate(&server, &world, "call", 10).await);
    other.execute("ROLLBACK").await.unwrap();
    assert_finished(&server, &world).await;
    assert_eq!(stored(&server.database).await, 600);
    books::check(&server.database).await;
}

//! Nodes and ids: nobody makes an id twice, whatever clocks say, and an instance without its lease stores nothing.

use std::time::Duration;

use perfgraph::{
    clock::Clock,
    db::{
        Backend,
        lease::{LeaseSettings, Renewal},
        migrate,
    },
    entity::{ingest_batch, metric_event},
    error::{Code, Error},
    model::Timestamp,
};
use sea_orm::{ConnectionTrait, EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};

use crate::{
    harness::{Reply, Server, TestDatabase, World, books, server::NOW, wait},
    on_both_databases,
};

const PATIENT: Duration = Duration::from_secs(30);
const YEAR_MICROS: i64 = 365 * 24 * 3_600 * 1_000_000;

const fn settings(node: Option<u8>) -> LeaseSettings {
    LeaseSettings { node, lasts: PATIENT, patience: PATIENT }
}

/// As if the database had waited until the leases of instances that were killed have ended.
async fn end_leases(database: &TestDatabase) {
    database.writer().execute_unprepared("UPDATE instance_node SET expires_at = 0").await.unwrap();
}

on_both_databases! {
    async fn ids_survive_any_clock(database: TestDatabase) {
        let clocks = [
            NOW,
            // The same moment again, back, before ids begin, the first and the last time there is, and right again.
            NOW,
            NOW.plus_micros(-YEAR_MICROS),
            Timestamp::from_micros(0),
            Timestamp::from_micros(i64::MIN),
            Timestamp::from_micros(i64::MAX),
            NOW,
        ];
        let mut last = -1;
        for start in clocks {
            // Never given back, as if it was killed.
            let clock = Clock::fixed(start);
            let (ids, renewal) = Renewal::begin(&database.database, clock.clone(), settings(Some(3))).await.unwrap();
            for (step, count) in [(0, 1), (0, 16_384), (YEAR_MICROS, 10_000), (-3 * YEAR_MICROS, 5), (0, 1)] {
                clock.set(clock.now().plus_micros(step));
                let first = ids.reserve(clock.now(), count).unwrap();
                assert!(first > last && (first >> 14) & 255 == 3, "{first} after {last} at {}", clock.now());
                last = first + i64::from(count) - 1;
            }
            drop(renewal);
            end_leases(&database).await;
        }
    }
}

on_both_databases! {
    async fn an_upgraded_database_remembers_the_ids_it_has(database: TestDatabase) {
        let id = (1_000_000_000_i64 << 22) | (3 << 14) | 0x4d;
        let session = database.writer();
        for statement in [
            "DROP TABLE instance_node".to_owned(),
            "DELETE FROM seaql_migrations WHERE version = 'm0018_instance_node'".to_owned(),
            format!("INSERT INTO organization (id, slug, name, created_at, updated_at) VALUES ({id}, 'o', 'O', 0, 0)"),
        ] {
            session.execute_unprepared(&statement).await.unwrap();
        }
        migrate::up(&database.database, None).await.unwrap();
        let clock = Clock::fixed(Timestamp::from_micros(0));
        let (ids, _renewal) = Renewal::begin(&database.database, clock.clone(), settings(Some(3))).await.unwrap();
        assert!(ids.next(clock.now()).unwrap() > id);
    }
}

async fn server(database: TestDatabase) -> (Server, World) {
    let settings = "self_monitoring.enabled = false\ndatabase.node_lease_ms = 2000";
    let server = Server::start(database, Clock::fixed(NOW), settings).await;
    let world = server.seed("organizations=1 projects=1").await;
    (server, world)
}

async fn ingest(server: &Server, world: &World, endpoint: &str) -> Reply {
    let metrics = json!([{ "type": "CUSTOM", "endpoint": endpoint, "value": 1 }]);
    let query = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
    server.graphql(query, json!({ "input": { "projectId": world.id("project", 1), "metrics": metrics } })).await
}

async fn create(server: &Server, name: &str) -> Reply {
    let query = "mutation ($name: String!) { createOrganization(input: { name: $name }) { organization { id } } }";
    server.graphql(query, json!({ "name": name })).await
}

#[track_caller]
fn assert_unavailable(reply: &Reply) {
    let retry: &Value = &reply.json()["errors"][0]["extensions"]["retryAfter"];
    assert_eq!((reply.error().0.as_str(), retry), ("UNAVAILABLE", &json!(1)), "{}", reply.text);
}

on_both_databases! {
    /// Takes the node as another instance does: from this moment on, nothing that was prepared before is stored.
    async fn a_commit_under_a_lost_lease_stores_nothing(database: TestDatabase) {
        let (server, world) = server(database).await;
        assert_eq!(ingest(&server, &world, "a").await.data()["ingestMetrics"]["accepted"], 1);
        let session = server.database.writer();
        let end = Clock::system().now().plus_micros(600_000_000).as_micros();
        let take = format!("UPDATE instance_node SET epoch = epoch + 1, expires_at = {end}");
        session.execute_unprepared(&take).await.unwrap();
        assert_unavailable(&ingest(&server, &world, "a").await);
        assert_eq!(metric_event::Entity::find().count(&server.database.reader()).await.unwrap(), 1);
        assert_eq!(ingest_batch::Entity::find().count(&server.database.reader()).await.unwrap(), 1);
        books::check(&server.database).await;
        drop(session);
        server.stop().await;
    }
}

/// The table is locked for longer than a lease: ids end, everybody is told, and all is well when the database answers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_cannot_renew_its_lease_writes_nothing_until_it_can() {
    let (server, world) = server(TestDatabase::postgres().await).await;
    let ids = server.app.core().ids.clone();
    let before = ids.lease();
    let mut holder = PgConnection::connect(&server.database.url).await.unwrap();
    let mut lock = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE instance_node IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    wait::until("the lease ends", async || ids.check().is_err()).await;
    assert_unavailable(&ingest(&server, &world, "a").await);
    assert_unavailable(&create(&server, "New").await);
    let ready = server.get("/readyz").await;
    assert_eq!((ready.status.as_u16(), ready.text.contains("lease of this instance")), (503, true), "{}", ready.text);
    lock.rollback().await.unwrap();
    wait::until("the lease is renewed", async || ids.check().is_ok()).await;
    assert_eq!(server.get("/readyz").await.status, 200);
    assert_eq!(ingest(&server, &world, "a").await.data()["ingestMetrics"]["accepted"], 1);
    create(&server, "New").await.data();
    assert_eq!(ids.lease(), before, "nobody else took it");
    server.stop().await;
}

/// The node of an instance is taken while it cannot know; it takes another, with a new epoch, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_whose_node_was_taken_takes_another() {
    let settings = "self_monitoring.enabled = false\ndatabase.node_lease_ms = 2000";
    let server = Server::start_with(TestDatabase::postgres().await, Clock::fixed(NOW), settings).await;
    let world = server.seed("organizations=1 projects=1").await;
    let ids = server.app.core().ids.clone();
    let first = ids.node();
    end_leases(&server.database).await;
    let other = server.database.reopen().await;
    let (others, _renewal) = Renewal::begin(&other, Clock::fixed(NOW), self::settings(None)).await.unwrap();
    // Its renewal may have been faster; then there was nothing to take.
    if others.node() == first {
        wait::until("the loss is noticed", async || ids.node() != first).await;
    }
    assert_ne!(ids.node(), others.node());
    assert_eq!(ingest(&server, &world, "a").await.data()["ingestMetrics"]["accepted"], 1);
    let id = ids.next(NOW).unwrap();
    assert_ne!((id >> 14) & 255, i64::from(others.node()));
    server.stop().await;
}

/// Nodes that are given back or whose lease has ended are free, others are not, and 255 are all there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_is_held_once() {
    let database = TestDatabase::postgres().await;
    let (first, _kept) = Renewal::begin(&database.database, Clock::fixed(NOW), settings(None)).await.unwrap();
    assert_eq!(first.node(), 1, "0 is of the sample data");
    let end = "INSERT INTO instance_node SELECT node, 1, 9000000000000000, 0 FROM generate_series(2, 255) AS node \
               ON CONFLICT DO NOTHING";
    database.writer().execute_unprepared(end).await.unwrap();
    // In the year 2255: the clock of the database was set back since, and nobody lives as long.
    let (second, _kept) = Renewal::begin(&database.database, Clock::fixed(NOW), settings(None)).await.unwrap();
    assert_eq!(second.node(), 2);
    let hold = "UPDATE instance_node SET expires_at = (extract(epoch FROM now()) * 1000000)::bigint + 600000000";
    database.writer().execute_unprepared(hold).await.unwrap();
    let hasty = LeaseSettings { patience: Duration::from_millis(900), ..settings(None) };
    let refused = Renewal::begin(&database.database, Clock::fixed(NOW), hasty).await.unwrap_err();
    assert!(matches!(&refused, Error::Input { field, .. } if field == "server.node"), "{refused}");
    assert_eq!(refused.code(), Code::BadUserInput);
}

/// An instance of an earlier version holds its node by an advisory lock, and is left alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_an_earlier_version_is_not_taken() {
    let database = TestDatabase::postgres().await;
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let mut earlier = pool.acquire().await.unwrap();
    sqlx::query("SELECT pg_advisory_lock(1885696614, 1)").execute(&mut *earlier).await.unwrap();
    let (ids, _renewal) = Renewal::begin(&database.database, Clock::fixed(NOW), settings(None)).await.unwrap();
    assert_eq!(ids.node(), 2);
}

//! Instances on one PostgreSQL whose clocks are wrong: they go by the clock of the database, from their start and when a clock
//! jumps, so that measurements without a time get the right one and nobody misses any.

use futures_util::StreamExt;
use perfgraph::{
    clock::Clock,
    entity::{ingest_batch, metric_event},
    live::{Filter, StreamSource, stream},
    model::{
        Scope, Timestamp,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
};
use sea_orm::EntityTrait;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    harness::{Server, TestDatabase, World, books, process::PATIENCE, wait},
    live::streams::PACING,
};

const SETTINGS: &str = "self_monitoring.enabled = false\ndatabase.node_lease_ms = 1500";
const INGEST: &str =
    "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted rejected { message } } }";

/// The first moment of 1970, and 700 days ahead.
fn wrong() -> [Timestamp; 2] {
    [Timestamp::from_micros(0), Clock::system().now().plus_micros(700 * DAY_MICROS)]
}

async fn send(server: &Server, world: &World, metrics: Value) {
    let input = json!({ "projectId": world.id("project", 1), "metrics": metrics });
    let answer = server.graphql(INGEST, json!({ "input": input })).await.data();
    assert_eq!(answer["ingestMetrics"]["accepted"], metrics.as_array().unwrap().len(), "{answer}");
}

fn assert_now(time: Timestamp) {
    let off = time.as_micros() - Clock::system().now().as_micros();
    assert!(off.abs() < MINUTE_MICROS, "{time} is off by {off} microseconds");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn measurements_without_a_time_get_that_of_the_database() {
    for moment in wrong() {
        let database = TestDatabase::postgres().await;
        let other = TestDatabase::at(&database.url).await;
        let clock = Clock::wrong_by(0);
        clock.set(moment);
        let server = Server::start_with(database, clock.clone(), SETTINGS).await;
        let right = Server::start_with(other, Clock::system(), SETTINGS).await;
        let world = server.seed("organizations=1 projects=1").await;
        let core = right.app.core();
        let source = StreamSource { database: core.database.clone(), publisher: core.publisher.clone() };
        let (_, events) = stream::tail(&Scope::everything(), source, Filter::default(), PACING).await.unwrap();
        let mut events = Box::pin(events);

        // From the first on, also with a time of its own, which is neither too old nor too new.
        let now = Clock::system().now().to_string();
        let own = json!({ "type": "CUSTOM", "endpoint": "a", "value": 0, "timestamp": now });
        send(&server, &world, json!([own, { "type": "CUSTOM", "endpoint": "a", "value": 1 }])).await;
        // The clock is set right, jumps within a moment, and stays wrong for longer than a renewal takes.
        for (number, to) in [(2, Clock::system().now()), (3, moment), (4, moment)] {
            clock.set(to);
            send(&server, &world, json!([{ "type": "CUSTOM", "endpoint": "a", "value": number }])).await;
            wait::fixed(std::time::Duration::from_millis(700), "the lease is renewed, and the clocks compared").await;
        }
        let mut heard = Vec::new();
        while heard.len() < 5 {
            let event = timeout(PATIENCE, events.next()).await.expect("an event comes in time").unwrap().unwrap();
            assert_eq!(event.gap, None);
            heard.extend(event.metrics.into_iter().map(|metric| metric.measurement.value));
        }
        assert_eq!(heard, [0.0, 1.0, 2.0, 3.0, 4.0]);
        let reader = right.database.reader();
        for row in metric_event::Entity::find().all(&reader).await.unwrap() {
            assert_now(row.ts);
        }
        for batch in ingest_batch::Entity::find().all(&reader).await.unwrap() {
            assert_now(batch.received_at);
        }
        // Reports of both look at the same minutes.
        let count = "{ metricStats(filter: { time: { last: \"PT5M\" } }) { count } }";
        for asked in [&server, &right] {
            assert_eq!(asked.graphql(count, json!({})).await.data()["metricStats"]["count"], 5);
        }
        books::check(&right.database).await;
    }
}

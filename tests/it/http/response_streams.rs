//! Streams of answers over plain HTTP: server-sent events and Apollo's multipart, byte by byte and with the real client.

use perfgraph::clock::Clock;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::{
    harness::{
        NodeClient, Server, TestDatabase, World, builders,
        process::PATIENCE,
        server::{NOW, send},
    },
    on_both_databases,
};

pub const EVENTS: &str = "text/event-stream";
/// As Apollo Client sends it.
const PARTS: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\",application/json";
/// As a client that reads nothing else.
pub const PARTS_ALONE: &str = "multipart/mixed;boundary=\"graphql\";subscriptionSpec=\"1.0\"";
const STREAM: &str = "subscription ($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after, maxDelay: \"PT0.001S\") { cursor metrics { value } }
}";

/// A response that is read as it comes.
pub struct Reader {
    response: Response,
    text: String,
}

impl Reader {
    pub async fn open(request: RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        Self { response, text: String::new() }
    }

    pub fn header(&self, name: &str) -> &str {
        self.response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The text up to `end`, which is taken away; nothing when the body ends before.
    pub async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some((before, after)) = self.text.split_once(end) {
                let (before, after) = (before.to_owned(), after.to_owned());
                self.text = after;
                return Some(before);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("the stream goes on or ends in time");
            match chunk.unwrap() {
                Some(chunk) => self.text.push_str(std::str::from_utf8(&chunk).unwrap()),
                None => return None,
            }
        }
    }

    /// The next block of an event stream that is no comment.
    pub async fn block(&mut self) -> Option<Block> {
        loop {
            let text = self.until("\n\n").await?;
            if text.starts_with(':') {
                continue;
            }
            let mut block = Block::default();
            for line in text.lines() {
                let (field, value) = line.split_once(':').unwrap();
                match (field, value.trim_start()) {
                    ("id", id) => block.id = Some(id.to_owned()),
                    ("event", name) => name.clone_into(&mut block.event),
                    ("data", "") => {}
                    ("data", data) => block.data = serde_json::from_str(data).unwrap(),
                    _ => panic!("{text}"),
                }
            }
            return Some(block);
        }
    }

    /// The next server-sent event: its name and data.
    pub async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let Block { event, data, .. } = self.block().await?;
            // A block without a name only says the position at which the stream begins.
            if !event.is_empty() && !is_sign_of_life(&data) {
                return Some((event, data));
            }
        }
    }

    /// The next part that is no heartbeat.
    pub async fn part(&mut self) -> Option<Value> {
        loop {
            let block = self.until("\r\n--graphql").await?;
            if block.is_empty() {
                continue;
            }
            let (head, body) = block.split_once("\r\n\r\n").unwrap();
            assert_eq!(head, "\r\ncontent-type: application/json");
            match serde_json::from_str(body).unwrap() {
                Value::Object(empty) if empty.is_empty() => {}
                part if is_sign_of_life(&part["payload"]) => {}
                part => return Some(part),
            }
        }
    }

    /// What is left when the body has ended.
    pub async fn rest(mut self) -> String {
        assert_eq!(self.until("\u{0}").await, None);
        self.text
    }
}

/// A block of an event stream.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub id: Option<String>,
    pub event: String,
    pub data: Value,
}

/// An event that only says how far the stream is.
fn is_sign_of_life(payload: &Value) -> bool {
    payload["data"]["metricStream"]["metrics"].as_array().is_some_and(Vec::is_empty)
}

pub fn posted(server: &Server, accept: &str, query: &str, variables: &Value) -> RequestBuilder {
    let request = server.request(Method::POST, "/graphql").header("accept", accept);
    request.json(&json!({ "query": query, "variables": variables }))
}

async fn server(settings: &str) -> Server {
    let settings = format!("self_monitoring.enabled = false\n{settings}");
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), &settings).await
}

/// Commits one number and answers the cursor behind it.
pub async fn commit(server: &Server, world: &World, value: u32) -> String {
    let mut metrics = builders::metrics(server.app.core().clock.now(), 1);
    metrics[0].value = f64::from(value);
    let core = server.app.core();
    core.cursors.receipt(builders::ingest(core, world.projects[0].key, metrics).await.unwrap())
}

pub fn variables(world: &World, after: &str) -> Value {
    json!({ "filter": { "projectIds": [world.id("project", 1)] }, "after": after })
}

fn value(payload: &Value) -> f64 {
    payload["data"]["metricStream"]["metrics"][0]["value"].as_f64().unwrap_or_else(|| panic!("no event: {payload}"))
}

/// Asks until the server has let go of every stream.
async fn until_nobody_watches(server: &Server) {
    let nobody = async {
        while server.app.engine().subscriptions_running() > 0 {
            server.get("/healthz").await;
        }
    };
    timeout(PATIENCE, nobody).await.expect("the server notices that its clients are gone");
}

on_both_databases! {
    async fn events_resume_after_a_cursor_and_go_on_live(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = commit(&server, &world, 1).await;
        commit(&server, &world, 2).await;
        let mut reader = Reader::open(posted(&server, EVENTS, STREAM, &variables(&world, &after))).await;
        assert_eq!(reader.header("content-type"), "text/event-stream; charset=utf-8");
        assert_eq!((reader.header("cache-control"), reader.header("x-accel-buffering")), ("no-store", "no"));
        assert_eq!((reader.header("content-encoding"), reader.header("content-length")), ("", ""));
        let mut cursors = Vec::new();
        for number in 2..6 {
            let (event, payload) = reader.event().await.unwrap();
            assert_eq!((event.as_str(), value(&payload)), ("next", f64::from(number)));
            cursors.push(payload["data"]["metricStream"]["cursor"].as_str().unwrap().to_owned());
            commit(&server, &world, number + 1).await;
        }
        // Cut off and resumed after the last cursor: nothing missed, nothing twice.
        drop(reader);
        until_nobody_watches(&server).await;
        let mut reader = Reader::open(posted(&server, EVENTS, STREAM, &variables(&world, &cursors[1]))).await;
        // What was missed comes together.
        let (_, payload) = reader.event().await.unwrap();
        let metrics = payload["data"]["metricStream"]["metrics"].as_array().unwrap();
        assert!(metrics.iter().map(|metric| metric["value"].as_f64().unwrap()).eq([4.0, 5.0, 6.0]), "{payload}");
    }
}

on_both_databases! {
    async fn parts_resume_after_a_cursor_and_go_on_live(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = commit(&server, &world, 1).await;
        commit(&server, &world, 2).await;
        let mut reader = Reader::open(posted(&server, PARTS, STREAM, &variables(&world, &after))).await;
        // gql 4.4 for Python looks for `boundary=graphql` and `subscriptionSpec=1.0` to the letter.
        assert_eq!(reader.header("content-type"), "multipart/mixed;boundary=graphql;subscriptionSpec=1.0");
        for number in 2..5 {
            let part = reader.part().await.unwrap();
            assert_eq!((value(&part["payload"]), part.as_object().unwrap().len()), (f64::from(number), 1), "{part}");
            commit(&server, &world, number + 1).await;
        }
        drop(reader);
        until_nobody_watches(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queries_and_mutations_are_one_event_and_the_end() {
    let server = server("").await;
    let world = server.seed("organizations=1 projects=1").await;
    let query = "{ viewer { role } }";
    let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
    let metric = json!({ "type": "CUSTOM", "endpoint": "e", "value": 1 });
    let input = json!({ "input": { "projectId": world.id("project", 1), "metrics": [metric] } });
    let by_get = |text: &str| {
        let url = reqwest::Url::parse_with_params(&server.url("/graphql"), [("query", text)]).unwrap();
        server.client.get(url).header("accept", EVENTS)
    };
    for (request, data) in [
        (posted(&server, EVENTS, query, &Value::Null), json!({ "viewer": { "role": "OWNER" } })),
        (by_get(query), json!({ "viewer": { "role": "OWNER" } })),
        (posted(&server, EVENTS, mutation, &input), json!({ "ingestMetrics": { "accepted": 1 } })),
    ] {
        let mut reader = Reader::open(request).await;
        assert_eq!(reader.event().await, Some(("next".to_owned(), json!({ "data": data }))));
        assert_eq!(reader.event().await, Some(("complete".to_owned(), Value::Null)));
        assert_eq!(reader.rest().await, "");
    }
    let refused =
        send(by_get("mutation { ingestMetrics(input: { projectId: \"x\", metrics: [] }) { accepted } }")).await;
    assert_eq!((refused.status.as_u16(), refused.header("allow")), (405, "POST"));
    // Where a single answer is as welcome, a query is one.
    let plain = send(posted(&server, PARTS, query, &Value::Null)).await;
    assert_eq!(plain.header("content-type"), "application/json; charset=utf-8");
    let mut reader = Reader::open(posted(&server, PARTS_ALONE, query, &Value::Null)).await;
    assert_eq!(reader.part().await.unwrap(), json!({ "payload": { "data": { "viewer": { "role": "OWNER" } } } }));
    assert_eq!(reader.rest().await, "--\r\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_at_the_start_are_sent_inside_the_stream() {
    let server = server("").await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("subscription { metricStream(filter: {}, after: \"x\") { cursor } }", "BAD_USER_INPUT"),
        ("subscription { metricStream(filter: { projectIds: [\"x\"] }) { cursor } }", "BAD_USER_INPUT"),
    ] {
        let mut reader = Reader::open(posted(&server, EVENTS, query, &Value::Null)).await;
        let (event, payload) = reader.event().await.unwrap();
        assert_eq!((event.as_str(), &payload["errors"][0]["extensions"]["code"]), ("next", &json!(code)), "{payload}");
        assert!(payload.get("data").is_none(), "{payload}");
        assert_eq!(reader.event().await, Some(("complete".to_owned(), Value::Null)));
        assert_eq!(reader.rest().await, "");

        let mut reader = Reader::open(posted(&server, PARTS_ALONE, query, &Value::Null)).await;
        let part = reader.part().await.unwrap();
        assert_eq!(part["payload"]["errors"][0]["extensions"]["code"], code, "{part}");
        assert_eq!(reader.rest().await, "--\r\n");
    }
    // What is no request has no stream.
    for (content_type, body, status) in
        [("text/plain", "{}", 415), ("application/json", "{", 400), ("application/json", "[{}]", 400)]
    {
        let request = server.request(Method::POST, "/graphql").header("accept", EVENTS);
        let reply = send(request.header("content-type", content_type).body(body)).await;
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (status, "BAD_USER_INPUT"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_streams_give_signs_of_life_and_are_counted() {
    let server = server("server.heartbeat_interval_ms = 5\nlimits.streams_max = 2").await;
    let query = "subscription { metricStream(filter: {}) { cursor } }";
    let mut events = Reader::open(posted(&server, EVENTS, query, &Value::Null)).await;
    let mut parts = Reader::open(posted(&server, PARTS, query, &Value::Null)).await;
    let mut blocks = Vec::new();
    while blocks.len() < 4 {
        blocks.push(events.until("\n\n").await.unwrap());
    }
    assert!(blocks[0] == ":" && blocks.iter().filter(|block| block.as_str() == ":").count() >= 3, "{blocks:?}");
    assert_eq!(parts.until("\r\n--graphql").await.unwrap(), "", "the opening comes before anything happens");
    for _ in 0..3 {
        let part = parts.until("\r\n--graphql").await.unwrap();
        assert_eq!(part, "\r\ncontent-type: application/json\r\n\r\n{}");
    }
    let refused = send(posted(&server, EVENTS, query, &Value::Null)).await;
    assert_eq!((refused.status.as_u16(), refused.header("retry-after")), (503, "1"));
    assert_eq!(refused.error().0, "UNAVAILABLE");
    // Whoever goes makes room.
    drop(events);
    let room =
        async { while send(posted(&server, EVENTS, "{ viewer { role } }", &Value::Null)).await.status != 200 {} };
    timeout(PATIENCE, room).await.expect("there is room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_ends_streams_without_saying_that_they_are_complete() {
    let server = server("").await;
    let world = server.seed("organizations=1 projects=1").await;
    let after = commit(&server, &world, 1).await;
    commit(&server, &world, 2).await;
    let mut events = Reader::open(posted(&server, EVENTS, STREAM, &variables(&world, &after))).await;
    let mut parts = Reader::open(posted(&server, PARTS, STREAM, &variables(&world, &after))).await;
    assert_eq!(value(&events.event().await.unwrap().1), 2.0);
    assert_eq!(value(&parts.part().await.unwrap()["payload"]), 2.0);
    let (last_event, last_part, _) = tokio::join!(events.event(), parts.part(), server.stop());
    assert_eq!(last_event, None, "a client that hears of no end comes back");
    let last_part = last_part.unwrap();
    assert_eq!(
        (&last_part["payload"], &last_part["errors"][0]["extensions"]["code"]),
        (&Value::Null, &json!("UNAVAILABLE"))
    );
    assert_eq!(parts.rest().await, "--\r\n");
    assert!(events.rest().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_delays_no_other_and_misses_no_event() {
    let server = server("live.channel_batches_max = 4").await;
    let world = server.seed("organizations=1 projects=1").await;
    let after = commit(&server, &world, 0).await;
    let mut slow = Reader::open(posted(&server, EVENTS, STREAM, &variables(&world, &after))).await;
    let mut quick = Reader::open(posted(&server, EVENTS, STREAM, &variables(&world, &after))).await;
    let numbers = 1..200;
    for number in numbers.clone() {
        commit(&server, &world, number).await;
        assert_eq!(value(&quick.event().await.unwrap().1), f64::from(number));
    }
    for number in numbers {
        assert_eq!(value(&slow.event().await.unwrap().1), f64::from(number));
    }
}

on_both_databases! {
    async fn the_real_client_of_events(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let client = |count: u32, query: &str, variables: &Value| {
            let arguments = [server.url("/graphql"), count.to_string(), query.to_owned(), variables.to_string()];
            NodeClient::start("events.mjs", &arguments)
        };
        let mut query = client(9, "{ viewer { role } }", &Value::Null);
        assert_eq!(query.next().await, json!({ "data": { "viewer": { "role": "OWNER" } } }));
        assert_eq!(query.next().await, json!({ "completed": true }));
        assert_eq!(query.exit_code().await, Some(0));

        let mut wrong = client(9, "{ nothing }", &Value::Null);
        assert_eq!(wrong.next().await["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        assert_eq!(wrong.next().await, json!({ "completed": true }));

        let after = commit(&server, &world, 1).await;
        commit(&server, &world, 2).await;
        let mut stream = client(3, STREAM, &variables(&world, &after));
        for number in 2..5 {
            assert_eq!(value(&stream.next().await), f64::from(number));
            commit(&server, &world, number + 1).await;
        }
        assert_eq!(stream.exit_code().await, Some(0));
        until_nobody_watches(&server).await;

        // To this client an end without `complete` is a lost connection, which it would retry.
        let mut cut = client(9, STREAM, &variables(&world, &after));
        assert_eq!(value(&cut.next().await), 2.0);
        server.stop().await;
        assert_eq!(cut.exit_code().await, Some(1));
    }
}

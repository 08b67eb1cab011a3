//! The stream as clients see it: the real `graphql-ws` client over a real socket, and the protocol frame by frame.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use perfgraph::{
    app::App,
    clock::Clock,
    config::{Config, Overrides},
    model::{Key, ProjectId},
};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    harness::{NodeClient, Server, TestDatabase, World, builders, process::PATIENCE},
    on_both_databases,
};

const STREAM: &str = "subscription ($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after, maxDelay: \"PT0.001S\") { cursor metrics { endpoint value project { name } } }
}";

/// The real client, subscribed and connected.
async fn client(server: &Server, count: usize, variables: &Value) -> NodeClient {
    let arguments = [server.websocket_url(), count.to_string(), STREAM.to_owned(), variables.to_string()];
    let mut client = NodeClient::start("subscribe.mjs", &arguments);
    assert_eq!(client.next().await, json!({ "connected": true }));
    client
}

/// Sends rows over HTTP, each with a number as its value, and answers the cursor.
async fn ingest(server: &Server, world: &World, project: usize, values: &[i32]) -> Value {
    let metrics: Vec<_> =
        values.iter().map(|value| json!({ "type": "CUSTOM", "endpoint": "numbered", "value": value })).collect();
    let mutation = "mutation ($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted cursor } }";
    let variables = json!({ "input": { "projectId": world.id("project", project), "metrics": metrics } });
    let data = server.graphql(mutation, variables).await.data();
    assert_eq!(data["ingestMetrics"]["accepted"], values.len());
    data["ingestMetrics"]["cursor"].clone()
}

fn event(payload: &Value) -> &Value {
    let event = &payload["data"]["metricStream"];
    assert!(payload.get("errors").is_none() && event.is_object(), "{payload}");
    event
}

fn values(payload: &Value) -> Vec<f64> {
    let metrics = event(payload)["metrics"].as_array().unwrap();
    metrics.iter().map(|metric| metric["value"].as_f64().unwrap()).collect()
}

on_both_databases! {
    async fn a_subscriber_sees_exactly_what_is_committed_in_order(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=2").await;
        let filter = json!({ "filter": { "projectIds": [world.id("project", 1)] } });
        // Enough that the client does not leave before we have seen all that we sent.
        let mut client = client(&server, 1_000, &filter).await;
        // An acknowledged socket is not yet a running stream: the first event says that it is.
        let mut last = 0;
        let mut first = loop {
            last += 1;
            ingest(&server, &world, 1, &[last]).await;
            if let Ok(payload) = timeout(Duration::from_millis(20), client.lines.next_line()).await {
                break serde_json::from_str::<Value>(&payload.unwrap().unwrap()).unwrap();
            }
        };
        // From the first number that was seen there is no gap and no repeat.
        let mut seen = values(&first);
        while seen.last() < Some(&f64::from(last)) {
            first = client.next().await;
            seen.extend(values(&first));
        }
        let numbers: Vec<_> = (0..=last).map(f64::from).skip_while(|number| *number < seen[0]).collect();
        assert_eq!(seen, numbers);
        // A batch is one event; what goes to another project is none.
        ingest(&server, &world, 2, &[7]).await;
        ingest(&server, &world, 1, &[101, 102, 103]).await;
        let batch = client.next().await;
        assert_eq!(values(&batch), [101.0, 102.0, 103.0]);
        assert_eq!(event(&batch)["metrics"][0], json!({
            "endpoint": "numbered", "value": 101, "project": { "name": "Project 001" }
        }));
    }
}

on_both_databases! {
    async fn a_stream_resumes_where_its_cursor_stands(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=2").await;
        ingest(&server, &world, 1, &[1]).await;
        let after = ingest(&server, &world, 1, &[2, 3]).await;
        ingest(&server, &world, 1, &[4]).await;
        ingest(&server, &world, 2, &[99]).await;
        ingest(&server, &world, 1, &[5, 6]).await;
        let filter = json!({ "projectIds": [world.id("project", 1)] });
        let mut client = client(&server, 2, &json!({ "filter": filter, "after": after })).await;
        assert_eq!(values(&client.next().await), [4.0, 5.0, 6.0]);
        // The live tail joins on without a gap.
        ingest(&server, &world, 1, &[7]).await;
        assert_eq!(values(&client.next().await), [7.0]);
        assert_eq!(client.exit_code().await, Some(0));
    }
}

on_both_databases! {
    async fn a_filter_that_names_nothing_is_an_error(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let absent = Key::new(world.projects[0].key.organization, ProjectId(1));
        let absent = perfgraph::graphql::node::NodeId::Project(absent).encode().0;
        let variables = [
            (json!({ "filter": { "projectIds": ["nonsense"] } }), "BAD_USER_INPUT"),
            (json!({ "filter": { "projectIds": [world.id("project", 1), absent] } }), "NOT_FOUND"),
            (json!({ "filter": { "organizationId": "nonsense" } }), "BAD_USER_INPUT"),
            (json!({ "filter": {}, "after": "nonsense" }), "BAD_USER_INPUT"),
            (json!({ "filter": { "minValue": "much" } }), "BAD_USER_INPUT"),
            (json!({}), "BAD_USER_INPUT"),
        ];
        for (variables, code) in variables {
            let mut client = client(&server, 1, &variables).await;
            // The library answers a refusal as an event with errors, or as an error.
            let line = timeout(PATIENCE, client.lines.next_line()).await.unwrap().unwrap();
            let text = match line {
                Some(line) => line,
                None => client.stderr().await,
            };
            assert!(text.contains(&format!("\"code\":\"{code}\"")), "{variables}: {text}");
        }
    }
}

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(server: &Server) -> Self {
        let mut request = server.websocket_url().into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().unwrap());
        let (socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "graphql-transport-ws");
        Self(socket)
    }

    async fn acknowledged(server: &Server) -> Self {
        let mut socket = Self::open(server).await;
        socket.send(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.receive().await, json!({ "type": "connection_ack" }));
        socket
    }

    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn frame(&mut self) -> Message {
        timeout(PATIENCE, self.0.next()).await.expect("a frame comes in time").expect("the socket is open").unwrap()
    }

    async fn receive(&mut self) -> Value {
        match self.frame().await {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("expected a message, got {other:?}"),
        }
    }

    /// Reads to the end: what was said until then, and whether the server said good-bye.
    async fn closed(&mut self) -> Vec<Value> {
        let mut said = Vec::new();
        loop {
            match self.frame().await {
                Message::Text(text) => said.push(serde_json::from_str(&text).unwrap()),
                Message::Close(Some(_)) => return said,
                Message::Close(None) => panic!("closed without a code"),
                _ => {}
            }
        }
    }
}

on_both_databases! {
    async fn the_protocol_frame_by_frame(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let mut socket = Socket::acknowledged(&server).await;
        socket.send(json!({ "type": "ping" })).await;
        assert_eq!(socket.receive().await["type"], "pong");
        // A query is one answer and its end.
        let query = json!({ "query": "{ viewer { role } }" });
        socket.send(json!({ "id": "q", "type": "subscribe", "payload": query })).await;
        let answer = json!({ "id": "q", "type": "next", "payload": { "data": { "viewer": { "role": "OWNER" } } } });
        assert_eq!(socket.receive().await, answer);
        assert_eq!(socket.receive().await, json!({ "id": "q", "type": "complete" }));
        // A stream from a cursor needs nobody to wait until it runs.
        let after = ingest(&server, &world, 1, &[1]).await;
        ingest(&server, &world, 1, &[2]).await;
        let filter = json!({ "projectIds": [world.id("project", 1)] });
        let payload = json!({ "query": STREAM, "variables": { "filter": filter, "after": after } });
        socket.send(json!({ "id": "s", "type": "subscribe", "payload": payload })).await;
        let event = socket.receive().await;
        assert_eq!((&event["id"], &event["type"], values(&event["payload"])), (&json!("s"), &json!("next"), vec![2.0]));
        socket.send(json!({ "id": "s", "type": "complete" })).await;
        socket.send(json!({ "type": "ping" })).await;
        // Messages are taken in order, so by now the stream is over; the server may have said so itself.
        while socket.receive().await["type"] != "pong" {}
        ingest(&server, &world, 1, &[3]).await;
        socket.send(json!({ "type": "ping" })).await;
        assert_eq!(socket.receive().await["type"], "pong", "nothing comes of a stream that the client completed");
        // The id is free again.
        socket.send(json!({ "id": "s", "type": "subscribe", "payload": { "query": "{ viewer { role } }" } })).await;
        assert_eq!(socket.receive().await["type"], "next");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_socket_that_breaks_the_protocol_is_closed_and_nothing_is_run() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let mut early = Socket::open(&server).await;
    early.send(json!({ "id": "1", "type": "subscribe", "payload": { "query": "{ viewer { role } }" } })).await;
    assert_eq!(early.closed().await, Vec::<Value>::new());
    let mut twice = Socket::acknowledged(&server).await;
    twice.send(json!({ "type": "connection_init" })).await;
    assert_eq!(twice.closed().await, Vec::<Value>::new());
    // Others are not disturbed.
    drop(Socket::acknowledged(&server).await);
}

on_both_databases! {
    async fn a_stop_ends_sockets_and_streams(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let after = builders::ingest(server.app.core(), world.projects[0].key, builders::metrics(server.app.core().clock.now(), 1)).await;
        ingest(&server, &world, 1, &[1]).await;
        let mut socket = Socket::acknowledged(&server).await;
        let filter = json!({ "projectIds": [world.id("project", 1)] });
        let payload = json!({ "query": STREAM, "variables": { "filter": filter, "after": server.app.core().cursors.receipt(after.unwrap()) } });
        socket.send(json!({ "id": "s", "type": "subscribe", "payload": payload })).await;
        assert_eq!(socket.receive().await["type"], "next");
        let ended = async {
            while let Ok(Some(Ok(frame))) = timeout(PATIENCE, socket.0.next()).await {
                assert!(matches!(frame, Message::Text(_) | Message::Close(_) | Message::Ping(_)), "{frame:?}");
            }
        };
        let (_, ()) = timeout(PATIENCE, async { tokio::join!(server.stop(), ended) }).await.expect("the server stops");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_in_typescript_goes_on_at_another_instance() {
    let first = Server::fixed(TestDatabase::postgres().await).await;
    let world = first.seed("organizations=1 projects=1").await;
    let settings = "server.listen = '127.0.0.1:0'\nserver.node = 1\nself_monitoring.enabled = false\n";
    let environment = [("DATABASE_URL".to_owned(), first.database.url.clone())];
    let config = Config::from_sources(Some(settings), &environment, &Overrides::default()).unwrap();
    let clock = Clock::fixed(first.app.core().clock.now().plus_micros(1_000_000));
    let second = App::start(&config, clock).await.unwrap();
    let after = ingest(&first, &world, 1, &[0]).await;
    let urls = format!("{},ws://{}/graphql", first.websocket_url(), second.address());
    let filter = json!({ "projectIds": [world.id("project", 1)] }).to_string();
    let arguments = [urls, filter, after.as_str().unwrap().to_owned(), "60".to_owned()];
    let mut client = NodeClient::start("resume.mjs", &arguments);
    for number in 1..=30 {
        ingest(&first, &world, 1, &[number]).await;
    }
    for number in 1..=30 {
        assert_eq!(client.next().await, json!(number));
    }
    // Nobody hears of these at the first, which is gone.
    let _database = first.stop().await;
    let core = second.core();
    for number in 31..=60 {
        let mut metrics = builders::metrics(core.clock.now(), 1);
        metrics[0].value = f64::from(number);
        builders::ingest(core, world.projects[0].key, metrics).await.unwrap();
    }
    for number in 31..=60 {
        assert_eq!(client.next().await, json!(number));
    }
    assert_eq!(client.exit_code().await, Some(0));
    second.stop().await;
}

//! graphql-transport-ws on the raw socket: every close code, rule and limit that the protocol and the limits name.

use futures_util::{SinkExt, StreamExt};
use perfgraph::clock::Clock;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue, protocol::frame::CloseFrame},
};

use crate::{
    harness::{Server, TestDatabase, builders, node, process::PATIENCE, server::NOW, wait::until},
    on_both_databases,
};

const SUBSCRIPTION: &str = "subscription { metricStream(filter: {}) { cursor } }";

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    async fn open(server: &Server) -> Self {
        Self::with_headers(server, &[("sec-websocket-protocol", "graphql-transport-ws")]).await.unwrap()
    }

    async fn with_headers(server: &Server, headers: &[(&'static str, &'static str)]) -> Result<Self, Error> {
        let mut request = server.websocket_url().into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_static(value));
        }
        connect_async(request).await.map(|(socket, _)| Self(socket))
    }

    /// An open socket that has introduced itself.
    async fn acknowledged(server: &Server) -> Self {
        let mut socket = Self::open(server).await;
        socket.say(json!({ "type": "connection_init" })).await;
        assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
        socket
    }

    async fn say(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } })).await;
    }

    async fn hear(&mut self) -> Value {
        match self.0.next().await.unwrap().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                Message::Close(Some(CloseFrame { code, reason })) => return (code.into(), reason.to_string()),
                Message::Close(None) => panic!("closed without a code"),
                _ => {}
            }
        }
    }
}

/// Where the database does not matter.
async fn server(settings: &str) -> Server {
    server_on(TestDatabase::sqlite().await, settings).await
}

async fn server_on(database: TestDatabase, settings: &str) -> Server {
    let settings = format!("self_monitoring.enabled = false\n{settings}");
    Server::start(database, Clock::fixed(NOW), &settings).await
}

#[tokio::test]
async fn only_the_one_sub_protocol_and_pages_of_this_server_get_a_socket() {
    let server = server("").await;
    let refused = [
        vec![],
        vec![("sec-websocket-protocol", "graphql-ws")],
        vec![("sec-websocket-protocol", "graphql-transport-ws"), ("origin", "https://example.com")],
    ];
    for headers in refused {
        match Socket::with_headers(&server, &headers).await {
            Err(Error::Http(response)) => assert!([400, 403].contains(&response.status().as_u16()), "{headers:?}"),
            other => panic!("{headers:?}: {}", other.is_ok()),
        }
    }
    let several = [("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")];
    assert!(Socket::with_headers(&server, &several).await.is_ok());
}

#[tokio::test]
async fn breaches_of_the_protocol_close_with_its_codes() {
    let server = server("").await;

    let mut socket = Socket::open(&server).await;
    socket.subscribe("1", SUBSCRIPTION).await;
    assert_eq!(socket.closed().await, (4401, "Unauthorized".to_owned()));

    let mut socket = Socket::acknowledged(&server).await;
    socket.say(json!({ "type": "connection_init" })).await;
    assert_eq!(socket.closed().await, (4429, "Too many initialisation requests".to_owned()));

    let mut socket = Socket::acknowledged(&server).await;
    socket.subscribe("a", SUBSCRIPTION).await;
    socket.subscribe("a", SUBSCRIPTION).await;
    assert_eq!(socket.closed().await, (4409, "Subscriber for a already exists".to_owned()));

    for wrong in [r#"{"type":"start"}"#, "{", r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#, "[1]"] {
        let mut socket = Socket::acknowledged(&server).await;
        socket.0.send(Message::text(wrong)).await.unwrap();
        assert_eq!(socket.closed().await.0, 4400, "{wrong}");
    }
    let mut socket = Socket::acknowledged(&server).await;
    socket.0.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(socket.closed().await.0, 4400);
}

#[tokio::test]
async fn a_socket_without_connection_init_is_closed() {
    let server = server("limits.connection_init_timeout_ms = 50").await;
    let mut socket = Socket::open(&server).await;
    assert_eq!(socket.closed().await, (4408, "Connection initialisation timeout".to_owned()));
}

#[tokio::test]
async fn pings_are_answered_with_their_payload_also_before_the_introduction() {
    let server = server("").await;
    let mut socket = Socket::open(&server).await;
    socket.say(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    socket.say(json!({ "type": "ping" })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong" }));
}

#[tokio::test]
async fn a_socket_that_misses_two_pings_is_closed() {
    let server = server("server.ping_interval_ms = 50").await;
    let mut silent = Socket::acknowledged(&server).await;
    let mut pings = 0;
    let end = loop {
        match silent.0.next().await.unwrap().unwrap() {
            Message::Text(text) if text.as_str() == r#"{"type":"ping"}"# => pings += 1,
            Message::Close(Some(CloseFrame { code, reason })) => break (u16::from(code), reason.to_string()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((pings, end), (2, (1001, "No answer to pings".to_owned())));
    let mut alive = Socket::acknowledged(&server).await;
    for number in 0..6 {
        assert_eq!(alive.hear().await, json!({ "type": "ping" }));
        alive.say(json!({ "type": "pong", "payload": { "number": number } })).await;
    }
    alive.subscribe("1", "{ viewer { role } }").await;
    assert_eq!(alive.hear().await["type"], "next");
}

on_both_databases! {
    async fn queries_answer_once_and_ids_are_free_again(database: TestDatabase) {
        let server = server_on(database, "").await;
        let world = server.seed("organizations=1 employees=1").await;
        let mut socket = Socket::acknowledged(&server).await;
        let query = format!("{{ organization(id: \"{}\") {{ name }} }}", world.id("organization", 1));
        for _ in 0..2 {
            socket.subscribe("q", &query).await;
            let data = json!({ "organization": { "name": world.organizations[0].name } });
            assert_eq!(socket.hear().await, json!({ "type": "next", "id": "q", "payload": { "data": data } }));
            assert_eq!(socket.hear().await, json!({ "type": "complete", "id": "q" }));
        }
    }
}

const PEOPLE: &str = "{ organizations(first: 1) { nodes { name employees(first: 2) { nodes { name } } } } }";

on_both_databases! {
    async fn five_hundred_operations_share_a_socket(database: TestDatabase) {
        let server = server_on(database, "").await;
        server.seed("organizations=1 employees=3").await;
        let mut socket = Socket::acknowledged(&server).await;
        let mut first = None;
        // As many side by side as may be, with ids used again and again; answers come in any order.
        for _ in 0..10 {
            let mut open: std::collections::BTreeSet<String> = (0..50).map(|number| format!("o{number}")).collect();
            for id in &open {
                socket.subscribe(id, PEOPLE).await;
            }
            while !open.is_empty() {
                let message = socket.hear().await;
                let id = message["id"].as_str().unwrap();
                match message["type"].as_str().unwrap() {
                    "next" => {
                        assert!(message["payload"]["data"]["organizations"]["nodes"][0]["name"].is_string(), "{message}");
                        assert_eq!(first.get_or_insert_with(|| message["payload"].clone()), &message["payload"]);
                    }
                    "complete" => assert!(open.remove(id), "{message}"),
                    _ => panic!("{message}"),
                }
            }
        }
        socket.say(json!({ "type": "ping" })).await;
        assert_eq!(socket.hear().await, json!({ "type": "pong" }), "and nothing else is left to say");
    }
}

on_both_databases! {
    async fn the_real_client_runs_five_hundred_operations_on_one_socket(database: TestDatabase) {
        let server = server_on(database, "").await;
        server.seed("organizations=1 employees=3").await;
        let arguments = [server.websocket_url(), "500".to_owned(), "50".to_owned(), PEOPLE.to_owned()];
        let said = node::run("operations.mjs", &arguments).await;
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(said, json!({ "answered": 500, "distinct": 1, "sockets": 1 }));
    }
}

on_both_databases! {
    async fn twenty_sockets_that_vanish_leave_nothing_behind(database: TestDatabase) {
        let server = server_on(database, "limits.sockets_max = 20").await;
        for _ in 0..2 {
            let mut sockets = Vec::new();
            for _ in 0..20 {
                // Those that just vanished may still hold their place for a moment.
                let socket = async {
                    loop {
                        let headers = [("sec-websocket-protocol", "graphql-transport-ws")];
                        if let Ok(socket) = Socket::with_headers(&server, &headers).await {
                            return socket;
                        }
                    }
                };
                let mut socket = timeout(PATIENCE, socket).await.expect("places are given back");
                socket.say(json!({ "type": "connection_init" })).await;
                assert_eq!(socket.hear().await, json!({ "type": "connection_ack" }));
                for id in ["a", "b", "c"] {
                    socket.subscribe(id, SUBSCRIPTION).await;
                }
                sockets.push(socket);
            }
            let engine = server.app.engine();
            let until = async |count: usize| {
                let reached = async {
                    while engine.subscriptions_running() != count {
                        server.get("/healthz").await;
                    }
                };
                timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{} of {count} executions", engine.subscriptions_running()));
            };
            // All of them watch the same, so one stream serves them.
            until(1).await;
            // Without a word of farewell.
            drop(sockets);
            until(0).await;
        }
    }
}

on_both_databases! {
    async fn what_cannot_begin_is_an_error_and_others_go_on(database: TestDatabase) {
        let server = server_on(database, "limits.subscriptions_per_socket_max = 2").await;
        let mut socket = Socket::acknowledged(&server).await;
        for (document, code) in [
            ("{", "GRAPHQL_PARSE_FAILED"),
            ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
            (&format!("{{ {} id {} }}", "a {".repeat(20), "}".repeat(20)), "COMPLEXITY_LIMIT"),
        ] {
            socket.subscribe("x", document).await;
            let answer = socket.hear().await;
            assert_eq!(answer["type"], "error", "{answer}");
            assert_eq!(answer["payload"][0]["extensions"]["code"], code, "{answer}");
        }
        socket.subscribe("1", SUBSCRIPTION).await;
        socket.subscribe("2", SUBSCRIPTION).await;
        socket.subscribe("3", "{ viewer { role } }").await;
        let answer = socket.hear().await;
        assert_eq!((&answer["type"], &answer["id"]), (&json!("error"), &json!("3")), "{answer}");
        assert_eq!(answer["payload"][0]["extensions"]["code"], "COMPLEXITY_LIMIT", "{answer}");
        socket.say(json!({ "type": "complete", "id": "2" })).await;
        socket.subscribe("3", "{ viewer { role } }").await;
        assert_eq!(socket.hear().await["type"], "next");
    }
}

#[tokio::test]
async fn too_many_sockets_and_too_large_messages_are_refused() {
    let server = server("limits.sockets_max = 1").await;
    let mut only = Socket::acknowledged(&server).await;
    let protocol = [("sec-websocket-protocol", "graphql-transport-ws")];
    match Socket::with_headers(&server, &protocol).await {
        Err(Error::Http(response)) => assert_eq!(response.status().as_u16(), 503),
        other => panic!("{}", other.is_ok()),
    }
    only.say(json!({ "type": "ping", "payload": { "text": "x".repeat(60_000) } })).await;
    assert_eq!(only.hear().await["type"], "pong", "what is large but within the limit is taken");
    let sized = |bytes: usize| {
        let ping = json!({ "type": "ping" }).to_string();
        Message::text(format!("{ping}{}", " ".repeat(bytes - ping.len())))
    };
    only.0.send(sized(65_536)).await.unwrap();
    assert_eq!(only.hear().await["type"], "pong");
    only.0.send(sized(65_537)).await.unwrap();
    assert_eq!(only.closed().await, (1009, "Message too large: the maximum is 65536 bytes".to_owned()));
    drop(only);
    until("the socket is free", async || Socket::with_headers(&server, &protocol).await.is_ok()).await;
    assert_eq!(server.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_values_and_the_depth_of_a_message_are_limited() {
    let server = server("limits.request_values_max = 100\nlimits.request_depth_max = 10").await;
    // The message, its type, its payload and the list.
    let values = |values: usize| json!({ "type": "ping", "payload": { "x": vec![1; values - 4] } });
    let depth = |levels: usize| {
        let nested = (2..levels).fold(json!(1), |inner, _| json!([inner]));
        json!({ "type": "ping", "payload": { "x": nested } })
    };
    for (fits, exceeds) in [(values(100), values(101)), (depth(10), depth(11))] {
        let mut socket = Socket::acknowledged(&server).await;
        socket.say(fits).await;
        assert_eq!(socket.hear().await["type"], "pong");
        socket.say(exceeds).await;
        let (code, reason) = socket.closed().await;
        assert!(code == 4400 && reason.contains("the maximum is"), "{code} {reason}");
    }
}

on_both_databases! {
    async fn a_draining_server_tells_its_sockets(database: TestDatabase) {
        let server = server_on(database, "").await;
        let mut socket = Socket::acknowledged(&server).await;
        socket.subscribe("1", SUBSCRIPTION).await;
        let (closed, _) = tokio::join!(socket.closed(), server.stop());
        assert_eq!(closed.0, 1012);
    }
}

#[tokio::test]
async fn a_payload_of_another_form_closes_the_socket() {
    let server = server("").await;
    for (payload, name) in [
        (json!({}), "payload.query"),
        (json!({ "variables": {} }), "payload.query"),
        (json!({ "query": null }), "payload.query"),
        (json!({ "query": 1 }), "payload.query"),
        (json!({ "query": "{ viewer { role } }", "variables": [1] }), "payload.variables"),
        (json!({ "query": "{ viewer { role } }", "variables": "x" }), "payload.variables"),
        (json!({ "query": "{ viewer { role } }", "operationName": 7 }), "payload.operationName"),
        (json!({ "query": "{ viewer { role } }", "extensions": [] }), "payload.extensions"),
    ] {
        let mut socket = Socket::acknowledged(&server).await;
        socket.say(json!({ "type": "subscribe", "id": "1", "payload": payload })).await;
        let (code, reason) = socket.closed().await;
        assert!(code == 4400 && reason.contains(name), "{payload}: {code} {reason}");
    }
    for message in [
        json!({ "type": "subscribe", "id": "1" }),
        json!({ "type": "subscribe", "id": "1", "payload": null }),
        json!({ "type": "subscribe", "id": "1", "payload": [] }),
        json!({ "type": "subscribe", "id": 1, "payload": { "query": "{ viewer { role } }" } }),
        json!({ "type": "complete" }),
        json!({ "type": "ping", "payload": "x" }),
        json!({ "type": "pong", "payload": [1] }),
        json!({ "type": "connection_init", "payload": "x" }),
        json!({ "type": 1 }),
        json!("subscribe"),
    ] {
        let mut socket = Socket::acknowledged(&server).await;
        socket.say(message.clone()).await;
        assert_eq!(socket.closed().await.0, 4400, "{message}");
    }
    // A request of the right form that cannot be executed fails alone, and null stands for what is left out.
    let mut socket = Socket::acknowledged(&server).await;
    socket.say(json!({ "type": "subscribe", "id": "1", "payload": { "query": "" } })).await;
    assert_eq!(socket.hear().await["type"], "error");
    let unknown = json!({ "extensions": { "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } } });
    socket.say(json!({ "type": "subscribe", "id": "1", "payload": unknown })).await;
    let answer = socket.hear().await;
    assert_eq!(answer["payload"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND", "{answer}");
    let nulls = json!({ "query": "{ viewer { role } }", "variables": null, "operationName": null, "extensions": null });
    socket.say(json!({ "type": "subscribe", "id": "1", "payload": nulls })).await;
    assert_eq!(socket.hear().await["type"], "next");
    assert_eq!(socket.hear().await["type"], "complete");
    socket.say(json!({ "type": "ping", "payload": null })).await;
    assert_eq!(socket.hear().await, json!({ "type": "pong" }));
}

/// A masked frame of a client. The mask is zero, which leaves the bytes as they are.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    [&[first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0], payload].concat()
}

/// Sends bytes on an acknowledged socket, and reads the code of the close frame.
async fn code_after(server: &Server, bytes: &[u8]) -> u16 {
    let Socket(socket) = Socket::acknowledged(server).await;
    let MaybeTlsStream::Plain(mut connection) = socket.into_inner() else { panic!("no encryption") };
    connection.write_all(bytes).await.unwrap();
    let mut answer = [0; 4];
    timeout(PATIENCE, connection.read_exact(&mut answer)).await.expect("the server closes").unwrap();
    assert_eq!(answer[0], 0x88, "no close frame: {answer:?}");
    u16::from_be_bytes([answer[2], answer[3]])
}

#[tokio::test]
async fn frames_that_break_the_protocol_close_with_its_codes() {
    let server = server("").await;
    let too_long = [&[0x89, 0x80 | 0x7e, 0, 126, 0, 0, 0, 0][..], &[b'x'; 126]].concat();
    for (bytes, code, breach) in [
        (vec![0x81, 1, b'x'], 1002, "a frame without a mask"),
        (frame(0x81 | 0x40, b"{}"), 1002, "a reserved bit"),
        (frame(0x83, b"{}"), 1002, "an unknown data frame"),
        (frame(0x8b, b""), 1002, "an unknown control frame"),
        (frame(0x80, b"{}"), 1002, "a continuation of nothing"),
        (frame(0x09, b""), 1002, "a ping in parts"),
        (too_long, 1002, "a ping of more than 125 bytes"),
        ([frame(0x01, b"{"), frame(0x81, b"}")].concat(), 1002, "a message inside of another"),
        (frame(0x81, b"\xff"), 1007, "a text that is not UTF-8"),
        ([frame(0x01, b"\"\xc3"), frame(0x80, b"\"")].concat(), 1007, "a text in parts that is not UTF-8"),
        (frame(0x88, &[0x03, 0xe8]), 1000, "the answer to a close frame is its code"),
        (frame(0x88, &[0x03, 0xed]), 1002, "a code that must not be sent"),
        (frame(0x88, &[0x03]), 1002, "half a code"),
        (frame(0x88, &[0x03, 0xe8, 0xff]), 1007, "a reason that is not UTF-8"),
    ] {
        assert_eq!(code_after(&server, &bytes).await, code, "{breach}");
    }
    // A text may come in parts, with a ping in between.
    let parts = [frame(0x01, b"{\"type\":"), frame(0x89, b""), frame(0x80, b"\"pong\"}"), frame(0x88, &[0x03, 0xe8])];
    let Socket(socket) = Socket::acknowledged(&server).await;
    let MaybeTlsStream::Plain(mut connection) = socket.into_inner() else { panic!("no encryption") };
    connection.write_all(&parts.concat()).await.unwrap();
    let mut answer = [0; 6];
    timeout(PATIENCE, connection.read_exact(&mut answer)).await.expect("the server answers").unwrap();
    assert_eq!(answer, [0x8a, 0, 0x88, 2, 0x03, 0xe8]);
}

on_both_databases! {
    async fn a_cursor_cannot_resume_streams_of_several_organizations(database: TestDatabase) {
        let server = server_on(database, "").await;
        let world = server.seed("organizations=2 projects=1").await;
        let now = server.app.core().clock.now();
        let cursor = builders::ingest(server.app.core(), world.projects[0].key, builders::metrics(now, 1)).await.unwrap();
        let cursor = server.app.core().cursors.receipt(cursor);
        let mut socket = Socket::acknowledged(&server).await;
        let query = format!("subscription {{ metricStream(filter: {{}}, after: \"{cursor}\") {{ cursor }} }}");
        socket.subscribe("1", &query).await;
        let answer = socket.hear().await;
        assert_eq!((&answer["type"], &answer["payload"][0]["extensions"]["field"]), (&json!("error"), &json!("after")));
    }
}

on_both_databases! {
    async fn a_draining_server_answers_what_it_has_begun(database: TestDatabase) {
        let server = server_on(database, "").await;
        let world = server.seed("organizations=1 projects=1").await;
        let mut socket = Socket::acknowledged(&server).await;
        let metric = json!({ "type": "CUSTOM", "endpoint": "e", "value": 1 });
        let input = json!({ "projectId": world.id("project", 1), "metrics": vec![metric; 500] });
        let query = "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
        // Both arrive in one go: the mutation is under way when the second answer comes back.
        socket
            .say(json!({ "type": "subscribe", "id": "m", "payload": { "query": query, "variables": { "input": input } } }))
            .await;
        socket.say(json!({ "type": "ping" })).await;
        let (first, stopped) = (socket.hear().await, tokio::spawn(server.stop()));
        let mut heard = vec![first];
        while heard.last().unwrap()["type"] != "complete" {
            heard.push(socket.hear().await);
        }
        let answer = heard.iter().find(|message| message["type"] == "next").unwrap();
        assert_eq!(answer["payload"]["data"]["ingestMetrics"]["accepted"], 500, "{answer}");
        assert_eq!(socket.closed().await.0, 1012);
        stopped.await.unwrap();
    }
}

//! The protocol as clients meet it: media types, status codes, refusals; and bad input, which is named, changes nothing
//! and leaves the server alive.

use perfgraph::{
    clock::Clock,
    entity::{ingest_batch, metric_event, metric_rollup_part},
    graphql::node::NodeId,
    model::{Key, ProjectId},
};
use reqwest::{Method, StatusCode};
use sea_orm::{EntityTrait, PaginatorTrait};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    harness::{
        Reply, Server, TestDatabase, World,
        server::{NOW, client, send},
    },
    on_both_databases,
};

const MODERN: &str = "application/graphql-response+json";
const VIEWER: &str = "{ viewer { role } }";

async fn server() -> Server {
    Server::fixed(TestDatabase::sqlite().await).await
}

async fn accepting(server: &Server, accept: &str, query: &str) -> Reply {
    send(server.request(Method::POST, "/graphql").header("accept", accept).json(&json!({ "query": query }))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accept_decides_the_media_type_and_with_it_the_status_of_a_refusal() {
    let server = server().await;
    for (accept, media_type, status) in
        [(MODERN, MODERN, 400), ("application/json", "application/json", 200), ("*/*", "application/json", 200)]
    {
        let good = accepting(&server, accept, VIEWER).await;
        assert_eq!(
            (good.status, good.header("content-type")),
            (StatusCode::OK, &*format!("{media_type}; charset=utf-8"))
        );
        assert_eq!(good.json(), json!({ "data": { "viewer": { "role": "OWNER" } } }));
        for bad in ["{ nothing }", "{ viewer {", "query A { viewer { role } } query B { viewer { role } }"] {
            let refused = accepting(&server, accept, bad).await;
            assert_eq!(refused.status, status, "{bad} as {accept}: {}", refused.text);
            let body = refused.json();
            // Nothing was executed, so there is no data, not even null.
            assert!(body.get("data").is_none() && body["errors"].is_array(), "{}", refused.text);
        }
    }
    let refused = accepting(&server, "text/csv", VIEWER).await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
    // A field that fails is an answer: 200 whatever the media type, with data.
    let partial = accepting(&server, MODERN, "{ organization { name } viewer { role } }").await;
    assert_eq!((partial.status, &partial.json()["data"]["organization"]), (StatusCode::OK, &Value::Null));
}

async fn asked(server: &Server, parameters: &[(&str, &str)]) -> Reply {
    let url = reqwest::Url::parse_with_params(&server.url("/graphql"), parameters).unwrap();
    send(server.client.get(url)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn get_answers_queries_and_refuses_changes() {
    let server = server().await;
    let query = [
        ("query", "query Q($n: Int) { organizations(first: $n) { totalCount } }"),
        ("variables", r#"{"n": 1}"#),
        ("operationName", "Q"),
    ];
    let reply = asked(&server, &query).await;
    assert_eq!(reply.data(), json!({ "organizations": { "totalCount": 0 } }));
    let mutation = [("query", "mutation { ingestMetrics(input: { projectId: \"x\", metrics: [] }) { accepted } }")];
    let reply = asked(&server, &mutation).await;
    assert_eq!((reply.status, reply.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert!(reply.error().1.contains("POST"), "{}", reply.text);
    let reply = asked(&server, &[("query", VIEWER), ("variables", "[")]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert!(reply.error().1.starts_with("variables"), "{}", reply.text);
    let reply = server.get("/graphql").await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let reply = send(server.request(method.clone(), "/graphql")).await;
        assert_eq!(
            (reply.status, reply.header("allow")),
            (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST, OPTIONS"),
            "{method}"
        );
        assert_eq!(reply.error().0, "BAD_USER_INPUT");
    }
    let reply = send(server.request(Method::OPTIONS, "/graphql")).await;
    assert_eq!((reply.status, reply.header("allow")), (StatusCode::NO_CONTENT, "GET, HEAD, POST, OPTIONS"));
    let reply = asked(&server, &[("query", "subscription { metricStream(filter: {}) { cursor } }")]).await;
    let (code, message) = reply.error();
    assert!(code == "BAD_USER_INPUT" && message.contains("text/event-stream"), "{message}");
    assert!(message.contains("graphql-transport-ws") && message.contains("multipart/mixed"), "{message}");
    // The head is that of the GET, without the body.
    let url = server.url("/graphql?query=%7Bviewer%7Brole%7D%7D");
    let (get, head) = (send(server.client.get(&url)).await, send(server.client.head(&url)).await);
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    for name in ["content-type", "content-length", "cache-control", "vary"] {
        assert!(!get.header(name).is_empty() && get.header(name) == head.header(name), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_no_request_is_refused_by_the_property() {
    let server = server().await;
    for (body, name) in [
        ("", "body"),
        ("{", "body"),
        ("nonsense", "body"),
        ("\"query\"", "body"),
        ("{\"query\": 7}", "query"),
        ("{\"query\": \"{ viewer { role } }\", \"variables\": \"x\"}", "variables"),
        ("{\"query\": \"{ viewer { role } }\", \"operationName\": 1}", "operationName"),
        ("{\"query\": \"{ viewer { role } }\", \"variables\": {\"a\": NaN}}", "variables"),
    ] {
        let reply = server.post("application/json", body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}: {}", reply.text);
        let (code, message) = reply.error();
        assert!(code == "BAD_USER_INPUT" && message.starts_with(name), "{body}: {code} {message}");
        assert!(reply.json().get("data").is_none());
    }
    let reply = server.post("application/json", vec![b'{', 0xff, b'}']).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    // What a browser sends across sites without asking first.
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=latin1",
    ] {
        let reply = server.post(content_type, json!({ "query": VIEWER }).to_string()).await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
        assert!(reply.error().1.contains("application/json"));
    }
    let reply = server.post("application/json; charset=UTF-8", json!({ "query": VIEWER }).to_string()).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_too_large_is_413_whether_it_says_its_length_or_not() {
    let server = server().await;
    let body = json!({ "query": format!("{{ viewer {{ role }} }} #{}", "x".repeat(6_000_000)) }).to_string();
    // A client that is still sending when the connection closes would see a reset, most often with the larger one.
    for body in [body.clone(), body.repeat(3)] {
        let reply = server.post("application/json", body).await;
        assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
        let (code, message) = reply.error();
        assert!(code == "BAD_USER_INPUT" && message.starts_with("body") && message.contains("5242880"), "{message}");
    }
    // In chunks, by hand: the client would say the length.
    let mut socket = tokio::net::TcpStream::connect(server.app.address()).await.unwrap();
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
        Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    socket.write_all(head.as_bytes()).await.unwrap();
    for chunk in body.as_bytes().chunks(50_000) {
        let size = format!("{:x}\r\n", chunk.len());
        socket.write_all(&[size.as_bytes(), chunk, b"\r\n"].concat()).await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(std::str::from_utf8(&answer).unwrap(), "HTTP/1.1 413");
    assert_eq!(server.graphql(VIEWER, json!({})).await.data(), json!({ "viewer": { "role": "OWNER" } }));
}

on_both_databases! {
    async fn a_request_can_be_explained_and_traced(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=3").await;
        let ask = |header: &str, value: &str| {
            let body = json!({ "query": "{ employees { nodes { name organization { name } } } }" });
            send(server.request(Method::POST, "/graphql").header(header, value).json(&body))
        };
        let explained = ask("perfgraph-explain", "1").await;
        let db = explained.json()["extensions"]["db"].clone();
        assert_eq!((&db["statements"], &db["rows"]), (&json!(2), &json!(4)));
        assert!(db["sql"][0]["sql"].as_str().unwrap().starts_with("SELECT") && db["ms"].as_f64().unwrap() > 0.0, "{db}");
        for (header, value) in [("perfgraph-explain", "0"), ("x-request-id", "abc-123")] {
            let plain = ask(header, value).await;
            assert!(plain.json().get("extensions").is_none() && !plain.text.contains("SELECT"), "{}", plain.text);
        }
        assert_eq!(ask("x-request-id", "abc-123").await.header("x-request-id"), "abc-123");
        // What does not look like an id never reaches the log.
        let replaced = ask("x-request-id", "a b; c").await;
        let id = replaced.header("x-request-id");
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_ne!(explained.header("x-request-id"), id);
    }
}

on_both_databases! {
    async fn the_addresses_beside_graphql(database: TestDatabase) {
        let server = Server::fixed(database).await;
        for (path, status, text) in [("/healthz", 200, "ok\n"), ("/readyz", 200, "ready\n"), ("/absent", 404, "no such address; GraphQL is at /graphql\n")] {
            let reply = server.get(path).await;
            assert_eq!((reply.status.as_u16(), &*reply.text), (status, text), "{path}");
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
            assert!(!reply.header("x-request-id").is_empty());
        }
        let version = server.get("/version").await.json();
        assert_eq!(version, json!({ "name": "perfgraph", "version": env!("CARGO_PKG_VERSION") }));
        assert_eq!(server.get("/").await.header("location"), "/graphql");
        let page = send(server.request(Method::GET, "/graphql").header("accept", "text/html,*/*")).await;
        assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
        assert!(page.header("content-security-policy").contains("default-src 'self'"));
        // A link to an operation opens the page in a browser; programs get the answer.
        let link = "/graphql?query=%7Bviewer%7Brole%7D%7D";
        let by = |accept: &'static str| server.request(Method::GET, link).header("accept", accept);
        let page = send(by("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")).await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        for program in ["*/*", "application/json", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"] {
            assert_eq!(send(by(program)).await.json()["data"]["viewer"]["role"], "OWNER", "{program}");
        }
        let reply = server.get("/assets/absent.js").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
        let reply = server.get("/assets/../Cargo.toml").await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_with_a_foreign_host_or_origin_are_refused() {
    let server = server().await;
    for host in ["example.com", "127.0.0.1.example.com", "localhost.example.com:80"] {
        let request = server.request(Method::POST, "/graphql").header("host", host);
        let reply = send(request.json(&json!({ "query": VIEWER }))).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (StatusCode::FORBIDDEN, "FORBIDDEN"), "{host}");
        assert_eq!(
            send(server.request(Method::GET, "/healthz").header("host", host)).await.status,
            StatusCode::FORBIDDEN
        );
    }
    let upgrade = |origin: String| {
        let request = server.request(Method::GET, "/graphql").header("origin", origin);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        request.header("sec-websocket-protocol", "graphql-transport-ws").send()
    };
    for origin in ["https://example.com", "null", "http://127.0.0.1:1"] {
        assert_eq!(upgrade(origin.to_owned()).await.unwrap().status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let own = upgrade(format!("http://{}", server.app.address())).await.unwrap();
    assert_eq!(own.status(), StatusCode::SWITCHING_PROTOCOLS);
    // No permission to read across sites is ever given.
    let request = server.request(Method::POST, "/graphql").header("origin", "https://example.com");
    let reply = send(request.json(&json!({ "query": VIEWER }))).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");
    // A GET that a browser would send for a foreign page without asking is not run.
    for (name, value) in
        [("origin", "https://example.com"), ("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site")]
    {
        let query = |extra: &str| {
            let request = server.request(Method::GET, "/graphql?query=%7Bviewer%7Brole%7D%7D").header(name, value);
            send(if extra.is_empty() { request } else { request.header(extra, "1") })
        };
        let refused = query("").await;
        assert_eq!((refused.status, refused.error().0.as_str()), (StatusCode::FORBIDDEN, "FORBIDDEN"), "{name}");
        assert_eq!(query("apollo-require-preflight").await.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strict_statuses_say_more() {
    let settings = "self_monitoring.enabled = false\ngraphql.strict_status = true";
    let server = Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), settings).await;
    let partial = "{ organization { name } viewer { role } }";
    for (query, modern, json) in [
        (VIEWER, 200, (200, "application/json; charset=utf-8")),
        (partial, 294, (200, "application/json; charset=utf-8")),
        ("{ nothing }", 422, (422, "application/graphql-response+json; charset=utf-8")),
        (
            "query Q($n: Int!) { organizations(first: $n) { totalCount } }",
            422,
            (422, "application/graphql-response+json; charset=utf-8"),
        ),
        (
            "query A { viewer { role } } query B { viewer { role } }",
            422,
            (422, "application/graphql-response+json; charset=utf-8"),
        ),
        ("{ viewer {", 400, (400, "application/graphql-response+json; charset=utf-8")),
    ] {
        let reply = accepting(&server, MODERN, query).await;
        assert_eq!(reply.status.as_u16(), modern, "{query}: {}", reply.text);
        let reply = accepting(&server, "application/json", query).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), json, "{query}: {}", reply.text);
    }
    for (body, status) in [("{", 400), ("{}", 422), ("[]", 422), (r#"{"query": 7}"#, 422), (r#"{"qeury": "{a}"}"#, 422)]
    {
        let reply = server.post("application/json", body).await;
        assert_eq!(reply.status.as_u16(), status, "{body}: {}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_have_the_shape_that_the_specification_wants() {
    let server = server().await;
    let body = json!({
        "query": "query Q { z: viewer { role } node(id: \"nothing\") { id } a: viewer { __typename role } organizations { totalCount } }",
        "operationName": null, "variables": null, "extensions": { "client": 1 }, "unknown": [1], "id": "x",
    });
    let reply = server.post("application/json", body.to_string()).await;
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    // Keys in the order of the document, a failed nullable field as null beside its error, unknown properties ignored.
    let expected = r#""data":{"z":{"role":"OWNER"},"node":null,"a":{"__typename":"Viewer","role":"OWNER"},"organizations":{"totalCount":0}}"#;
    assert!(reply.text.contains(expected), "{}", reply.text);
}

/// How many rows the write path left behind.
async fn rows(database: &TestDatabase) -> [u64; 3] {
    let session = database.reader();
    [
        metric_event::Entity::find().count(&session).await.unwrap(),
        metric_rollup_part::Entity::find().count(&session).await.unwrap(),
        ingest_batch::Entity::find().count(&session).await.unwrap(),
    ]
}

const INGEST: &str = "mutation ($input: IngestMetricsInput!) {
    ingestMetrics(input: $input) { accepted rejected { index field code message } userErrors { field code message } }
}";

fn metric() -> Value {
    json!({ "type": "API_RESPONSE", "endpoint": "GET /orders", "value": 1.5 })
}

fn with(name: &str, value: Value) -> Value {
    let mut metric = metric();
    metric[name] = value;
    metric
}

fn input(world: &World, metrics: Vec<Value>) -> Value {
    json!({ "input": { "projectId": world.id("project", 1), "metrics": metrics, "mode": "ATOMIC" } })
}

/// Nothing of how the answer is made may be in it.
#[track_caller]
fn assert_discreet(reply: &Reply) {
    for inside in ["SELECT ", "INSERT ", "sqlx", "sqlite", "postgres", "src/", "panicked", ".rs:"] {
        assert!(!reply.text.contains(inside), "{inside} in {}", reply.text);
    }
}

on_both_databases! {
    async fn a_bad_row_is_named_and_nothing_is_half_written(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=3").await;
        let before = rows(&server.database).await;
        let bad_rows = [
            (with("value", json!(-0.5)), "value", "negative"),
            (with("value", json!(1e300)), "value", "0 to 1000000000000"),
            (with("endpoint", json!("")), "endpoint", "empty"),
            (with("endpoint", json!("a\u{0}b")), "endpoint", "printable"),
            (with("endpoint", json!("x".repeat(501))), "endpoint", "at most 500"),
            (with("statusCode", json!(99)), "statusCode", "100 to 599"),
            (with("timestamp", json!("2020-01-01T00:00:00Z")), "timestamp", "2026-10-25T12:00:00Z"),
            (with("timestamp", json!("2026-11-02T00:00:00+02:00")), "timestamp", "2026-11-01T12:10:00Z"),
        ];
        for (bad, field, fix) in bad_rows {
            let reply = server.graphql(INGEST, input(&world, vec![metric(), bad, metric()])).await;
            let answer = &reply.data()["ingestMetrics"];
            assert_eq!(answer["accepted"], 0);
            let rejected = answer["rejected"].as_array().unwrap();
            assert_eq!((rejected.len(), &rejected[0]["index"], &rejected[0]["code"]), (1, &json!(1), &json!("INVALID")));
            let message = rejected[0]["message"].as_str().unwrap();
            assert_eq!(rejected[0]["field"].as_array().and_then(|path| path.last()), Some(&json!(field)), "{answer}");
            assert!(message.contains(fix), "{message}");
            assert_discreet(&reply);
        }
        assert_eq!(rows(&server.database).await, before);
    }
}

on_both_databases! {
    async fn a_bad_call_is_named_and_nothing_is_written(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1 metrics=3").await;
        let before = rows(&server.database).await;
        let absent = NodeId::Project(Key::new(world.organizations[0].key, ProjectId(77))).encode().0;
        let absent = json!({ "input": { "projectId": absent, "metrics": [metric()] } });
        let mistyped = json!({ "input": { "projectId": world.id("organization", 1), "metrics": [metric()] } });
        let key = json!({ "input": {
            "projectId": world.id("project", 1), "metrics": [metric()], "idempotencyKey": "x".repeat(201)
        } });
        let calls = [
            (absent, "NOT_FOUND", "projectId"),
            (mistyped, "INVALID", "projectId"),
            (input(&world, vec![]), "INVALID", "metrics"),
            (input(&world, vec![with("value", json!(1)); 10_001]), "TOO_LARGE", "metrics"),
            (key, "INVALID", "idempotencyKey"),
        ];
        for (variables, code, field) in calls {
            let reply = server.graphql(INGEST, variables).await;
            let answer = &reply.data()["ingestMetrics"];
            assert_eq!((&answer["accepted"], &answer["userErrors"][0]["code"]), (&json!(0), &json!(code)), "{}", reply.text);
            assert_eq!(answer["userErrors"][0]["field"], json!([field]), "{}", reply.text);
            assert_discreet(&reply);
        }
        // What does not even fit the types never reaches the resolver.
        let wrong = [
            (with("value", json!("1")), "value"),
            (with("value", Value::Null), "value"),
            (with("type", json!("SLOWNESS")), "type"),
            (with("timestamp", json!("yesterday")), "timestamp"),
            (with("statusCode", json!(1.5)), "statusCode"),
            (with("colour", json!("red")), "colour"),
        ];
        for (bad, field) in wrong {
            let reply = server.graphql(INGEST, input(&world, vec![metric(), bad])).await;
            let (code, message) = reply.error();
            assert!(code == "BAD_USER_INPUT" && message.contains(field), "{field}: {code} {message}");
            assert_discreet(&reply);
        }
        let wrong = [
            ("{\"query\": \"{ viewer { role } }\", \"variables\": {\"x\": 1e999}}", "variables"),
            ("{\"query\": \"{ viewer { role } }\", \"variables\": {\"x\": -Infinity}}", "variables"),
        ];
        for (body, place) in wrong {
            let reply = server.post("application/json", body).await;
            assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}: {}", reply.text);
            assert!(reply.error().1.contains(place), "{}", reply.text);
        }
        let document = |value: &str| format!(
            "mutation {{ ingestMetrics(input: {{ projectId: \"{}\", metrics: [{{ type: CUSTOM, endpoint: \"x\", value: {value} }}] }}) {{ accepted }} }}",
            world.id("project", 1),
        );
        for value in ["1e999", "NaN", "-Infinity", "\"1\"", "true"] {
            let reply = server.graphql(&document(value), json!({})).await;
            let (code, message) = reply.error();
            assert!(["GRAPHQL_PARSE_FAILED", "BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"].contains(&&*code), "{value}: {code} {message}");
            assert!(reply.json().get("data").is_none(), "{}", reply.text);
            assert_discreet(&reply);
        }
        assert_eq!(rows(&server.database).await, before);
        assert_eq!(server.graphql(&document("2"), json!({})).await.data()["ingestMetrics"]["accepted"], 1);
        assert_ne!(rows(&server.database).await, before);
    }
}

on_both_databases! {
    async fn a_failure_reaches_as_far_as_the_schema_says(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 employees=2").await;
        // The list must not be null, so its failure takes the organization with it, and nothing beside.
        let query = "query Q($id: ID!, $ids: [ID!]!) {
            before: viewer { role }
            organization(id: $id) { name employees(first: -1) { totalCount } }
            nodes(ids: $ids) { id }
            after: viewer { role }
        }";
        let (first, second) = (world.id("employee", 1), world.id("employee", 2));
        let variables = json!({ "id": world.id("organization", 1), "ids": [second, "UHJvamVjdDo3Nzo3Nw", first, second] });
        let reply = server.graphql(query, variables).await;
        let body = reply.json();
        let role = json!({ "role": "OWNER" });
        let nodes = json!([{ "id": second }, null, { "id": first }, { "id": second }]);
        let data = json!({ "before": role, "organization": null, "nodes": nodes, "after": role });
        assert_eq!((reply.status, &body["data"]), (StatusCode::OK, &data), "{}", reply.text);
        assert_eq!(body["errors"].as_array().unwrap().len(), 1, "{}", reply.text);
        assert_eq!(body["errors"][0]["path"], json!(["organization", "employees"]), "{}", reply.text);
        let (_, data) = reply.text.split_once("\"data\":").unwrap();
        let places = ["before", "organization", "nodes", "after"].map(|key| data.find(key));
        assert!(places.is_sorted(), "in the order of the document: {data}");
    }
}

fn fragment_bomb(levels: usize) -> String {
    let spread = |level: usize| {
        format!("fragment F{level} on Query {{ a: node(id: 1) {{ id }} ...F{next} ...F{next} }} ", next = level + 1)
    };
    let fragments: String = (0..levels).map(spread).collect();
    format!("query {{ ...F0 }} {fragments} fragment F{levels} on Query {{ viewer {{ role }} }}")
}

on_both_databases! {
    async fn a_document_that_would_cost_too_much_is_refused_before_any_work(database: TestDatabase) {
        let server = Server::fixed(database).await;
        server.seed("organizations=1 employees=1").await;
        let levels = 10_000;
        let documents = [
            (format!("{}{}", "{ a ".repeat(levels), "} ".repeat(levels)), "bytes"),
            (format!("{{a{}{}}}", "{a".repeat(6_000), "}".repeat(6_000)), "tokens"),
            (format!("{{a{}{}}}", "{a".repeat(150), "}".repeat(150)), "nesting"),
            (format!("{{ viewer {{ role }} }} # {}", "x".repeat(40_000)), "bytes"),
            (fragment_bomb(30), "maximum is"),
            (format!("{{ {} }}", "viewer { role } ".repeat(31)), "top"),
            ("{ employees(first: 100) { nodes { projects(first: 100) { nodes { name } } } } }".to_owned(), "cost"),
        ];
        for (document, limit) in documents {
            let request = server.request(Method::POST, "/graphql").header("perfgraph-explain", "1");
            let reply = send(request.json(&json!({ "query": document }))).await;
            let (code, message) = reply.error();
            assert!(code == "COMPLEXITY_LIMIT" && message.contains(limit), "{limit}: {code} {message}");
            let body = reply.json();
            let details = &body["errors"][0]["extensions"];
            assert!(details["actual"].as_u64() > details["limit"].as_u64(), "{}", reply.text);
            assert_eq!(body["extensions"]["db"]["statements"], 0);
            assert!(body.get("data").is_none());
            assert_discreet(&reply);
        }
        // Another connection, so that the server and not only this one has survived.
        let request = client().post(server.url("/graphql")).json(&json!({ "query": VIEWER }));
        assert_eq!(send(request).await.data(), json!({ "viewer": { "role": "OWNER" } }));
    }
}

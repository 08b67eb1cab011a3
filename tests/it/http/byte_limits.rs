//! Limits on bytes are what they say: the maximum passes, and one byte more does not.

use perfgraph::clock::Clock;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::{
    harness::{
        Reply, Server, TestDatabase,
        process::PATIENCE,
        server::{NOW, send},
    },
    ingest::http_api::{NDJSON, PATH, rows},
};

const QUERY: &str = "{ viewer { role } }";

async fn server(settings: &str) -> Server {
    let settings = format!("self_monitoring.enabled = false\n{settings}");
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), &settings).await
}

/// The status of the answer to a request, byte by byte.
async fn status(server: &Server, request: &str) -> String {
    let mut socket = TcpStream::connect(server.app.address()).await.unwrap();
    let _ = socket.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut answer)).await.expect("the server closes in time");
    String::from_utf8(answer).unwrap().split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_head_of_a_request() {
    for max in [8_192, 20_000, 65_536] {
        let server = server(&format!("limits.header_bytes_max = {max}")).await;
        let head = |bytes: usize| {
            let head = "GET /healthz?a=b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Large: ";
            format!("{head}{}\r\n\r\n", "x".repeat(bytes - head.len() - 4))
        };
        assert_eq!(status(&server, &head(max)).await, "200", "{max}");
        for above in [max + 1, max + max / 2] {
            assert_eq!(status(&server, &head(above)).await, "431", "{above} of {max}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_of_a_request_and_its_document() {
    let server = server("limits.body_bytes_max = 40000\nlimits.document_bytes_max = 20000").await;
    let padded = |bytes: usize| {
        let body = json!({ "query": QUERY }).to_string();
        format!("{body}{}", " ".repeat(bytes - body.len()))
    };
    assert_eq!(server.post("application/json", padded(40_000)).await.status, 200);
    assert_eq!(server.post("application/json", padded(40_001)).await.status, 413);
    let document = |bytes: usize| format!("{QUERY}{}", " ".repeat(bytes - QUERY.len()));
    assert_eq!(server.graphql(&document(20_000), json!({})).await.data(), json!({ "viewer": { "role": "OWNER" } }));
    assert_eq!(server.graphql(&document(20_001), json!({})).await.error().0, "COMPLEXITY_LIMIT");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_values_and_the_depth_of_a_request() {
    let server = server("limits.request_values_max = 1000\nlimits.request_depth_max = 10").await;
    // The variables and the list are two of them; a body and its text of a document two more.
    let listed = |values: usize| json!({ "x": vec![1; values - 2] });
    let nested = |levels: usize| json!({ "x": (1..levels).fold(json!(1), |inner, _| json!([inner])) });
    let post = async |variables: &Value, is_batch: bool| {
        let one = json!({ "query": QUERY, "variables": variables });
        server.post("application/json", if is_batch { json!([one]) } else { one }.to_string()).await
    };
    let get = async |variables: &Value| {
        let encoded = variables.to_string().replace('"', "%22").replace('{', "%7B").replace('}', "%7D");
        server.get(&format!("/graphql?query=%7Bviewer%7Brole%7D%7D&variables={encoded}")).await
    };
    let outcome = |reply: &Reply| match reply.status.as_u16() {
        200 => "taken".to_owned(),
        status => format!("{status} {}", reply.error().0),
    };
    let refused = "400 COMPLEXITY_LIMIT";
    for (fits, exceeds) in [(listed(998), listed(999)), (nested(9), nested(10))] {
        assert_eq!(outcome(&post(&fits, false).await), "taken");
        let reply = post(&exceeds, false).await;
        assert!(outcome(&reply) == refused && reply.text.contains("(limits.request_"), "{}", reply.text);
    }
    // The list of a batch counts too.
    for (fits, exceeds) in [(listed(997), listed(998)), (nested(8), nested(9))] {
        assert_eq!(outcome(&post(&fits, true).await), "taken");
        assert_eq!(outcome(&post(&exceeds, true).await), refused);
    }
    for (fits, exceeds) in [(listed(1_000), listed(1_001)), (nested(10), nested(11))] {
        assert_eq!(outcome(&get(&fits).await), "taken");
        assert_eq!(outcome(&get(&exceeds).await), refused);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_body_and_the_key_of_an_ingest_request() {
    let server = server("limits.ingest_body_bytes_max = 10000").await;
    let world = server.seed("organizations=1 employees=1 projects=1").await;
    let path = format!("{PATH}?project={}", world.id("project", 1));
    let ask = async |bytes: usize, key: &str| {
        let row = rows(0..1);
        let body = format!("{row}{}", " ".repeat(bytes - row.len()));
        let request = server.request(Method::POST, &path).header("content-type", NDJSON).header("idempotency-key", key);
        send(request.body(body)).await.status.as_u16()
    };
    assert_eq!((ask(10_000, "a").await, ask(10_001, "b").await), (200, 413));
    assert_eq!((ask(1_000, &"k".repeat(200)).await, ask(1_000, &"k".repeat(201)).await), (200, 400));
}

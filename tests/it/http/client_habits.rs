//! Habits of programs that send requests: headers of old libraries, empty names, compressed bodies, byte order marks, slashes at the
//! end of an address, and names of headers in one case only.

use perfgraph::clock::Clock;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::middleware::raw;
use crate::{
    harness::{
        Reply, Server, TestDatabase,
        process::PATIENCE,
        server::{NOW, send},
        socket::{Said, Socket},
    },
    ingest::http_api::{NDJSON, PATH, gzip, rows, zstd},
    on_both_databases,
};

const VIEWER: &str = "{ viewer { role } }";

async fn server(settings: &str) -> Server {
    let settings = format!("self_monitoring.enabled = false\n{settings}");
    Server::start(TestDatabase::sqlite().await, Clock::fixed(NOW), &settings).await
}

fn posted(server: &Server, path: &str, body: impl Into<reqwest::Body>) -> RequestBuilder {
    server.request(Method::POST, path).header("content-type", "application/json").body(body)
}

fn viewer() -> String {
    json!({ "query": VIEWER }).to_string()
}

#[track_caller]
fn assert_viewer(reply: &Reply) {
    assert_eq!(reply.data(), json!({ "viewer": { "role": "OWNER" } }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accept_header_that_cannot_be_read_is_no_obstacle() {
    let server = server("").await;
    for (accept, status) in [
        ("text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", 200),
        ("*", 200),
        ("application/json; q=.8", 200),
        ("application/json;q=1.0000", 200),
        ("application/json;charset=UTF8", 200),
        ("json", 200),
        ("text/csv", 406),
        ("application/json; charset=iso-8859-1", 406),
        ("application/json;q=0", 406),
    ] {
        let reply = send(posted(&server, "/graphql", viewer()).header("accept", accept)).await;
        assert_eq!(reply.status.as_u16(), status, "POST {accept}: {}", reply.text);
        let get = server.request(Method::GET, "/graphql?query=%7Bviewer%7Brole%7D%7D").header("accept", accept);
        assert_eq!(send(get).await.status.as_u16(), status, "GET {accept}");
    }
    for (content_type, status) in [
        ("application/json; charset=utf8", 200),
        ("application/json; charset=\"UTF8\"", 200),
        ("application/json; charset", 200),
        ("application/json; charset=iso-8859-1", 415),
    ] {
        assert_eq!(server.post(content_type, viewer()).await.status.as_u16(), status, "{content_type}");
    }
    let world = server.seed("organizations=1 projects=1").await;
    let path = format!("{PATH}?project={}", world.id("project", 1));
    let lines = server.request(Method::POST, &path).header("content-type", "application/x-ndjson; charset=utf8");
    assert_eq!(send(lines.body(rows(0..1))).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_operation_name_is_no_name_on_any_transport() {
    let server = server("").await;
    let request = json!({ "query": "query Q { viewer { role } }", "operationName": "" });
    assert_viewer(&send(posted(&server, "/graphql", request.to_string())).await);
    let batch = send(posted(&server, "/graphql", json!([request, request]).to_string())).await;
    let expected = json!({ "data": { "viewer": { "role": "OWNER" } } });
    assert_eq!(batch.json(), json!([expected, expected]));
    let url = reqwest::Url::parse_with_params(
        &server.url("/graphql"),
        [("query", "query Q { viewer { role } }"), ("operationName", "")],
    );
    assert_viewer(&send(server.client.get(url.unwrap())).await);
    for accept in ["text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let reply = send(posted(&server, "/graphql", request.to_string()).header("accept", accept)).await;
        assert!(reply.text.contains(&expected.to_string()), "{accept}: {}", reply.text);
    }
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.say(&json!({ "type": "subscribe", "id": "1", "payload": request })).await.unwrap();
    assert!(matches!(socket.next().await, Said::Next(answer) if answer == expected));
    // It names nothing where a name is needed.
    let two = json!({ "query": "query A { viewer { role } } query B { viewer { role } }", "operationName": "" });
    let reply = send(posted(&server, "/graphql", two.to_string())).await;
    assert!(reply.error().1.contains("is missing"), "{}", reply.text);
}

on_both_databases! {
    async fn a_whole_number_with_a_fraction_is_an_int_on_every_way_in(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=1").await;
        let asked = async |value: &str| {
            let query = "query($n: Int) { organizations(first: $n) { nodes { slug } } }";
            let body = format!(r#"{{"query":"{query}","variables":{{"n":{value}}}}}"#);
            send(posted(&server, "/graphql", body)).await.json().get("errors").is_none()
        };
        for (value, is_int) in [("1", true), ("1.0", true), ("1e0", true), ("1.5", false), ("\"1\"", false)] {
            assert_eq!(asked(value).await, is_int, "{value}");
        }
        let project = world.id("project", 1);
        let mutation = "mutation($input: IngestMetricsInput!) { ingestMetrics(input: $input) { accepted } }";
        let metric = r#"{"type":"API_RESPONSE","endpoint":"e","value":1.5,"statusCode":404.0,"timestamp":"2026-11-01T11:59:00Z"}"#;
        let input = format!(r#"{{"projectId":"{project}","metrics":[{metric}]}}"#);
        let body = format!(r#"{{"query":"{mutation}","variables":{{"input":{input}}}}}"#);
        let reply = send(posted(&server, "/graphql", body)).await;
        assert_eq!(reply.data()["ingestMetrics"]["accepted"], 1);
        let path = format!("{PATH}?project={project}");
        let csv = "type,endpoint,value,statusCode,timestamp\nAPI_RESPONSE,e,1.5,404.0,1793534340000.0\n\
                   API_RESPONSE,e,1.5,4.04E2,1793534340000\n";
        for (content_type, body) in [
            (NDJSON, metric.replace("404.0", "4.04e2")),
            ("application/json", format!("[{metric}]")),
            ("text/csv", csv.to_owned()),
        ] {
            let request = server.request(Method::POST, &path).header("content-type", content_type).body(body);
            let reply = send(request).await;
            assert_eq!((reply.status.as_u16(), &reply.json()["rejected"]), (200, &json!(0)), "{}", reply.text);
        }
        // The same inside of a filter.
        let query = "query($status: Int!) { metricStats(filter: { time: { last: \\\"PT1H\\\" }, statusCode: { in: [$status] } }) { count } }";
        let body = format!(r#"{{"query":"{query}","variables":{{"status":404.0}}}}"#);
        assert_eq!(send(posted(&server, "/graphql", body)).await.data()["metricStats"]["count"], 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_operation_is_read_up_to_the_limit_of_what_it_unpacks_to() {
    let server = server("limits.body_bytes_max = 100000").await;
    let encoded = |encoding: &'static str, bytes: Vec<u8>| {
        send(posted(&server, "/graphql", bytes).header("content-encoding", encoding))
    };
    let body = viewer();
    assert_viewer(&encoded("gzip", gzip(body.as_bytes()).await).await);
    assert_viewer(&encoded("GZIP", gzip(format!("\u{feff}{body}").as_bytes()).await).await);
    assert_viewer(&encoded("zstd", zstd(body.as_bytes()).await).await);
    assert_viewer(&encoded("identity", body.clone().into_bytes()).await);
    // Of several members, as a concatenation of files has them.
    let (first, second) = body.split_at(10);
    let members = [gzip(first.as_bytes()).await, gzip(second.as_bytes()).await].concat();
    assert_viewer(&encoded("gzip", members).await);

    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    assert_viewer(&encoded("gzip", gzip(padded(100_000).as_bytes()).await).await);
    for (encoding, bytes) in [
        ("gzip", gzip(padded(100_001).as_bytes()).await),
        ("gzip", gzip(padded(50_000_000).as_bytes()).await),
        ("zstd", zstd(padded(100_001).as_bytes()).await),
    ] {
        let refused = encoded(encoding, bytes).await;
        assert_eq!(refused.status, 413, "{}", refused.text);
        assert!(refused.error().1.contains("100000 bytes (limits.body_bytes_max)"), "{}", refused.text);
    }
    let whole = gzip(body.as_bytes()).await;
    for broken in [whole[..whole.len() - 4].to_vec(), body.clone().into_bytes(), [&whole[..], b"x"].concat()] {
        let refused = encoded("gzip", broken).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.error().1.contains("valid gzip"), "{}", refused.text);
    }
    for unknown in ["br", "deflate", "gzip, gzip"] {
        let refused = encoded(unknown, whole.clone()).await;
        assert_eq!((refused.status.as_u16(), refused.header("accept-encoding")), (415, "gzip, zstd"), "{unknown}");
        assert!(refused.error().1.starts_with("Content-Encoding"), "{}", refused.text);
    }
    let members = gzip(b"").await.repeat(1_001);
    let refused = encoded("gzip", members).await;
    assert!(refused.status == 400 && refused.error().1.contains("1000 compressed members"), "{}", refused.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_byte_order_mark_in_front_of_json_is_read_on_every_way_in() {
    let server = server("").await;
    let world = server.seed("organizations=1 projects=1").await;
    let marked = |text: &str| format!("\u{feff}{text}");
    assert_viewer(&send(posted(&server, "/graphql", marked(&viewer()))).await);
    let batch = send(posted(&server, "/graphql", marked(&format!("[{}]", viewer())))).await;
    assert_eq!(batch.json()[0]["data"]["viewer"]["role"], "OWNER");
    let parameters = [("query", VIEWER), ("variables", "\u{feff}{}"), ("extensions", "\u{feff}{}")];
    let url = reqwest::Url::parse_with_params(&server.url("/graphql"), parameters).unwrap();
    assert_viewer(&send(server.client.get(url)).await);
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    let subscribe = json!({ "type": "subscribe", "id": "1", "payload": { "query": VIEWER } });
    socket.say_text(marked(&subscribe.to_string())).await.unwrap();
    assert!(matches!(socket.next().await, Said::Next(_)));
    let path = format!("{PATH}?project={}", world.id("project", 1));
    let array = marked(&format!("[{}]", rows(0..1)));
    for (content_type, body) in [(NDJSON, marked(&rows(0..1))), ("application/json", array)] {
        let request = server.request(Method::POST, &path).header("content-type", content_type).body(body);
        let reply = send(request).await;
        assert_eq!((reply.status.as_u16(), &reply.json()["accepted"]), (200, &json!(1)), "{}", reply.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slash_at_the_end_of_an_address_changes_nothing() {
    let server = server("").await;
    let world = server.seed("organizations=1 projects=1").await;
    assert_viewer(&send(posted(&server, "/graphql/", viewer())).await);
    assert_viewer(&server.get("/graphql/?query=%7Bviewer%7Brole%7D%7D").await);
    let page = send(server.request(Method::GET, "/graphql/").header("accept", "text/html")).await;
    assert_eq!((page.status.as_u16(), page.header("content-type")), (200, "text/html; charset=utf-8"));
    let events = posted(&server, "/graphql/", viewer()).header("accept", "text/event-stream");
    assert!(send(events).await.text.contains("event: next"));
    let mut socket = Socket::open(&format!("{}/", server.websocket_url())).await.unwrap();
    socket.subscribe("1", VIEWER, &Value::Null).await.unwrap();
    assert!(matches!(socket.next().await, Said::Next(_)));
    let path = format!("{PATH}/?project={}", world.id("project", 1));
    let stored = server.request(Method::POST, &path).header("content-type", NDJSON).body(rows(0..3));
    assert_eq!(send(stored).await.json()["accepted"], 3);
    for path in ["/healthz/", "/readyz/", "/version/", "/graphql//?query=%7Bviewer%7Brole%7D%7D"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let preflight = send(server.request(Method::OPTIONS, "/graphql/")).await;
    assert_eq!((preflight.status.as_u16(), preflight.header("allow")), (204, "GET, HEAD, POST, OPTIONS"));
    assert_eq!(server.get("/absent/").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_headers_are_written_with_capitals() {
    let server = server("").await;
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{}",
        viewer().len(),
        viewer()
    );
    let answer = raw(&server, request.as_bytes()).await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    for line in ["Content-Type: application/json; charset=utf-8", "Content-Length: 36", "Connection: close"] {
        assert!(head.contains(&format!("\r\n{line}")), "{line} is not in {head}");
    }
    for name in ["\r\nX-Request-Id: ", "\r\nServer-Timing: ", "\r\nCache-Control: ", "\r\nDate: "] {
        assert!(head.contains(name), "{name} is not in {head}");
    }
    assert_eq!(body, r#"{"data":{"viewer":{"role":"OWNER"}}}"#);
}

/// gql 4.4 for Python looks for this spelling alone, and takes a server without it for one of an older protocol.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_headers_of_a_websocket_are_spelled_as_in_its_specification() {
    let server = server("").await;
    let mut socket = TcpStream::connect(server.app.address()).await.unwrap();
    let handshake = "GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     Sec-WebSocket-Protocol: graphql-ws, graphql-transport-ws\r\n\r\n";
    socket.write_all(handshake.as_bytes()).await.unwrap();
    let mut answer = String::new();
    while !answer.contains("\r\n\r\n") {
        let mut bytes = [0; 1_024];
        let read = timeout(PATIENCE, socket.read(&mut bytes)).await.expect("it is answered").unwrap();
        assert_ne!(read, 0, "{answer}");
        answer.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{answer}");
    for line in ["Sec-WebSocket-Protocol: graphql-transport-ws", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{line} is not in {answer}");
    }
}

fn head(target: &str, version: &str, headers: &str) -> String {
    format!("GET {target} HTTP/{version}\r\nConnection: close\r\n{headers}\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_names_this_server_as_its_host_exactly_once() {
    let server = server("server.public_origins = ['https://perf.example.com']").await;
    let address = server.app.address();
    let query = "/graphql?query=%7Bviewer%7Brole%7D%7D";
    let own = format!("Host: {address}\r\n");
    for (target, version, headers, status) in [
        (query, "1.1", own.clone(), 200),
        (query, "1.1", String::new(), 400),
        (query, "1.1", own.repeat(2), 400),
        (query, "1.1", format!("{own}Host: example.com\r\n"), 400),
        (query, "1.1", "Host: example.com\r\n".to_owned(), 403),
        (query, "1.1", "Host:\r\n".to_owned(), 403),
        // HTTP/1.0 knows no such header.
        (query, "1.0", String::new(), 200),
        (query, "1.0", own.repeat(2), 400),
        ("/healthz", "1.1", String::new(), 400),
        (&format!("http://{address}{query}"), "1.1", own.clone(), 200),
        (&format!("http://perf.example.com{query}"), "1.1", own.clone(), 200),
        (&format!("http://example.com{query}"), "1.1", own.clone(), 403),
        (&format!("http://{address}{query}"), "1.1", "Host: example.com\r\n".to_owned(), 403),
        (&format!("http://example.com{query}"), "1.0", String::new(), 403),
    ] {
        let answer = raw(&server, head(target, version, &headers).as_bytes()).await;
        assert_eq!(answer.get(9..12), Some(&*status.to_string()), "{target} {version} {headers:?}: {answer}");
    }
    // Every way in, by the same rule.
    let upgrade = "Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n";
    let headers = format!("{}{upgrade}", own.repeat(2));
    let socket = raw(&server, format!("GET /graphql HTTP/1.1\r\n{headers}\r\n").as_bytes()).await;
    assert!(socket.starts_with("HTTP/1.1 400"));
    for path in ["/graphql", PATH] {
        let post = format!("POST {path} HTTP/1.1\r\nConnection: close\r\n{}Content-Length: 0\r\n\r\n", own.repeat(2));
        assert!(raw(&server, post.as_bytes()).await.starts_with("HTTP/1.1 400"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_are_refused_on_every_way_in() {
    let server = server("server.cors_origins = ['http://localhost:3000']").await;
    let own = format!("http://{}", server.app.address());
    let encrypted = format!("https://{}", server.app.address());
    let world = server.seed("organizations=1 projects=1").await;
    let metrics = format!("{PATH}?project={}", world.id("project", 1));
    let query = "/graphql?query=%7Bviewer%7Brole%7D%7D";
    for (name, value, is_allowed) in [
        ("origin", own.as_str(), true),
        ("origin", "http://localhost:3000", true),
        ("sec-fetch-site", "same-origin", true),
        ("sec-fetch-site", "none", true),
        ("x-nothing", "1", true),
        ("origin", "https://example.com", false),
        ("origin", encrypted.as_str(), false),
        ("origin", "https://localhost:3000", false),
        ("origin", "null", false),
        ("sec-fetch-site", "cross-site", false),
        ("sec-fetch-site", "same-site", false),
    ] {
        let expected = |good: u16| if is_allowed { good } else { 403 };
        let post = |accept: &str| posted(&server, "/graphql", viewer()).header(name, value).header("accept", accept);
        let ndjson = server.request(Method::POST, &metrics).header("content-type", NDJSON).body(rows(0..1));
        for (way, request) in [
            ("POST", post("application/json")),
            ("SSE", post("text/event-stream")),
            ("GET", server.request(Method::GET, query)),
            ("ingest", ndjson),
        ] {
            let reply = send(if way == "POST" || way == "SSE" { request } else { request.header(name, value) }).await;
            assert_eq!(reply.status.as_u16(), expected(200), "{way} {name}: {value}: {}", reply.text);
            if !is_allowed {
                let (code, message) = reply.error();
                assert!(code == "FORBIDDEN" && message.contains("server.cors_origins"), "{way}: {message}");
            }
        }
        let request = server.request(Method::GET, "/graphql").header(name, value);
        let request = request.header("connection", "upgrade").header("upgrade", "websocket");
        let request =
            request.header("sec-websocket-version", "13").header("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA==");
        let response = request.header("sec-websocket-protocol", "graphql-transport-ws").send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected(101), "WebSocket {name}: {value}");
    }
    // GraphiQL opens from a link on any page.
    let page = server.request(Method::GET, "/graphql").header("accept", "text/html");
    assert_eq!(send(page.header("sec-fetch-site", "cross-site")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fragment_named_on_is_a_syntax_error_on_every_transport() {
    let server = server("").await;
    let query = "{ ...on } fragment on on Query { viewer { role } }";
    let request = json!({ "query": query }).to_string();
    for accept in ["application/json", "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"] {
        let reply = send(posted(&server, "/graphql", request.clone()).header("accept", accept)).await;
        assert!(reply.text.contains("GRAPHQL_PARSE_FAILED"), "{accept}: {}", reply.text);
    }
    let url = reqwest::Url::parse_with_params(&server.url("/graphql"), [("query", query)]).unwrap();
    assert_eq!(send(server.client.get(url)).await.error().0, "GRAPHQL_PARSE_FAILED");
    let mut socket = Socket::open(&server.websocket_url()).await.unwrap();
    socket.subscribe("1", query, &Value::Null).await.unwrap();
    assert!(
        matches!(socket.next().await, Said::Error(errors) if errors[0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_describes_itself_in_our_words() {
    let server = server("").await;
    let query = "{ __schema { d: description ...S } } fragment S on __Schema { description }";
    let schema = server.graphql(query, Value::Null).await.data()["__schema"].take();
    let described = schema["d"].as_str().unwrap();
    assert!(described.starts_with("Performance analytics") && schema["description"] == described, "{described}");
    let file = std::fs::read_to_string(crate::harness::server::repository("schema.graphql")).unwrap();
    assert!(file.contains(&format!("\"\"\"\n{described}\n\"\"\"\nschema {{")), "schema.graphql has the same text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn extensions_of_a_request_are_an_object() {
    let server = server("").await;
    for extensions in [json!([]), json!([null]), json!({ "persistedQuery": ["x"] }), json!("x")] {
        let body = json!({ "query": VIEWER, "extensions": extensions });
        let reply = send(posted(&server, "/graphql", body.to_string())).await;
        assert_eq!((reply.status.as_u16(), reply.error().0.as_str()), (400, "BAD_USER_INPUT"), "{body}");
        assert!(reply.error().1.starts_with("extensions"), "{}", reply.text);
    }
}
